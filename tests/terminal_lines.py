"""What every line on a terminal must be: narrow enough, and without characters that steer it."""

from __future__ import annotations

import unicodedata


def width(line: str) -> int:
    """The columns that a line takes on a terminal."""
    return sum(
        0 if unicodedata.category(sign) in {"Mn", "Me", "Cf"} else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in line
    )


def check_lines(text: str, most: int = 80) -> None:
    """Assert that a text fits a terminal of `most` columns and cannot steer it."""
    for line in text.split("\n"):
        assert width(line) <= most, line
        assert not any(unicodedata.category(sign) in {"Cc", "Zl", "Zp"} for sign in line)
        assert "\u202e" not in line
