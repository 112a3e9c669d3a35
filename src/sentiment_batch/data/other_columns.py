"""Remembers the columns beside text and label while a table is read: any of them may say what keeps rows together."""

from __future__ import annotations

import collections
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Codes = npt.NDArray[np.int64]

MIN_ROWS_TO_JUDGE = 100_000
"""After so many rows a column is dropped whose values hardly repeat: an id, a time, another text."""
MIN_REPEATED_SHARE = 0.01
"""Of those rows, the least share that repeats another's value."""
MAX_MEAN_WORD_LENGTH = 80
"""Mean characters of a value; what is longer is prose."""


class OtherColumns:
    """The short words and whole numbers of a table that is being read; 4 bytes a row and column, and each value once.

    Args:
        schema: of all batches.
        taken: columns that are text or label.
    """

    def __init__(self, schema: pa.Schema, taken: Collection[str]) -> None:
        times = collections.Counter(schema.names)
        fields = [field for field in schema if field.name not in taken and times[field.name] == 1]
        self._parts: dict[str, list[pa.Array]] = {field.name: [] for field in fields if _possible(field.type)}
        self._rows = 0

    def see(self, batch: pa.RecordBatch) -> None:
        """Take the next rows."""
        before, self._rows = self._rows, self._rows + batch.num_rows
        for name in list(self._parts):
            words = _words(batch.column(name))
            if words is None or (before < MIN_ROWS_TO_JUDGE <= self._rows and _hopeless([*self._parts[name], words])):
                del self._parts[name]
            else:
                self._parts[name].append(words)

    def of_rows(self, rows: Sequence[int]) -> dict[str, pa.DictionaryArray]:
        """The values of some `rows` (n,) by column, each (n,) words."""
        picked = pa.array(rows, pa.int64())
        return {name: concatenate_words(parts).take(picked) for name, parts in self._parts.items() if parts}


def concatenate_words(parts: Sequence[pa.Array]) -> pa.DictionaryArray:
    """Dictionary arrays (one or more) one after the other, under one dictionary."""
    return pa.chunked_array(parts).combine_chunks() if len(parts) > 1 else parts[0]


def to_codes(words: pa.DictionaryArray) -> Codes:
    """(n,) a number for each value, the same for equal ones; -1 where there is none, or an empty one."""
    empty = pc.equal(pc.utf8_trim_whitespace(words.dictionary), "")
    nothing = empty.fill_null(True).to_numpy(zero_copy_only=False)
    found: Codes = words.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False).copy()
    if len(nothing):
        found[(found >= 0) & nothing[found]] = -1
    return found


def _possible(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer))


def _words(column: pa.Array) -> pa.DictionaryArray | None:
    """A column with each value once, as text; None where its values are no words."""
    if pa.types.is_dictionary(column.type) and len(column.dictionary) > len(column):
        column = column.dictionary_decode()  # or each of many small batches would cost what the whole dictionary does
    if pa.types.is_dictionary(column.type) and column.dictionary.null_count:  # which Arrow does not pool
        column = column.dictionary_decode()
    encoded = column.dictionary_encode()
    words = encoded.dictionary.cast(pa.large_string())
    try:
        mean = pc.mean(pc.binary_length(words)).as_py() or 0.0
        pc.utf8_length(words)
        words.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError):  # bytes that are no text; who reads the column says so
        return None
    return pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int32()), words) if mean <= MAX_MEAN_WORD_LENGTH else None


def _hopeless(parts: Sequence[pa.Array]) -> bool:
    whole = concatenate_words(parts)
    return len(whole.indices.unique()) > (1 - MIN_REPEATED_SHARE) * len(whole)
