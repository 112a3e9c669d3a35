"""Shows on standard error how far scoring is; knows nothing of what is scored."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(total: int | None, *, done: int = 0, quiet: bool) -> Any:
    """A bar to update with the rows that are done; use it with `with`.

    Args:
        total: rows in all, None if nobody knows.
        done: of them, those that an earlier run did.
        quiet: show nothing.
    """
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total, initial=done, desc="scoring", unit="row", unit_scale=True, disable=quiet, mininterval=interval
    )
