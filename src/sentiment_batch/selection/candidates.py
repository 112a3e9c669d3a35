"""Keeps the most uncertain rows of a stream, each with another text. Memory is bounded. The order does not matter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment_batch.data.columns import decode_dictionary, is_blank
from sentiment_batch.data.texts import hash_text

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats

    Scores = npt.NDArray[np.floating[Any]]

_WIDE = {
    pa.string(): pa.large_string(),
    pa.string_view(): pa.large_string(),
    pa.binary(): pa.large_binary(),
    pa.binary_view(): pa.large_binary(),
}
"""The types that columns are kept in: Arrow cannot take rows of views, and may not join texts of more than 2 GB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """The most uncertain rows of a table, the most uncertain first; all sequences have the same length C."""

    texts: list[str]
    scores: Floats
    """(C,) the probability of the likeliest label."""
    numbers: list[int]
    """(C,) the number of each row in the table, from 0."""
    rows: pa.RecordBatch
    """The columns of the rows that are kept."""


@dataclass(frozen=True, slots=True, order=True)
class _Row:
    """A row of the pool. Rows are compared by their fields in this order, so that the first is the most uncertain.

    The digest decides between equal scores, so that the order of the table does not.
    """

    score: float
    digest: bytes
    number: int
    text: str = field(compare=False)


@dataclass(kw_only=True, slots=True, eq=False)
class CandidatePool:
    """Takes the rows of a table, and keeps the `size` most uncertain ones with different texts.

    A row is uncertain if the probability of its likeliest label is low (Lewis and Gale 1994,
    https://arxiv.org/abs/cmp-lg/9407020). At most twice `size` rows and one batch are in memory.
    """

    size: int
    """The maximum number of rows to keep."""
    schema: pa.Schema
    """The columns of the table."""
    columns: Sequence[int]
    """The places of the columns to keep with the rows."""
    left_out: Collection[bytes] = frozenset()
    """Hashes of texts that are never taken, see `hash_text`."""
    rows_read: int = 0
    """Number of rows that were seen."""
    without_score: int = 0
    """Number of rows without a score, because they have no text."""
    _rows: list[_Row] = field(default_factory=list)
    _batches: list[pa.RecordBatch] = field(init=False)
    """The kept columns of `_rows`, in the same order."""
    _limit: float = np.inf
    """Rows with a higher score are not among the `size` most uncertain."""

    def __post_init__(self) -> None:
        nothing = [pa.nulls(0, kind) for kind in self.schema.types]
        self._batches = [take_rows(pa.RecordBatch.from_arrays(nothing, schema=self.schema), self.columns, [])]

    def add(self, batch: pa.RecordBatch, scores: Scores, read_texts: Callable[[], pa.LargeStringArray]) -> None:
        """Take the next rows.

        Args:
            batch: the rows.
            scores: (n,) the probability of each row's likeliest label, NaN for none.
            read_texts: gives the texts (n,). It is called only if a row may be uncertain enough.
        """
        # The number of a row counts from the beginning of the table, not of the batch
        start, self.rows_read = self.rows_read, self.rows_read + batch.num_rows
        self.without_score += int(np.isnan(scores).sum())
        # Most rows of a large table are certain, so neither their texts nor their columns are copied. NaN is never <=.
        places = np.flatnonzero(scores <= self._limit)
        if not len(places):
            return
        texts, taken = read_texts(), []
        for place in places.tolist():
            row = self._make_row(texts, scores, place, start)
            if row is not None:
                self._rows.append(row)
                taken.append(place)
        self._batches.append(take_rows(batch, self.columns, taken))
        # Sorting only when the pool has doubled costs little for each row, and bounds the memory
        if len(self._rows) >= 2 * self.size:
            self._prune()

    def finish(self) -> Candidates:
        """The most uncertain rows of those that were added."""
        self._prune()
        return Candidates(
            texts=[row.text for row in self._rows],
            scores=np.array([row.score for row in self._rows], np.float32),
            numbers=[row.number for row in self._rows],
            rows=self._batches[0],
        )

    def _make_row(self, texts: pa.LargeStringArray, scores: Scores, place: int, start: int) -> _Row | None:
        """The row at `place` of a batch; None if it has no text, or one that is left out."""
        text = texts[place].as_py()
        if text is None or is_blank(text) or (digest := hash_text(text)) in self.left_out:
            return None
        return _Row(float(scores[place]), digest, start + place, text)

    def _prune(self) -> None:
        """Keep the most uncertain row of each text, and of those the `size` most uncertain ones."""
        order = sorted(range(len(self._rows)), key=self._rows.__getitem__)
        seen: dict[bytes, int] = {}
        # The first row of a text is its most uncertain one, because the rows come in that order
        for place in order:
            seen.setdefault(self._rows[place].digest, place)
        kept = list(seen.values())[: self.size]
        whole = pa.concat_batches(self._batches)
        self._rows = [self._rows[place] for place in kept]
        self._batches = [take_rows(whole, range(whole.num_columns), kept)]
        # From now on, only rows that are as uncertain as the last one here can displace it
        if len(kept) == self.size:
            self._limit = self._rows[-1].score


def take_rows(batch: pa.RecordBatch, columns: Sequence[int], rows: Sequence[int]) -> pa.RecordBatch:
    """Some rows of some columns, in memory of their own.

    Dictionaries become plain values, because one row would keep all values of a dictionary.

    Args:
        batch: the rows to take from.
        columns: the places of the columns.
        rows: the places of the rows, in the order to take them in.
    """
    places = pa.array(rows, pa.int64())
    arrays = [_take(batch.column(column), places) for column in columns]
    fields = [batch.schema.field(column).with_type(array.type) for column, array in zip(columns, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata=batch.schema.metadata))


def _take(column: pa.Array, places: pa.Int64Array) -> pa.Array:
    column = decode_dictionary(column)
    column = column.cast(_WIDE.get(column.type, column.type))
    try:
        return column.take(places)
    except pa.ArrowNotImplementedError:  # text in views inside of lists and structs
        return pa.array([column[place].as_py() for place in places.to_pylist()], column.type)
