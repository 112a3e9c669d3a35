"""Measures how fast a model scores on this machine."""
