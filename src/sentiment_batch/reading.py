"""Functions that judge the header of a table and the kind of a file, with stable names for the readers of plugins."""

from __future__ import annotations

from sentiment_batch.data.readers.header import MAX_HEADER_ROWS, check_header, rate_table
from sentiment_batch.data.readers.header_names import make_distinct, warn_renamed
from sentiment_batch.data.readers.sniff import refuse_other_formats, refuse_text

__all__ = [
    "MAX_HEADER_ROWS",
    "check_header",
    "make_distinct",
    "rate_table",
    "refuse_other_formats",
    "refuse_text",
    "warn_renamed",
]
