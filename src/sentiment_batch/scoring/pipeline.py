"""Annotates a table from end to end: an input in, an output and a summary of the run out.

Work is done in parts, so that an interrupted run can be resumed; see `output/journal`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import formats
from sentiment_batch.data.input_description import InputDescription, describe_reading, format_description
from sentiment_batch.data.text_columns import check_column, choose_text_columns
from sentiment_batch.errors import InputError, OutputError, PluginError, UsageError
from sentiment_batch.locations import without_password
from sentiment_batch.progress import show_progress
from sentiment_batch.scoring.annotate import Annotation, Tally
from sentiment_batch.scoring.default_model import choose_model
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.likeness import TextCheck, judge_texts
from sentiment_batch.scoring.output import fingerprint, manifest
from sentiment_batch.scoring.output.bad_rows import BadRows
from sentiment_batch.scoring.output.journal import Journal, MemoryJournal, remove_leftovers
from sentiment_batch.scoring.output.part_files import MANIFEST
from sentiment_batch.scoring.output.paths import OutputPaths, locate_output
from sentiment_batch.scoring.output.targets import Target, open_target, restore_replaced_folder
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.scoring.summary import Summary, summarize_run
from sentiment_batch.scoring.worker_parts import make_absolute, plan_parts, score_parts_on_workers

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.plugins.registry import Format
    from sentiment_batch.scoring.backends.row_blocks import Counts

logger = logging.getLogger("sentiment_batch")

__all__ = ["ScoreJob", "Summary", "score_table"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Run:
    """What the steps of one run share."""

    job: ScoreJob
    paths: OutputPaths
    output_format: Format
    annotation: Annotation
    input: InputDescription
    """How the input is read."""
    identity: Any
    """What the input was when it was opened; None if it cannot be read twice."""
    expected_rows: int | None
    """Rows of the output; None if the reader cannot know it."""
    loaded: float
    """The time when the model was loaded, in seconds of `time.perf_counter`."""
    counts_before: Counts
    """What the scorer had counted before the run."""


def score_table(job: ScoreJob, load: Callable[[], Scorer] | None = None) -> Summary:
    """Annotate the input of a job and publish the output, complete or not at all.

    Args:
        job: what to annotate, with which model, and where to write it.
        load: gives a model; None takes the job's model. It is called after the input and the destination are checked,
            because loading takes seconds.

    Raises:
        InputError: the input is missing, damaged, or holds no text column.
        UsageError: an added column has the name of one of the input's, or a format is unknown.
        OutputError: the destination exists or cannot be written, or is being written by another run.
        ModelError, DeviceError: the model cannot be used.
        PluginError: a plugin failed.
    """
    started = time.perf_counter()
    output_format = _choose_output_format(job)
    paths = locate_output(job.destination, output_format)
    remove_leftovers(paths.work_folder)
    _check_destination(job, paths)
    bad_rows = BadRows()
    with ExitStack() as models:
        load = load or (lambda: models.enter_context(_load_scorer(job)))
        with _open_journal(paths) as journal, _open_input(job, bad_rows) as reader:
            run = _prepare(job, paths, output_format, reader, bad_rows, load)
            if isinstance(journal, Journal):
                rows_resumed = _score_resumably(run, journal)
            else:
                rows_resumed = _score_at_once(run, journal)
        return _summarize(run, journal, rows_resumed, started)


def _prepare(
    job: ScoreJob,
    paths: OutputPaths,
    output_format: Format,
    reader: Reader,
    bad_rows: BadRows,
    load: Callable[[], Scorer],
) -> _Run:
    """Find the columns, load the model, and check that they go together."""
    identity = fingerprint.describe_input(reader, job.source, job.input_format)
    for name in job.keep:
        check_column(reader.schema, name, "columns", whole=True)
    load = functools.cache(load)
    text = choose_text_columns(reader, job.text_columns, lambda: load().trained_columns)
    description = describe_reading(reader, text_columns=text.names, assumed=["text_columns"] * text.assumed)
    logger.info("%s", format_description([job.source], description.to_json()))
    scorer = load().open()
    loaded = time.perf_counter()
    scorer.added.check_names(job.keep or reader.schema.names)
    annotation = Annotation(
        job=job,
        reader=reader,
        text_columns=text.names,
        part_rows=job.choose_part_rows(scorer.device.value),
        scorer=scorer,
        bad_rows=bad_rows,
    )
    return _Run(
        job=job,
        paths=paths,
        output_format=output_format,
        annotation=annotation,
        input=description,
        identity=identity,
        expected_rows=_count_expected_rows(reader, job),
        loaded=loaded,
        counts_before=dataclasses.replace(scorer.counts),
    )


def _summarize(run: _Run, journal: Journal | MemoryJournal, rows_resumed: int, started: float) -> Summary:
    ended = time.perf_counter()
    texts = _judge_texts(run, journal)
    if texts.unlike_reasons:
        logger.warning("%s", texts)
    return summarize_run(
        run.annotation,
        run.input,
        texts,
        rows=journal.rows,
        rows_resumed=rows_resumed,
        tally=Tally.sum_up(part.counts for part in journal.parts),
        counts=run.annotation.scorer.counts.subtract(run.counts_before),
        problems=run.paths.problems,
        seconds=ended - started,
        seconds_loaded=ended - run.loaded,
    )


def _judge_texts(run: _Run, journal: Journal | MemoryJournal) -> TextCheck:
    """Judge the texts of all finished parts, with those of earlier runs."""
    scorer, tally = run.annotation.scorer, Tally.sum_up(part.counts for part in journal.parts)
    return judge_texts(scorer.description.meta, scorer.settings, tally.counts)


def _score_resumably(run: _Run, journal: Journal) -> int:
    """Do what an earlier run left to do, and publish; returns the rows that the earlier run did."""
    if run.job.restart:
        _refuse_existing(run)
    description = fingerprint.describe_job(
        run.annotation,
        identity=run.identity,
        output_format=run.output_format.name,
        is_folder=run.paths.is_folder,
    )
    plan = plan_parts(run.annotation, run.paths, run.output_format, run.identity, journal, run.expected_rows)
    if run.identity is None:
        source = without_password(run.job.source)
        logger.info("this run cannot be resumed, because nothing shows whether %s stays the same", source)
    journal.begin(description if run.identity is not None else None, restart=run.job.restart, gaps=plan is not None)
    rows_resumed = journal.finished_rows
    if journal.damaged is not None:
        logger.warning("%s is damaged: this part and the parts after it are scored again", journal.damaged)
    if manifest.finish_publishing(run.paths, journal):
        logger.info("%s was complete already; an earlier run ended just after it", _show_destination(run))
        return rows_resumed
    _refuse_existing(run)
    if rows_resumed:
        logger.info("resuming after %s rows that an earlier run did", f"{rows_resumed:,}")
    if plan is not None:
        score_parts_on_workers(plan, run.annotation, journal)
    with open_target(run.paths, run.annotation.schema, run.output_format, run.job.write, journal) as target:
        _write_rows(run, journal, target)
        _check_input_unchanged(run)
        extra = {"rows": journal.rows, "source": without_password(make_absolute(run.job.source))}
        reading = {"input": run.input.to_json(), "input_state": run.identity}
        manifest.publish(
            run.paths, journal, target, description | extra | reading | _judge_texts(run, journal).to_json()
        )
    return rows_resumed


def _score_at_once(run: _Run, journal: MemoryJournal) -> int:
    """Write an output that cannot be resumed, such as standard output; returns 0, because no earlier run did rows."""
    logger.info("this run cannot be resumed, because %s cannot be written twice", _show_destination(run))
    with open_target(run.paths, run.annotation.schema, run.output_format, run.job.write, journal) as target:
        _write_rows(run, journal, target)
        _check_input_unchanged(run)
        target.finish()
        target.publish()
    return 0


def _write_rows(run: _Run, journal: Journal | MemoryJournal, target: Target) -> None:
    """Write the rows that the target needs, and record each new part.

    Raises:
        InputError: the input gave other rows than an earlier run read.
        PluginError: the reader gave another number of rows than it promised.
    """
    job, expected = run.job, run.expected_rows
    with show_progress(job.limit if expected is None else expected, done=target.start, quiet=job.quiet) as bar:
        written = run.annotation.write(
            target,
            start=target.start,
            first=journal.rows,
            stop=job.limit,
            known=journal.find_scores,
            empty=not journal.parts,
            on_rows=bar.update,
            expected_rows=_count_rows_to_compile(journal, expected),
        )
    if target.start + written != journal.rows:
        raise InputError(
            f"the input gave {target.start + written:,} rows, but an earlier run read {journal.rows:,} rows of it. "
            "Start over with `restart=True`."
        )
    if expected is not None and journal.rows != expected:
        raise PluginError(
            f"{job.source} gave {journal.rows:,} rows but promised {expected:,}; nothing was published. Try again."
        )


def _count_rows_to_compile(journal: Journal | MemoryJournal, expected: int | None) -> int | None:
    """The number of rows by which the backend decides to compile: a resumed run decides as the first run did."""
    compiled = [part.counts["compiled"] for part in journal.parts]
    return (sys.maxsize if any(compiled) else 0) if compiled else expected


def _check_input_unchanged(run: _Run) -> None:
    job = run.job
    if fingerprint.describe_input(run.annotation.reader, job.source, job.input_format) != run.identity:
        raise InputError(
            f"{job.source} was changed while it was read; nothing was published. Score it again when nobody writes "
            "to it."
        )


@contextlib.contextmanager
def _open_journal(paths: OutputPaths) -> Iterator[Journal | MemoryJournal]:
    """The journal of an output; if the block fails, its finished parts stay for a later run."""
    if paths.work_folder is None:
        yield MemoryJournal()
        return
    journal = Journal(paths.work_folder, paths.destination)
    try:
        restore_replaced_folder(paths)  # before the input is opened, because it may be the input
        yield journal
    except BaseException:
        journal.close(resumable=True)
        if journal.can_resume:
            rows = f"{journal.finished_rows:,}"
            logger.info("%s rows are finished. Run the same command again to resume after them", rows)
        raise
    journal.close(resumable=False)


def _open_input(job: ScoreJob, bad_rows: BadRows) -> AbstractContextManager[Reader]:
    """The reader of the input; it reports bad rows to `bad_rows` if the job marks them."""
    options = dataclasses.replace(job.read, on_bad_row=bad_rows.add_from_split if job.on_bad_row == "mark" else None)
    return closing(formats.open_reader(job.source, format=job.input_format, options=options))


def _load_scorer(job: ScoreJob) -> Scorer:
    model = choose_model(job.model)
    logger.info("model: %s", model)
    return Scorer(model=model.value, settings=job.settings)


def _choose_output_format(job: ScoreJob) -> Format:
    """The format to write; standard output takes the format of the input."""
    if job.destination == "-" and job.output_format is None:
        return formats.find_writer_format("-", formats.find_reader_format(job.source, job.input_format).name)
    return formats.find_writer_format(job.destination, job.output_format)


def _check_destination(job: ScoreJob, paths: OutputPaths) -> None:
    """Check the destination before the model is loaded; the writer checks it again."""
    paths.check()
    is_published = paths.work_folder is not None and (paths.work_folder / MANIFEST).exists()
    if not is_published:
        if paths.exists() and not job.write.overwrite:
            raise OutputError.exists(job.destination)
        manifest.check_neighbours(paths, overwrite=job.write.overwrite)
    if job.on_bad_row == "mark" and paths.problems is None:
        raise UsageError(
            f'`on_bad_row="mark"` lists the bad rows in a file beside the output, but {job.destination} has no place '
            "for it. Name a file as the output."
        )


def _refuse_existing(run: _Run) -> None:
    if not run.job.write.overwrite and run.paths.exists():
        raise OutputError.exists(run.job.destination)


def _count_expected_rows(reader: Reader, job: ScoreJob) -> int | None:
    """Rows of the output, None if the reader cannot know the number."""
    if reader.num_rows is None or job.limit is None:
        return reader.num_rows
    return min(reader.num_rows, job.limit)


def _show_destination(run: _Run) -> str:
    return "standard output" if run.job.destination == "-" else without_password(run.job.destination)
