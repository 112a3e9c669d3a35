"""The destination of a job: its format, and the checks of its place before the input is opened and the model loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment_batch.data import formats
from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.scoring.output.journal import name_leftovers
from sentiment_batch.scoring.output.part_files import MANIFEST

if TYPE_CHECKING:
    from sentiment_batch.plugins.registry import Format
    from sentiment_batch.scoring.job import ScoreJob
    from sentiment_batch.scoring.output.paths import OutputPaths


def choose_output_format(job: ScoreJob) -> Format:
    """The format to write; standard output takes the format of the input."""
    if job.destination == "-" and job.output_format is None:
        return formats.find_writer_format("-", formats.find_reader_format(job.source, job.input_format).name)
    return formats.find_writer_format(job.destination, job.output_format)


def check_destination(job: ScoreJob, paths: OutputPaths) -> None:
    """Check the place of the output; the writer checks it again.

    An output that an earlier run of the same command may have published passes. It is compared with its manifest later.

    Raises:
        OutputError: something is there that must not be replaced, or it cannot be made there.
        UsageError: bad rows have no place for their list.
    """
    paths.check()
    work = paths.work_folder
    may_be_published = work is not None and ((work / MANIFEST).exists() or name_leftovers(work).exists())
    if not may_be_published:
        refuse_existing(job, paths)
    if job.on_bad_row == "mark" and paths.problems is None:
        raise UsageError(
            f'`on_bad_row="mark"` lists the bad rows in a file beside the output, but {job.destination} has no place '
            "for it. Name a file as the output."
        )


def refuse_existing(job: ScoreJob, paths: OutputPaths) -> None:
    """Refuse to replace an output, if the job does not allow it.

    Raises:
        OutputError: the output exists.
    """
    if not job.write.overwrite and paths.exists():
        raise OutputError.exists(job.destination)
