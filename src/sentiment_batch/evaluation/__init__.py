"""How good a model is: metrics, intervals, calibration, and where it errs."""
