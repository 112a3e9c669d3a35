"""What the values of a label column mean: mapping, inference, and matching to a model."""
