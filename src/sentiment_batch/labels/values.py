"""Brings the values of a label column into one form, however they were written, and counts them."""

from __future__ import annotations

import collections
import math
import re
import string
import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np

RARE_SHARE = 0.01
"""Numbers in a smaller share of the rows do not decide on which scale a column is; they are then unknown labels."""
_SYNONYMS = {"neg": "negative", "neu": "neutral", "pos": "positive"}
_MISSING_WORDS = {"nan", "null", "none", "<na>", "na", "n/a"}
"""The words that programs write for a missing label, in lower case."""
_INVISIBLE = string.whitespace + "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Invisible characters around a label: white space, zero-width characters, direction marks and byte order marks."""


def to_canonical(value: object) -> str | None:
    """The canonical form of a label, so that a CSV and a Parquet file of the same labels give the same mapping.

    It is trimmed; numbers have no needless zeros, and booleans are in lower case. None if the label is missing.

    >>> [to_canonical(value) for value in (1, 1.0, "1", " 1 ", True, "NaN")]
    ['1', '1', '1', '1', 'true', None]
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = " ".join(unicodedata.normalize("NFC", str(value)).strip(_INVISIBLE).split())
    if not text or text.casefold() in _MISSING_WORDS:
        return None
    number = parse_number(text)
    if number is not None and abs(number) < 2**53:
        return str(int(number) if number.is_integer() else number)
    return text.lower() if text.casefold() in {"true", "false"} else text


def normalize_word(text: str) -> str:
    """The form that all spellings of a label word share: without case, `_` and `-`, and `positive` for `pos`."""
    word = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()
    return _SYNONYMS.get(word, word)


def parse_number(text: str) -> float | None:
    """The finite number in `text`, also with a decimal comma or a Unicode minus sign; None if it is not a number."""
    text = text.replace("\u2212", "-")
    text = text.replace(",", ".") if re.fullmatch(r"[+-]?\d+,\d", text) else text
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def count_values(values: Iterable[object]) -> collections.Counter[str]:
    """The number of rows of each canonical value. Rows without a label do not count."""
    return collections.Counter(text for text in map(to_canonical, values) if text is not None)


def find_numbers(values: Iterable[str]) -> set[float]:
    """The numbers among canonical values."""
    return {number for value in values if (number := parse_number(value)) is not None}


def find_frequent_numbers(counts: Mapping[str, int]) -> set[float]:
    """The numbers that decide on which scale a column is: without the rare ones, unless most rows hold rare ones."""
    numbers = {number: count for value, count in counts.items() if (number := parse_number(value)) is not None}
    frequent = {number for number, count in numbers.items() if count >= RARE_SHARE * sum(counts.values())}
    covered = sum(numbers[number] for number in frequent)
    return frequent if 2 * covered >= sum(numbers.values()) else set(numbers)
