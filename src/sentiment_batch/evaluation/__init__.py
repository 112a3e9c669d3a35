"""Measures how good a model is: metrics, intervals, calibration, and errors."""
