"""Shows the progress of scoring on standard error."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

SECONDS_PER_UPDATE = 0.2
SECONDS_PER_UPDATE_IN_A_FILE = 10.0
"""Seconds between two updates where every update is a line of its own."""


def show_progress(total: int | None, *, done: int = 0, quiet: bool) -> Any:
    """A progress bar for a `with` block; its `update` takes the number of rows that were done.

    Args:
        total: rows in all, None if the number is unknown.
        done: rows that an earlier run did.
        quiet: show nothing.
    """
    interval = SECONDS_PER_UPDATE if sys.stderr.isatty() else SECONDS_PER_UPDATE_IN_A_FILE
    return tqdm(
        total=total, initial=done, desc="scoring", unit="row", unit_scale=True, disable=quiet, mininterval=interval
    )
