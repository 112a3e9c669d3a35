"""Checks the bad rows that a plugin's reader reports, so that none is lost or put on another row."""

from __future__ import annotations

import contextlib
import numbers
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sentiment_batch.records import Problem, Split

if TYPE_CHECKING:
    from sentiment_batch.errors import PluginError


@dataclass(kw_only=True, slots=True)
class SplitReport:
    """What is known of one split while it is read."""

    label: str
    """The name of the split in messages."""
    returned: int = 0
    """Rows of the batches that the reader has returned."""
    last: int = -1
    """The highest row that was reported, -1 if none was."""


class BadRowGuard:
    """Stands between a plugin's reader and `ReadOptions.on_bad_row`.

    A reader may catch what `on_bad_row` raises. So a wrong report is kept, and raised when the reader returns.

    Args:
        make_error: makes the error that names the plugin.
        on_bad_row: takes the bad rows.
    """

    def __init__(self, make_error: Callable[[str], PluginError], on_bad_row: Callable[[Problem], None]) -> None:
        self.on_bad_row = on_bad_row
        self._make_error = make_error
        self._fault: PluginError | None = None
        self._current = threading.local()
        self._latest: SplitReport | None = None

    def report(self, problem: object) -> None:
        """Check a bad row and pass it on. The plugin's reader gets this method as its `on_bad_row`."""
        why = _find_fault(problem) or self._find_misplacement(problem)
        if why is not None:
            self._fault = self._fault or self._make_error(why)  # the first fault is the likeliest cause of the others
        elif isinstance(problem, Problem):
            self.on_bad_row(replace(problem, row=int(problem.row)))

    def begin(self, split: Split) -> SplitReport:
        """Begin to read a split."""
        self._latest = SplitReport(label=split.label)
        return self._latest

    @contextlib.contextmanager
    def reading(self, report: SplitReport) -> Iterator[None]:
        """While the reader runs in the block, what this thread reports belongs to one split.

        Raises:
            PluginError: a report was wrong.
        """
        self._current.report = report
        try:
            yield
        finally:
            self._current.report = None
        if self._fault is not None:
            raise self._fault

    def end(self, report: SplitReport) -> None:
        """Check the reports of a split that was read to its end.

        Raises:
            PluginError: a row was reported that the split does not have.
        """
        if report.last >= report.returned:
            raise self._make_error(
                f"it reported row {report.last:,} of {report.label} as a bad row, but {report.label} has "
                f"{report.returned:,} rows, counted from 0"
            )

    def _find_misplacement(self, problem: object) -> str | None:
        """Why the row of a report is wrong, None if it may be right; notes the row."""
        # A reader may report from a thread of its own. Then the split that was begun last is meant.
        report = getattr(self._current, "report", None) or self._latest
        if report is None or not isinstance(problem, Problem):
            return None
        # A row must be reported before its batch, because scoring takes a batch as it comes and never looks back.
        if problem.row < report.returned:
            return f"it reported row {problem.row:,} of {report.label} as a bad row after it had returned that row"
        report.last = max(report.last, int(problem.row))
        return None


def _find_fault(problem: object) -> str | None:
    """What is wrong with a report itself, None if nothing is."""
    if not isinstance(problem, Problem):
        return f"it reported an object of the type {type(problem).__name__} as a bad row, not a Problem"
    row: object = problem.row
    # A bool is an Integral, too. numpy's integers are allowed, because many readers count with them.
    if isinstance(row, bool) or not isinstance(row, numbers.Integral) or row < 0:
        return f"it reported a bad row with row={row!r}; it must be the number of the row in its split, from 0"
    for name, kind in (("where", str), ("reason", str), ("original", bytes)):
        if not isinstance(getattr(problem, name), kind):
            value = type(getattr(problem, name)).__name__
            return f"it reported row {row:,} as a bad row with {name} of the type {value}; it must be {kind.__name__}"
    return None
