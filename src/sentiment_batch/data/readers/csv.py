"""Reads CSV and TSV; every value stays the text that stands in the file.

Records become rows of the header's width. Bad records are refused, or repaired and recorded.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.readers import byte_escapes
from sentiment_batch.data.readers.csv_errors import explain_malformed
from sentiment_batch.data.readers.csv_rows import Chunk, CsvRows, read_records
from sentiment_batch.data.readers.csv_sample import DELIMITERS, NO_DELIMITER, CsvSample
from sentiment_batch.data.readers.header_names import make_distinct, warn_renamed
from sentiment_batch.data.readers.sniff import refuse_json
from sentiment_batch.data.readers.source import Source
from sentiment_batch.data.readers.text import MAX_ROW_CHARACTERS, Lines, TextFile
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.locations import suffix_of, without_password
from sentiment_batch.records import Dialect, Problem, ReadOptions, Split

logger = logging.getLogger("sentiment_batch")

SAMPLE_CHARACTERS = 1 << 18
"""Number of characters at the beginning that are looked at to find the delimiter."""
MAX_COLUMNS = 100_000
"""Files with more columns are refused: their delimiter is probably another one, and opening them takes minutes."""
_NAMED_DELIMITER = re.compile(r'"?sep=([^"\r\n])?"?[,;]*\s*', re.IGNORECASE)
"""A line above the header that names the delimiter for Excel."""


class CsvReader:
    """A `Reader` of CSV and TSV files.

    Args:
        location: a path, an fsspec URL, or `-` for standard input.
        options: the encoding, the dialect and the header, and the function that is called for bad rows.

    Raises:
        InputError: the file is missing, empty, or not a CSV; or its first row does not look like a header.
        UsageError: the encoding is unknown, or the delimiter or another such setting is not one character.
    """

    num_rows: int | None = None

    def __init__(self, location: str, options: ReadOptions) -> None:
        delimiter = _check_character("delimiter", "\t" if options.delimiter == "\\t" else options.delimiter)
        escape = _check_character("escape", options.escape)
        # The csv module has one limit for the whole process.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_CHARACTERS))
        self._source = Source(location)
        self._name = self._source.name
        self._on_bad_row = options.on_bad_row
        self._skip_rows = options.skip_rows
        self._comment = _check_character("comment", options.comment)
        self._has_header = options.header is not False
        self._header: list[str] = []
        self._unnamed = (0, 0)
        self._has_repeats = False
        self._estimated_rows: int | None = None
        self._dialect: dict[str, Any] = {
            "strict": True,
            "quoting": csv.QUOTE_MINIMAL if options.quotes else csv.QUOTE_NONE,
            "escapechar": escape,
        }
        try:
            # The csv module must see the line ends as they are, because a quoted cell may hold some of them.
            self._text = TextFile(self._source, options, newline="")
            # JSON lines hold commas, too, so they would pass for a CSV with an odd header.
            refuse_json(self._name, self._text.sample)
            self._find_dialect(options, delimiter)
            self.schema = pa.schema([(name, pa.string()) for name in self._read_names()])
        except BaseException:
            self.close()
            raise
        self.dialect = self._describe_dialect(options)
        if len(self.schema) == 1:
            self._log_single_column(delimiter)

    def splits(self) -> Sequence[Split]:
        """One split, because where a record begins can only be found by reading from the start."""
        return (Split(index=0, label=self._name),)

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """All rows from the beginning of the file. `on_bad_row` is called for bad ones."""
        seen = 0
        with self._text.lines(hold=self._on_bad_row is not None) as lines:
            reader = self._read_records(lines)
            if self._has_header:
                self._read_first(reader)
            rows = CsvRows(
                reader,
                lines,
                text=self._text,
                name=self._name,
                first="header" if self._has_header else "first row",
                width=len(self.schema),
                dialect=self._dialect,
            )
            for chunk in rows:
                # A look at one column excludes nearly all batches. Only the others are compared row by row.
                batch = self._make_batch(chunk)
                if self._may_repeat(batch) and self._empty_repeats(chunk):
                    batch = self._make_batch(chunk)
                # The bad rows are reported before their batch, so that whoever gets the batch knows them.
                self._report(chunk, lines, seen)
                seen += batch.num_rows
                share = self._source.share_read()
                self._estimated_rows = round(seen / share) if share else None
                yield batch

    def estimate_rows(self) -> int | None:
        """The number of rows, from the share of the file that the rows so far take; None before the first ones."""
        return self._estimated_rows

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _make_batch(self, chunk: Chunk) -> pa.RecordBatch:
        try:
            columns = [pa.array(values, pa.string()) for values in zip(*chunk.rows, strict=True)]
        except UnicodeEncodeError:  # some bytes did not decode; looking at every cell each time would take too long
            _replace_bad_bytes(chunk, self.schema.names, self._text.encoding_name)
            columns = [pa.array(values, pa.string()) for values in zip(*chunk.rows, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _report(self, chunk: Chunk, lines: Lines, seen: int) -> None:
        if self._on_bad_row is None or lines.held is None:
            return
        for row, reasons in sorted(chunk.reasons.items()):
            # A record may take several lines, so its bytes are those from its first line to its last one.
            begin = chunk.begin(row)
            record = "".join(lines.held[begin - chunk.first : chunk.ends[row] - chunk.first + 1])
            original = self._text.restore_bytes(record.removesuffix("\n").removesuffix("\r"))
            where = f"{self._name}, line {begin:,}"
            self._on_bad_row(Problem(row=seen + row, where=where, reason="; ".join(reasons), original=original))

    def _find_dialect(self, options: ReadOptions, delimiter: str | None) -> None:
        """Complete the dialect from the first lines, and check the header. The file may name its delimiter itself."""
        # The user's delimiter comes first, then the file ending, then a line `sep=;`, and last the records.
        lines, whole = self._read_sample()
        if suffix_of(self._source.location) in (".tsv", ".tab") and any("\t" in line for line in lines):
            delimiter = delimiter or "\t"
        head = [*lines[self._skip_rows : self._skip_rows + 2], "", ""]
        named = _NAMED_DELIMITER.fullmatch(head[0])
        if named:
            self._skip_rows += 1
            delimiter = delimiter or (named[1] if named[1] and named[1] in head[1] else None)
        sample = CsvSample(
            name=self._name,
            lines=lines,
            whole=whole,
            skip_rows=self._skip_rows,
            comment=self._comment,
            header=options.header,
        )
        if delimiter is None and options.header is None:
            sample.refuse_drawn_table()
        # Each step needs what the steps before it found, so their order matters.
        self._dialect["delimiter"] = delimiter or sample.find_delimiter(self._dialect)
        self._dialect["skipinitialspace"] = sample.find_blanks(self._dialect)
        sample.check_escapes(self._dialect)
        if options.header is None:
            self._unnamed = sample.check_header(self._dialect, others=delimiter is None)
        if self._dialect["skipinitialspace"]:
            logger.warning(
                "%s: the blanks after the delimiters are left out, because quotes follow them",
                without_password(self._name),
            )

    def _read_sample(self) -> tuple[list[str], bool]:
        """The first lines, and True if these are all. Lines that will be skipped do not count as part of the sample."""
        sample: list[str] = []
        with self._text.lines() as lines:
            for line in lines:
                if len(sample) < self._skip_rows:
                    lines.start_batch()  # sets the count of characters back to 0
                    line = "\n"  # an empty line in its place keeps the line numbers of messages right
                sample.append(line[:SAMPLE_CHARACTERS])
                if lines.characters >= SAMPLE_CHARACTERS:
                    return sample, False
        return sample, True

    def _describe_dialect(self, options: ReadOptions) -> Dialect:
        delimiter = self._dialect["delimiter"]
        assumed = [name for name in ("delimiter", "encoding", "header") if getattr(options, name) is None]
        if self._skip_rows != options.skip_rows:
            assumed.append("skip_rows")
        return Dialect(
            delimiter=None if delimiter == NO_DELIMITER else delimiter,
            encoding=self._text.encoding_name,
            header=self._has_header,
            skip_rows=self._skip_rows,
            assumed=tuple(assumed),
        )

    def _log_single_column(self, named: str | None) -> None:
        """Log that the file is read as one column; `named` is the delimiter that the user named."""
        shown = without_password(self._name)
        if self.dialect.delimiter is None:
            logger.info("%s: the first row holds no delimiter, so the file is read as one column", shown)
        elif named is not None:
            others = [one for one in DELIMITERS if one in self.schema.names[0] and one != named]
            logger.warning(
                "%s: the first row does not hold the delimiter %r, so the file is read as one column%s",
                shown,
                named,
                f". Its delimiter may be {others[0]!r}" if others else "",
            )

    def _read_records(self, lines: Lines) -> Any:
        return read_records(lines, self._dialect, skip_rows=self._skip_rows, comment=self._comment)

    def _read_names(self) -> list[str]:
        with self._text.lines() as lines:
            first = self._read_first(self._read_records(lines))
        if len(first) > MAX_COLUMNS:
            raise InputError(
                f"{self._name} has {len(first):,} columns, more than {MAX_COLUMNS:,}. Name the right `delimiter`, or "
                "leave out columns."
            )
        if not self._has_header:
            return make_distinct([""] * len(first))
        if any(map(byte_escapes.has_escapes, first)):
            raise self._text.make_decode_error()
        # The header stays as it stands in the file, because joined files repeat it in that form.
        before, after = self._unnamed
        self._header = first = [""] * before + first + [""] * after
        names = make_distinct(first)
        warn_renamed(self._name, first, names)
        return names

    def _read_first(self, reader: Any) -> list[str]:
        """The first record that is not blank.

        Raises:
            InputError: its quotes are wrong, or there is no such record.
        """
        begin = reader.line_num + 1
        try:
            for row in reader:
                if row:
                    return list(row)
                begin = reader.line_num + 1
        except csv.Error as error:
            raise explain_malformed(error, self._name, begin, reader.line_num, self._text, header=True) from error
        if self._skip_rows:
            raise InputError(f"{self._name} holds no row after the {self._skip_rows:,} lines that `skip_rows` skips.")
        raise InputError(f"{self._name} is empty, not even a header. Give a CSV whose first line names the columns.")

    def _may_repeat(self, batch: pa.RecordBatch) -> bool:
        """True if some row has the longest name of the header in its column; the first may follow a byte order mark."""
        longest = max(self._header[1:], key=len, default="") or "".join(self._header[:1])
        return bool(longest) and pc.any(pc.equal(batch.column(self._header.index(longest)), longest)).as_py() is True

    def _empty_repeats(self, chunk: Chunk) -> bool:
        """Make rows that repeat the header, as in joined files, bad rows without values. False if there are none."""
        found = [at for at, row in enumerate(chunk.rows) if [_drop_mark(row[0]), *row[1:]] == self._header]
        where = f"{self._name}, line {chunk.begin(found[0]):,}" if found else ""
        # In a single column the same word may well be a value, so it stays a row.
        if found and len(self._header) == 1:
            if not self._has_repeats:
                logger.warning(
                    "%s: the value equals the header, %r; it is read as a row", without_password(where), self._header[0]
                )
            self._has_repeats = True
            return False
        if found and self._on_bad_row is None:
            raise InputError(
                f"{where}: the row repeats the header, as if files had been joined. Delete the line, or keep it as a "
                'row without values with `on_bad_row="mark"`.'
            )
        # The row stays in its place, because the output has one row for each input row.
        for at in found:
            chunk.reasons[at].append("the row repeats the header")
            chunk.rows[at] = [""] * len(self._header)
        return bool(found)


def _drop_mark(cell: str) -> str:
    """A cell without the byte order mark of a second file, which hides the quotes of the cell."""
    return cell[1:].strip('"') if cell.startswith("\ufeff") else cell


def _check_character(setting: str, character: str | None) -> str | None:
    """The value of a setting that takes one character.

    Raises:
        UsageError: it is not one character, or it is a quote or a line end.
    """
    if character is not None and (len(character) != 1 or character in '"\r\n'):
        example = {"delimiter": "';' or '\\t'", "escape": "'\\'", "comment": "'#'"}[setting]
        raise UsageError(f"`{setting}` takes one character, such as {example}, not {character!r}.")
    return character


def _replace_bad_bytes(chunk: Chunk, columns: Sequence[str], encoding: str) -> None:
    """Replace bytes that did not decode by U+FFFD, and add the reasons to the chunk."""
    for at, row in enumerate(chunk.rows):
        bad = next((index for index, cell in enumerate(row) if byte_escapes.has_escapes(cell)), None)
        if bad is not None:
            byte = byte_escapes.find_first_bad_byte(row[bad])
            chunk.reasons[at].append(f"byte 0x{byte:02x} in column {columns[bad]!r} is not {encoding}")
            chunk.rows[at] = list(map(byte_escapes.replace_escapes, row))
