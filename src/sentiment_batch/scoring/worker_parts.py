"""Parts that the workers of an engine do by themselves: whether they can, and what they need for it."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from typing import TYPE_CHECKING, Any

from sentiment_batch.locations import make_absolute, without_password
from sentiment_batch.progress import show_progress
from sentiment_batch.scoring.backends.distributed import DistributedBackend
from sentiment_batch.scoring.backends.tasks import PartsPlan
from sentiment_batch.scoring.output import fingerprint
from sentiment_batch.scoring.output.paths import OutputPaths, part_file_suffix

if TYPE_CHECKING:
    from sentiment_batch.plugins.registry import Format
    from sentiment_batch.scoring.annotate import TableAnnotator
    from sentiment_batch.scoring.backends.row_blocks import Counts
    from sentiment_batch.scoring.output.journal import Journal

logger = logging.getLogger("sentiment_batch")

MAX_PARTS_PER_SPLIT = 16
"""Parts in a split of the reader that workers do by themselves; in longer splits, skipping to a part takes too long."""


def plan_parts(
    annotator: TableAnnotator,
    paths: OutputPaths,
    output_format: Format,
    identity: Any,
    journal: Journal,
    expected_rows: int | None,
) -> PartsPlan | None:
    """What workers need to read and score parts by themselves; None if this process reads the input."""
    # Without an identity, a worker cannot check that it reads the same input. Standard input has none.
    if not isinstance(annotator.scorer.backend, DistributedBackend) or identity is None:
        return None
    job, reader = annotator.job, annotator.reader
    if job.reuse is not None:
        logger.info("this process reads the input alone, because it holds the index of the texts to reuse")
        return None
    max_rows = MAX_PARTS_PER_SPLIT * annotator.part_rows
    if fingerprint.read_reported_state(reader) is not None:  # each worker would see a database in another state
        logger.info("%s is read by this process alone, so that all rows are of one state", without_password(job.source))
        return None
    # A worker begins at the split that holds its part, and skips the rows before the part
    if any(split.num_rows is None or split.num_rows > max_rows for split in reader.splits()):
        logger.info("%s can only be read from its start, so this process reads it", without_password(job.source))
        return None
    read = dataclasses.replace(job.read, on_bad_row=None)  # a callback cannot be sent to workers
    return PartsPlan(
        run=uuid.uuid4().hex,
        job=dataclasses.replace(job, source=make_absolute(job.source), read=read),
        text_columns=annotator.text_columns,
        part_rows=annotator.part_rows,
        identity=identity,
        scoring=fingerprint.describe_scoring(annotator.scorer, annotator.schema),
        expected_rows=expected_rows,
        file_format=output_format.name if paths.is_folder else None,
        file_suffix=part_file_suffix(paths.destination, output_format) if paths.is_folder else "",
        folder=journal.scratch if paths.is_folder and paths.path is not None else None,
    )


def score_parts_on_workers(plan: PartsPlan, annotator: TableAnnotator, journal: Journal) -> None:
    """Let the workers do all parts that the journal lacks; writing the output needs no model after that."""
    backend, job = annotator.scorer.backend, annotator.job
    assert isinstance(backend, DistributedBackend)
    rows = sum(split.num_rows or 0 for split in annotator.reader.splits())
    rows = rows if job.limit is None else min(rows, job.limit)

    def on_done(counts: Counts) -> None:
        annotator.scorer.counts.add(counts)
        bar.update(counts.rows)

    with show_progress(rows, done=journal.finished_rows, quiet=job.quiet) as bar:
        backend.do_parts(plan, rows, journal, on_done)
