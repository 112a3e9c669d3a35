"""Conditions under which a command ends with an exit code of its own, so that a scheduler stops what follows."""
