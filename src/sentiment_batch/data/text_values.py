"""Judges by the first values of a column whether it holds texts, or short words, identifiers and the like."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from sentiment_batch.data.columns import decode_dictionary

MIN_MEAN_TEXT_LENGTH = 20
"""Mean number of characters from which a column without a usual name counts as a text column."""
_MAX_SAMPLE_ROWS = 200
"""Rows whose texts are measured."""
_NO_TEXT = re.compile(rb"\s*(?:.{,30}\d\d:\d\d(?::\d\d)?.{,30}|https?://\S+|[0-9a-fA-F-]{20,})\s*")
"""A time, an address or an identifier, which may be as long as a text."""
_SINGLE_WORD = re.compile(rb"\s*\S{1,20}\s*")
"""A word, a number or the name of a file."""
_MIN_SHARE_OF_WORDS = 0.9
"""A column with a usual name may hold no text if this share of its values are single words."""
_MIN_VALUES = 5
"""Fewer values do not show what a column holds."""
_MIN_PHRASES = 20
"""Fewer values may repeat by chance."""
_MAX_SHARE_OF_PHRASES = 0.5
"""A column with a usual name may hold a choice of short phrases, such as `super!`, if at most this share of its values
differ."""
_MIN_SHARE_OF_TEXTS = 0.9
"""In a column of texts that people wrote, at least this share of the values differ."""


def list_long_texts(sample: pa.RecordBatch, names: Sequence[str]) -> list[str]:
    """The columns that hold long texts. One whose rows are all equal, such as a product, only counts if all are so."""
    long = [name for name in names if holds_long_texts(sample, name)]
    return [name for name in long if len(set(_list_values(sample, name))) > 1] or long


def holds_long_texts(sample: pa.RecordBatch, name: str) -> bool:
    """True if the values of a column are long, and they are no times, addresses or identifiers."""
    values = _list_values(sample, name)
    # The mean decides, because among long texts there are always short ones
    is_long = sum(map(len, values)) >= MIN_MEAN_TEXT_LENGTH * max(1, len(values))
    return is_long and not all(_NO_TEXT.fullmatch(value) for value in values)


def holds_single_words(sample: pa.RecordBatch, name: str) -> bool:
    """True if nearly all values of a column are short words without a blank, such as categories, numbers or names."""
    values = _list_values(sample, name)
    words = sum(bool(_SINGLE_WORD.fullmatch(value)) for value in values)
    return len(values) >= _MIN_VALUES and words >= _MIN_SHARE_OF_WORDS * len(values)


def repeats_short_phrases(sample: pa.RecordBatch, name: str) -> bool:
    """True if the values of a column are short, and most of them repeat others, such as headlines to choose from."""
    values = _list_values(sample, name)
    is_short = sum(map(len, values)) < MIN_MEAN_TEXT_LENGTH * len(values)
    return is_short and len(values) >= _MIN_PHRASES and len(set(values)) <= _MAX_SHARE_OF_PHRASES * len(values)


def hardly_repeats(sample: pa.RecordBatch, name: str) -> bool:
    """True if nearly all values of a column differ. Names of products and the like repeat."""
    values = _list_values(sample, name)
    return len(set(values)) >= _MIN_SHARE_OF_TEXTS * len(values)


def _list_values(sample: pa.RecordBatch, name: str) -> list[bytes]:
    """The values of a column. Empty ones are left out, because a CSV has them in place of null."""
    # As bytes, because those that are not UTF-8 must not raise here.
    column = decode_dictionary(sample.column(name).slice(0, _MAX_SAMPLE_ROWS)).cast(pa.large_binary())
    return [value for value in column.to_pylist() if value and not value.isspace()]


def are_equal(sample: pa.RecordBatch, one: str, other: str) -> bool:
    """True if two columns hold the same values."""
    first, second = (decode_dictionary(sample.column(name)).cast(pa.large_binary()) for name in (one, other))
    return bool(first.equals(second))
