"""What a check found, in sentences: each a note or a warning with a weight, and numbers in words; knows no data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

WIDTH = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing to know before training."""

    text: str
    """A sentence that stands alone, and holds no text of the data: model folders are published."""
    weight: float
    """The share of rows concerned, or how much it matters beside such a share, from 0 to 1."""
    level: Literal["note", "warning"] = "note"

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        return {"level": self.level, "text": self.text}

    def wrapped(self) -> str:
        """The sentence in lines of 80 columns, the first of which leaves room for the level."""
        indent = " " * len(f"{self.level}: ")
        return "\n".join(wrapped(self.text, indent, "  "))[len(indent) :]


def wrapped(text: str, first: str, others: str) -> list[str]:
    """Lines of 80 columns, the first indented in one way and others in another; a number stays with its `%`."""
    lines = textwrap.wrap(
        text.replace(" %", "\xa0%"),
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0%", " %") for line in lines]


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Warnings before notes, each the heaviest first."""
    return sorted(findings, key=lambda one: (one.level != "warning", -one.weight))


def percent(share: float) -> str:
    """A share as people read it: `12 %`, `1.4 %`, `0.02 %`."""
    digits = 0 if share >= 0.0995 or not share else 1 if share >= 0.00995 else 2
    return f"{100 * share:.{digits}f} %"


def rows(count: int) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def are(count: int, singular: str, plural: str) -> str:
    """The verb that fits a count."""
    return singular if count == 1 else plural
