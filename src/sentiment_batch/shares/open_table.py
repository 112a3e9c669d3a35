"""Opens what is to be summarized: a file, a table of a database, or a frame."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sentiment_batch import frames
from sentiment_batch.data import formats
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.locations import without_password
from sentiment_batch.shares.run import SummaryRequest, summarize_shares

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.records import ReadOptions
    from sentiment_batch.shares.known_model import KnownModel
    from sentiment_batch.shares.result import ShareSummary


def summarize_table(
    table: Any,
    request: SummaryRequest,
    known: KnownModel | None = None,
    *,
    input_format: str | None = None,
    read_options: ReadOptions | None = None,
    quiet: bool = True,
) -> ShareSummary:
    """Summarize a scored table.

    Args:
        table: a path or URL, or a frame.
        request: what to summarize.
        known: what is known of the model; None if nothing is.
        input_format: the format of a file; None derives it from the name.
        read_options: how a file is read; None takes the defaults.
        quiet: show no progress.

    Raises:
        InputError: the table cannot be read, or has no such columns.
        UsageError: the format is unknown.
    """
    reader: Reader
    location = find_location(table)
    if location is not None:
        name = without_password(location)
        reader = formats.open_reader(location, format=input_format, options=read_options)
    else:
        name = f"the {type(table).__name__}"
        reader = TableReader(frames.wrap_frame(table).table())
    try:
        return summarize_shares(reader, name, request, known, quiet=quiet)
    finally:
        reader.close()


def find_location(table: Any) -> str | None:
    """The path or URL of a table; None for a frame."""
    return os.fspath(table) if isinstance(table, str | os.PathLike) else None
