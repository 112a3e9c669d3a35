"""Annotates a table from end to end: a location in, a location out, and a summary of what happened.

Work is kept in parts, so that a run that was cut off goes on where it was; see `journal`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import columns, formats
from sentiment_batch.data.labelled_rows import text_columns_of
from sentiment_batch.errors import InputError, OutputError, PluginError, UsageError
from sentiment_batch.locations import scheme_of, without_password
from sentiment_batch.plugins.registry import BUILT_IN
from sentiment_batch.scoring.annotate import Annotation
from sentiment_batch.scoring.backends.distributed import Distributed
from sentiment_batch.scoring.backends.tasks import Plan
from sentiment_batch.scoring.job import Job
from sentiment_batch.scoring.output import fingerprint, manifest
from sentiment_batch.scoring.output.bad_rows import Problems
from sentiment_batch.scoring.output.journal import MANIFEST, Journal, remove_waste
from sentiment_batch.scoring.output.paths import Layout, files_ending, layout_of
from sentiment_batch.scoring.output.targets import ManyFiles, OneFile, Target, put_back
from sentiment_batch.scoring.progress import progress_bar
from sentiment_batch.scoring.summary import Summary, Tally, Times, summary_of

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.plugins.registry import Format
    from sentiment_batch.scoring.backends.results import Counts
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")

SPLIT_PARTS = 16
"""Parts in a split, beyond which it costs the workers of an engine too much to skip to their own: the run reads."""

__all__ = ["Job", "Summary", "score_table"]


def score_table(job: Job, load: Callable[[], Scorer]) -> Summary:
    """Annotate `job.source` and publish the result at `job.destination`, whole or not at all.

    Args:
        job: what to annotate, and where to.
        load: gives the model; called only when the input and the destination look right, for it takes seconds.

    Raises:
        InputError: the input is missing, damaged, or holds no text column.
        UsageError: an added column has the name of one of the input's, or a format is unknown.
        OutputError: the destination exists or cannot be written, or is being written by another run.
        PluginError: a plugin broke its promise.
    """
    started = time.perf_counter()
    writing = _writing_format(job)
    layout = layout_of(job.destination, writing)
    remove_waste(layout.work)
    _check_destination(job, layout)
    problems = Problems()
    if job.on_bad_row == "mark":
        job = dataclasses.replace(job, read=dataclasses.replace(job.read, on_bad_row=problems.in_split))
    with _journal(layout) as journal:
        put_back(layout)  # first of all, for it may be the input too
        with closing(formats.open_reader(job.source, format=job.input_format, options=job.read)) as reader:
            identity = _identity(job, reader)
            texts = text_columns_of(reader, job.text_columns)
            kept = _kept(reader.schema, job.keep)
            scorer = load()
            loaded = time.perf_counter()
            scorer.added.check(kept)
            before = dataclasses.replace(scorer.counts)
            annotation = Annotation(
                job=job,
                reader=reader,
                texts=tuple(texts),
                part_rows=job.rows_of_part(scorer.device.value),
                scorer=scorer,
                problems=problems,
            )
            resumed = _Run(job, layout, writing, annotation, journal, identity)()
            worked = scorer.counts.since(before)
    return summary_of(
        job,
        scorer,
        rows=journal.rows,
        resumed=resumed,
        total=Tally.total(part.counts for part in journal.parts),
        worked=worked,
        problems=layout.problems,
        texts=tuple(texts),
        times=Times(started=started, loaded=loaded, ended=time.perf_counter()),
    )


@dataclasses.dataclass(slots=True, eq=False)
class _Run:
    """Everything that one run holds open."""

    job: Job
    layout: Layout
    writing: Format
    annotation: Annotation
    journal: Journal
    identity: Any
    """What the input was when it was opened."""

    @property
    def reader(self) -> Reader:
        """The input."""
        return self.annotation.reader

    @property
    def scorer(self) -> Scorer:
        """The model."""
        return self.annotation.scorer

    def __call__(self) -> int:
        """Do what is left to do, and publish; returns the rows that an earlier run did."""
        about = self._about()
        if self.job.restart and not self.job.write.overwrite and self.layout.exists():
            raise OutputError.exists(self.job.destination)
        plan = self._plan()
        self.journal.begin(about if self._resumable() else None, restart=self.job.restart, gaps=plan is not None)
        resumed = self.journal.kept_rows
        if manifest.finish_publishing(self.layout, self.journal):
            told = without_password(self.job.destination)
            logger.info("%s was whole already; an earlier run ended before it could say so", told)
            return resumed
        if not self.job.write.overwrite and self.layout.exists():
            raise OutputError.exists(self.job.destination)
        if resumed:
            logger.info("going on after %s rows that an earlier run did", f"{resumed:,}")
        if plan is not None:
            self._distribute(plan)
        target = self._target()
        try:
            self._fill(target)
            if _identity(self.job, self.reader) != self.identity:
                raise InputError(
                    f"{self.job.source} was changed while it was read; nothing was published. Score it again when "
                    "nobody writes to it."
                )
            described = about | {"rows": self.journal.rows, "IN": without_password(_absolute(self.job.source))}
            manifest.publish(self.layout, self.journal, target, described)
        except BaseException:
            target.abort()
            raise
        return resumed

    def _plan(self) -> Plan | None:
        """What workers of an engine need to read and score parts by themselves; None where they cannot."""
        job = self.job
        if not isinstance(self.scorer.engine, Distributed) or self.identity is None or self.layout.work is None:
            return None
        most = SPLIT_PARTS * self.annotation.part_rows
        if fingerprint.own_identity(self.reader) is not None:  # each worker would see a database in another state
            logger.info("%s is read here, in one state", without_password(job.source))
            return None
        if any(split.num_rows is None or split.num_rows > most for split in self.reader.splits()):
            logger.info("%s can only be read from its start: it is read here", without_password(job.source))
            return None
        read = dataclasses.replace(job.read, on_bad_row=None)
        is_folder, is_local = self.layout.is_folder, self.layout.path is not None
        return Plan(
            run=uuid.uuid4().hex,
            job=dataclasses.replace(job, source=_absolute(job.source), read=read),
            texts=self.annotation.texts,
            part_rows=self.annotation.part_rows,
            identity=self.identity,
            scoring=fingerprint.scoring_of(self.scorer, self.annotation.schema),
            expected_rows=_expected(self.reader, job),
            writing=self.writing.name if is_folder else None,
            ending=files_ending(self.layout.destination, self.writing) if is_folder else "",
            folder=self.journal.scratch if is_folder and is_local else None,
        )

    def _distribute(self, plan: Plan) -> None:
        """Have all parts done by the workers of an engine; what is left to do here needs no model."""
        assert isinstance(self.scorer.engine, Distributed)
        rows = sum(split.num_rows or 0 for split in self.reader.splits())
        rows = rows if self.job.limit is None else min(rows, self.job.limit)

        def count(counts: Counts) -> None:
            self.scorer.counts.add(counts)
            bar.update(counts.rows)

        with progress_bar(rows, done=self.journal.kept_rows, quiet=self.job.quiet) as bar:
            self.scorer.engine.do_parts(plan, rows, self.journal, count)

    def _fill(self, target: Target) -> None:
        """Write all rows to the target, and keep each part."""
        job, journal = self.job, self.journal
        expected = _expected(self.reader, job)
        with progress_bar(job.limit if expected is None else expected, done=target.start, quiet=job.quiet) as bar:
            written = self.annotation.write(
                target,
                start=target.start,
                first=journal.rows,
                stop=job.limit,
                known=journal.scores,
                empty=not journal.parts,
                on_rows=bar.update,
                expected_rows=self._to_compile(expected),
            )
        given = target.start + written
        if given != self.journal.rows:
            raise InputError(
                f"the input gave {given:,} rows where an earlier run had {self.journal.rows:,} of it. Start over with "
                "--restart."
            )
        if expected is not None and self.journal.rows != expected:
            raise PluginError(
                f"{job.source} gave {self.journal.rows:,} rows but promised {expected:,}; nothing was published. Try "
                "again."
            )

    def _to_compile(self, expected: int | None) -> int | None:
        """The rows that the choice to compile the model goes by: a run that goes on chooses as the first one did."""
        done = [part.counts["compiled"] for part in self.journal.parts]
        return (sys.maxsize if any(done) else 0) if done else expected

    def _target(self) -> Target:
        kind = ManyFiles if self.layout.is_folder else OneFile
        return kind(
            layout=self.layout,
            schema=self.annotation.schema,
            format=self.writing,
            options=self.job.write,
            journal=self.journal,
        )

    def _resumable(self) -> bool:
        """Whether a run that is cut off can be gone on with; says so if not."""
        why = None
        if self.layout.work is None:
            why = f"what was written to {self.job.destination} cannot be taken back"
        elif self.identity is None:
            why = f"nothing can tell whether {self.job.source} will give the same rows again"
        if why is not None:
            logger.info("this run cannot be gone on with if it is cut off: %s", without_password(why))
        return why is None

    def _about(self) -> dict[str, Any]:
        """What decides the output, which its manifest says too."""
        job = self.job
        return {
            "input": self.identity,
            "OUT is a folder": self.layout.is_folder,
            "--input-format": formats.reading_format(job.source, job.input_format).name,
            "--text-column": list(self.annotation.texts),
            "--columns": list(job.keep),
            **fingerprint.reading_of(job.read, job.limit),
            **fingerprint.scoring_of(self.scorer, self.annotation.schema),
            "--output-format": self.writing.name,
            "--part-rows": self.annotation.part_rows,
            "--escape-formulas": getattr(job.write, "escape_formulas", False),
        }


def _identity(job: Job, reader: Reader) -> Any:
    reading = formats.reading_format(job.source, job.input_format)
    return fingerprint.input_identity(reader, job.source, built_in=reading.owner == BUILT_IN)


def _absolute(source: str) -> str:
    """The input such that it is found from any folder."""
    return source if source == "-" or scheme_of(source) else os.path.abspath(source)


@contextlib.contextmanager
def _journal(layout: Layout) -> Iterator[Journal]:
    """The journal of an output, which stays where the run fails and something is done."""
    journal = Journal(layout.work, layout.destination)
    try:
        yield journal
    except BaseException:
        journal.close(keep=True)
        if journal.kept:
            logger.info("%s rows are kept; the same command goes on from there", f"{journal.kept_rows:,}")
        raise
    journal.close(keep=False)


def _writing_format(job: Job) -> Format:
    """The format to write; standard output takes the input's."""
    if job.destination == "-" and job.output_format is None:
        return formats.writing_format("-", formats.reading_format(job.source, job.input_format).name)
    return formats.writing_format(job.destination, job.output_format)


def _check_destination(job: Job, layout: Layout) -> None:
    """What is wrong with the destination shows at once, though the writer checks it again when the model is loaded."""
    layout.check_place()
    sealed = layout.work is not None and (layout.work / MANIFEST).exists()
    if layout.exists() and not job.write.overwrite and not sealed:
        raise OutputError.exists(job.destination)
    if not sealed:
        manifest.check_neighbours(layout, overwrite=job.write.overwrite)
    if job.on_bad_row == "mark" and layout.problems is None:
        raise UsageError(
            f"--on-bad-row mark lists the bad rows in a file beside OUT, and {job.destination} has none. Name a file "
            "for OUT."
        )


def _kept(schema: pa.Schema, keep: Sequence[str]) -> list[str]:
    for name in keep:
        columns.check_column(schema, name, "--columns")
    return list(keep) or list(schema.names)


def _expected(reader: Reader, job: Job) -> int | None:
    """The rows of the output, None if the reader cannot know."""
    if reader.num_rows is None or job.limit is None:
        return reader.num_rows
    return min(reader.num_rows, job.limit)
