"""Gathers batches into row groups of bounded rows and bytes: where one ends depends on the rows alone, not the batches.

So a run that was resumed, or read its input in other portions, writes the same file. For the same reason a row group
leaves in one piece: pyarrow ends a page where a chunk ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Sizes = npt.NDArray[np.int64]


class RowGroups:
    """Takes batches and gives what is to be one row group each.

    Args:
        rows: most rows of a row group.
        size: a row group ends with the row that brings its values to so many bytes.
    """

    def __init__(self, *, rows: int, size: int) -> None:
        self._most_rows = rows
        self._most_bytes = size
        self._start_anew()

    def add(self, batch: pa.RecordBatch) -> Iterator[list[pa.RecordBatch]]:
        """Take the rows; gives each row group that they complete, as the batches that it consists of."""
        ends = np.cumsum(row_bytes(batch))
        start, before = 0, 0
        while start < batch.num_rows:
            full = int(np.searchsorted(ends, before + self._most_bytes - self._bytes)) + 1
            stop = min(batch.num_rows, start + self._most_rows - self._rows, full)
            self._waiting.append(batch.slice(start, stop - start))
            self._rows += stop - start
            self._bytes += int(ends[stop - 1]) - before
            start, before = stop, int(ends[stop - 1])
            if self._rows >= self._most_rows or self._bytes >= self._most_bytes:
                yield self._taken()

    def rest(self) -> list[pa.RecordBatch]:
        """What is left for the last row group; empty if nothing is."""
        return self._taken()

    def _taken(self) -> list[pa.RecordBatch]:
        taken = self._waiting
        self._start_anew()
        return taken

    def _start_anew(self) -> None:
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0


def row_bytes(batch: pa.RecordBatch) -> Sizes:
    """The bytes of the values in each row, roughly; `nbytes` would count what lies around a slice in its buffers.

    >>> row_bytes(pa.record_batch({"a": ["x", "xyz"], "b": [[1, 2], None]}))
    array([36, 20])
    """
    return _together(batch.num_rows, batch.columns)


def _bytes_of(column: pa.Array) -> Sizes:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _bytes_of(column.storage)
    if pa.types.is_struct(kind):
        return _together(len(column), column.flatten())
    if pa.types.is_map(kind):
        ends = column.offsets.to_numpy()
        return _in_lists(column, ends[:-1], ends[1:], [column.keys, column.items])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        ends = column.offsets.to_numpy()
        return _in_lists(column, ends[:-1], ends[1:], [column.values])
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        starts = column.offsets.to_numpy()
        return _in_lists(column, starts, starts + column.sizes.to_numpy(), [column.values])
    if pa.types.is_fixed_size_list(kind):
        ends = kind.list_size * np.arange(column.offset, column.offset + len(column) + 1)
        return _in_lists(column, ends[:-1], ends[1:], [column.values])
    if kind in (pa.string_view(), pa.binary_view()):
        lengths = np.frombuffer(column.buffers()[1] or b"", np.int32)[::4][column.offset : column.offset + len(column)]
        return _where_valid(column, lengths.astype(np.int64))
    if kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary()):
        return _where_valid(column, pc.fill_null(pc.binary_length(column), 0).to_numpy().astype(np.int64))
    return np.full(len(column), 8, np.int64)  # dictionaries too: their values stand in the file once


def _together(rows: int, columns: Iterable[pa.Array]) -> Sizes:
    total = np.full(rows, 1, np.int64)
    for column in columns:
        total += _bytes_of(column)
    return total


def _in_lists(column: pa.Array, starts: Sizes, ends: Sizes, children: list[pa.Array]) -> Sizes:
    """The sum of what each list holds: of the rows of `children` from its start to its end."""
    if not len(column):
        return np.zeros(0, np.int64)
    first, last = int(starts.min()), int(ends.max())  # a slice of a long column shall not cost as much as the column
    sizes = _together(last - first, [child.slice(first, last - first) for child in children])
    sums = np.concatenate([[0], np.cumsum(sizes)])
    return _where_valid(column, sums[ends - first] - sums[starts - first])


def _where_valid(column: pa.Array, sizes: Sizes) -> Sizes:
    """The sizes, nothing for null, and 8 for what refers to the value."""
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    counted: Sizes = np.where(valid, sizes, 0) + 8
    return counted
