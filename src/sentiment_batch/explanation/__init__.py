"""Explains which words of a text decided its label."""
