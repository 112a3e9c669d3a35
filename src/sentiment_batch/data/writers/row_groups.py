"""Gathers batches into row groups of bounded rows and bytes. The rows alone decide where a group ends, not the batches.

So a resumed run, or one that reads its input in other portions, writes the same file. For the same reason each row
group is written as one chunk: pyarrow ends a page at the end of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Sizes = npt.NDArray[np.int64]


class RowGroups:
    """Gathers batches and returns the batches of each complete row group.

    Args:
        max_rows: the number of rows at which a row group ends.
        max_bytes: the number of bytes of its values at which a row group ends.
    """

    def __init__(self, *, max_rows: int, max_bytes: int) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._start_group()

    def add(self, batch: pa.RecordBatch) -> Iterator[list[pa.RecordBatch]]:
        """Take the rows, and yield the batches of each row group that they complete."""
        # The sums grow with the rows, so a binary search finds where the bytes of a group are full
        ends = np.cumsum(row_bytes(batch))
        start, before = 0, 0
        while start < batch.num_rows:
            # A group ends with the row that reaches a limit, whichever limit comes first
            full = int(np.searchsorted(ends, before + self._max_bytes - self._bytes)) + 1
            stop = min(batch.num_rows, start + self._max_rows - self._rows, full)
            self._waiting.append(batch.slice(start, stop - start))
            self._rows += stop - start
            self._bytes += int(ends[stop - 1]) - before
            start, before = stop, int(ends[stop - 1])
            if self._rows >= self._max_rows or self._bytes >= self._max_bytes:
                yield self.take_rest()

    def take_rest(self) -> list[pa.RecordBatch]:
        """The batches of the last row group; empty if no rows are left."""
        taken = self._waiting
        self._start_group()
        return taken

    def _start_group(self) -> None:
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0


def row_bytes(batch: pa.RecordBatch) -> Sizes:
    """(n,) the approximate bytes of the values in each row. `nbytes` would count the whole buffers around a slice, too.

    >>> row_bytes(pa.record_batch({"a": ["x", "xyz"], "b": [[1, 2], None]}))
    array([36, 20])
    """
    return _sum_columns(batch.num_rows, batch.columns)


def _value_bytes(column: pa.Array) -> Sizes:
    """(n,) the approximate bytes of each value of a column of n rows."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _value_bytes(column.storage)
    if pa.types.is_struct(kind):
        return _sum_columns(len(column), column.flatten())
    if pa.types.is_map(kind):
        ends = column.offsets.to_numpy()
        return _sum_lists(column, ends[:-1], ends[1:], [column.keys, column.items])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        ends = column.offsets.to_numpy()
        return _sum_lists(column, ends[:-1], ends[1:], [column.values])
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        starts = column.offsets.to_numpy()
        return _sum_lists(column, starts, starts + column.sizes.to_numpy(), [column.values])
    if pa.types.is_fixed_size_list(kind):
        ends = kind.list_size * np.arange(column.offset, column.offset + len(column) + 1)
        return _sum_lists(column, ends[:-1], ends[1:], [column.values])
    # A view takes 16 bytes, of which the first four are its length (Arrow columnar format, variable-size binary view)
    if kind in (pa.string_view(), pa.binary_view()):
        lengths = np.frombuffer(column.buffers()[1] or b"", np.int32)[::4][column.offset : column.offset + len(column)]
        return _where_valid(column, lengths.astype(np.int64))
    if kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary()):
        return _where_valid(column, pc.fill_null(pc.binary_length(column), 0).to_numpy().astype(np.int64))
    return np.full(len(column), 8, np.int64)  # dictionaries, too, because their values are stored once


def _sum_columns(rows: int, columns: Iterable[pa.Array]) -> Sizes:
    """(rows,) the approximate bytes of each row: one, and those of its values in all `columns`."""
    total = np.full(rows, 1, np.int64)
    for column in columns:
        total += _value_bytes(column)
    return total


def _sum_lists(column: pa.Array, starts: Sizes, ends: Sizes, children: list[pa.Array]) -> Sizes:
    """The bytes of each list: the sum over the rows of `children` from its start to its end."""
    if not len(column):
        return np.zeros(0, np.int64)
    first, last = int(starts.min()), int(ends.max())  # so a slice of a long column costs less than the column
    sizes = _sum_columns(last - first, [child.slice(first, last - first) for child in children])
    # The bytes of a list are the difference of two sums, so no loop over the lists is needed
    sums = np.concatenate([[0], np.cumsum(sizes)])
    return _where_valid(column, sums[ends - first] - sums[starts - first])


def _where_valid(column: pa.Array, sizes: Sizes) -> Sizes:
    """The sizes of valid values, plus 8 bytes each for the reference to the value."""
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    counted: Sizes = np.where(valid, sizes, 0) + 8
    return counted
