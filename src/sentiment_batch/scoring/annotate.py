"""Takes rows of one input through the model to a target: reader and scorer in, parts out, on any machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment_batch.scoring.backends.row_blocks import Cutting, windows
from sentiment_batch.scoring.parts import Parts
from sentiment_batch.scoring.row_selection import limited, output_schema, places, rows_from

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.backends.results import OnRows
    from sentiment_batch.scoring.job import Job
    from sentiment_batch.scoring.output.bad_rows import Problems
    from sentiment_batch.scoring.output.targets import PartTarget
    from sentiment_batch.scoring.scorer import Scorer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Annotation:
    """One input, open, and the model for it."""

    job: Job
    reader: Reader
    texts: tuple[str, ...]
    """The columns of the text."""
    part_rows: int
    scorer: Scorer
    problems: Problems

    @property
    def schema(self) -> pa.Schema:
        """Of what comes out."""
        return output_schema(self.reader.schema, self.job.keep, self.scorer.added)

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
        """Write rows to the target, and end its parts; returns how many rows.

        Args:
            target: what takes them.
            start: the number in the input of the first row that it needs.
            first: that of the first row of the first part to end: rows before it are known.
            stop: the row before which to stop, None for all.
            known: the probabilities of so many rows from a number on, where an earlier run left them.
            empty: end a part even if there are no rows.
            on_rows: told how many rows are done, as they are.
            expected_rows: what the choice to compile the model goes by.

        Raises:
            SentimentBatchError: a row cannot be read or scored, or the target takes no more.
        """
        marks = self.job.on_bad_row == "mark"
        parts = Parts(
            target=target,
            first=first,
            part_rows=self.part_rows,
            added=self.scorer.added,
            places=places(self.reader.schema, self.job.keep),
            schema=self.schema,
            problems=self.problems,
            marks=marks,
            on_replayed=on_rows or (lambda rows: None),
        )
        cutting = Cutting(
            start=start, part_rows=self.part_rows, known=known, on_bad_row=self.problems.add if marks else None
        )
        rows = limited(rows_from(self.reader, start, self.problems), stop, start)
        for scored in self.scorer.scored(windows(rows, self.texts, cutting), on_rows, expected_rows):
            parts.take(scored)
        parts.finish(empty=empty)
        return parts.written
