"""Scripts for the people who work on this repository: they generate, draw and measure its pages."""
