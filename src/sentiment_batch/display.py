"""Makes any text safe to show, and fits it into the columns of a terminal.

Characters that control a terminal or the text direction become escapes, such as `\\x1b`.
"""

from __future__ import annotations

import shutil
import unicodedata
from typing import TextIO

BLOCK = {"block": True}
"""Pass this as `extra` to log a record of several lines, each already cleaned. Without it, a record is shown in one
line."""
MAX_SHOWN_CHARACTERS = 240
"""Characters of a text that are shown. Of a longer text both ends and the number of characters between are shown."""
DEFAULT_TERMINAL_WIDTH = 80
"""Columns of an output that is no terminal, so that it is the same everywhere."""
MIN_TERMINAL_WIDTH = 60
"""Columns that tables need. A narrower terminal wraps their lines."""


class _Escapes(dict[int, int | str]):
    """A table for `str.translate`. It computes the escape of a code point at its first use."""

    def __missing__(self, point: int) -> int | str:
        self[point] = shown = _escape(point)
        return shown


def escape_controls(text: str) -> str:
    """`text` with an escape for each control character, surrogate and change of text direction.

    Tabs and line feeds stay.
    """
    return text.translate(_Escapes())


def escape_line(text: str) -> str:
    """`text` in one line, as `escape_controls` shows it, with escapes for tabs and line feeds, too."""
    return escape_controls(text).replace("\t", "\\t").replace("\n", "\\n")


def collapse_line(text: str) -> str:
    """`text` in one line, as `escape_controls` shows it. Each run of white space becomes one blank."""
    return escape_controls(" ".join(text.split()))


def shortened(text: str, most: int = MAX_SHOWN_CHARACTERS) -> str:
    """`text` as `escape_controls` shows it, or both its ends if it has more than `most` characters."""
    if len(text) <= most:
        return escape_controls(text)
    half = most // 2
    return f"{escape_controls(text[:half])} [… {len(text) - 2 * half:,} characters …] {escape_controls(text[-half:])}"


def terminal_width(stream: TextIO) -> int:
    """The columns of the terminal that `stream` writes to; `DEFAULT_TERMINAL_WIDTH` if it is no terminal."""
    if not stream.isatty():
        return DEFAULT_TERMINAL_WIDTH
    return max(MIN_TERMINAL_WIDTH, shutil.get_terminal_size((DEFAULT_TERMINAL_WIDTH, 24)).columns)


def fit_text(text: str, max_columns: int) -> str:
    """`text` in one line of at most `max_columns` columns, without control characters."""
    # Ten times the width is enough even if most characters take no column, and a text may have 100 MB
    line = collapse_line(text[: 10 * max_columns])
    if len(text) <= 10 * max_columns and count_columns(line) <= max_columns:
        return line
    taken = 0
    for place, character in enumerate(line):
        taken += _character_columns(character)
        if taken >= max_columns:
            return line[:place] + "…"
    return line + "…"


def pad_text(text: str, columns: int) -> str:
    """`text` in one line, with blanks after it up to `columns` columns."""
    line = collapse_line(text)
    return line + " " * (columns - count_columns(line))


def count_columns(line: str) -> int:
    """The columns that a line takes on a terminal: two for a wide character, none for a mark on another one."""
    if line.isascii():
        return len(line)
    return sum(_character_columns(character) for character in line)


def _character_columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _escape(point: int) -> int | str:
    """The code point, or the escape that shows it."""
    if point in {0x09, 0x0A}:
        return point
    # The codes that change the direction of the text. They could show the characters of a file name in another order.
    turns = 0x202A <= point <= 0x202E or 0x2066 <= point <= 0x2069
    # HTML does not allow code points that will never be characters.
    is_no_character = point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
    if turns or is_no_character or unicodedata.category(chr(point)) in {"Cc", "Cs", "Zl", "Zp"}:
        return chr(point).encode("ascii", "backslashreplace").decode() if point > 0x7F else f"\\x{point:02x}"
    return point
