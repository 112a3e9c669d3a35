"""Star ratings and other numeric scales: which ranges of numbers mean which label, and how a user names them."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sentiment_batch.display import escape_controls
from sentiment_batch.errors import UsageError
from sentiment_batch.labels.values import parse_number

STAR_RANGES = {
    ("negative", "positive"): {5: "negative=1-2,positive=4-5", 10: "negative=1-4,positive=7-10"},
    ("negative", "neutral", "positive"): {
        5: "negative=1-2,neutral=3,positive=4-5",
        10: "negative=1-4,neutral=5-6,positive=7-10",
    },
    ("very negative", "negative", "neutral", "positive", "very positive"): {
        5: "very negative=1,negative=2,neutral=3,positive=4,very positive=5",
        10: "very negative=1-2,negative=3-4,neutral=5-6,positive=7-8,very positive=9-10",
    },
}
"""The meaning of stars for models with these labels, by the top of the scale. Stars in no range are left out."""
DEFAULT_STAR_RANGES = STAR_RANGES["negative", "positive"]
"""The meaning of stars in training."""
PROMOTER_RANGES = {
    ("negative", "positive"): "negative=0-6,positive=9-10",
    ("negative", "neutral", "positive"): "negative=0-6,neutral=7-8,positive=9-10",
}
"""The meaning of a net promoter score: detractors up to 6, promoters from 9 on (Reichheld 2003)."""
_PROMOTER_COLUMN = re.compile(r"(?<![a-z])nps(?![a-z])|promoter")
_STAR_COLUMNS = ("star", "rating", "score", "rate", "overall", "grade", "bewertung", "puan", "voto", "puntu", "рейтинг")
"""Parts of the names of columns whose integers are stars."""
USUAL_ENDS = ((0, 1), (-1, 1), (0, 100), (-100, 100))
"""The ends of scales that are divided finely, such as shares and percent; the shortest first."""
MAX_STEPS = 10
"""Largest length of a scale that is cut between two of its integers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StarRange:
    """A range of numbers with one meaning."""

    label: str
    """The label of all numbers in the range."""
    low: float
    """The lowest number of the range, which may be -inf."""
    high: float
    """The highest number of the range, which may be inf."""

    def __str__(self) -> str:
        return f"{self.words} -> {self.label}"

    @property
    def words(self) -> str:
        """The numbers of the range in words."""
        if math.isinf(self.low):
            return f"up to {self.high:g}"
        if math.isinf(self.high):
            return f"{self.low:g} and more"
        return f"{self.low:g}{'' if self.low == self.high else f'-{self.high:g}'}"


def parse_stars(text: str) -> tuple[StarRange, ...]:
    """The star ranges of a user's `stars`, in ascending order.

    `2,4` means at most 2 is negative, and at least 4 is positive. Ranges are written as
    `negative=1-2,neutral=3,positive=4-5`. Codes may have any order, as in `negative=2,neutral=0,positive=1`.

    Raises:
        UsageError: `text` has neither form.
    """
    # Two numbers are cut points, anything else must be ranges
    parts = [part.strip() for part in text.split(",")]
    numbers = [parse_number(part) for part in parts]
    if len(parts) == 2 and numbers[0] is not None and numbers[1] is not None and numbers[0] < numbers[1]:
        return (
            StarRange(label="negative", low=-math.inf, high=numbers[0]),
            StarRange(label="positive", low=numbers[1], high=math.inf),
        )
    ranges = [_parse_range(part) for part in parts]
    ordered = sorted((one for one in ranges if one), key=lambda one: one.low)
    overlap = any(left.high >= right.low for left, right in itertools.pairwise(ordered))
    if None in ranges or overlap or len({one.label for one in ordered}) < 2:
        raise UsageError(
            f"`stars` is {text!r}, which cannot be read. Give two cut points such as 2,4 (at most 2 is negative, at "
            "least 4 positive), or ranges that do not overlap such as negative=1-2,neutral=3,positive=4-5."
        )
    return tuple(ordered)


def _parse_range(part: str) -> StarRange | None:
    """The range in a text such as `neutral=5-6` or `neutral=3`; None if it holds none."""
    found = re.fullmatch(r"([^=]+)=\s*(-?[\d.]+)(?:\s*-\s*(-?[\d.]+))?", part)
    if not found:
        return None
    low, high = parse_number(found[2]), parse_number(found[3] or found[2])
    if low is None or high is None or high < low:
        return None
    return StarRange(label=found[1].strip(), low=low, high=high)


def is_star_column(column: str) -> bool:
    """True if the column's name says that its integers are stars, where they could also be class numbers."""
    return any(name in column.casefold() for name in _STAR_COLUMNS)


def is_promoter_score(column: str, top: float) -> bool:
    """True if the column's name says that its numbers up to `top` are answers to a net promoter question."""
    return top == 10 and _PROMOTER_COLUMN.search(column.casefold()) is not None


def suggest_meaning(numbers: Iterable[float]) -> str:
    """A suggestion for `stars` that keeps the middle of the scale apart.

    Two or three numbers have one label each. A longer scale is cut around its middle, which is left out.
    """
    ordered = sorted(numbers)
    labels = {2: ("negative", "positive"), 3: ("negative", "neutral", "positive")}.get(len(ordered))
    if labels:
        return ",".join(f"{label}={number:g}" for label, number in zip(labels, ordered, strict=True))
    low, high = _find_ends(ordered[0], ordered[-1])
    # `apart` is half of what is left out: a fifth of the scale, or on a short one of integers one or more of them
    span = high - low
    apart = 0.1 * span
    if all(number.is_integer() for number in ordered) and span <= MAX_STEPS:
        apart = 1 if span % 2 == 0 else 0.5 if span == 3 else 1.5
    return f"{low + span / 2 - apart:g},{low + span / 2 + apart:g}"


def _find_ends(low: float, high: float) -> tuple[float, float]:
    """The likely ends of a scale whose lowest and highest number are known."""
    # Shares, percent and the like seldom reach both ends. Wine points from 80 to 100 do not use the scale as a whole.
    for start, end in USUAL_ENDS:
        if start <= low and high <= end and (high - low) * 2 > end - start:
            return start, end
    # With numbers of both signs, 0 is the middle, even if one end occurs in no row
    furthest = max(high, -low)
    return (-furthest, furthest) if low < 0 < high else (low, high)


def number_labels(labels: Sequence[str], numbers: Sequence[str] = ()) -> str:
    """A suggestion for `stars` that gives each of `labels` one of the `numbers` or ranges, if there are as many.

    Else they are numbered from 0.
    """
    fit = len(numbers) == len(labels) and not any(" " in number for number in numbers)  # in words: "up to 2"
    places = numbers if fit else range(len(labels))
    return escape_controls(",".join(f"{label}={place}" for label, place in zip(labels, places, strict=True)))


def format_setting(value: str, setting: str = "stars") -> str:
    """A setting with its value as messages show it."""
    return f"`{setting}={json.dumps(value, ensure_ascii=False)}`"
