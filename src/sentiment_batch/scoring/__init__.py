"""Rooms of this road; imports nothing, so that each room can be had without the others."""
