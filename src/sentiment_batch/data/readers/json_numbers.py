"""Parses the numbers of JSON texts, and marks those that a float64 does not hold with all their digits."""

from __future__ import annotations

import decimal

_MAX_QUICK_CHARACTERS = 16
"""A number in so many characters has at most 15 digits beside its point, and a float64 always holds these."""
_SMALLEST_NORMAL = 2.2250738585072014e-308
"""Smaller floats have fewer digits."""


class RoundedFloat(float):
    """The float64 nearest to a number that has more digits, so that only the text of the number holds it."""


def parse_float(text: str) -> float:
    """The number in `text`, which has a point or an exponent; a `RoundedFloat` if digits are lost.

    No digits are lost if the float, rounded to the number of digits of the text, is the same number. So both 0.1 and
    0.10000000000000001, which some programs write for the same float, are exact.

    >>> type(parse_float("0.1234567890123456789")).__name__
    'RoundedFloat'
    """
    value = float(text)
    if len(text) <= _MAX_QUICK_CHARACTERS and abs(value) >= _SMALLEST_NORMAL:
        return value
    # Two quick tests before the slow one with decimals
    if repr(value) == text or f"{value:.17g}" == text:  # as nearly all programs write a float
        return value
    # Round the float, which is an exact binary number, to as many digits as the text has, and compare
    number = decimal.Decimal(text)
    digits = len(number.as_tuple().digits)
    is_exact = decimal.Context(prec=digits).create_decimal_from_float(value) == number
    return value if is_exact else RoundedFloat(value)
