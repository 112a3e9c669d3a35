"""From texts to batches of token ids, without a model and without torch."""
