"""Detects the delimiter of a CSV in a sample of its lines."""

from __future__ import annotations

import csv
from typing import Any

DELIMITERS = (",", ";", "\t", "|", "^", "~")
"""The characters that may separate fields, the most likely first."""
NO_DELIMITER = "\udfff"
"""Stands for no delimiter: half a surrogate pair, which occurs in no decoded text."""


def detect_delimiter(lines: list[str], dialect: dict[str, Any], *, whole: bool) -> str:
    """The delimiter of a CSV that begins with `lines`; `NO_DELIMITER` if it has one column.

    Only characters that occur in the header are considered. If there are several, the one is chosen with which most
    records have as many fields as the header.

    Args:
        lines: the first lines, with their line ends.
        dialect: the other arguments of `csv.reader`.
        whole: True if these are all lines; otherwise the last record may be cut.
    """
    rated = [(_rate_agreement(lines, candidate, dialect, whole), candidate) for candidate in DELIMITERS]
    return max(rated, key=lambda pair: pair[0])[1] if any(rate for rate, _ in rated) else NO_DELIMITER


def _rate_agreement(lines: list[str], delimiter: str, dialect: dict[str, Any], whole: bool) -> float:
    """The share of records that have the header's number of fields; 0 if this cannot be the delimiter."""
    widths = _count_fields(lines, delimiter, dialect, whole)
    if not widths or widths[0] < 2:
        return 0.0
    header, records = widths[0], widths[1:]
    # The comma in the header of a single column, such as "Comments, if any", is not a delimiter.
    if f"{delimiter} " in lines[0] and records.count(1) * 2 > len(records):
        return 0.0
    return (1 + records.count(header)) / (1 + len(records))


def _count_fields(lines: list[str], delimiter: str, dialect: dict[str, Any], whole: bool) -> list[int]:
    """The number of fields of each record that is not blank; 0 for a record with wrong quotes."""
    records = filter(None, csv.reader(lines, delimiter=delimiter, **dialect))
    widths: list[int] = []
    try:
        for row in records:
            widths.append(len(row))
            if widths[0] < 2:
                return widths  # the header does not hold the delimiter, so the rest does not matter
    except csv.Error as error:
        cut = not whole and "unexpected end" in str(error)
        return widths if cut else [*(widths or [1 + lines[0].count(delimiter)]), 0]
    return widths if whole or len(widths) < 2 else widths[:-1]
