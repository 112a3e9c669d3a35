"""Trains a classifier: data preparation, the loop, checkpoints, and the report."""
