"""Opens a table to read, whatever it is given as: a file, a table of a database, or a frame."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch import frames
from sentiment_batch.data import formats
from sentiment_batch.data.file_states import identify_files
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError
from sentiment_batch.locations import without_password

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.records import ReadOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenTable:
    """A table that is open for reading."""

    reader: Reader
    name: str
    """What messages call it: the path or URL without a password, or the type of the frame."""
    location: str | None
    """The path or URL; None for a frame."""


@contextlib.contextmanager
def open_table(
    table: Any, *, input_format: str | None = None, read_options: ReadOptions | None = None
) -> Iterator[OpenTable]:
    """Open a table, and close it at the end. The block must not publish what it read, because its end may raise.

    Args:
        table: a path or URL, or a frame.
        input_format: the format of a file; None derives it from the name.
        read_options: how a file is read; None takes the defaults.

    Raises:
        InputError: the table cannot be read, or is no frame; at the end of the block: a file was changed meanwhile.
        UsageError: the format is unknown.
    """
    location = os.fspath(table) if isinstance(table, str | os.PathLike) else None
    if location is None:
        # A frame in memory has no format, and needs no closing
        rows = TableReader(frames.wrap_frame(table).table())
        yield OpenTable(reader=rows, name=f"the {type(table).__name__}", location=None)
        return
    with contextlib.closing(formats.open_reader(location, format=input_format, options=read_options)) as reader:
        # The state of the files is noted before the first row is read, and compared at the end
        name, before = without_password(location), identify_files(reader, location, input_format)
        yield OpenTable(reader=reader, name=name, location=location)
        # Rows of two states of a table would be a mixture that nobody ever wrote
        if identify_files(reader, location, input_format) != before:
            raise InputError(f"{name} was changed while it was read. Run this again when nobody writes to it.")
