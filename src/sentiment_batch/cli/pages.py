"""Pages for a browser that commands write beside what they print; they appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sentiment_batch.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from sentiment_batch.data.writers.publish import Publication

BEGINNING = b"<!doctype html"
"""Of every page, in lower case."""


@contextmanager
def published(page: str | None, overwrite: bool) -> Iterator[Publication | None]:
    """The place of the page, looked at before any work is done; it appears whole at the end, or not at all.

    Raises:
        UsageError: its name is empty.
        OutputError: it cannot be written, there is a page and `overwrite` is not set, or what is there is no page.
        InputError: what is there cannot be read.
    """
    if page is None:
        yield None
        return
    if not page:
        raise UsageError("the page has an empty name. Name a file, such as page.html.")
    from sentiment_batch.data.writers.publish import Publication

    publication = Publication(page, overwrite=overwrite)
    try:
        if overwrite:
            _check_replaceable(page)
        yield publication
        publication.commit()
    finally:
        publication.abort()


def write(publication: Publication, page: str) -> None:
    """Write the page; what goes wrong names its file."""
    with publication.translate_errors():
        publication.stream.write(page.encode("utf-8"))


def _check_replaceable(page: str) -> None:
    """A page replaces pages, whatever they are called: what begins otherwise may be the very table that is read."""
    from sentiment_batch.data.readers.source import Source
    from sentiment_batch.files.filesystems import is_read_once

    if is_read_once(page):
        return
    try:
        start = Source(page).head()
    except InputError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return
        raise
    if start and not start.lstrip().lower().startswith(BEGINNING):
        raise OutputError(f"{page} is no page, so it is not replaced. Name another file, or remove it first.")
