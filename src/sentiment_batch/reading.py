"""What readers of plugins share with the built-in ones, with stable names: headers, kinds of files, and Parquet."""

from __future__ import annotations

from sentiment_batch.data.readers.dataset_files import natural_sort_key
from sentiment_batch.data.readers.header import MAX_HEADER_ROWS, check_header, rate_table
from sentiment_batch.data.readers.header_names import make_distinct, warn_renamed
from sentiment_batch.data.readers.parquet import ParquetReader
from sentiment_batch.data.readers.sniff import refuse_other_formats, refuse_text

__all__ = [
    "MAX_HEADER_ROWS",
    "ParquetReader",
    "check_header",
    "make_distinct",
    "natural_sort_key",
    "rate_table",
    "refuse_other_formats",
    "refuse_text",
    "warn_renamed",
]
