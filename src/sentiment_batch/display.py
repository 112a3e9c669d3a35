"""Makes any text safe to show: what would steer a terminal, or turn text around, becomes a sign that can be seen."""

from __future__ import annotations

import unicodedata

SHOWN = 240
"""Characters of a piece that are shown; of a longer one both ends are, and how many stand between."""


class _Signs(dict[int, int]):
    """For `str.translate`: each code point's own sign, found when it is first met."""

    def __missing__(self, point: int) -> int:
        self[point] = sign = _sign(point)
        return sign


def visible(text: str) -> str:
    """`text` with a sign for each control character but tab and line feed, each surrogate and each turn of direction.

    It is as long as before.
    """
    return text.translate(_Signs())


def one_line(text: str) -> str:
    """`text` as `visible` has it, in one line: each run of white space is a blank."""
    return visible(" ".join(text.split()))


def shortened(text: str, most: int = SHOWN) -> str:
    """`text`, or both its ends where it is longer than `most`, as `visible` has them."""
    if len(text) <= most:
        return visible(text)
    half = most // 2
    return f"{visible(text[:half])} [… {len(text) - 2 * half:,} characters …] {visible(text[-half:])}"


def _sign(point: int) -> int:
    if point in {0x09, 0x0A}:
        return point
    if point < 0x20:
        return 0x2400 + point  # the Unicode pictures of control characters
    if point == 0x7F:
        return 0x2421
    if point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF:
        return 0xFFFD  # no characters, which HTML does not allow
    turns = 0x202A <= point <= 0x202E or 0x2066 <= point <= 0x2069
    return 0xFFFD if turns or unicodedata.category(chr(point)) in {"Cc", "Cs", "Zl", "Zp"} else point
