"""The record of a scoring job, which the command line and the pipeline share; its values are checked at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment_batch.errors import UsageError, listed
from sentiment_batch.records import ReadOptions, WriteOptions
from sentiment_batch.settings import ON_BAD_ROW, ScoreSettings, check_at_least

if TYPE_CHECKING:
    from sentiment_batch.gates.conditions import Gate

PART_ROWS = {"cpu": 16_384, "cuda": 262_144}
"""Rows of a part by device: the work that a crash costs at most, seconds on a GPU and minutes on a CPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreJob:
    """What to annotate, with which model, and where to write it.

    Raises:
        UsageError: a value is out of range.
    """

    source: str
    """The path or URL of the input, `-` for standard input."""
    destination: str
    """The path or URL of the output, `-` for standard output; a folder ends in `/`."""
    model: str | None = None
    """A folder or Hub id; None looks at the usual places."""
    settings: ScoreSettings = dataclasses.field(default_factory=ScoreSettings)
    text_columns: tuple[str, ...] = ()
    """The columns of the text; if empty, they are found by their names."""
    keep: tuple[str, ...] = ()
    """The input's columns in the output; all if empty."""
    limit: int | None = None
    """Rows to score from the first on, None for all."""
    input_format: str | None = None
    """The name of the input's format, None if the source shows it."""
    output_format: str | None = None
    """The name of the output's format, None if the destination shows it."""
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)
    write: WriteOptions = dataclasses.field(default_factory=WriteOptions)
    on_bad_row: str = "fail"
    """`fail` ends the run at a bad row; `mark` leaves it in its place and lists it beside the output."""
    part_rows: int | None = None
    """Rows of a part, the unit of work that a resumed run need not repeat; None takes what suits the device."""
    reuse: str | None = None
    """An earlier output with its manifest. Texts that it holds take over its scores; None scores all texts."""
    restart: bool = False
    """Start over, even if an earlier run left parts."""
    quiet: bool = False
    """Show no progress bar."""
    gates: tuple[Gate, ...] = ()
    """Conditions on the figures of the run. A gate that cannot be computed is refused before anything is scored."""

    def __post_init__(self) -> None:
        check_at_least(self, limit=0, part_rows=1)
        if self.on_bad_row not in ON_BAD_ROW:
            raise UsageError(f"`on_bad_row` is {self.on_bad_row!r}; it must be one of {listed(ON_BAD_ROW)}.")

    def count_rows(self, available: int | None) -> int | None:
        """Rows of the output of an input with `available` rows; None if that number is unknown."""
        return available if available is None or self.limit is None else min(available, self.limit)

    def choose_part_rows(self, device: str) -> int:
        """Rows of a part on a device such as `cpu` or `cuda:0`."""
        return self.part_rows or PART_ROWS["cuda" if device.startswith("cuda") else "cpu"]
