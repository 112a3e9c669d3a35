"""Writes pages for a browser. A page appears complete or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sentiment_batch.errors import InputError, OutputError, UsageError

if TYPE_CHECKING:
    from sentiment_batch.data.writers.publish import Publication

PAGE_START = b"<!doctype html"
"""How every page begins, in lower case."""


@contextmanager
def publish_page(page: str | None, overwrite: bool) -> Iterator[Publication | None]:
    """The publication of the page for a `with` block; None if no page is wanted.

    The place is checked at once, before any work is done. The page appears at the end of the block.

    Raises:
        UsageError: the name of the page is empty.
        OutputError: the page cannot be written, a page exists and `overwrite` is False, or the file is no page.
        InputError: the existing file cannot be read.
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
        publication.abort()  # without effect after `commit`


def write_page(publication: Publication, page: str) -> None:
    """Write the page; errors name its file."""
    with publication.translate_errors():
        publication.stream.write(page.encode("utf-8"))


def _check_replaceable(page: str) -> None:
    """Raise OutputError if the file is no page, because it may be the very table that is read."""
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
    if start and not start.lstrip().lower().startswith(PAGE_START):
        raise OutputError(
            f"{page} is not a page of this program, so it is not replaced. Name another file, or remove it first."
        )
