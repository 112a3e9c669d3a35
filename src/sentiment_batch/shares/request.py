"""The record of one summary, which the command line and `sentiment_batch.summarize` both build."""

from __future__ import annotations

from dataclasses import dataclass

from sentiment_batch.errors import UsageError
from sentiment_batch.settings import check_at_least, check_types

PERIODS = ("day", "week", "month", "quarter", "year")
"""The periods; a week begins on Monday."""
DEFAULT_PERIOD = "month"
MAX_COLUMNS = 2
"""Columns that make groups."""
UNSURE_BELOW = 0.7
"""The score below which the model is unsure of a row. A calibrated model is wrong in 3 of 10 such rows or more."""
MAX_WORDS = 8
"""Words that are listed for each label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRequest:
    """What to summarize.

    Raises:
        UsageError: a value is out of range, or settings exclude each other.
    """

    by: tuple[str, ...] = ()
    """The columns whose values make groups, at most two."""
    over: str | None = None
    """The column of dates that makes periods."""
    every: str = DEFAULT_PERIOD
    """One of `PERIODS`."""
    date_format: str | None = None
    """How the dates are written, as `strptime` takes it; None finds it."""
    prefix: str | None = None
    """The column of the labels; None finds it."""
    text_columns: tuple[str, ...] = ()
    """The columns of the text, for the words; found if empty."""
    unsure_below: float = UNSURE_BELOW
    """The score below which the model is unsure of a row."""
    words: int = MAX_WORDS
    """Words to list for each label and group; 0 compares no words."""

    def __post_init__(self) -> None:
        check_types(self)
        if len(self.by) > MAX_COLUMNS or len(set(self.by)) < len(self.by):
            raise UsageError(f"`by` names {len(self.by)} columns; it takes one column, or two different ones.")
        if self.every not in PERIODS:
            raise UsageError(f"`every` is {self.every!r}; it must be one of {', '.join(PERIODS)}.")
        if self.date_format is not None and self.over is None:
            raise UsageError("`date_format` is for the column of dates. Name that with `over`.")
        if not 0.0 < self.unsure_below <= 1.0:
            raise UsageError(
                f"`unsure_below` is {self.unsure_below}; it must lie above 0 and be at most 1, such as 0.7."
            )
        check_at_least(self, words=0)
