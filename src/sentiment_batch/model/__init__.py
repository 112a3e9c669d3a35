"""The model: base, classifier, stock folders, device, and the forward passes. Only this package knows torch modules."""
