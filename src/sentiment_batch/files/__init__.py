"""Files that survive crashes: file systems, atomic writes, locks, checksums and the cache."""
