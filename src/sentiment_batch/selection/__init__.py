"""Chooses the rows of a scored table to label next: uncertain ones that differ from each other."""
