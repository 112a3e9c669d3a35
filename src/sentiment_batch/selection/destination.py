"""Checks the place of the output before any work, and writes the output. It appears complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sentiment_batch.data import formats
from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.files.filesystems import is_same_file
from sentiment_batch.scoring.output.paths import locate_output

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.selection.job import SelectJob


def check_output(job: SelectJob) -> None:
    """Check that the output can be written; the writer checks it again.

    Raises:
        UsageError: no format writes it, or it is a table that is read.
        OutputError: it exists and may not be replaced, or it cannot be made there.
    """
    if job.destination is None:
        return
    # A frame is no file, so it cannot be replaced
    refuse_replacing(job, [one for one in (job.source, *job.labelled) if isinstance(one, str | os.PathLike)])
    paths = locate_output(job.destination, formats.find_writer_format(job.destination, _name_format(job)))
    paths.check()
    if paths.is_folder:
        raise OutputError(f"{job.destination} is a folder, but the selected rows are one file. Name a file in it.")
    # Asked now, because the writer would ask only after the table was read and the model loaded
    if paths.exists() and not job.write.overwrite:
        raise OutputError.exists(job.destination)


def refuse_replacing(job: SelectJob, locations: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse an output in the place of a file that is read, because the selected rows are only a few of its rows.

    Raises:
        UsageError: one of the locations is that of the output.
    """
    if job.destination is not None and any(is_same_file(job.destination, one) for one in locations):
        raise UsageError(f"{job.destination} is read, so the selected rows need a file of their own. Name another one.")


def write_output(job: SelectJob, table: pa.Table) -> None:
    """Write the table, if the job has a destination.

    Raises:
        OutputError: it cannot be written. Nothing is left of it.
    """
    if job.destination is None:
        return
    writer = formats.open_writer(job.destination, table.schema, format=_name_format(job), options=job.write)
    try:
        for batch in table.to_batches():
            writer.write(batch)
        writer.commit()
    except BaseException:  # not after `commit`: the writer of a plugin may then remove what it has published
        writer.abort()
        raise


def _name_format(job: SelectJob) -> str | None:
    """The format of the output; None if the destination shows it. Standard output has the format of the table."""
    # A path shows the format by its suffix, but `-` shows none, and a frame has no format to take over
    if job.destination != "-" or job.output_format is not None or not isinstance(job.source, str):
        return job.output_format
    return formats.find_reader_format(job.source, job.input_format).name
