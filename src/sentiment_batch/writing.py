"""What writers of plugins share with the built-in ones, with stable names: text, types, Parquet and syncs."""

from __future__ import annotations

from sentiment_batch.data.writers.json_text import entries, json_text, marked
from sentiment_batch.data.writers.parquet import ParquetEncoder
from sentiment_batch.data.writers.unsupported_types import is_bytes, not_json, refuse, repeated_name
from sentiment_batch.data.writers.value_text import TEXT, decoded, is_text, scalar_text
from sentiment_batch.files.atomic import sync_path

__all__ = [
    "TEXT",
    "ParquetEncoder",
    "decoded",
    "entries",
    "is_bytes",
    "is_text",
    "json_text",
    "marked",
    "not_json",
    "refuse",
    "repeated_name",
    "scalar_text",
    "sync_path",
]
