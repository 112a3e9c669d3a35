"""Selects the rows of a scored table to label next: reads the table, chooses rows, and writes them."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sentiment_batch import frames
from sentiment_batch.data.column_paths import find_field, find_root
from sentiment_batch.data.columns import extract_texts, is_blank
from sentiment_batch.data.input_description import InputDescription, describe_reading, log_description
from sentiment_batch.data.readers.base import stream_batches
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.data.text_columns import TextColumns, choose_text_columns
from sentiment_batch.data.texts import hash_text
from sentiment_batch.errors import InputError, UsageError, listed
from sentiment_batch.frames.base import SAMPLE_ROWS
from sentiment_batch.frames.open_table import open_table
from sentiment_batch.frames.pandas import add_index
from sentiment_batch.locations import without_password
from sentiment_batch.progress import show_progress
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.selection.candidates import CandidatePool, Candidates, take_rows
from sentiment_batch.selection.destination import check_output, refuse_replacing, write_output
from sentiment_batch.selection.diversity import choose_diverse
from sentiment_batch.selection.result import Selection
from sentiment_batch.selection.scoring_run import UNKNOWN, ScoringRun, read_scoring_run
from sentiment_batch.selection.vectors import compute_vectors
from sentiment_batch.shares.scored_columns import DEFAULT_PREFIX, ScoredColumns, find_scored_columns

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.frames.base import Frame
    from sentiment_batch.selection.job import SelectJob

    Places = npt.NDArray[np.int64]

logger = logging.getLogger("sentiment_batch")

MIN_UNCERTAINTY = 1e-6
"""The uncertainty of a row whose rounded score is 1, so that it can be drawn if there are no others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """The open table to select from."""

    name: str
    reader: Reader
    """The reader of a file. For a frame, it reads only the first rows, to find the columns."""
    frame: Frame | None
    """The frame in memory, None for a file."""
    run: ScoringRun
    """What is known of the run that scored the table."""

    def read(self, columns: Sequence[str]) -> Reader:
        """The reader of all rows. Of a frame it reads only the named columns, because others may have no Arrow type."""
        return self.reader if self.frame is None else TableReader(self.frame.table(columns))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Columns:
    """The names of the columns of the table, by purpose."""

    scored: ScoredColumns
    added: list[str]
    """The columns that scoring added."""
    text: TextColumns

    def list_kept(self, names: Sequence[str]) -> list[int]:
        """The places of the columns that the selected rows keep."""
        return [place for place, name in enumerate(names) if name not in self.added]


def select_rows(job: SelectJob, load: Callable[[str], Scorer] | None = None) -> Selection:
    """Select the rows to label next: among the most uncertain ones, those that differ most from each other.

    Args:
        job: what to select from, how many rows, and where to write them.
        load: gives the scorer of a model; None loads it for this call.

    Raises:
        InputError: the table cannot be read, was not scored, or has no row to select.
        UsageError: the table has the label column already, or a format is unknown.
        OutputError: the output exists or cannot be written.
        ModelError, DeviceError: the model cannot be used.
    """
    started = time.perf_counter()
    check_output(job)
    with ExitStack() as stack:
        table = stack.enter_context(_open_table(job))
        # Columns that are missing show here, before the model is loaded, which takes seconds
        scored = _find_scored(job, table)
        choice = table.run.choose_model(job.model)
        logger.info("model: %s", choice)
        # Without a cached scorer, the model is loaded here and freed at the end of the block
        load = load or (lambda model: stack.enter_context(Scorer(model=model, settings=job.settings)))
        scorer = load(choice.value).open()
        columns = _find_columns(job, table, scored, scorer)
        reading = _describe(table, columns)
        labelled = _read_labelled(job, columns.text.names)
        # Read the table once, and keep the most uncertain rows
        pool = _read_candidates(job, table, columns, labelled)
        candidates = pool.finish()
        _report_number(job, table, pool, candidates)
        # The model reads only these rows again, to find out which of them differ
        chosen = _choose_rows(job, scorer, candidates)
        frame = _make_frame(job, table, columns, candidates, chosen)
        # Read within the block, because a closed scorer would load its model again to tell its labels
        labels, label_values, model = scorer.labels, _list_label_values(scorer), scorer.model
    # Written after the table is closed, because only then it is known that it did not change while it was read
    written = frame if isinstance(frame, pa.Table) else frames.wrap_frame(add_index(frame, job.source)).table()
    write_output(job, written)
    return Selection(
        frame=frame,
        output=None if job.destination is None else without_password(job.destination),
        rows=pool.rows_read,
        without_score=pool.without_score,
        labelled_texts=len(labelled),
        candidates=len(candidates.texts),
        selected=len(chosen),
        label_column=job.label_column,
        labels=labels,
        label_values=label_values,
        left_out=tuple(columns.added),
        prefix=columns.scored.label,
        model=model,
        seed=job.seed,
        seconds=round(time.perf_counter() - started, 3),
        input=reading,
    )


