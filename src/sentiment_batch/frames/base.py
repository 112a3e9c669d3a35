"""What the kinds of frames have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa

Added = dict[str, pa.ChunkedArray]
"""New columns by name, in order."""
SAMPLE_ROWS = 200
"""Rows looked at to find the column of texts."""


class Frame(Protocol):
    """One kind of frame."""

    names: list[str]
    """The names of its columns, which no added one may have."""

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """The columns (all if None) of the first rows (all if None) as Arrow."""
        ...

    def with_columns(self, added: Added) -> Any:
        """A new frame of the same kind with further columns; this one stays as it is."""
        ...


def names_of(text_column: object) -> tuple[str, ...]:
    """The columns that a user names: one name, several, or none; pandas columns may be named by numbers."""
    if text_column is None:
        return ()
    return tuple(map(str, text_column)) if isinstance(text_column, (list, tuple)) else (str(text_column),)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece; a single piece as it is, for joining would empty the dictionary of one without rows."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
