"""What the values of a label column mean: their mapping to classes, its inference, and its match to a model."""
