"""Reads CSV and TSV; every value stays the text that stands in the file.

Records become rows of the header's width. Bad records are refused, or repaired and recorded.
"""

from __future__ import annotations

import csv
import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sentiment_batch.data.readers import byte_escapes
from sentiment_batch.data.readers.base import MAX_ROWS_PER_BATCH
from sentiment_batch.data.readers.delimiters import NO_DELIMITER, detect_delimiter
from sentiment_batch.data.readers.header_names import make_distinct
from sentiment_batch.data.readers.sniff import refuse_json
from sentiment_batch.data.readers.source import Source
from sentiment_batch.data.readers.text import MAX_BATCH_CHARACTERS, MAX_ROW_CHARACTERS, Lines, TextFile
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.locations import suffix_of
from sentiment_batch.records import Problem, ReadOptions, Split

logger = logging.getLogger("sentiment_batch")

SAMPLE_CHARACTERS = 1 << 18
"""Number of characters at the beginning that are looked at to find the delimiter."""
MAX_LISTED_RENAMES = 12
"""Largest number of renamed columns that the log lists."""
MAX_CELLS_PER_BATCH = 1 << 22
"""Largest number of cells of a batch, so that a batch of very many columns has fewer rows."""
_TEXT_AFTER_QUOTE = "a cell goes on after its closing quote"


