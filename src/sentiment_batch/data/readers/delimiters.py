"""Finds the character between the fields of a CSV in a sample of its lines; it reads no files."""

from __future__ import annotations

import csv
from typing import Any

DELIMITERS = (",", ";", "\t", "|")
"""What may separate fields, the likeliest first."""
NO_DELIMITER = "\udfff"
"""Stands for no delimiter at all: half a surrogate pair, which no decoded text can hold."""


def detect_delimiter(lines: list[str], dialect: dict[str, Any], *, whole: bool) -> str:
    """The delimiter of a CSV that begins with `lines`; `NONE` where it has one column.

    The header decides: only what occurs in it is considered. Among several the one is taken with which most records
    have as many fields as the header.

    Args:
        lines: the first lines, with their ends.
        dialect: what `csv.reader` is told beside the delimiter.
        whole: whether these are all lines; otherwise the last record may be cut short.
    """
    rated = [(_agreement(lines, candidate, dialect, whole), candidate) for candidate in DELIMITERS]
    return max(rated, key=lambda pair: pair[0])[1] if any(rate for rate, _ in rated) else NO_DELIMITER


def _agreement(lines: list[str], delimiter: str, dialect: dict[str, Any], whole: bool) -> float:
    """The share of records that have the header's number of fields; 0 where this cannot be the delimiter."""
    widths = _widths(lines, delimiter, dialect, whole)
    if not widths or widths[0] < 2:
        return 0.0
    header, records = widths[0], widths[1:]
    # A title such as "Comments, if any" over a single column: the records do not know the comma as a delimiter.
    if f"{delimiter} " in lines[0] and records.count(1) * 2 > len(records):
        return 0.0
    return (1 + records.count(header)) / (1 + len(records))


def _widths(lines: list[str], delimiter: str, dialect: dict[str, Any], whole: bool) -> list[int]:
    """The number of fields of each record that is not blank; 0 for one that breaks the rules of quoting."""
    records = filter(None, csv.reader(lines, delimiter=delimiter, **dialect))
    widths: list[int] = []
    try:
        for row in records:
            widths.append(len(row))
            if widths[0] < 2:
                return widths  # not in the header, so the rest does not matter
    except csv.Error as error:
        cut = not whole and "unexpected end" in str(error)
        return widths if cut else [*(widths or [1 + lines[0].count(delimiter)]), 0]
    return widths if whole or len(widths) < 2 else widths[:-1]
