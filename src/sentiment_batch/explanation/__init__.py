"""Which words of a text weighed in its label."""
