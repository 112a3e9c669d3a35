"""Divides the work into parts: scored windows in, annotated rows out to the target, full parts into the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sentiment_batch.records import Problem
from sentiment_batch.scoring.output.bad_rows import Problems, lines
from sentiment_batch.scoring.output.targets import PartResult, PartTarget
from sentiment_batch.scoring.summary import Tally

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.added_columns import Columns
    from sentiment_batch.scoring.backends.results import Failure, Scored
    from sentiment_batch.scoring.backends.row_blocks import Window


@dataclass(kw_only=True, slots=True, eq=False)
class Parts:
    """The parts of a run, from where the target needs rows."""

    target: PartTarget
    first: int
    """The number of the first row of the part under way."""
    part_rows: int
    added: Columns
    """What stands beside the input's columns."""
    places: Sequence[int]
    """The input's columns that come out."""
    schema: pa.Schema
    """Of what comes out."""
    problems: Problems
    marks: bool
    """Whether a text that fails alone is a bad row, rather than the end of the run."""
    on_replayed: Callable[[int], object]
    """Told how many rows went out whose scores an earlier run left."""
    written: int = 0
    """Rows that went to the target."""
    _scores: list[Floats] = field(default_factory=list, init=False)
    _tally: Tally = field(default_factory=Tally, init=False)

    def take(self, scored: Scored) -> None:
        """Write the rows of a window, and end the part if it is full.

        Raises:
            ModelError, DeviceError: a text failed, and that is not to be marked.
        """
        window = scored.window
        for failure in scored.failures:
            self._fail(failure, window)
        for batch, probabilities in scored.pieces():
            added = self.added.arrays(probabilities)
            kept = [batch.column(place) for place in self.places]
            self.target.write(pa.RecordBatch.from_arrays([*kept, *added], schema=self.schema))
            if window.known is None:
                self._tally.add_labels(added[0])
        self.written += window.rows
        if window.known is not None:
            self.on_replayed(window.rows)
            return
        self._scores.append(scored.probabilities)
        self._tally.add_counts(scored.counts)
        if sum(map(len, self._scores)) == self.part_rows:
            self._end()

    def finish(self, *, empty: bool) -> None:
        """End the last part; `empty`: even one of no rows where none came, for a run has one part at least."""
        if self._scores or (empty and not self.written):
            self._end()

    def _end(self) -> None:
        scores = np.concatenate(self._scores) if self._scores else np.empty((0, len(self.added.labels)), np.float32)
        # What is told again of rows that an earlier run did is in its parts already.
        found = [problem for problem in self.problems.take(self.first + len(scores)) if problem.row >= self.first]
        self.first += len(scores)
        self._tally.bad = len(found)
        self.target.end_part(PartResult(scores=scores, counts=self._tally.to_json(), problems=lines(found)))
        self._scores, self._tally = [], Tally()

    def _fail(self, failure: Failure, window: Window) -> None:
        row = window.start + failure.row
        if not self.marks:
            raise failure.error(row, ", or keep such rows without a score with --on-bad-row mark")
        text = pa.chunked_array(window.texts, pa.large_string())[failure.row].as_py()
        self.problems.add(Problem(row=row, where=f"row {row:,}", reason=failure.reason, original=(text or "").encode()))
