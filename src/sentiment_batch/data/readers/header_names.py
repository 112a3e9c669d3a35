"""Gives each column a name of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sentiment_batch.locations import without_password

logger = logging.getLogger("sentiment_batch")

MAX_LISTED_RENAMES = 12
"""Largest number of renamed columns that the log lists."""


def warn_renamed(name: str, header: Sequence[str], names: Sequence[str]) -> None:
    """Log which columns of a table got another name than its header has.

    Args:
        name: what messages call the table.
        header: the names as they stand in the table.
        names: the names of the same columns that `make_distinct` made.
    """
    renamed = [f"{old!r} to {new!r}" for old, new in zip(header, names, strict=True) if old != new]
    if renamed:
        more = f" and {len(renamed) - MAX_LISTED_RENAMES:,} more" if len(renamed) > MAX_LISTED_RENAMES else ""
        listed = ", ".join(renamed[:MAX_LISTED_RENAMES]) + more
        logger.warning("%s: repeated or missing names of columns are changed: %s", without_password(name), listed)


def make_distinct(header: Sequence[str]) -> list[str]:
    """Column names that are all different: an empty name becomes `column_3`, a repeated one `name_2`.

    >>> make_distinct(["text", "", "text", "text_2"])
    ['text', 'column_2', 'text_3', 'text_2']
    """
    taken = set(header)
    seen: set[str] = set()
    next_number: dict[str, int] = {}  # so that thousands of equal names take no quadratic time
    names = []
    for position, name in enumerate(header, 1):
        # Names of the header itself come first: `text_2` in the file is never given to a second `text`
        stem, number = (name, next_number.get(name, 2)) if name else ("column", position)
        new = name if name and name not in seen else f"{stem}_{number}"
        while new != name and new in taken:
            number += 1
            new = f"{stem}_{number}"
        if new != name and name:
            next_number[name] = number + 1
        seen.add(name)
        taken.add(new)
        names.append(new)
    return names
