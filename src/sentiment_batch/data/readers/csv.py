"""Reads CSV and TSV; every value stays the text that stands in the file."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from sentiment_batch.data.readers import byte_escapes
from sentiment_batch.data.readers.csv_rows import CsvChunk, CsvRows, explain_malformed, replace_bad_bytes
from sentiment_batch.data.readers.delimiters import NO_DELIMITER, detect_delimiter
from sentiment_batch.data.readers.header_names import make_distinct
from sentiment_batch.data.readers.sniff import refuse_json
from sentiment_batch.data.readers.source import Source
from sentiment_batch.data.readers.text import MAX_ROW_CHARACTERS, Lines, TextFile
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.locations import suffix_of
from sentiment_batch.records import Problem, ReadOptions, Split

logger = logging.getLogger("sentiment_batch")

SAMPLE_CHARACTERS = 1 << 18
"""Number of characters at the beginning that are looked at to find the delimiter."""
MAX_LISTED_RENAMES = 12
"""Largest number of renamed columns that the log lists."""


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
            for chunk in CsvRows(reader, lines, name=self._name, width=len(self.schema), dialect=self._dialect):
                batch = self._make_batch(chunk)
                self._report(chunk, lines, seen)
                seen += batch.num_rows
                yield batch

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _make_batch(self, chunk: CsvChunk) -> pa.RecordBatch:
        try:
            columns = [pa.array(values, pa.string()) for values in zip(*chunk.rows, strict=True)]
        except UnicodeEncodeError:  # some bytes did not decode; looking at every cell each time would take too long
            replace_bad_bytes(chunk, self.schema.names, self._text.encoding_name)
            columns = [pa.array(values, pa.string()) for values in zip(*chunk.rows, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _report(self, chunk: CsvChunk, lines: Lines, seen: int) -> None:
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
            raise explain_malformed(error, self._name, begin, reader.line_num, header=True) from error
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
