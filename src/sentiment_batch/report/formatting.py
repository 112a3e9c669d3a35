"""Formats numbers and labels for people, for the terminal and for the report page.

Values may be anything that JSON holds. What is no finite number becomes a dash.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from sentiment_batch.display import collapse_line

MISSING = "–"
"""Stands for a number that could not be computed."""
NO_VALUE = "(none)"
"""Stands for a missing value of a column."""
ROWS = "Rows count from 0, without the header."
"""What the numbers in `format_row_location` mean."""


def to_number(value: Any) -> float | None:
    """`value` as a float if it is a finite number, else None; True and False are no numbers."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def format_count(value: Any) -> str:
    """A whole number with commas between the thousands, such as `1,234`."""
    number = to_number(value)
    return MISSING if number is None else f"{number:,.0f}"


def format_quantity(value: Any, noun: str, plural: str | None = None) -> str:
    """A count with its noun, such as `1 row` or `1,234 rows`; `plural` is for nouns that do not just take an s."""
    return f"{format_count(value)} {noun if value == 1 else plural or noun + 's'}"


def format_percent(share: Any, decimals: int = 1) -> str:
    """A share of 1 in percent, such as `12.3 %`."""
    number = to_number(share)
    return MISSING if number is None else f"{_round(number * 100, decimals)} %"


def format_decimal(value: Any, decimals: int = 3) -> str:
    """A number with a fixed number of decimals, such as `0.123`."""
    number = to_number(value)
    return MISSING if number is None else _round(number, decimals)


def format_interval(ends: Any, format_end: Callable[[Any], str]) -> str:
    """An interval from its two ends, such as `90.1 to 92.3 %`; empty if an end is missing."""
    if not isinstance(ends, list | tuple) or len(ends) != 2 or None in (to_number(ends[0]), to_number(ends[1])):
        return ""
    return f"{format_end(ends[0]).removesuffix(' %')} to {format_end(ends[1])}"


def shorten_label(text: Any, max_characters: int = 40) -> str:
    """A label or name in one line of at most `max_characters`, in marks that keep its writing direction to itself."""
    line = collapse_line(str(text)[: 4 * max_characters])
    return f"\u2068{line if len(line) <= max_characters else line[: max_characters - 1].rstrip() + '…'}\u2069"


def quote_label(text: Any) -> str:
    """`shorten_label` in quotation marks, for the middle of a sentence."""
    return f"“{shorten_label(text, 40)}”"


def format_row_location(case: Mapping[str, Any], *, with_file: bool = True) -> str:
    """Where a listed row stands, such as `row 1,234 of reviews.csv (review_id 42)`; empty if that is unknown."""
    if case.get("row") is None:
        return ""
    file = f" of {collapse_line(str(case['file']))}" if with_file and case.get("file") is not None else ""
    known = case.get("id") is not None
    name = f" ({collapse_line(str(case.get('id_column')))[:40]} {collapse_line(str(case['id']))[:60]})" if known else ""
    return f"row {format_count(case['row'])}{file}{name}"


def format_group(group: Mapping[str, object]) -> str:
    """The values of the columns that make a group, such as `books / 2026`."""
    return " / ".join(NO_VALUE if value is None else str(value) for value in group.values())


def _round(value: float, decimals: int) -> str:
    """`value` with that many decimals; adding 0.0 turns a rounded -0.0 into 0.0."""
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"
