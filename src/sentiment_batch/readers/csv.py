"""Reads CSV and TSV in one stream: every value comes out as the text that stands in the file."""

from __future__ import annotations

import contextlib
import csv
import logging
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.locations import suffix_of
from sentiment_batch.readers.delimiters import NONE, found_delimiter
from sentiment_batch.readers.names import distinct
from sentiment_batch.readers.signatures import refuse_foreign
from sentiment_batch.readers.source import Source
from sentiment_batch.readers.text import CHARACTERS, LONGEST, ROWS, Lines, encoding_of, open_text, undecodable
from sentiment_batch.records import Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")

SAMPLE = 1 << 18
"""Characters that are looked at to find the delimiter."""


class CsvReader:
    """A `Reader` of CSV and TSV files with a header row.

    Args:
        location: a path, an fsspec URL, or `-` for standard input.
        options: encoding and delimiter.

    Raises:
        InputError: the file is missing, empty, or no CSV.
        UsageError: the encoding is unknown, or the delimiter is not one character.
    """

    num_rows: int | None = None

    def __init__(self, location: str, options: ReadOptions) -> None:
        given = _one_character(options.delimiter)
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST))  # the csv module keeps one limit for the process
        self._source = Source(location)
        self._name = self._source.name
        self._dialect: dict[str, Any] = {
            "strict": True,
            "quoting": csv.QUOTE_MINIMAL if options.quotes else csv.QUOTE_NONE,
        }
        try:
            head = self._source.head()
            refuse_foreign(self._name, head)
            self._encoding = encoding_of(head, options.encoding, self._name)
            self._delimiter = given or self._found_delimiter(location)
            self.schema = pa.schema([(name, pa.string()) for name in self._names()])
        except BaseException:
            self.close()
            raise

    def splits(self) -> Sequence[Split]:
        """One: where a record begins can only be told by reading from the start."""
        return (Split(index=0, label=self._name),)

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """All rows, from the beginning of the file."""
        with self._opened() as lines:
            reader = csv.reader(lines, delimiter=self._delimiter, **self._dialect)
            self._header(reader)
            for rows in self._chunks(reader, lines):
                columns = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Lines]:
        try:
            with open_text(self._source, self._encoding, newline="") as stream:
                yield Lines(stream, self._name)
        except UnicodeError as error:
            raise undecodable(self._source, self._encoding, newline="") from error

    def _found_delimiter(self, location: str) -> str:
        if suffix_of(location) in (".tsv", ".tab"):
            return "\t"
        sample = []
        with self._opened() as lines:
            for line in lines:
                sample.append(line[:SAMPLE])
                if lines.characters >= SAMPLE:
                    break
        delimiter = found_delimiter(sample, self._dialect, whole=lines.characters < SAMPLE)
        if delimiter == NONE:
            logger.info("%s: the header holds no delimiter, so the file is read as one column", self._name)
        elif delimiter != ",":
            logger.info("%s: the fields are separated by %r", self._name, delimiter)
        return delimiter

    def _names(self) -> list[str]:
        with self._opened() as lines:
            header = self._header(csv.reader(lines, delimiter=self._delimiter, **self._dialect))
        names = distinct(header)
        renamed = [f"{old!r} to {new!r}" for old, new in zip(header, names, strict=True) if old != new]
        if renamed:
            logger.warning("%s: columns without a name of their own are renamed: %s", self._name, ", ".join(renamed))
        return names

    def _header(self, reader: Any) -> list[str]:
        try:
            header: list[str] | None = next(filter(None, reader), None)
        except csv.Error as error:
            raise self._malformed(error, 1) from error
        if header is None:
            raise InputError(
                f"{self._name} is empty, not even a header. Give a CSV whose first line names the columns."
            )
        if re.fullmatch("sep=.?", header[0], re.IGNORECASE) and not any(header[1:]):
            raise InputError(
                f"{self._name} begins with a line for Excel that names the delimiter, not columns. Delete that line."
            )
        return header

    def _chunks(self, reader: Any, lines: Lines) -> Iterator[list[list[str]]]:
        """The records in lists that are bounded in rows and characters."""
        width = len(self.schema)
        rows: list[list[str]] = []
        begin = reader.line_num + 1
        try:
            for row in reader:
                if len(row) == width:
                    rows.append(row)
                elif not row and width == 1:
                    rows.append([""])  # in a file of one column a blank line is an empty value
                elif len(row) > 1 or any(map(str.strip, row)):
                    raise self._wrong_width(len(row), begin)
                begin = reader.line_num + 1
                if len(rows) >= ROWS or lines.characters >= CHARACTERS:
                    yield rows
                    rows = []
                    lines.characters = 0
        except csv.Error as error:
            raise self._malformed(error, begin) from error
        if rows:
            yield rows

    def _wrong_width(self, found: int, line: int) -> InputError:
        return InputError(
            f"{self._name}, line {line:,}: {found:,} field{'s' * (found != 1)} where the header has "
            f"{len(self.schema):,}. Put quotes around cells that hold the delimiter or a line break, or name the "
            "delimiter with --delimiter."
        )

    def _malformed(self, error: csv.Error, line: int) -> InputError:
        where = f"{self._name}, line {line:,}"
        if "unexpected end" in str(error):
            return InputError(
                f"{where}: a quote opens in this record and never closes. Close it, or read quotes as text with "
                "--no-quotes."
            )
        if "limit" in str(error):
            return InputError(f"{where}: a cell of over {LONGEST:,} characters. Is there a quote that never closes?")
        return InputError(
            f"{where}: a cell goes on after its closing quote. Double the quotes that are part of a cell, or, if no "
            "cell of the file is quoted, read them as text with --no-quotes."
        )


def _one_character(delimiter: str | None) -> str | None:
    """The delimiter that the user named; a backslash and a t stand for a tab.

    Raises:
        UsageError: it is not one character, or one that means something else in a CSV.
    """
    delimiter = "\t" if delimiter == "\\t" else delimiter
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise UsageError(f"--delimiter takes one character, such as ';' or '\\t', not {delimiter!r}.")
    return delimiter
