"""What a data check finds: notes and warnings in plain sentences, with the words for shares and lists of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sentiment_batch.report.formatting import format_percent

MAX_NAMED = 5
"""Names in a sentence."""
MIN_LEAK_SHARE = 0.01
"""Share of the rows of a file that is also trained on from which on this is a warning; less changes figures less."""
TOO_GOOD = "Figures that they measure may be too good."


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing to know before training."""

    text: str
    """One or two sentences: what was found, where, and what to do. They hold no text of the data, because model folders
    are published."""
    weight: float
    """How much the finding matters, from 0 to 1: the share of the rows that it concerns, or what compares to that."""
    level: Literal["note", "warning"] = "note"

    def to_json(self) -> dict[str, str]:
        """The level and the text as plain values, for JSON."""
        return {"level": self.level, "text": self.text}


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Warnings before notes, each with the largest weight first."""
    return sorted(findings, key=lambda one: (one.level != "warning", -one.weight))


def format_share(share: float) -> str:
    """A share with two or three digits, such as `12 %`, `1.4 %` or `0.02 %`."""
    return format_percent(share, 0 if share >= 0.0995 or not share else 1 if share >= 0.00995 else 2)


def join_names(names: Sequence[str], max_names: int = MAX_NAMED) -> str:
    """The first names, joined by commas, and how many more there are."""
    more = f" and {len(names) - max_names:,} more" if len(names) > max_names else ""
    return ", ".join(names[:max_names]) + more
