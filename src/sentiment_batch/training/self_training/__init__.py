"""Trains a model on the soft labels that other models give to unlabelled texts, or an ensemble to the labelled rows."""
