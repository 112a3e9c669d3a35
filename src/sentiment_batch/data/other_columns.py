"""Collects the short values of the columns beside text and label: they may keep rows together, or name each row."""

from __future__ import annotations

import collections
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.value_names import concatenate_dictionaries

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Codes = npt.NDArray[np.int64]

MIN_ROWS_TO_JUDGE = 100_000
"""Rows after which a column is dropped if its values hardly repeat, such as an id, a time or another text."""
MIN_REPEATED_WORD_SHARE = 0.01
"""Share of those rows that must repeat another row's value."""
MAX_MEAN_WORD_LENGTH = 80
"""Mean number of bytes of a value. Columns with longer values hold prose and are dropped."""
_ID_NAME = re.compile(r"(?i:id|.*[_ -]id)|.*[a-z](Id|ID)")
"""Usual names of columns that hold another value in each row."""
_FIRST_IDS = ("id", "reviewid")
"""The names among them that are looked at first: lower case, without underscores, hyphens and spaces."""


class OtherColumns:
    """Collects the short texts and whole numbers of a table while it is read.

    This takes 4 bytes for each row and column, and each distinct value once.

    Args:
        schema: the schema of all batches.
        taken: the text and label columns, which are left out.
        ids_only: collect no columns but those that may name each row.
    """

    def __init__(self, schema: pa.Schema, taken: Collection[str], *, ids_only: bool = False) -> None:
        counts = collections.Counter(schema.names)
        fields = [field for field in schema if field.name not in taken and counts[field.name] == 1]
        fields = [field for field in fields if _ID_NAME.fullmatch(field.name) or not ids_only]
        self._parts: dict[str, list[pa.Array]] = {field.name: [] for field in fields if _holds_words(field.type)}
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Collect the next rows."""
        before, self._rows = self._rows, self._rows + batch.num_rows
        for name in list(self._parts):
            words = _encode_words(batch.column(name))
            # Each column is judged once, in the batch that passes the limit, because counting its values takes time
            is_time_to_judge = before < MIN_ROWS_TO_JUDGE <= self._rows
            is_judged = is_time_to_judge and not _ID_NAME.fullmatch(name)
            if words is None or (is_judged and _hardly_repeats([*self._parts[name], words])):
                del self._parts[name]
            else:
                self._parts[name].append(words)

    def select_rows(self, rows: Sequence[int]) -> dict[str, pa.DictionaryArray]:
        """The values of `rows` (n,) by column; each array is (n,)."""
        picked = pa.array(rows, pa.int64())
        return {name: concatenate_dictionaries(parts).take(picked) for name, parts in self._parts.items() if parts}


def find_id_column(columns: Mapping[str, pa.DictionaryArray]) -> str | None:
    """The name of the ID column: its name says so, and all its values differ. None if there is none."""
    ranks = {name: rank for rank, name in enumerate(_FIRST_IDS)}
    named = [name for name in columns if _ID_NAME.fullmatch(name)]
    named.sort(key=lambda name: ranks.get(re.sub("[_ -]", "", name.casefold()), len(ranks)))
    return next((name for name in named if not _repeats(columns[name])), None)


def _repeats(words: pa.DictionaryArray) -> bool:
    return words.null_count > 0 or len(words.indices.unique()) < len(words)


def to_codes(words: pa.DictionaryArray) -> Codes:
    """(n,) one number for each distinct value; -1 for null and blank values."""
    blank = pc.equal(pc.utf8_trim_whitespace(words.dictionary), "")
    nothing = blank.fill_null(True).to_numpy(zero_copy_only=False)
    found: Codes = words.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False).copy()
    if len(nothing):
        found[(found >= 0) & nothing[found]] = -1
    return found


def _holds_words(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer))


def _encode_words(column: pa.Array) -> pa.DictionaryArray | None:
    """A column as a dictionary of texts, or None if its values are too long or not UTF-8."""
    # A dictionary larger than its batch costs time again in each batch, and Arrow cannot unify dictionaries with nulls.
    if pa.types.is_dictionary(column.type) and (len(column.dictionary) > len(column) or column.dictionary.null_count):
        column = column.dictionary_decode()
    encoded = column.dictionary_encode()
    words = encoded.dictionary.cast(pa.large_string())
    try:
        # The mean over the distinct values: each of them is stored once
        mean = pc.mean(pc.binary_length(words)).as_py() or 0.0
        pc.utf8_length(words)
        words.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError):  # the reader of the text reports the bad bytes
        return None
    if mean > MAX_MEAN_WORD_LENGTH:
        return None
    return pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int32()), words)


def _hardly_repeats(parts: Sequence[pa.Array]) -> bool:
    whole = concatenate_dictionaries(parts)
    return len(whole.indices.unique()) > (1 - MIN_REPEATED_WORD_SHARE) * len(whole)
