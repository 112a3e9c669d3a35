"""Takes rows from an input through the model to an output: blocks are scored, annotated, and written in parts."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sentiment_batch.data.column_paths import select_columns
from sentiment_batch.errors import InputError
from sentiment_batch.records import Problem
from sentiment_batch.scoring.backends.row_blocks import BlockRules, Counts, split_into_row_blocks
from sentiment_batch.scoring.output.bad_rows import BadRows, to_json_lines
from sentiment_batch.scoring.output.targets import PartResult, PartTarget

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.added_columns import AddedColumns
    from sentiment_batch.scoring.backends.base import OnRows
    from sentiment_batch.scoring.backends.row_blocks import Failure, RowBlock, ScoredBlock
    from sentiment_batch.scoring.job import ScoreJob
    from sentiment_batch.scoring.scorer import Scorer

_STORED_COUNTS = (
    *("tokens", "null", "repeated", "cut", "compiled", "scored", "confidence", "scored_twice", "reused", "sample"),
)
"""The fields of `Counts` that are stored with a part: those that a repeated run would count alike."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TableAnnotator:
    """Annotates one open input with one model."""

    job: ScoreJob
    """What the user asked for: the columns to keep, what happens to bad rows, and so on."""
    reader: Reader
    """The open input."""
    text_columns: tuple[str, ...]
    """The columns of the text."""
    part_rows: int
    """Rows of a part of the output; the last part may have fewer."""
    scorer: Scorer
    """The model."""
    bad_rows: BadRows
    """Collects the bad rows until the part that holds them ends."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of the output: the chosen columns of the input, then the added ones, with the input's metadata."""
        schema = self.reader.schema
        inputs = [schema.field(index) for index in self.column_indices]
        return pa.schema([*inputs, *self.scorer.added.fields()], metadata=schema.metadata)

    @property
    def column_indices(self) -> list[int]:
        """The indices of the chosen columns in the input; an input may repeat a name, so names are not enough."""
        schema = self.reader.schema
        return [schema.get_field_index(name) for name in self.job.keep] or list(range(len(schema)))

    def write(
        self,
        target: PartTarget,
        *,
        start: int,
        first: int,
        stop: int | None,
        known: Callable[[int, int], Floats | None] = lambda start, rows: None,
        empty: bool,
        on_rows: OnRows | None = None,
        expected_rows: int | None = None,
    ) -> int:
        """Score rows, write them to the target, and end its parts.

        Args:
            target: takes the rows and the parts.
            start: the number of the first row to write, from 0.
            first: the number of the first row of the first part to end; the scores of rows before it are known.
            stop: the number of the row before which to stop, None for all rows.
            known: gives the scores that an earlier run left, as `BlockRules.known` does.
            empty: end a part even if there are no rows, because every output has a part.
            on_rows: called with the number of rows that were done since its last call.
            expected_rows: rows of the run, which decide whether the model is compiled.

        Returns:
            The number of rows that were written.

        Raises:
            SentimentBatchError: a row cannot be read or scored, or the target cannot be written.
        """
        marks = self.job.on_bad_row == "mark"
        writer = PartWriter(annotator=self, target=target, first=first, on_known_rows=on_rows or (lambda rows: None))
        rules = BlockRules(
            start=start, part_rows=self.part_rows, known=known, on_bad_row=self.bad_rows.add if marks else None
        )
        if self.job.keep:
            # A reader of columns then skips the others. The text is read even if the output leaves it out.
            select_columns(self.reader, [*self.job.keep, *self.text_columns])
        # Rows, then blocks, then scores: all are generators, so only a few blocks are in memory
        rows = _take_rows(read_rows(self.reader, start, self.bad_rows), None if stop is None else stop - start)
        blocks = split_into_row_blocks(rows, self.text_columns, rules)
        for scored in self.scorer.score_blocks(blocks, on_rows, expected_rows):
            writer.write(scored)
        writer.finish(empty=empty)
        return writer.written


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was counted in some rows of an output."""

    counts: Counts = field(default_factory=Counts)
    """What the backend counted in them."""
    bad: int = 0
    """Rows that are marked as bad."""
    labels: collections.Counter[str] = field(default_factory=collections.Counter)
    """Rows of each label."""

    def add_labels(self, labels: pa.DictionaryArray) -> None:
        """Count the labels of some rows."""
        for entry in labels.value_counts():
            if entry["values"].is_valid:
                self.labels[entry["values"].as_py()] += entry["counts"].as_py()

    def to_json(self) -> dict[str, Any]:
        """The counts as plain values, as they are stored with a part."""
        counts = {name: getattr(self.counts, name) for name in _STORED_COUNTS} | {"sample": dict(self.counts.sample)}
        return counts | {"bad": self.bad, "labels": dict(self.labels)}

    @classmethod
    def sum_up(cls, stored: Iterable[dict[str, Any]]) -> Tally:
        """The sum of tallies that `to_json` stored."""
        total = cls()
        for tally in stored:
            # Parts of an older version lack some of the last five.
            counts = {name: tally[name] for name in _STORED_COUNTS if name in tally}
            total.counts.add(Counts(**counts | {"sample": collections.Counter(tally.get("sample"))}))
            total.bad += tally["bad"]
            total.labels.update(tally["labels"])
        return total


@dataclass(kw_only=True, slots=True, eq=False)
class PartWriter:
    """Writes scored blocks to a target, and ends a part whenever it is full."""

    annotator: TableAnnotator
    """The input and the model."""
    target: PartTarget
    """Takes the rows and the parts."""
    first: int
    """The number of the first row of the current part."""
    on_known_rows: Callable[[int], object]
    """Called with the number of rows that were written with the scores of an earlier run."""
    written: int = 0
    """Rows that were written."""
    _schema: pa.Schema = field(init=False)
    _indices: Sequence[int] = field(init=False)
    """The indices of the chosen columns in the input."""
    _added: AddedColumns = field(init=False)
    _scores: list[Floats] = field(default_factory=list, init=False)
    """(rows, labels) the probabilities of each block of the current part."""
    _tally: Tally = field(default_factory=Tally, init=False)
    """What was counted in the current part."""

    def __post_init__(self) -> None:
        self._schema, self._indices = self.annotator.schema, self.annotator.column_indices
        self._added = self.annotator.scorer.added

    def write(self, scored: ScoredBlock) -> None:
        """Write the rows of a block, and end the part if it is full.

        Raises:
            ModelError, DeviceError: a text failed, and bad rows are not to be marked.
        """
        block = scored.block
        for failure in scored.failures:
            self._mark_or_fail(failure, block)
        for batch, probabilities in scored.batches():
            added = self._added.arrays(probabilities)
            # The columns of the input pass through untouched, so no value and no type changes
            chosen = [batch.column(index) for index in self._indices]
            self.target.write(pa.RecordBatch.from_arrays([*chosen, *added], schema=self._schema))
            if block.known is None:
                self._tally.add_labels(added[0])
        self.written += block.rows
        if block.known is not None:
            # The part of these rows is stored already. Only the output needs them again.
            self.on_known_rows(block.rows)
            return
        self._scores.append(scored.probabilities)
        self._tally.counts.add(scored.counts)
        # Blocks never cross the end of a part, so the sum meets this number exactly
        if sum(map(len, self._scores)) == self.annotator.part_rows:
            self._end_part()

    def finish(self, *, empty: bool) -> None:
        """End the last part; if `empty` is True, even a part without rows if none was written."""
        if self._scores or (empty and not self.written):
            self._end_part()

    def _end_part(self) -> None:
        scores = np.concatenate(self._scores) if self._scores else np.empty((0, len(self._added.labels)), np.float32)
        # Bad rows before the part are read again by a resumed run; they are in the parts of the earlier run already.
        taken = self.annotator.bad_rows.take(self.first + len(scores))
        problems = [problem for problem in taken if problem.row >= self.first]
        self.first += len(scores)
        self._tally.bad = len(problems)
        self.target.end_part(PartResult(scores=scores, counts=self._tally.to_json(), problems=to_json_lines(problems)))
        self._scores, self._tally = [], Tally()

    def _mark_or_fail(self, failure: Failure, block: RowBlock) -> None:
        row = block.start + failure.row
        if self.annotator.job.on_bad_row != "mark":
            raise failure.make_error(row, ', or keep such rows without a score with `on_bad_row="mark"`')
        # A list of bad rows keeps the original text, so that nothing of the input is lost
        text = pa.chunked_array(block.texts, pa.large_string())[failure.row].as_py()
        problem = Problem(row=row, where=f"row {row:,}", reason=failure.reason, original=(text or "").encode())
        self.annotator.bad_rows.add(problem)


def read_rows(reader: Reader, start: int, bad_rows: BadRows) -> Iterator[pa.RecordBatch]:
    """Read the input from the row `start` on; splits before that row are skipped if their size is known.

    Raises:
        InputError: the input has fewer rows.
    """
    row = 0
    for split in reader.splits():
        if split.num_rows is not None and row + split.num_rows <= start:
            row += split.num_rows
            continue
        # Readers number bad rows within their split, so the number of its first row is needed
        bad_rows.begin_split(row)
        for batch in reader.batches(split):
            # The reader may give the rows before `start` in the same batch, so they are cut off here
            if row + batch.num_rows > start:
                yield batch.slice(max(0, start - row))
            row += batch.num_rows
    if row < start:
        raise InputError(
            f"the input gave {row:,} rows, but an earlier run read {start:,} rows of it. Start over with "
            "`restart=True`."
        )


def _take_rows(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    """The first `limit` rows, None for all rows."""
    left = None if limit is None else max(0, limit)
    for batch in batches:
        yield batch if left is None else batch.slice(0, left)
        if left is not None:
            left -= min(left, batch.num_rows)
            # Stop now, because asking for another batch would read rows that nobody needs
            if left == 0:
                return
