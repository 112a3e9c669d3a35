"""Finds out how a CSV is written from a sample of its lines: the delimiter, the blanks, the header."""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sentiment_batch.data.readers.csv_rows import COMMENT, read_records
from sentiment_batch.data.readers.header import (
    MAX_HEADER_ROWS,
    check_header,
    find_data_cell,
    find_header_row,
    list_usual,
)
from sentiment_batch.errors import InputError, listed

DELIMITERS = (",", ";", "\t", "|", "^", "~")
"""The characters that may separate fields, the most likely first."""
NO_DELIMITER = "\udfff"
"""Stands for no delimiter: half a surrogate pair, which occurs in no decoded text."""
_MAX_RECORDS = 1000
"""Largest number of records that are looked at."""
_MIN_SHARE = 0.9
"""Share of the records that have the same number of fields in a file that has a delimiter."""
_MIN_SHARE_OF_FIRST = 0.6
"""Share of the records with as many fields as the first one, if it is data or if a blank follows each delimiter."""
_QUOTED_NAMES = re.compile(r'"[^"]*"( "[^"]*")+\s*$')
"""A header whose names are quoted and separated by blanks, as R writes it."""
_JOINT = re.compile('(?:(?<!")"+)?([,;:|\t\x01\x1f])"*(?! )')  # a long run of quotes is looked at once
"""What may stand between names of columns, but hardly in one name."""
_MIN_RECORDS = 3
"""Number of records from which such a share means something."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CsvSample:
    """The first lines of a CSV, and what the user said about it."""

    name: str
    """What messages call the file."""
    lines: list[str]
    """The lines from the first one, with their line ends."""
    whole: bool
    """True if these are all lines; otherwise the last record may be cut."""
    skip_rows: int = 0
    """Number of lines to skip."""
    comment: str | None = None
    """The first character of comments."""
    header: bool | None = None
    """True or False if the user said whether there is a header."""

    def find_delimiter(self, dialect: dict[str, Any]) -> str:
        """The delimiter, or `NO_DELIMITER` for a file of one column.

        Args:
            dialect: the other arguments of `csv.reader`.
        """
        # The header decides: most records must have as many fields as it has names.
        rate, candidates, least = self._rate_below_header, [*DELIMITERS, " "], sys.float_info.min
        if self.header is False:
            # Where two fit, the comma is the decimal comma or one of a text.
            rate, candidates, least = self._rate_without_header, list(reversed(DELIMITERS)), _MIN_SHARE_OF_FIRST
        # `max` returns the first of equal rates, so the order of the candidates decides.
        dialects = [{**dialect, "delimiter": one} for one in candidates]
        found = max(dialects, key=rate)
        return NO_DELIMITER if rate(found) < least or self._is_prose(found) else str(found["delimiter"])

    def refuse_drawn_table(self) -> None:
        """Refuse a table that is drawn with lines of dashes, as programs show it to people.

        Raises:
            InputError: one of the first two lines is such a line: `+---+---+`, `---+---` or `|---|---|`.
        """
        for line, text in enumerate(self.lines[self.skip_rows : self.skip_rows + 2], self.skip_rows + 1):
            if "--" in text and set("|+") & set(text) and set(text) <= set("|+-: \r\n"):
                raise InputError(
                    f"{self.name}, line {line:,}: this is a table drawn with lines of dashes, as psql, mysql and "
                    "Markdown show it. Let the program export CSV or tab-separated text instead. If the dashes are "
                    "part of a text, name the `delimiter`, or say with `header` whether the first line is a header."
                )

    def find_blanks(self, dialect: dict[str, Any]) -> bool:
        """True if blanks stand between delimiters and quotes, so that they have to be skipped."""
        if dialect["quoting"] == csv.QUOTE_NONE or dialect["delimiter"] in (NO_DELIMITER, " "):
            return False
        # Read the sample both ways. Skipping blanks must change cells, and must not break records.
        skipping = {**dialect, "skipinitialspace": True}
        records, broken = self.read(skipping)
        without = dict(records)
        # A cell that is quoted as a whole may begin with a blank and a quote, too. It stays as it is.
        changed = any(
            cell not in without.get(line, ())
            for line, row in self.read(dialect)[0]
            for cell in row[1:]
            if re.match(' +"', cell)
        )
        return changed and not broken and self._rate(skipping, 0) >= self._rate(dialect, 0)

    def check_escapes(self, dialect: dict[str, Any]) -> None:
        """Check that no backslashes escape quotes and delimiters, unless the user named them.

        Raises:
            InputError: the records fit only if backslashes are escapes.
        """
        if dialect.get("escapechar") or not any("\\" in line for line in self.lines):
            return
        # Read the sample both ways. Only if the plain way breaks records and the other does not, they are escapes.
        plain, broken = self.read(dialect)
        escaped, still_broken = self.read({**dialect, "escapechar": "\\"})
        widths = {len(row) for _, row in escaped if row}
        if still_broken or len(widths) > 1 or not (broken or len({len(row) for _, row in plain if row}) > 1):
            return
        first = next(
            (line for at, (line, row) in enumerate(escaped) if at >= len(plain) or plain[at][1] != row), escaped[0][0]
        )
        raise InputError(
            f"{self.name}, line {first:,}: backslashes stand before quotes or delimiters that are part of a cell. Read "
            'the file with `escape="\\\\"`.'
        )

    def check_header(self, dialect: dict[str, Any], *, others: bool) -> tuple[int, int]:
        """Check that the first record names the columns.

        Args:
            dialect: the arguments of `csv.reader`.
            others: True if the file may have another delimiter than the first record shows.

        Returns:
            How many names are missing before the first one and after the last one: (0, 0), (1, 0) or (0, 1).

        Raises:
            InputError: the first record looks like data, or like a title above the header.
        """
        # Give the names that R and other programs leave out an empty place, so that all rows are equally wide.
        rows = self._number_rows(dialect)
        before, after = self._count_unnamed(dialect)
        rows = [(line, [""] * before + row + [""] * after) for line, row in rows[:1]] + rows[1:]
        # A first record that agrees with few rows may be a title. Then it shows a wrong delimiter.
        unlike = dialect["delimiter"] == NO_DELIMITER or self._rate(dialect, 1, first=True) < 0.5
        if others and unlike and not before + after:
            # Is there a delimiter by which a later row is the header, and the rows below agree with it?
            for delimiter in DELIMITERS:
                candidate = {**dialect, "delimiter": delimiter}
                numbered = self._number_rows(candidate)
                found = find_header_row([row for _, row in numbered])
                if found and self._rate(candidate, found) >= _MIN_SHARE:
                    rows = numbered
                    break
            else:
                # There is none. Then the first record may be a title, several names in one field, or data.
                self._refuse_collapse(dialect)
                if [len(row) for _, row in rows[:1]] == [1]:
                    self._refuse_joined(rows[0][0], rows[0][1][0])
                whole = self._number_rows({**dialect, "delimiter": NO_DELIMITER})
                rows = whole if find_data_cell([row for _, row in whole]) else rows
        check_header(self.name, [row for _, row in rows], [line for line, _ in rows])
        return before, after

    def read(self, dialect: dict[str, Any]) -> tuple[list[tuple[int, list[str]]], bool]:
        """The records with the numbers of their first lines, and True if a quote is wrong.

        Blank lines and comments are left out, and so is a last record that may be cut.
        """
        reader = read_records(self.lines, dialect, skip_rows=self.skip_rows, comment=self.comment)
        records: list[tuple[int, list[str]]] = []
        begin = reader.line_num + 1
        try:
            for row in reader:
                if row and row is not COMMENT:
                    records.append((begin, row))
                if len(records) > _MAX_RECORDS:
                    return records, False
                begin = reader.line_num + 1
        except csv.Error as error:
            # A quote that is still open at the end is no fault if the sample was cut there.
            return records, self.whole or "unexpected end" not in str(error)
        return (records if self.whole or len(records) < 2 else records[:-1]), False

    def _count_unnamed(self, dialect: dict[str, Any]) -> tuple[int, int]:
        """What `check_header` returns: R does not name the numbers of rows, and others end rows with a delimiter."""
        # Both programs write a header that is one field shorter than every row below it.
        header, *rows = [row for _, row in self.read(dialect)[0]] or [[]]
        if len(rows) < _MIN_RECORDS or any(len(row) != len(header) + 1 for row in rows):
            return 0, 0
        if not any(row[-1].strip() for row in rows):
            return 0, 1
        # A comma of a sentence makes one more field, too. Most have a blank behind them, or the numbers have a name.
        prose = header[0].casefold() in ("", "id", "index") or any(cell.startswith(" ") for row in rows for cell in row)
        numbers = {row[0] for row in rows if row[0].isdecimal()}
        return int(len(numbers) == len(rows) and not prose), 0

    def _rate_without_header(self, dialect: dict[str, Any]) -> float:
        return self._rate({**dialect, "skipinitialspace": self.find_blanks(dialect)}, 0)

    def _rate_below_header(self, dialect: dict[str, Any]) -> float:
        """The share of records that have the header's number of fields; 0 if this cannot be the delimiter."""
        records, broken = self.read(dialect)
        # A broken first record shows nothing but whether this character occurs in it.
        if broken and not records:
            return float(dialect["delimiter"] in "".join(self.lines[self.skip_rows : self.skip_rows + 1]).strip())
        widths = [len(row) for _, row in records] + [0] * broken
        if not records or widths[0] < 2:
            return 0.0
        header = self.lines[records[0][0] - 1]
        # Every sentence holds blanks. They are delimiters only between quoted names.
        if dialect["delimiter"] == " " and not _QUOTED_NAMES.match(header):
            return 0.0
        # The comma in the header of a single column, such as "Comments, if any", is not a delimiter.
        if f"{dialect['delimiter']} " in header and widths[1:].count(1) * 2 > len(widths) - 1:
            return 0.0
        return widths.count(widths[0]) / len(widths)

    def _number_rows(self, dialect: dict[str, Any]) -> list[tuple[int, list[str]]]:
        return self.read(dialect)[0][: MAX_HEADER_ROWS + 1]

    def _is_prose(self, dialect: dict[str, Any]) -> bool:
        """True if the first record looks like a sentence with commas, and other records have other numbers of them."""
        records, _ = self.read(dialect)
        first = records[0][1] if records else []
        spaced = len(first) > 1 and all(cell.startswith(" ") for cell in first[1:])
        return spaced and self._rate({**dialect, "skipinitialspace": True}, 1, first=True) < _MIN_SHARE_OF_FIRST

    def _rate(self, dialect: dict[str, Any], start: int, *, first: bool = False) -> float:
        """The share of the records from number `start` on with the most frequent number of fields, if this is above 1.

        Args:
            dialect: the arguments of `csv.reader`.
            start: number of records that are left out.
            first: count the records with as many fields as the first one instead.
        """
        numbered, broken = self.read(dialect)
        records = [row for _, row in numbered]
        widths = Counter(map(len, records[start:]))
        if not widths:
            return 0.0 if broken else 1.0
        width, count = (len(records[0]), widths[len(records[0])]) if first else widths.most_common(1)[0]
        share = count / widths.total()
        if first or width < 2:
            return share if width > 1 else 0.0
        # The comma of a sentence is followed by a blank.
        spaced = sum(any(cell.startswith(" ") for cell in row[1:]) for row in records)
        if spaced * 2 <= len(records):
            return share
        # A blank after each delimiter is believed only if all of several records agree, and then less than others.
        return 0.8 if share == 1 and len(records) >= 5 else 0.0

    def _refuse_joined(self, line: int, cell: str) -> None:
        """Refuse a file whose only name looks like several names with a character between them."""
        found = _JOINT.findall(cell)
        if not found or len(list_usual(_JOINT.split(cell.strip('"')))) < 2:
            return
        cure = f"Name the character between them with `delimiter{f'={found[0]!r}' if found[0].isprintable() else ''}`"
        if found[0] in DELIMITERS:
            cure = "Remove the quotes around each whole line, and halve those inside"
        raise InputError(
            f"{self.name}: line {line} is one field, but {listed([cell])} looks like the names of several columns. "
            f"{cure}, or say that it names the only column with `header=True`."
        )

    def _refuse_collapse(self, dialect: dict[str, Any]) -> None:
        """Refuse a file whose first record has one field, while all others agree on a delimiter."""
        for delimiter in DELIMITERS:
            candidate = {**dialect, "delimiter": delimiter}
            rows = self._number_rows(candidate)
            if len(rows) <= _MIN_RECORDS or len(rows[0][1]) > 1 or self._rate(candidate, 1) < _MIN_SHARE:
                continue
            width = Counter(len(row) for _, row in rows[1:]).most_common(1)[0][0]
            raise InputError(
                f"{self.name}: line {rows[0][0]} is one field, but most lines below have {width} fields separated by "
                f"{delimiter!r}. Skip it with `skip_rows={rows[1][0] - 1}`, or say that it names the only column with "
                "`header=True`."
            )
