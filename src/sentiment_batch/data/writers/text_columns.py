"""Columns of finished text on their way into a stream, for the formats that are lines."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_ONCE = 8192
"""Bounds the memory for the text of a batch."""


def write_text(stream: BinaryIO, lines: pa.Array) -> None:
    """Write the texts one after the other, straight from Arrow's memory.

    Args:
        stream: takes the bytes.
        lines: `TEXT` without nulls, as a compute function made it; its bytes lie in one piece.
    """
    size = pc.sum(pc.binary_length(lines)).as_py() or 0
    if size:
        stream.write(lines.buffers()[2].slice(0, size))
