"""The destination of a job: its format, and the checks of its place before the input is opened and the model loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment_batch.data import formats
from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.files.filesystems import is_same_file
from sentiment_batch.locations import make_absolute
from sentiment_batch.scoring.output.journal import get_leftovers_folder
from sentiment_batch.scoring.output.part_files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    # A run that died after it published left its work folder, under its own name or that of the leftovers
    work = paths.work_folder
    may_be_published = work is not None and ((work / MANIFEST).exists() or get_leftovers_folder(work).exists())
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


def refuse_loss(job: ScoreJob, paths: OutputPaths, locations: Sequence[str]) -> None:
    """Refuse an output that replaces its input, if it would not hold all of that.

    Args:
        job: the job.
        paths: the place of its output.
        locations: the files that are read.

    Raises:
        UsageError: rows or columns that only the input has would be lost.
    """
    # Afterwards, the rows of the other inputs would be in two of the files
    if len(locations) > 1 and any(_is_output(place, paths) for place in locations):
        raise UsageError(
            f"{job.destination} is one of the {len(locations)} files that are read, and would take the rows of all. "
            "Name another output."
        )
    read = job.read
    # Settings that leave out rows or columns. They are harmless unless the output takes the place of the input.
    chosen: dict[str, object] = {"limit": job.limit, "columns": job.keep or None, "skip_rows": read.skip_rows or None}
    chosen |= {"comment": read.comment, "sheet": read.sheet, "query": read.query}
    parts = [name for name, value in chosen.items() if value is not None]
    if (
        parts
        and job.source != "-"
        # A URL is no path on the disk, so it is compared by its name alone
        and (_is_output(job.source, paths) or make_absolute(job.source) == make_absolute(job.destination))
    ):
        raise UsageError(
            f"{job.destination} is the input, and `{parts[0]}` leaves out a part of it, which would be lost. Name "
            "another output."
        )


def _is_output(location: str, paths: OutputPaths) -> bool:
    """True if an input lies where the output will be."""
    return paths.path is not None and is_same_file(location, paths.path)
