"""What a scoring run is asked to do; plain values that are checked at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from sentiment_batch.errors import UsageError, listed
from sentiment_batch.records import ReadOptions, WriteOptions
from sentiment_batch.settings import ON_BAD_ROW

PART_ROWS = {"cpu": 16_384, "cuda": 262_144}
"""Rows of a part by device: what a crash costs at most, seconds on a GPU and minutes on a CPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to annotate, and where to."""

    source: str
    destination: str
    text_columns: tuple[str, ...] = ()
    """What the user named; found by name if empty."""
    keep: tuple[str, ...] = ()
    """The input columns that come out; all if empty."""
    limit: int | None = None
    """Score only the first so many rows."""
    input_format: str | None = None
    output_format: str | None = None
    read: ReadOptions = dataclasses.field(default_factory=ReadOptions)
    write: WriteOptions = dataclasses.field(default_factory=WriteOptions)
    on_bad_row: str = "fail"
    """`mark` keeps rows that cannot be read or scored as they stand, and lists them beside the output."""
    part_rows: int | None = None
    """Rows of a part, the unit in which work is kept; None takes what suits the device."""
    restart: bool = False
    """Begin anew, whatever an earlier run left."""
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 0:
            raise UsageError(f"--limit is {self.limit}; it must be at least 0.")
        if self.part_rows is not None and self.part_rows < 1:
            raise UsageError(f"--part-rows is {self.part_rows}; it must be at least 1.")
        if self.on_bad_row not in ON_BAD_ROW:
            raise UsageError(f"--on-bad-row is {self.on_bad_row!r}; it must be one of {listed(ON_BAD_ROW)}.")

    def rows_of_part(self, device: str) -> int:
        """Rows of a part on a device, such as `cpu` or `cuda:0`."""
        return self.part_rows or PART_ROWS["cuda" if device.startswith("cuda") else "cpu"]