@contextlib.contextmanager
def _open_table(job: SelectJob) -> Iterator[_Table]:
    source = job.source
    if isinstance(source, str):
        with open_table(source, input_format=job.input_format, read_options=job.read) as table:
            # A folder or a pattern names its files only when it is open
            refuse_replacing(job, getattr(table.reader, "locations", ()))
            # Beside a file may lie the manifest of the run that scored it. A frame has none, so its run is unknown.
            run = read_scoring_run(source)
            yield _Table(name=table.name, reader=table.reader, frame=None, run=run)
        return
    frame = frames.wrap_frame(source)
    # The first rows are enough to find the columns. `_Table.read` converts the columns that are needed.
    sample = TableReader(frame.table(rows=SAMPLE_ROWS))
    yield _Table(name=f"the {type(source).__name__}", reader=sample, frame=frame, run=UNKNOWN)


def _find_scored(job: SelectJob, table: _Table) -> ScoredColumns:
    """The columns of labels and scores. The model is loaded after this, because loading takes seconds."""
    scored = find_scored_columns(table.reader.schema, job.prefix, table.run.prefix or DEFAULT_PREFIX)
    if scored.score is None:
        raise InputError(
            f"{table.name} has no column {scored.label + '_score'!r} with the scores of {scored.label!r}. Score it "
            "first with sentiment-batch score, or name the column of the labels with `prefix`."
        )
    return scored


def _find_columns(job: SelectJob, table: _Table, scored: ScoredColumns, scorer: Scorer) -> _Columns:
    """Find the other columns, and check that the name of the label column is free."""
    schema, run = table.reader.schema, table.run
    # The scores tell what is uncertain, the vectors only what differs. So another model is no error.
    if run.digest not in {None, scorer.description.digest}:
        logger.warning("%s did not score %s. Its vectors are used in spite of that", scorer.model, table.name)
    columns = _Columns(
        scored=scored,
        added=run.list_added(schema.names, scored.label, scorer.labels),
        text=_find_texts(job, table, scorer),
    )
    # The columns of the scoring are left out, so one of them may be called like the label column
    if job.label_column in [schema.names[place] for place in columns.list_kept(schema.names)]:
        raise UsageError(
            f"{table.name} has a column {job.label_column!r} already. Name the empty column in another way, as in "
            '`label_column="new_label"`.'
        )
    return columns


def _find_texts(job: SelectJob, table: _Table, scorer: Scorer) -> TextColumns:
    """The text columns as named, else those that were scored, else those of the training, else found by name."""
    stored = table.run.text_columns
    # After scoring, somebody may have renamed or removed the columns that the manifest names
    has_stored = all(find_field(table.reader.schema, name) for name in stored)
    return scorer.choose_text_columns(table.reader, job.text_columns or (stored if has_stored else None))


def _describe(table: _Table, columns: _Columns) -> InputDescription:
    """Log and return how the table is read."""
    description = describe_reading(table.reader, text=columns.text)
    log_description(table.name, description)
    mark = " (assumed)" if columns.scored.assumed else ""
    logger.info("scores: %s%s; the output leaves out %s", columns.scored.score, mark, listed(columns.added))
    return description


