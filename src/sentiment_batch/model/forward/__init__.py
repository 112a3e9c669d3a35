"""The forward passes: packed or padded batches, attention, linear layers, and the parity check."""
