"""Reads the records of a CSV without skipped lines and comments, in chunks of rows, and repairs or refuses bad ones."""

from __future__ import annotations

import csv
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sentiment_batch.data.readers.base import MAX_ROWS_PER_BATCH
from sentiment_batch.data.readers.csv_errors import READ_ESCAPED, TEXT_AFTER_QUOTE, describe_error, explain_malformed
from sentiment_batch.data.readers.text import MAX_BATCH_CHARACTERS, Lines, TextFile
from sentiment_batch.errors import InputError

MAX_CELLS_PER_BATCH = 1 << 22
"""Largest number of cells of a batch, so that a batch of very many columns has fewer rows."""
_BLANKS_BEFORE_QUOTE = re.compile(' +"')
COMMENT: list[str] = []
"""Stands for a comment among the records. A blank line is an equal list, but another one."""


def read_records(
    lines: Iterable[str], dialect: dict[str, Any], *, skip_rows: int = 0, comment: str | None = None
) -> Any:
    """An iterator over the records of a CSV. Its `line_num` is the number of the last line that was read, from 1.

    Args:
        lines: the lines from the first one, with their line ends.
        dialect: the arguments of `csv.reader`.
        skip_rows: number of lines to skip.
        comment: the first character of comments. Each one becomes a record that is `COMMENT`.
    """
    # Skipped lines are replaced by blank ones, so that `line_num` of the reader still counts them.
    stream = iter(lines)
    skipped = ["\n" for _ in itertools.islice(stream, skip_rows)]
    stream = itertools.chain(skipped, stream)
    if dialect.get("escapechar"):
        stream = (protect_escapes(line, dialect) for line in stream)
    records = csv.reader(stream, **dialect) if comment is None else _CommentedRecords(stream, dialect, comment)
    for _ in skipped:
        next(records)
    return records


def protect_escapes(line: str, dialect: dict[str, Any]) -> str:
    r"""Double each escape character that escapes nothing, because `csv.reader` would drop it.

    >>> protect_escapes("\\N,C:\\new,\\,", {"escapechar": "\\", "delimiter": ","})
    '\\\\N,C:\\\\new,\\,'
    """
    escape, delimiter = dialect["escapechar"], dialect["delimiter"]
    if escape not in line:
        return line
    special = re.escape(f'{escape}{delimiter}"\r\n')
    return re.sub(f"{re.escape(escape)}([{special}]?)", lambda found: found[0] if found[1] else escape * 2, line)


