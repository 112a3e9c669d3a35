"""Gives each column a name of its own."""

from __future__ import annotations

from collections.abc import Sequence


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
