"""Scripts that anyone can run to measure this project against its peers; `python -m benchmarks.score --help`."""
