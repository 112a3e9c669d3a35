"""Writes a table in addition to what a command prints. The table appears complete or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.files.filesystems import is_same_file
from sentiment_batch.locations import suffix_of

if TYPE_CHECKING:
    from sentiment_batch.data.writers.base import Writer


@contextmanager
def publish_table(
    location: str | None, sources: Sequence[str], make_schema: Callable[[], Any], what: str, *, overwrite: bool
) -> Iterator[Writer | None]:
    """The writer of the table for a `with` block; None if no table is wanted.

    The place is checked at once, before any work is done. The table appears at the end of the block.

    Args:
        location: the file to write; None writes none.
        sources: the tables that are read, which are never replaced.
        make_schema: gives the columns of the table.
        what: the start of a message, such as "the shares need".
        overwrite: replace the file if it exists.

    Raises:
        UsageError: the file is one of the sources, standard output, or no format writes it.
        OutputError: the file cannot be written, or exists and `overwrite` is False.
        PluginError: the plugin that writes the file failed.
    """
    if location is None:
        yield None
        return
    if location in {"", "-"} or any(_is_read(location, source) for source in sources):
        raise UsageError(f"{what} a file of their own. Name another one.")
    from sentiment_batch.data.formats import find_writer_format, open_writer
    from sentiment_batch.records import WriteOptions

    # Asked before the writer is opened, because this command has no --output-format that the error could advise
    try:
        find_writer_format(location)
    except UsageError as error:
        if "`output_format`" not in str(error):
            raise
        cure = "Let it end as `sentiment-batch formats` shows, such as in .csv"
        raise UsageError(f"the name {location!r} does not show the format of the table. {cure}.") from error
    writer = open_writer(location, make_schema(), options=WriteOptions(overwrite=overwrite))
    try:
        yield writer
        writer.commit()
    finally:
        writer.abort()  # without effect after `commit`


def _is_read(location: str, source: str) -> bool:
    """True if `location` is the table `source`, or one of the files of a folder or pattern."""
    if is_same_file(location, source):
        return True
    from sentiment_batch.data.readers.dataset import names_several_files
    from sentiment_batch.data.readers.dataset_files import find_files

    if not names_several_files(source):
        return False
    with suppress(InputError):  # reading the source reports what is wrong with it
        return any(is_same_file(location, one.location) for one in find_files(source, (suffix_of(location),)))
    return False
