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
