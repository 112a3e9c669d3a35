"""Annotates a table from end to end: an input in, an output and a summary of the run out.

Work is done in parts, so that an interrupted run can be resumed; see `output/journal`.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.data import formats
from sentiment_batch.data.input_description import InputDescription, describe_reading, log_description
from sentiment_batch.data.text_columns import check_column, choose_text_columns
from sentiment_batch.errors import InputError, PluginError
from sentiment_batch.files.filesystems import is_read_once
from sentiment_batch.locations import make_absolute, without_password
from sentiment_batch.model.device import choose_device, prefers_int8
from sentiment_batch.model.forward.int8_labels import Int8LabelError
from sentiment_batch.progress import end_estimate, show_progress, update_estimated
from sentiment_batch.scoring.annotate import TableAnnotator, Tally
from sentiment_batch.scoring.backends.base import MUST_COMPILE
from sentiment_batch.scoring.default_model import choose_model, locate_model
from sentiment_batch.scoring.destination import check_destination, choose_output_format, refuse_existing, refuse_loss
from sentiment_batch.scoring.figures import refuse_unknown_score_figures
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.likeness import TextCheck, find_confusion, judge_texts
from sentiment_batch.scoring.output import fingerprint, manifest
from sentiment_batch.scoring.output.bad_rows import BadRows
from sentiment_batch.scoring.output.journal import Journal, MemoryJournal
from sentiment_batch.scoring.output.own_files import check_neighbours
from sentiment_batch.scoring.output.paths import OutputPaths, locate_output
from sentiment_batch.scoring.output.targets import Target, open_journal, open_target
from sentiment_batch.scoring.published import find_published
from sentiment_batch.scoring.reuse.previous import PreviousOutput, describe_reuse, find_previous
from sentiment_batch.scoring.reuse.take_over import take_over
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.scoring.summary import Summary, summarize_run
from sentiment_batch.scoring.worker_parts import plan_parts, score_parts_on_workers

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.plugins.registry import Format
    from sentiment_batch.scoring.backends.row_blocks import Counts

    Load = Callable[[], Scorer]

logger = logging.getLogger("sentiment_batch")

__all__ = ["ScoreJob", "Summary", "score_table"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Run:
    """What the steps of one run share."""

    job: ScoreJob
    paths: OutputPaths
    output_format: Format
    annotator: TableAnnotator
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
    previous: PreviousOutput | None
    """The earlier output whose scores are reused."""


def score_table(job: ScoreJob, load: Load | None = None) -> Summary:
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
    try:
        return _score_table(job, load)
    except Int8LabelError as error:
        if error.is_final:
            raise
        logger.warning("%s Nothing was published; the run starts over in float32", error)
    return _score_in_float32(job, load)


def _score_in_float32(job: ScoreJob, load: Load | None) -> Summary:
    """Score all rows again, in float32; for the arguments see `score_table`."""
    job = dataclasses.replace(job, settings=dataclasses.replace(job.settings, dtype="float32"), restart=True)
    if load is None:
        return _score_table(job, None)
    given = load()
    with Scorer(model=given.model, settings=dataclasses.replace(given.settings, dtype="float32")) as scorer:
        return _score_table(job, lambda: scorer)


def _score_table(job: ScoreJob, load: Load | None) -> Summary:
    # 1. The destination. A mistake in its name shows before a model is loaded, which takes seconds.
    started = time.perf_counter()
    output_format = choose_output_format(job)
    paths = locate_output(job.destination, output_format)
    check_destination(job, paths)
    bad_rows = BadRows()
    with ExitStack() as models:
        load = functools.cache(load or (lambda: models.enter_context(_load_scorer(job, paths))))
        with open_journal(paths) as journal:
            # 2. An earlier run may have published this output and died before it said so. Then there is nothing to do.
            #    A run in place is asked before the input is opened, because its output has replaced the input.
            published = find_published(paths, journal, output_format)
            if published is not None and not job.restart and published.replaces_input(job):
                published.check_same_command(job, output_format, load().open())
                return published.summarize(job, load(), started)
            # 3. The input, and the model
            with _open_input(job, bad_rows) as reader:
                run = _prepare(job, paths, output_format, reader, bad_rows, load)
                if published is not None and not job.restart and published.is_made_by(_describe(run)):
                    return published.summarize(job, load(), started)
                if published is not None and not job.write.overwrite:
                    published.refuse_another_command(job, output_format)
                # 4. The rows. Only an output on a disk or in a storage can be resumed.
                try:
                    if isinstance(journal, Journal):
                        rows_resumed = _score_resumably(run, journal, restart=job.restart or published is not None)
                    else:
                        rows_resumed = _score_at_once(run, journal)
                except Int8LabelError as error:
                    # Starting over in float32 needs an output that is not visible yet, and an input to read again
                    locations = getattr(reader, "locations", [job.source])
                    error.is_final = paths.work_folder is None or any(map(is_read_once, locations))
                    raise
        return _summarize(run, journal, rows_resumed, started)


def _prepare(
    job: ScoreJob, paths: OutputPaths, output_format: Format, reader: Reader, bad_rows: BadRows, load: Load
) -> _Run:
    """Find the columns, load the model, and check that they go together."""
    # What would destroy files of the user is refused first
    locations = getattr(reader, "locations", [job.source])
    check_neighbours(paths, locations)
    refuse_loss(job, paths, locations)
    # Read before the first row. At the end it is compared, so that no row of another state is published.
    identity = fingerprint.read_input_state(reader, job.source, job.input_format)
    for name in job.keep:
        check_column(reader.schema, name, "columns", whole=True)
    text = choose_text_columns(reader, job.text_columns, lambda: load().trained_columns)
    description = describe_reading(reader, text=text)
    log_description(job.source, description)
    # Only now the model, because all checks above are cheap
    scorer = load().open()
    loaded = time.perf_counter()
    scorer.added.check_names(job.keep or reader.schema.names)
    refuse_unknown_score_figures(job.gates, scorer, reuses=job.reuse is not None)
    part_rows = job.choose_part_rows(scorer.device.value)
    annotator = TableAnnotator(
        job=job, reader=reader, text_columns=text.names, part_rows=part_rows, scorer=scorer, bad_rows=bad_rows
    )
    return _Run(
        job=job,
        paths=paths,
        output_format=output_format,
        annotator=annotator,
        input=description,
        identity=identity,
        expected_rows=job.count_rows(reader.num_rows),
        loaded=loaded,
        counts_before=dataclasses.replace(scorer.counts),
        previous=None if job.reuse is None else find_previous(job.reuse, scorer),
    )


def _summarize(run: _Run, journal: Journal | MemoryJournal, rows_resumed: int, started: float) -> Summary:
    ended = time.perf_counter()
    tally = Tally.sum_up(part.counts for part in journal.parts)
    texts = _judge_texts(run, tally)
    if texts.unlike_reasons:
        logger.warning("%s", texts)
    return summarize_run(
        run.job,
        run.annotator.scorer,
        run.input,
        texts,
        rows=journal.rows,
        rows_resumed=rows_resumed,
        tally=tally,
        counts=run.annotator.scorer.counts.subtract(run.counts_before),
        problems=run.paths.problems,
        seconds=ended - started,
        seconds_loaded=ended - run.loaded,
    )


def _judge_texts(run: _Run, tally: Tally) -> TextCheck:
    """Judge the texts of all finished parts, with those of earlier runs."""
    scorer = run.annotator.scorer
    return judge_texts(scorer.description.meta, scorer.settings, tally.counts)


def _describe(run: _Run) -> dict[str, Any]:
    """Everything that decides the output."""
    name, is_folder = run.output_format.name, run.paths.is_folder
    previous = None if run.previous is None else run.previous.digest
    return fingerprint.describe_job(
        run.annotator, identity=run.identity, output_format=name, is_folder=is_folder, previous=previous
    )


def _score_resumably(run: _Run, journal: Journal, *, restart: bool) -> int:
    """Do what an earlier run left to do unless `restart`, and publish; returns the rows that the earlier run did."""
    if restart:  # asked before the finished parts are deleted
        refuse_existing(run.job, run.paths)
    description = _describe(run)
    plan = plan_parts(run.annotator, run.paths, run.output_format, run.identity, journal, run.expected_rows)
    if run.identity is None:
        source = without_password(run.job.source)
        logger.info("this run cannot be resumed, because nothing shows whether %s stays the same", source)
    journal.begin(description if run.identity is not None else None, restart=restart, gaps=plan is not None)
    rows_resumed = journal.finished_rows
    if journal.damaged is not None:
        logger.warning("%s is damaged or of another job: it and the parts after it are scored again", journal.damaged)
    refuse_existing(run.job, run.paths)  # again, because loading the model took seconds
    if rows_resumed:
        logger.info("resuming after %s rows that an earlier run did", f"{rows_resumed:,}")
    # Workers of an engine score whole parts in any order, and store them in the work folder. Then the target below only
    # has to join them.
    if plan is not None:
        expected = _count_rows_to_compile(journal, plan.expected_rows)
        score_parts_on_workers(dataclasses.replace(plan, expected_rows=expected), run.annotator, journal)
    with open_target(run.paths, run.annotator.schema, run.output_format, run.job.write, journal) as target:
        _write_rows(run, journal, target)
        _check_input_unchanged(run)
        manifest.publish(run.paths, journal, target, description | _describe_result(run, journal))
    return rows_resumed


def _describe_result(run: _Run, journal: Journal) -> dict[str, Any]:
    """What the manifest holds in addition to the description of the job: the rows, the model, and what was counted."""
    scorer = run.annotator.scorer
    values = {
        "rows": journal.rows,
        "source": without_password(make_absolute(run.job.source)),
        "model_location": without_password(locate_model(scorer.model)),
        "sentiment_column": scorer.settings.prefix,
        "confusion": find_confusion(scorer.description.meta),
    }
    tally = Tally.sum_up(part.counts for part in journal.parts)
    counts = tally.to_json() | {"sample": {}}
    reading = {"counts": counts, "input": run.input.to_json(), "input_state": run.identity}
    return values | describe_reuse(run.previous) | reading | _judge_texts(run, tally).to_json()


def _score_at_once(run: _Run, journal: MemoryJournal) -> int:
    """Write an output that cannot be resumed, such as standard output; returns 0, because no earlier run did rows."""
    shown = "standard output" if run.job.destination == "-" else without_password(run.job.destination)
    logger.info("this run cannot be resumed, because %s cannot be written twice", shown)
    with open_target(run.paths, run.annotator.schema, run.output_format, run.job.write, journal) as target:
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
    total = job.limit if expected is None else expected
    with (
        take_over(run.previous, run.annotator, journal.scratch) as annotator,
        show_progress(total, done=target.start, quiet=job.quiet) as bar,
    ):
        written = annotator.write(
            target,
            start=target.start,
            first=journal.rows,
            stop=job.limit,
            known=journal.find_scores,
            empty=not journal.parts,
            on_rows=bar.update if total is not None else update_estimated(bar, run.annotator.reader),
            expected_rows=_count_rows_to_compile(journal, expected),
        )
        if total is None:  # the bar showed an estimate, which the last row replaces
            end_estimate(bar)
    # The two checks that stand between a faulty reader and a shorter table: every row of the input is in the output
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
    if not compiled:
        return expected
    # A compiled model gives other last bits, and all rows of an output must have those of one kind
    return MUST_COMPILE if any(compiled) else 0


def _check_input_unchanged(run: _Run) -> None:
    job = run.job
    if fingerprint.read_input_state(run.annotator.reader, job.source, job.input_format) != run.identity:
        cure = "Score it again when nobody writes to it."
        raise InputError(f"{job.source} was changed while it was read; nothing was published. {cure}")


def _open_input(job: ScoreJob, bad_rows: BadRows) -> AbstractContextManager[Reader]:
    """The reader of the input; it reports bad rows to `bad_rows` if the job marks them."""
    options = dataclasses.replace(job.read, on_bad_row=bad_rows.add_from_split if job.on_bad_row == "mark" else None)
    return closing(formats.open_reader(job.source, format=job.input_format, options=options))


def _load_scorer(job: ScoreJob, paths: OutputPaths) -> Scorer:
    model = choose_model(job.model)
    logger.info("model: %s", model)
    settings, devices = job.settings, job.settings.device.split(",")
    is_final = paths.work_folder is None  # int8 could not take back what is written
    if is_final and settings.dtype == "auto" and prefers_int8(choose_device(devices[0].strip()).value):
        settings = dataclasses.replace(settings, dtype="float32")
    return Scorer(model=model.value, settings=settings)