class CsvReader:
    """A `Reader` of CSV and TSV files with a header row.

    Args:
        location: a path, an fsspec URL, or `-` for standard input.
        options: the encoding, delimiter and quotes, and the function that is called for bad rows.

    Raises:
        InputError: the file is missing, empty, or not a CSV.
        UsageError: the encoding is unknown, or the delimiter is not one character.
    """

    num_rows: int | None = None

    def __init__(self, location: str, options: ReadOptions) -> None:
        given = _check_delimiter(options.delimiter)
        # The csv module has one limit for the whole process.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_CHARACTERS))
        self._source = Source(location)
        self._name = self._source.name
        self._on_bad_row = options.on_bad_row
        dialect: dict[str, Any] = {"strict": True, "quoting": csv.QUOTE_MINIMAL if options.quotes else csv.QUOTE_NONE}
        try:
            self._text = TextFile(self._source, options, newline="")
            refuse_json(self._name, self._text.sample)
            dialect["delimiter"] = given or self._detect_delimiter(location, dialect)
            self.schema = pa.schema([(name, pa.string()) for name in self._read_names(dialect)])
        except BaseException:
            self.close()
            raise
        self._dialect = dialect

    def splits(self) -> Sequence[Split]:
        """One split, because where a record begins can only be found by reading from the start."""
        return (Split(index=0, label=self._name),)

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """All rows from the beginning of the file. `on_bad_row` is called for bad ones."""
        seen = 0
        with self._text.lines(hold=self._on_bad_row is not None) as lines:
            reader = csv.reader(lines, **self._dialect)
            self._read_header(reader)
            for chunk in _Rows(reader, lines, name=self._name, width=len(self.schema), dialect=self._dialect):
                batch = self._make_batch(chunk)
                self._report(chunk, lines, seen)
                seen += batch.num_rows
                yield batch

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _make_batch(self, chunk: _Chunk) -> pa.RecordBatch:
        try:
            columns = [pa.array(values, pa.string()) for values in zip(*chunk.rows, strict=True)]
        except UnicodeEncodeError:  # some bytes did not decode; looking at every cell each time would take too long
            _replace_bad_bytes(chunk, self.schema.names, self._text.encoding_name)
            columns = [pa.array(values, pa.string()) for values in zip(*chunk.rows, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _report(self, chunk: _Chunk, lines: Lines, seen: int) -> None:
        if self._on_bad_row is None or lines.held is None:
            return
        for row, reasons in sorted(chunk.reasons.items()):
            begin = chunk.begin(row)
            record = "".join(lines.held[begin - chunk.first : chunk.ends[row] - chunk.first + 1])
            original = self._text.restore_bytes(record.removesuffix("\n").removesuffix("\r"))
            where = f"{self._name}, line {begin:,}"
            self._on_bad_row(Problem(row=seen + row, where=where, reason="; ".join(reasons), original=original))

    def _detect_delimiter(self, location: str, dialect: dict[str, Any]) -> str:
        if suffix_of(location) in (".tsv", ".tab"):
            return "\t"
        sample = []
        with self._text.lines() as lines:
            for line in lines:
                sample.append(line[:SAMPLE_CHARACTERS])
                if lines.characters >= SAMPLE_CHARACTERS:
                    break
        delimiter = detect_delimiter(sample, dialect, whole=lines.characters < SAMPLE_CHARACTERS)
        if delimiter == NO_DELIMITER:
            logger.info("%s: the header holds no delimiter, so the file is read as one column", self._name)
        elif delimiter != ",":
            logger.info("%s: the fields are separated by %r", self._name, delimiter)
        return delimiter

    def _read_names(self, dialect: dict[str, Any]) -> list[str]:
        with self._text.lines() as lines:
            header = self._read_header(csv.reader(lines, **dialect))
        if any(map(byte_escapes.has_escapes, header)):
            raise self._text.undecodable()
        names = make_distinct(header)
        renamed = [f"{old!r} to {new!r}" for old, new in zip(header, names, strict=True) if old != new]
        if renamed:
            more = f" and {len(renamed) - MAX_LISTED_RENAMES:,} more" if len(renamed) > MAX_LISTED_RENAMES else ""
            listed = ", ".join(renamed[:MAX_LISTED_RENAMES]) + more
            logger.warning("%s: columns without a name of their own are renamed: %s", self._name, listed)
        return names

    def _read_header(self, reader: Any) -> list[str]:
        header: list[str] = []
        begin = 1
        try:
            for header in reader:
                if header:
                    break
                begin = reader.line_num + 1
        except csv.Error as error:
            raise _explain_malformed(error, self._name, begin, reader.line_num, header=True) from error
        if not header:
            raise InputError(
                f"{self._name} is empty, not even a header. Give a CSV whose first line names the columns."
            )
        if re.fullmatch("sep=.?", header[0], re.IGNORECASE) and not any(header[1:]):
            raise InputError(
                f"{self._name} begins with a line for Excel that names the delimiter, not columns. Delete that line."
            )
        return header


def _check_delimiter(delimiter: str | None) -> str | None:
    """The user's delimiter. A backslash and a t stand for a tab.

    Raises:
        UsageError: it is not one character, or it is a quote or a line end.
    """
    delimiter = "\t" if delimiter == "\\t" else delimiter
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise UsageError(f"`delimiter` takes one character, such as ';' or '\\t', not {delimiter!r}.")
    return delimiter


@dataclass(kw_only=True, slots=True)
class _Chunk:
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
        before = self.blanks.get(row) or (self.ends[row - 1] if row else self.first - 1)
        return before + 1

    def add(self, row: list[str], end: int) -> None:
        """Add a row that ends in line `end`."""
        self.rows.append(row)
        self.ends.append(end)


class _Rows:
    """Reads the rows of a file once, in chunks of bounded rows, cells and characters.

    If `lines` holds its lines, bad rows are repaired and the chunk holds the reasons. Otherwise they are errors.

    Args:
        reader: a `csv.reader` that has read the header.
        lines: the lines that it reads.
        name: what messages call the file.
        width: the number of columns.
        dialect: the arguments of the `csv.reader`.
    """

    def __init__(self, reader: Any, lines: Lines, *, name: str, width: int, dialect: dict[str, Any]) -> None:
        self._reader = reader
        self._lines = lines
        self._name = name
        self._width = width
        self._dialect = dialect
        self._max_rows = max(1, min(MAX_ROWS_PER_BATCH, MAX_CELLS_PER_BATCH // self._width))

    def __iter__(self) -> Iterator[_Chunk]:
        more = True
        while more:
            self._lines.start_batch()
            chunk = _Chunk(first=self._reader.line_num + 1)
            more = self._fill(chunk)
            if chunk.rows:
                yield chunk

    def _fill(self, chunk: _Chunk) -> bool:
        """Read until `chunk` is full. False if the file ended before."""
        while True:
            try:
                return self._read_into(chunk)
            except csv.Error as error:
                self._repair_quotes(chunk, error)  # the reader continues with the next line
            if len(chunk.rows) >= self._max_rows or self._lines.characters >= MAX_BATCH_CHARACTERS:
                return True

    def _read_into(self, chunk: _Chunk) -> bool:
        # This loop runs once for each row, so good rows take the shortest path through it.
        reader, lines, width = self._reader, self._lines, self._width
        max_rows, max_characters = self._max_rows, MAX_BATCH_CHARACTERS
        rows, add, end = chunk.rows, chunk.rows.append, chunk.ends.append
        for row in reader:
            if len(row) == width:
                add(row)
                end(reader.line_num)
            elif not row and width == 1:
                chunk.add([""], reader.line_num)  # a blank line is an empty value of a single column
            elif len(row) > 1 or any(map(str.strip, row)):
                chunk.add(self._repair_width(chunk, row), reader.line_num)
            else:
                chunk.blanks[len(rows)] = reader.line_num
            if len(rows) >= max_rows or lines.characters >= max_characters:
                return True
        return False

    def _repair_width(self, chunk: _Chunk, row: list[str]) -> list[str]:
        """A row of the wrong width with empty cells added, or without its last cells."""
        at, last = len(chunk.rows), self._reader.line_num
        begin = chunk.begin(at)
        reason = f"{len(row):,} field{'s' * (len(row) != 1)} where the header has {self._width:,}"
        if last > begin:
            reason += f", in a record that goes on to line {last:,}"
        if self._lines.held is None:
            raise InputError(
                f"{self._name}, line {begin:,}: {reason}. Put quotes around cells that hold the delimiter or a "
                'line break, name the delimiter with `delimiter`, or keep such rows with `on_bad_row="mark"`.'
            )
        chunk.reasons[at].append(reason)
        return row[: self._width] + [""] * (self._width - len(row))

    def _repair_quotes(self, chunk: _Chunk, error: csv.Error) -> None:
        """Read the line at which the reader stopped again, without strict quoting."""
        at, last = len(chunk.rows), self._reader.line_num
        begin = chunk.begin(at)
        # A record over several lines is not repaired, because one wrong quote may swallow half of the file.
        if self._lines.held is None or _TEXT_AFTER_QUOTE not in _describe(error) or last != begin:
            raise _explain_malformed(error, self._name, begin, last) from error
        loose = csv.reader(iter([self._lines.held[begin - chunk.first], ""]), **{**self._dialect, "strict": False})
        row = next(loose)
        if loose.line_num > 1:
            raise _explain_malformed(csv.Error("unexpected end"), self._name, begin, last) from error
        chunk.reasons[at].append(_TEXT_AFTER_QUOTE)
        chunk.add(row if len(row) == self._width else self._repair_width(chunk, row), last)


def _replace_bad_bytes(chunk: _Chunk, columns: Sequence[str], encoding: str) -> None:
    """Replace bytes that did not decode by U+FFFD, and add the reasons to the chunk."""
    for at, row in enumerate(chunk.rows):
        bad = next((index for index, cell in enumerate(row) if byte_escapes.has_escapes(cell)), None)
        if bad is not None:
            byte = byte_escapes.find_first_bad_byte(row[bad])
            chunk.reasons[at].append(f"byte 0x{byte:02x} in column {columns[bad]!r} is not {encoding}")
            chunk.rows[at] = list(map(byte_escapes.replace_escapes, row))


def _explain_malformed(error: csv.Error, name: str, begin: int, last: int, *, header: bool = False) -> InputError:
    """The error for a record that breaks the rules of quoting.

    Args:
        error: the error of `csv.reader`.
        name: what messages call the file.
        begin: the number of the record's first line.
        last: the number of the line where the reader stopped.
        header: True if the record is the header, which cannot be kept as a bad row.
    """
    why = _describe(error)
    if "never closes" in why:
        cure = "Close it, or read quotes as text with `quotes=False`."
    elif _TEXT_AFTER_QUOTE not in why:
        cure = "Is there a quote that never closes?"
    else:
        cure = (
            "Double the quotes that are part of a cell, or, if no cell of the file is quoted, read them as text with "
            "`quotes=False`"
        )
        cure += ', or keep such rows with `on_bad_row="mark"`.' if last == begin and not header else "."
        why += f" in line {last:,}" if last > begin else ""
    return InputError(f"{name}, line {begin:,}: {why}. {cure}")


def _describe(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote opens in this record and never closes"
    if "limit" in str(error):
        return f"a cell of over {MAX_ROW_CHARACTERS:,} characters"
    return _TEXT_AFTER_QUOTE
