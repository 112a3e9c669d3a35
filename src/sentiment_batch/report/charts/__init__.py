"""Draws charts as SVG: axes and curves, bars and intervals. Values go in, markup comes out."""
