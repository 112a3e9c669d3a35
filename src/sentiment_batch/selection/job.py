"""The record of one selection, which the command line and `sentiment_batch.select` both build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sentiment_batch.errors import UsageError
from sentiment_batch.records import ReadOptions, WriteOptions
from sentiment_batch.settings import ScoreSettings, check_at_least, check_types

DEFAULT_ROWS = 200
"""Rows to select."""
CANDIDATES_PER_ROW = 20
"""Candidates for each row to select. Zhdanov 2019 found that 10 to 50 work alike (https://arxiv.org/abs/1901.05954)."""
DEFAULT_LABEL_COLUMN = "label"


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectJob:
    """What to select from, how many rows, by which model, and where to write them.

    Raises:
        UsageError: a value is out of range.
    """

    source: Any
    """The scored table: a path, a URL, `-` for standard input, or a frame in memory."""
    destination: str | None = None
    """The path or URL of the output, `-` for standard output; None writes nothing."""
    rows: int = DEFAULT_ROWS
    """Rows to select."""
    model: str | None = None
    """A folder or Hub id; None takes the model that scored the table, or looks at the usual places."""
    settings: ScoreSettings = field(default_factory=ScoreSettings)
    text_columns: tuple[str, ...] = ()
    """The columns of the text; if empty, those that were scored."""
    label_column: str = DEFAULT_LABEL_COLUMN
    """The name of the empty column that is added."""
    prefix: str | None = None
    """The name of the column of labels that scoring added; None finds it."""
    labelled: Sequence[Any] = ()
    """Paths or frames with texts to leave out."""
    candidates: int | None = None
    """How many of the most uncertain rows to choose from; None takes `CANDIDATES_PER_ROW` for each row to select."""
    seed: int = 0
    """Seed of the random choices."""
    input_format: str | None = None
    """The format of the table, None if the source shows it."""
    output_format: str | None = None
    """The format of the output, None if the destination shows it."""
    read: ReadOptions = field(default_factory=ReadOptions)
    write: WriteOptions = field(default_factory=WriteOptions)
    quiet: bool = False
    """Show no progress bar."""

    def __post_init__(self) -> None:
        # Types come first, because a text cannot be compared with a number below
        check_types(self)
        check_at_least(self, rows=1, candidates=1)
        if self.candidates is not None and self.candidates < self.rows:
            raise UsageError(
                f"`candidates` is {self.candidates}, but {self.rows} rows are chosen among them. Give a larger number."
            )
        # The seeds that `random_state` of scikit-learn takes
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"`seed` is {self.seed!r}; it must be a whole number from 0 to {2**32 - 1:,}.")
        if not self.label_column:
            raise UsageError(f"`label_column` is {self.label_column!r}; it must be the name of a column.")

    @property
    def num_candidates(self) -> int:
        """The number of the most uncertain rows to choose from."""
        return self.candidates or CANDIDATES_PER_ROW * self.rows
