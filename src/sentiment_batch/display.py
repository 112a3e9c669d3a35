"""Makes any text safe to show: characters that control a terminal or the text direction become visible signs."""

from __future__ import annotations

import unicodedata

MAX_SHOWN_CHARACTERS = 240
"""Characters of a text that are shown. Of a longer text both ends and the number of characters between are shown."""


class _Signs(dict[int, int]):
    """A table for `str.translate` that finds the sign of a code point when it is first used."""

    def __missing__(self, point: int) -> int:
        self[point] = sign = _sign(point)
        return sign


def visible(text: str) -> str:
    """`text` with a sign for each control character, surrogate and change of text direction. Its length stays the same.

    Tabs and line feeds stay.
    """
    return text.translate(_Signs())


def one_line(text: str) -> str:
    """`text` in one line, as `visible` shows it. Each run of white space becomes one blank."""
    return visible(" ".join(text.split()))


def shortened(text: str, most: int = MAX_SHOWN_CHARACTERS) -> str:
    """`text` as `visible` shows it, or both its ends if it has more than `most` characters."""
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
