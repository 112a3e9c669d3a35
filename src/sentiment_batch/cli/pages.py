"""Pages for a browser that commands write beside what they print; they appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment_batch.errors import OutputError

if TYPE_CHECKING:
    from sentiment_batch.writers.publish import Publication

BEGINNING = b"<!doctype html"
"""Of every page, in lower case."""


@contextmanager
def published(page: str | None, overwrite: bool) -> Iterator[Publication | None]:
    """The place of the page, looked at before any work is done; it appears whole at the end, or not at all.

    Raises:
        OutputError: it cannot be written, there is a page and `overwrite` is not set, or what is there is no page.
    """
    if page is None:
        yield None
        return
    from sentiment_batch.writers.publish import Publication

    if overwrite:
        _check_replaceable(page)
    publication = Publication(page, overwrite=overwrite)
    try:
        yield publication
        publication.commit()
    finally:
        publication.abort()


def write(publication: Publication, page: str) -> None:
    """Write the page; what goes wrong names its file."""
    with publication.failures_named():
        publication.stream.write(page.encode("utf-8"))


def _check_replaceable(page: str) -> None:
    """A page replaces pages: a file of another name and beginning may be the very table that is read."""
    from sentiment_batch.locations import scheme_of, suffix_of
    from sentiment_batch.writers.failures import failures_named

    path = Path(page)
    if scheme_of(page) or suffix_of(page) in {".html", ".htm"} or not path.is_file():
        return
    with failures_named(page), path.open("rb") as file:
        start = file.read(len(BEGINNING))
    if start and start.lower() != BEGINNING:
        raise OutputError(f"{page} is no page, so it is not replaced. Name another file, or remove it first.")
