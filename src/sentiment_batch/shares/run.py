"""Summarizes a scored table: reads it once, counts, and computes the shares."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.data.column_paths import find_field, find_root, select_columns
from sentiment_batch.data.columns import extract_texts
from sentiment_batch.data.input_description import InputDescription, describe_reading, log_description
from sentiment_batch.data.readers.base import stream_batches
from sentiment_batch.data.text_columns import TextColumns, check_column, choose_text_columns, read_first_batch
from sentiment_batch.data.value_names import format_values
from sentiment_batch.errors import InputError
from sentiment_batch.progress import show_progress
from sentiment_batch.shares.groups import build_summary
from sentiment_batch.shares.periods import PeriodColumn, find_period_column
from sentiment_batch.shares.scored_columns import DEFAULT_PREFIX, ScoredColumns, find_scored_columns
from sentiment_batch.shares.tally import MAX_LABELS, CellCounts, ValueNumbers
from sentiment_batch.shares.text_sample import TextSample

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.shares.known_model import KnownModel
    from sentiment_batch.shares.request import SummaryRequest
    from sentiment_batch.shares.result import ShareSummary

logger = logging.getLogger("sentiment_batch")


@dataclass(kw_only=True, slots=True, eq=False)
class Counted:
    """What was counted in a table."""

    request: SummaryRequest
    columns: ScoredColumns
    period: PeriodColumn | None
    text_columns: tuple[str, ...]
    """The columns of the text; empty if no words are compared."""
    input: InputDescription
    """How the table is read."""
    values: list[ValueNumbers]
    """The labels, then the values of each column, then the periods."""
    cells: CellCounts
    sample: TextSample = field(default_factory=TextSample)
    rows: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Count some rows."""
        names = [format_values(batch, name) for name in (self.columns.label, *self.request.by)]
        if self.period is not None:
            names.append(self.period.name_periods(batch, self.rows))
        codes = [numbers.encode(one) for numbers, one in zip(self.values, names, strict=True)]
        self.cells.add(codes, self.columns.read_scores(batch, self.rows))
        if self.text_columns:
            self._sample_texts(batch, np.stack(codes, axis=1))
        self.rows += batch.num_rows

    def _sample_texts(self, batch: pa.RecordBatch, codes: Any) -> None:
        places, draws = self.sample.choose(batch.num_rows)
        if len(places):
            roots = list(dict.fromkeys(find_root(batch.schema, name) for name in self.text_columns))
            texts = extract_texts(batch.select(roots).take(places), self.text_columns, on_bad_row=lambda problem: None)
            self.sample.add(texts.to_pylist(), codes[places], draws)


def summarize_shares(
    reader: Reader, name: str, request: SummaryRequest, known: KnownModel | None, *, quiet: bool = True
) -> ShareSummary:
    """Summarize a scored table. Memory does not grow with the number of its rows.

    Args:
        reader: the open table.
        name: its name without a password.
        request: what to summarize.
        known: what is known of the model; None if nothing is.
        quiet: show no progress.

    Raises:
        InputError: a column is missing, holds no dates or too many different values, or the table is damaged.
        UsageError: the form of the dates is no form.
    """
    counted = _prepare(reader, request, known)
    log_description(name, counted.input)
    _select_columns(reader, counted)
    with show_progress(reader.num_rows, quiet=quiet, task="reading") as bar:
        for batch in stream_batches(reader):
            counted.add(batch)
            bar.update(batch.num_rows)
    for written, label in counted.values[0].respelt.items():
        logger.warning("the label %r in the table is counted as the label %r of the model", written, label)
    counted.sample.trim()  # the last texts may not have reached the size at which it trims itself
    return build_summary(counted, name, known)


def _prepare(reader: Reader, request: SummaryRequest, known: KnownModel | None) -> Counted:
    """Find the columns."""
    schema = reader.schema
    # Every named column is checked before a row is read.
    default = (known and known.prefix) or DEFAULT_PREFIX
    columns = find_scored_columns(schema, request.prefix, default)
    for one in request.by:
        check_column(schema, one, "by")
    period = None
    if request.over is not None:
        check_column(schema, request.over, "over")
        first = read_first_batch(reader)
        period = find_period_column(request.over, first, every=request.every, date_format=request.date_format)
    # In the order in which `Counted.add` encodes them: the label, the groups, the period.
    spellings = (known and known.names) or ()
    labels = ValueNumbers(columns.label, "prefix", MAX_LABELS, blank_is_missing=True, spellings=spellings)
    groups = [ValueNumbers(one, "by", blank_is_missing=True) for one in request.by]
    periods = [] if request.over is None else [ValueNumbers(request.over, "over")]
    text = _find_texts(reader, request, known)
    label_is_known = request.prefix is not None or (known is not None and known.prefix == columns.label)
    return Counted(
        request=request,
        columns=columns,
        period=period,
        text_columns=text.names,
        input=describe_reading(
            reader,
            text=text if text.names else None,
            label_column=columns.label,
            label_assumed=not label_is_known,
        ),
        values=[labels, *groups, *periods],
        cells=CellCounts(unsure_below=request.unsure_below),
    )


def _find_texts(reader: Reader, request: SummaryRequest, known: KnownModel | None) -> TextColumns:
    """The columns of the text; none if no words are wanted, or if no column was named and none is found."""
    nothing = TextColumns(names=(), assumed=False)
    if not request.words:
        return nothing
    # The columns that the manifest or the model names, if the table still has all of them.
    stored: Sequence[str] = known.text_columns if known is not None else ()
    has_stored = all(find_field(reader.schema, name) for name in stored)
    try:
        return choose_text_columns(reader, request.text_columns or (stored if has_stored else ()))
    except InputError as error:  # a table of scores alone may hold no texts
        if request.text_columns:
            raise
        logger.info("no words are shown: %s", error)
        return nothing


def _select_columns(reader: Reader, counted: Counted) -> None:
    """Read only the columns that are needed, if the reader can do so."""
    over = () if counted.request.over is None else (counted.request.over,)
    score = () if counted.columns.score is None else (counted.columns.score,)
    names = (counted.columns.label, *score, *counted.request.by, *over, *counted.text_columns)
    select_columns(reader, names)
