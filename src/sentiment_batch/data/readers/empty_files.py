"""Finds the files of a data set that hold nothing, as programs write them for the parts of a table without rows."""

from __future__ import annotations

import contextlib
import logging
import re
from typing import TYPE_CHECKING

from sentiment_batch.data.readers.encodings import find_marked_encoding
from sentiment_batch.data.readers.source import Source
from sentiment_batch.errors import InputError

if TYPE_CHECKING:
    from sentiment_batch.data.readers.dataset_files import DataFile

logger = logging.getLogger("sentiment_batch")

_MAX_STORED_BYTES = 4096
"""A larger file is not looked at, so that no file is opened in vain if all of them hold rows."""
_MAX_BYTES = 1 << 16
"""Largest number of bytes of a text of blanks that counts as empty, uncompressed."""


def drop_empty(files: list[DataFile], *, json: bool) -> list[DataFile]:
    """The files that hold something, or all files if none does.

    A file holds nothing if it has no bytes once it is uncompressed, or only a byte order mark and blank lines.

    Args:
        files: files of one format.
        json: an empty JSON array holds nothing, either.
    """
    # If all files are empty, the reader says so for the first one
    full = [file for file in files if not _is_empty(file, json=json)]
    if full and len(full) < len(files):
        logger.warning("empty files are left out: %d of %d", len(files) - len(full), len(files))
    return full or files


def _is_empty(file: DataFile, *, json: bool) -> bool:
    if file.size is None or file.size > _MAX_STORED_BYTES:
        return False
    if file.size == 0:
        return True
    try:
        with contextlib.closing(Source(file.location)) as source:
            data = source.head(_MAX_BYTES + 1)
    except InputError:  # the reader of the format will report it
        return False
    if len(data) > _MAX_BYTES:
        return False
    # latin-1 decodes any bytes, and leaves blanks and brackets as they are in the encodings without a mark.
    text = data.decode(find_marked_encoding(data) or "latin-1", "replace").removeprefix("\ufeff")
    # A line of tabs may be a row of a CSV.
    return not text.strip("\r\n ") or (json and re.fullmatch(r"\s*(\[\s*\]\s*)?", text) is not None)
