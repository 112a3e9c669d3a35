"""Numbers as a page shows them: any JSON value in, text out; what is no finite number is a dash."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

NONE = "–"
"""Stands for a number that could not be computed."""


def number(value: Any) -> float | None:
    """`value` if it is a finite number, else None."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def count(value: Any) -> str:
    """A whole number with commas between the thousands."""
    found = number(value)
    return NONE if found is None else f"{found:,.0f}"


def rows(value: Any) -> str:
    """That many rows, in words."""
    return "1 row" if value == 1 else f"{count(value)} rows"


def percent(value: Any, digits: int = 1) -> str:
    """A share of 1 in percent."""
    found = number(value)
    return NONE if found is None else f"{_no_minus_zero(found * 100, digits)}%"


def decimal(value: Any, digits: int = 3) -> str:
    """A number with a fixed number of decimals."""
    found = number(value)
    return NONE if found is None else _no_minus_zero(found, digits)


def span(pair: Any, form: Callable[[Any], str]) -> str:
    """An interval from its two ends, nothing where one is missing."""
    if not isinstance(pair, list | tuple) or len(pair) != 2 or None in (number(pair[0]), number(pair[1])):
        return ""
    return f"{form(pair[0]).removesuffix('%')} to {form(pair[1])}"


def _no_minus_zero(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:,.{digits}f}"
