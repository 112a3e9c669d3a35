"""Says what a file is whose name shows no format that is read."""

from __future__ import annotations

import contextlib

from sentiment_batch.data.readers.sniff import detect_kind, refuse_other_formats, refuse_text
from sentiment_batch.data.readers.source import Source
from sentiment_batch.errors import InputError


def refuse_known_kind(location: str) -> None:
    """Raise InputError for a file whose first bytes show what it is, such as an ORC file."""
    refuse_other_formats(location, _read_head(location))


def refuse_no_workbook(location: str) -> None:
    """Raise InputError for a file that has the ending of a workbook, and is text or a web page, as many exports are."""
    head = _read_head(location)
    if (kind := detect_kind(head)) is not None and kind.name == "html":
        raise InputError(f"{location} is a web page. If Excel shows a table in it, save that as .xlsx or as CSV.")
    refuse_text(location, head)


def _read_head(location: str) -> bytes:
    with contextlib.closing(Source(location)) as source:
        return source.head()
