"""Pages for a browser that commands write beside what they print; they appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentiment_batch.writers.publish import Publication


@contextmanager
def published(page: str | None, overwrite: bool) -> Iterator[Publication | None]:
    """The place of the page, looked at before any work is done; it appears whole at the end, or not at all."""
    if page is None:
        yield None
        return
    from sentiment_batch.writers.publish import Publication

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
