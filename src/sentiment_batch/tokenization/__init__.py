"""From texts to batches of token ids; no model and no torch."""
