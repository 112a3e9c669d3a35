"""Converts the Python objects of a column to Arrow, which lacks types for many of them."""

from __future__ import annotations

import decimal
import json
import numbers
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sentiment_batch.data.columns import OBJECT_MARK
from sentiment_batch.data.readers.json_objects import replace_non_finite
from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.errors import InputError
from sentiment_batch.records import JSON_MARK

Metadata = Mapping[bytes, bytes]
"""The marks of a field, see `JSON_MARK` and `OBJECT_MARK`."""
_CONTAINERS = (list, tuple, dict, set, frozenset, np.ndarray)
_NUMBERS = (numbers.Real, decimal.Decimal, np.bool_)
_FLOATS = (float, np.floating, decimal.Decimal)


def is_missing(value: object) -> bool:
    """True for None, NaN, and the missing values of pandas."""
    if type(value) is str:  # most values are texts
        return False
    # Only NaN differs from itself
    if value is None or (isinstance(value, _FLOATS) and value != value):
        return True
    pandas = sys.modules.get("pandas")
    return pandas is not None and (value is pandas.NA or value is pandas.NaT)


def convert_values(values: Iterable[Any], name: str, *, strict: bool) -> tuple[pa.Array, Metadata]:
    """A column of objects as Arrow. Numbers among texts become text, as in a CSV.

    Args:
        values: (N,) the values.
        name: the name of the column, for messages.
        strict: refuse values that are neither text nor numbers. Otherwise a column with lists or objects, or with such
            values among texts, becomes JSON text, as that of a JSON lines file whose values share no type.

    Returns:
        The (N,) strings, null where a value is missing, and the marks of the column.

    Raises:
        InputError: `strict`, and a value is neither text nor a number.
    """
    known = [None if is_missing(value) else value for value in values]
    # The first value that is neither text nor number, to name it in the message
    odd = next((row for row, value in enumerate(known) if value is not None and not _is_plain(value)), None)
    if odd is not None and strict:
        raise InputError(
            f"column {name!r} holds a value of the type {type(known[odd]).__name__} in row {odd} (counted from 0), not "
            "a text. Convert the column to text, or name another with `text_column`."
        )
    has_text = any(isinstance(value, str) for value in known)
    # Dates alone become plain text. Lists, objects and mixtures become JSON, in which quotes show what was a text.
    is_json = odd is not None and (has_text or any(isinstance(value, _CONTAINERS) for value in known))
    convert = _to_json if is_json else _to_text
    texts = [None if value is None else replace_surrogates(convert(value)) for value in known]
    marks = {JSON_MARK: b"1"} if is_json else {}
    if odd is not None and not has_text:
        marks[OBJECT_MARK] = b"1"
    return pa.array(texts, pa.large_string()), marks


def join_columns(columns: Sequence[tuple[str, pa.Array | pa.ChunkedArray, Metadata]]) -> pa.Table:
    """A table of named columns with their marks."""
    fields = [pa.field(name, array.type, metadata=marks or None) for name, array, marks in columns]
    return pa.table([array for _, array, _ in columns], schema=pa.schema(fields))


def _is_plain(value: object) -> bool:
    return type(value) is str or isinstance(value, (str, *_NUMBERS))


def _to_text(value: object) -> str:
    """The text of a value; of an Enum of texts its value."""
    return str.__str__(value) if isinstance(value, str) else str(value)


def _to_json(value: object) -> str:
    """JSON text of a value, with null for NaN; of a value that JSON lacks, the text that Python makes of it."""
    try:
        return replace_non_finite(json.dumps(value, default=_to_known, ensure_ascii=False))
    except (ValueError, TypeError, RecursionError):  # a list in itself, or a key that is no text
        return json.dumps(str(value), ensure_ascii=False)


def _to_known(value: object) -> object:
    """The value in types that JSON has."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))  # the order of a set differs from run to run
    return str(value)
