"""Scores tables: the job, the pipeline from reader to writer, and the scorer."""
