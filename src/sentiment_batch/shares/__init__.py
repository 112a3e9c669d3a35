"""Shares of labels in a scored table: of all rows, by the values of columns and over time."""
