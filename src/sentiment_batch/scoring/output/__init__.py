"""The output of a scoring run: paths, parts, journal, manifest, and verification."""
