"""Functions that turn columns into text, with stable names for the writers of plugins."""

from __future__ import annotations

from sentiment_batch.data.writers.json_text import entries, json_text, marked
from sentiment_batch.data.writers.unsupported_types import not_json, refuse, repeated_name
from sentiment_batch.data.writers.value_text import TEXT, decoded, is_text, scalar_text

__all__ = [
    "TEXT",
    "decoded",
    "entries",
    "is_text",
    "json_text",
    "marked",
    "not_json",
    "refuse",
    "repeated_name",
    "scalar_text",
]
