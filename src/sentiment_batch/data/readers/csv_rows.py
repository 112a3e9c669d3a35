"""Makes rows of the header's width of the lines of a CSV; a record that is not one is refused, or mended and told."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.readers import byte_escapes
from sentiment_batch.data.readers.text import MAX_BATCH_CHARACTERS, MAX_ROW_CHARACTERS, MAX_ROWS_PER_BATCH
from sentiment_batch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentiment_batch.data.readers.text import Lines

MAX_CELLS_PER_BATCH = 1 << 22
"""Most cells of a batch: one of very many columns has fewer rows."""
_GOES_ON = "a cell goes on after its closing quote"


@dataclass(frozen=True, kw_only=True, slots=True)
class CsvLayout:
    """What the records of a file are told by."""

    name: str
    """What messages call the file."""
    columns: Sequence[str]
    """The names of the columns."""
    dialect: dict[str, Any]
    """What `csv.reader` is told."""


@dataclass(kw_only=True, slots=True)
class CsvChunk:
    """Consecutive rows, and where they stand."""

    first: int
    """Number of the first line in the file, from 1."""
    rows: list[list[str]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """Number of the last line of each row."""
    blanks: dict[int, int] = field(default_factory=dict)
    """Number of the last blank line before a row, for the rows that have one before them."""
    reasons: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What is wrong with the rows that are bad."""

    def begin(self, row: int) -> int:
        """Number of the first line of a row; also of the one that would come next."""
        before = self.blanks.get(row) or (self.ends[row - 1] if row else self.first - 1)
        return before + 1

    def add(self, row: list[str], end: int) -> None:
        """Take a row that ends in line `end`."""
        self.rows.append(row)
        self.ends.append(end)


class CsvRows:
    """The rows of one pass over a file, in chunks that are bounded in rows, cells and characters.

    A bad row is an error, but where `lines` are kept: there it is mended, and the chunk holds the reasons.

    Args:
        reader: a `csv.reader` with the layout's dialect that has read the header.
        lines: what it reads.
        layout: of the file.
    """

    def __init__(self, reader: Any, lines: Lines, layout: CsvLayout) -> None:
        self._reader = reader
        self._lines = lines
        self._layout = layout
        self._width = len(layout.columns)
        self._most = max(1, min(MAX_ROWS_PER_BATCH, MAX_CELLS_PER_BATCH // self._width))

    def __iter__(self) -> Iterator[CsvChunk]:
        more = True
        while more:
            self._lines.restart()
            chunk = CsvChunk(first=self._reader.line_num + 1)
            more = self._fill(chunk)
            if chunk.rows:
                yield chunk

    def _fill(self, chunk: CsvChunk) -> bool:
        """Read until `chunk` is full; False where the file ended before."""
        while True:
            try:
                return self._read_into(chunk)
            except csv.Error as error:
                self._mend_quotes(chunk, error)  # the reader goes on with the next line
            if self._is_full(chunk):
                return True

    def _is_full(self, chunk: CsvChunk) -> bool:
        return len(chunk.rows) >= self._most or self._lines.characters >= MAX_BATCH_CHARACTERS

    def _read_into(self, chunk: CsvChunk) -> bool:
        # Everything in this loop costs its time once a row, so the good ones pass through with as little as can be.
        reader, lines, width, most, enough = self._reader, self._lines, self._width, self._most, MAX_BATCH_CHARACTERS
        rows, add, end = chunk.rows, chunk.rows.append, chunk.ends.append
        for row in reader:
            if len(row) == width:
                add(row)
                end(reader.line_num)
            elif not row and width == 1:
                chunk.add([""], reader.line_num)  # in a file of one column a blank line is an empty value
            elif len(row) > 1 or any(map(str.strip, row)):
                chunk.add(self._mended(chunk, row), reader.line_num)
            else:
                chunk.blanks[len(rows)] = reader.line_num
            if len(rows) >= most or lines.characters >= enough:
                return True
        return False

    def _mended(self, chunk: CsvChunk, row: list[str]) -> list[str]:
        """A row of another width with empty cells added, or without those that are too many."""
        at, last = len(chunk.rows), self._reader.line_num
        begin = chunk.begin(at)
        reason = f"{len(row):,} field{'s' * (len(row) != 1)} where the header has {self._width:,}"
        if last > begin:
            reason += f", in a record that goes on to line {last:,}"
        if self._lines.kept is None:
            raise InputError(
                f"{self._layout.name}, line {begin:,}: {reason}. Put quotes around cells that hold the delimiter or a "
                "line break, name the delimiter with --delimiter, or keep such rows with --on-bad-row mark."
            )
        chunk.reasons[at].append(reason)
        return row[: self._width] + [""] * (self._width - len(row))

    def _mend_quotes(self, chunk: CsvChunk, error: csv.Error) -> None:
        """Read the line at which the reader stopped once more, by looser rules."""
        at, last = len(chunk.rows), self._reader.line_num
        begin = chunk.begin(at)
        # Of several lines nobody can tell which belong together: one quote too many may hold half of the file.
        if self._lines.kept is None or _GOES_ON not in _reason(error) or last != begin:
            raise explain_malformed(error, self._layout.name, begin, last) from error
        loose = csv.reader(
            iter([self._lines.kept[begin - chunk.first], ""]), **{**self._layout.dialect, "strict": False}
        )
        row = next(loose)
        if loose.line_num > 1:
            raise explain_malformed(csv.Error("unexpected end"), self._layout.name, begin, last) from error
        chunk.reasons[at].append(_GOES_ON)
        chunk.add(row if len(row) == self._width else self._mended(chunk, row), last)


def replace_bad_bytes(chunk: CsvChunk, columns: Sequence[str], encoding: str) -> None:
    """Put U+FFFD in the place of what did not decode, and give the reasons."""
    for at, row in enumerate(chunk.rows):
        bad = next((index for index, cell in enumerate(row) if byte_escapes.has_escapes(cell)), None)
        if bad is not None:
            byte = byte_escapes.find_first_bad_byte(row[bad])
            chunk.reasons[at].append(f"byte 0x{byte:02x} in column {columns[bad]!r} is not {encoding}")
            chunk.rows[at] = list(map(byte_escapes.replace_escapes, row))


def explain_malformed(error: csv.Error, name: str, begin: int, last: int, *, header: bool = False) -> InputError:
    """The error for a record that breaks the rules of quoting.

    Args:
        error: what `csv.reader` raised.
        name: what messages call the file.
        begin: number of the record's first line.
        last: number of the line where the reader stopped.
        header: whether the record is the header, which is never kept as a bad row.
    """
    why = _reason(error)
    if "never closes" in why:
        cure = "Close it, or read quotes as text with --no-quotes."
    elif _GOES_ON not in why:
        cure = "Is there a quote that never closes?"
    else:
        cure = (
            "Double the quotes that are part of a cell, or, if no cell of the file is quoted, read them as text with "
            "--no-quotes"
        )
        cure += ", or keep such rows with --on-bad-row mark." if last == begin and not header else "."
        why += f" in line {last:,}" if last > begin else ""
    return InputError(f"{name}, line {begin:,}: {why}. {cure}")


def _reason(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote opens in this record and never closes"
    if "limit" in str(error):
        return f"a cell of over {MAX_ROW_CHARACTERS:,} characters"
    return _GOES_ON