def _read_labelled(job: SelectJob, text_columns: Sequence[str]) -> set[bytes]:
    """The hashes of the texts of the labelled tables, see `hash_text`."""
    found: set[bytes] = set()
    for one in job.labelled:
        with open_table(one, read_options=job.read) as table:
            reader, name = table.reader, table.name
            refuse_replacing(job, getattr(reader, "locations", ()))
            has_all = all(find_field(reader.schema, column) for column in text_columns)
            try:
                # The tables of the training may call their column of the text by another name
                names = choose_text_columns(reader, text_columns if has_all else ()).names
            except InputError as error:
                raise InputError(f"{name}: {error}") from error
            start = 0
            for batch in stream_batches(reader):
                texts = extract_texts(batch, names, start).to_pylist()
                found.update(hash_text(text) for text in texts if text is not None and not is_blank(text))
                start += batch.num_rows
        logger.info("labelled: %s, by its texts in %s", name, listed(names))
    return found


def _read_candidates(job: SelectJob, table: _Table, columns: _Columns, labelled: set[bytes]) -> CandidatePool:
    """Read all rows of the table into a pool of the most uncertain ones."""
    score, texts = str(columns.scored.score), columns.text.names
    reader = table.read([score, *(find_root(table.reader.schema, name) for name in texts)])
    # The rows of a frame are taken from the frame itself in the end, so the pool keeps none of its columns
    kept = columns.list_kept(reader.schema.names) if table.frame is None else []
    pool = CandidatePool(size=job.num_candidates, schema=reader.schema, columns=kept, left_out=labelled)
    with show_progress(reader.num_rows, quiet=job.quiet, task="reading") as bar:
        for batch in stream_batches(reader):
            start = pool.rows_read
            scores = columns.scored.read_scores(batch, start)
            # The pool asks for the texts only if a row of the batch may be uncertain enough
            pool.add(batch, scores, partial(extract_texts, batch, texts, start))
            bar.update(batch.num_rows)
    return pool


def _report_number(job: SelectJob, table: _Table, pool: CandidatePool, candidates: Candidates) -> None:
    """Log how many rows there are to choose from, if they are fewer than asked for.

    Raises:
        InputError: there are none.
    """
    found = len(candidates.texts)
    if not found:
        raise InputError(
            f"{table.name} has no row to select: of {pool.rows_read:,} rows, {pool.without_score:,} have no score, and "
            "the others have no text or one that is labelled already."
        )
    if found < job.rows:
        logger.warning("%s has only %s rows with different texts to select; all are taken", table.name, f"{found:,}")


def _choose_rows(job: SelectJob, scorer: Scorer, candidates: Candidates) -> Places:
    """The places of the rows to select among the candidates."""
    if len(candidates.texts) <= job.rows:
        return np.arange(len(candidates.texts))
    with show_progress(len(candidates.texts), quiet=job.quiet, task="comparing", unit="text") as bar:
        vectors = compute_vectors(scorer, candidates.texts, bar.update)
    # The uncertainty of a row is 1 minus the probability of its likeliest label
    return choose_diverse(vectors, np.maximum(1 - candidates.scores, MIN_UNCERTAINTY), job.rows, job.seed)


def _list_label_values(scorer: Scorer) -> dict[str, str]:
    """The values that the training read as each label; the labels themselves if they are unknown."""
    reading = (scorer.description.meta or {}).get("input")
    mapping = reading.get("label_mapping") if isinstance(reading, Mapping) else None
    known = {str(value): str(label) for value, label in mapping.items()} if isinstance(mapping, Mapping) else {}
    # A mapping that lacks a label would leave the user without a value to write for it
    return known if set(known.values()) == set(scorer.labels) else {label: label for label in scorer.labels}


def _make_frame(job: SelectJob, table: _Table, columns: _Columns, candidates: Candidates, chosen: Places) -> Any:
    """The selected rows with an empty label: a frame of the kind of the given one, a table of pyarrow for a file."""
    empty = pa.chunked_array([pa.nulls(len(chosen), pa.string())])
    if table.frame is not None:
        # The rows are taken from the frame itself, so that they keep their types and their index
        numbers = [candidates.numbers[place] for place in chosen.tolist()]
        return table.frame.take_rows(numbers, without=columns.added).with_columns({job.label_column: empty})
    rows = take_rows(candidates.rows, range(candidates.rows.num_columns), chosen.tolist())
    return pa.Table.from_batches([rows]).append_column(job.label_column, empty)