@dataclass(kw_only=True, slots=True)
class Chunk:
    """Consecutive rows, and the lines on which they stand."""

    first: int
    """The number of the first line in the file, counted from 1."""
    rows: list[list[str]] = field(default_factory=list)
    """The cells of each row."""
    ends: list[int] = field(default_factory=list)
    """The number of the last line of each row."""
    blanks: dict[int, int] = field(default_factory=dict)
    """The number of the last blank line before a row, by row; only rows after a blank line have one."""
    reasons: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What is wrong with the bad rows, by row."""

    def begin(self, row: int) -> int:
        """The number of the first line of a row; also of the row that will be added next."""
        # A row begins below the last blank line before it, else below the row before it.
        before = self.blanks.get(row) or (self.ends[row - 1] if row else self.first - 1)
        return before + 1

    def add(self, row: list[str], end: int) -> None:
        """Add a row that ends in line `end`."""
        self.rows.append(row)
        self.ends.append(end)


class CsvRows:
    """Reads the rows of a file once, in chunks of bounded rows, cells and characters.

    If `lines` holds its lines, bad rows are repaired and the chunk holds the reasons. Otherwise they are errors.

    Args:
        reader: a `csv.reader` that has read the header.
        lines: the lines that it reads.
        text: the file with these lines.
        name: what messages call the file.
        first: what messages call the row that has the right width.
        width: its number of fields.
        dialect: the arguments of the `csv.reader`.
    """

    def __init__(
        self, reader: Any, lines: Lines, *, text: TextFile, name: str, first: str, width: int, dialect: dict[str, Any]
    ) -> None:
        self._reader = reader
        self._lines = lines
        self._text = text
        self._name = name
        self._first = first
        self._width = width
        self._dialect = dialect
        self._max_rows = max(1, min(MAX_ROWS_PER_BATCH, MAX_CELLS_PER_BATCH // self._width))

    def __iter__(self) -> Iterator[Chunk]:
        more = True
        while more:
            self._lines.start_batch()
            chunk = Chunk(first=self._reader.line_num + 1)
            more = self._fill(chunk)
            if chunk.rows:
                yield chunk

    def _fill(self, chunk: Chunk) -> bool:
        """Read until `chunk` is full. False if the file ended before."""
        while True:
            # A `csv.reader` can be used after an error. It then continues with the next line.
            try:
                return self._read_into(chunk)
            except csv.Error as error:
                self._repair_quotes(chunk, error)
            if len(chunk.rows) >= self._max_rows or self._lines.characters >= MAX_BATCH_CHARACTERS:
                return True

    def _read_into(self, chunk: Chunk) -> bool:
        # This loop runs once for each row, so good rows take the shortest path through it.
        reader, lines, width = self._reader, self._lines, self._width
        max_rows, max_characters = self._max_rows, MAX_BATCH_CHARACTERS
        rows, add, end = chunk.rows, chunk.rows.append, chunk.ends.append
        for row in reader:
            if len(row) == width:
                add(row)
                end(reader.line_num)
            elif not row and width == 1 and row is not COMMENT:
                chunk.add([""], reader.line_num)  # a blank line is an empty value of a single column
            elif len(row) > 1 or any(map(str.strip, row)):  # a line of blanks alone is no row
                chunk.add(self._repair_width(chunk, row), reader.line_num)
            else:
                chunk.blanks[len(rows)] = reader.line_num
            if len(rows) >= max_rows or lines.characters >= max_characters:
                return True
        return False

    def _repair_width(self, chunk: Chunk, row: list[str]) -> list[str]:
        """A row of the wrong width with empty cells added, or without its last cells."""
        at, last = len(chunk.rows), self._reader.line_num
        begin = chunk.begin(at)
        reason = f"{len(row):,} field{'s' * (len(row) != 1)} where the {self._first} has {self._width:,}"
        if last > begin:
            reason += f", in a record that goes on to line {last:,}"
        # No lines are held if the user wants an error for each bad row. The likely cause decides which cure is named.
        if self._lines.held is None:
            cure = (
                "Put quotes around cells that hold the delimiter or a line break, name the right delimiter with "
                "`delimiter`"
            )
            if any(cell.endswith("\\") for cell in row[:-1]) and not self._dialect["escapechar"]:
                cure = f"If a backslash before a delimiter makes it part of the cell, {READ_ESCAPED}"
            elif any(_BLANKS_BEFORE_QUOTE.match(cell) for cell in row[1:]):
                cure = "Remove the blanks between delimiters and quotes"
            raise InputError(
                f'{self._name}, line {begin:,}: {reason}. {cure}, or keep such rows with `on_bad_row="mark"`.'
            )
        chunk.reasons[at].append(reason)
        return row[: self._width] + [""] * (self._width - len(row))

    def _repair_quotes(self, chunk: Chunk, error: csv.Error) -> None:
        """Read the line at which the reader stopped again, without strict quoting."""
        at, last = len(chunk.rows), self._reader.line_num
        begin = chunk.begin(at)
        # A record over several lines is not repaired, because one wrong quote may swallow half of the file.
        if self._lines.held is None or TEXT_AFTER_QUOTE not in describe_error(error) or last != begin:
            raise explain_malformed(error, self._name, begin, last, self._text) from error
        # A reader that is not strict keeps the text after a closing quote as part of the cell.
        line = self._lines.held[begin - chunk.first]
        line = protect_escapes(line, self._dialect) if self._dialect["escapechar"] else line
        loose = csv.reader(iter([line, ""]), **{**self._dialect, "strict": False})
        row = next(loose)
        if loose.line_num > 1:  # it also took the empty line, so a quote is still open at the end of the first one
            raise explain_malformed(csv.Error("unexpected end"), self._name, begin, last, self._text) from error
        chunk.reasons[at].append(TEXT_AFTER_QUOTE)
        chunk.add(row if len(row) == self._width else self._repair_width(chunk, row), last)


class _CommentedRecords:
    """The records of a CSV with comments. A line inside a quoted cell is no comment, whatever it begins with."""

    def __init__(self, lines: Iterator[str], dialect: dict[str, Any], comment: str) -> None:
        self.line_num = 0
        self._lines = lines
        self._comment = comment
        # Only `__next__` knows where a record begins, so it tests the first line and passes it on through `_first`.
        # The other lines of the record are taken by `_feed` without this test.
        self._first: list[str] = []
        self._records = csv.reader(self._feed(), **dialect)

    def __iter__(self) -> _CommentedRecords:
        return self

    def __next__(self) -> list[str]:
        line = next(self._lines)
        self.line_num += 1
        if line.startswith(self._comment):
            return COMMENT
        self._first.append(line)
        return next(self._records)

    def _feed(self) -> Iterator[str]:
        while True:
            if self._first:
                yield self._first.pop()
            else:
                line = next(self._lines, None)
                if line is None:
                    return
                self.line_num += 1
                yield line
