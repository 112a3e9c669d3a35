"""Shows the progress of a long task: a bar on a terminal or in a notebook, a line every ten seconds in a log file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

SECONDS_PER_UPDATE = 0.2
"""Seconds between two updates of a bar."""
SECONDS_PER_LOG_LINE = 10.0
"""Seconds between two lines of a log file."""
_LOG_LINE = "{desc}: {n:,} of {total:,} {unit}s, {elapsed} so far, {remaining} left, {rate_fmt}"
_ESTIMATED_LOG_LINE = "{desc}: {n:,} of about {total:,} {unit}s, {elapsed} so far, about {remaining} left, {rate_fmt}"


class _LogLines:
    """A file for tqdm that turns its updates, which begin with a carriage return, into lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def write(self, text: str) -> None:
        line = text.strip()
        if line and line != self._last:
            self._last = line
            self._stream.write(f"{line}\n")

    def flush(self) -> None:
        self._stream.flush()


def show_progress(
    total: int | None, *, done: int = 0, quiet: bool, task: str = "scoring", unit: str = "row"
) -> tqdm[Any]:
    """A progress bar for a `with` block; its `update` takes the number of units that were done.

    Args:
        total: units in all, None if the number is unknown.
        done: units that an earlier run did.
        quiet: show nothing.
        task: what is done, such as `scoring`.
        unit: what is counted, in the singular.
    """
    # A terminal redraws one line. A log file keeps every line, so it gets fewer of them.
    options: dict[str, Any] = {"mininterval": SECONDS_PER_UPDATE}
    kind = tqdm
    if _is_notebook():
        from tqdm.auto import tqdm as kind  # shows a bar of the notebook if ipywidgets is installed
    elif not sys.stderr.isatty():
        log_line = _LOG_LINE if total is not None else "{desc}: {n:,} {unit}s, {elapsed} so far, {rate_fmt}"
        options = {"mininterval": SECONDS_PER_LOG_LINE, "file": _LogLines(sys.stderr), "bar_format": log_line}
    thousands = unit == "row"  # large numbers of rows as 1.2k, but each single step
    return kind(total=total, initial=done, desc=task, unit=unit, unit_scale=thousands, disable=quiet, **options)


def update_estimated(bar: tqdm[Any], reader: object) -> Callable[[int], object]:
    """The `update` of a bar of rows whose number is not known. The reader may have `estimate_rows`, see `Reader`."""
    estimate: Callable[[], int | None] = getattr(reader, "estimate_rows", lambda: None)

    def update(rows: int) -> object:
        # The estimate may be too low, so the total is never less than what is done
        if not bar.disable and (total := estimate()) is not None:
            bar.total = max(total, int(bar.n) + rows)
            if bar.bar_format is not None:
                bar.bar_format = _ESTIMATED_LOG_LINE
        return bar.update(rows)

    return update


def end_estimate(bar: tqdm[Any]) -> None:
    """Show that all units are done, whatever was estimated."""
    if bar.disable:
        return
    bar.total = bar.n
    if bar.bar_format is not None:
        bar.bar_format = _LOG_LINE


def _is_notebook() -> bool:
    """True if a kernel of a notebook runs this program. The shell of IPython is a terminal instead."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config
