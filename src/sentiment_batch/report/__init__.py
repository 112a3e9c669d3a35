"""Pages for a browser: what was measured and what weighed, as single files that need no network."""
