"""Reads one sheet of a workbook. One pass finds the types of the columns, the next streams the rows."""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import fsspec
import openpyxl
import pyarrow as pa

from sentiment_batch import Dialect, InputError, Problem, Split, UsageError
from sentiment_batch.reading import (
    MAX_HEADER_ROWS,
    check_header,
    make_distinct,
    refuse_other_formats,
    refuse_text,
    warn_renamed,
)
from sentiment_batch_excel.cells import choose_type, convert, find_kinds, read_cell, to_text
from sentiment_batch_excel.sheets import choose_sheet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sentiment_batch import ReadOptions

ROWS_PER_BATCH = 4096
_HEAD_BYTES = 4096
"""Number of bytes at the beginning of a file that are looked at."""
_OLD_OR_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The first bytes of .xls files, and of workbooks with a password."""


class ExcelReader:
    """A reader of one sheet of a workbook.

    Args:
        location: a path, an fsspec URL, or `-` for standard input.
        options: the sheet, the header, the rows to skip, and the function that is called for bad rows.

    Raises:
        InputError: the file is missing or is no workbook, or the sheet does not look like a table with a header.
        UsageError: a setting is wrong, or names no sheet.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        if options.comment is not None and len(options.comment) != 1:
            raise UsageError(f"`comment` takes one character, such as '#', not {options.comment!r}.")
        self._location = location
        self._options = options
        self.schema: pa.Schema = pa.schema([])
        self.num_rows: int | None = None
        self._file = _open_file(location)
        try:
            with self._translate_errors():
                self._check_kind()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about styles and validations, which do not matter here
                    self._book = openpyxl.load_workbook(self._file, read_only=True, data_only=True)
                self._sheet = choose_sheet(self._book, location, options.sheet)
                self._find_columns()
        except BaseException:
            self._file.close()
            raise
        self.dialect = Dialect(
            header=options.header is not False,
            skip_rows=options.skip_rows,
            sheet=self._sheet.title,
            assumed=tuple(name for name in ("header", "sheet") if getattr(options, name) is None),
        )

    def splits(self) -> Sequence[Split]:
        """One split with the whole sheet, because a workbook can only be read from its start."""
        return [Split(index=0, label=self._name, num_rows=self.num_rows, key=())]

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows in order. `on_bad_row` is called for rows that repeat the header.

        Raises:
            InputError: the workbook is damaged. The message names the row.
        """
        rows = itertools.islice(self._rows(), self._start, self._start + (self.num_rows or 0))
        seen = 0
        while chunk := list(itertools.islice(rows, ROWS_PER_BATCH)):
            cells = [self._empty_repeat(seen + at, number, row) for at, (number, row) in enumerate(chunk)]
            seen += len(chunk)
            yield pa.RecordBatch.from_arrays(
                [
                    convert([row[position] if position < len(row) else None for row in cells], field.type)
                    for position, field in zip(self._positions, self.schema, strict=True)
                ],
                schema=self.schema,
            )

    def close(self) -> None:
        """Close the file."""
        self._book.close()
        self._file.close()

    @property
    def _name(self) -> str:
        return f"{self._location}, sheet {self._sheet.title!r}"

    def _check_kind(self) -> None:
        start = self._file.read(_HEAD_BYTES)
        self._file.seek(0)
        if start.startswith(_OLD_OR_ENCRYPTED):
            raise InputError(
                f"{self._location} is a workbook in the old .xls format, or has a password. Save it as .xlsx "
                "without a password."
            )
        if not start.startswith(b"PK"):
            refuse_other_formats(self._location, start)
            refuse_text(self._location, start)

    def _rows(self) -> Iterator[tuple[int, list[Any]]]:
        """The number of each row and the values of its cells, without skipped rows and comments.

        The error for a damaged row names it.
        """
        self._sheet.reset_dimensions()  # some programs write a wrong size, beyond which cells would be lost
        number, skipped, comment = 0, self._options.skip_rows, self._options.comment
        with self._translate_errors(lambda: f", sheet {self._sheet.title!r}, row {number + 1:,}"):
            for number, cells in enumerate(self._sheet.iter_rows(), start=1):
                if number <= skipped:
                    continue
                row = [read_cell(cell) for cell in cells]
                first = next((value for value in row if value is not None), None)
                if comment is None or not isinstance(first, str) or not first.startswith(comment):
                    yield number, row

    def _find_columns(self) -> None:
        """Find the header, the names and types of the columns, and the number of rows in one pass."""
        rows = self._rows()
        blanks, first = self._find_first(rows)
        head = [first, *itertools.islice(rows, MAX_HEADER_ROWS)]
        if self._options.header is None:
            self._check_header(head)
        has_header = self._options.header is not False
        self._start = blanks + has_header
        self._header = list(map(to_text, first[1])) if has_header else []
        kinds: list[set[str]] = [set() for _ in first[1]]
        last = 0
        for at, (number, row) in enumerate(itertools.chain(head[has_header:], rows), start=1):
            kinds += [set() for _ in range(len(row) - len(kinds))]
            found = [(position, find_kinds(value)) for position, value in enumerate(row) if value is not None]
            last = at if found else last
            if self._repeats_header(row):
                self._refuse_repeat(number)
                continue
            for position, kind in found:
                kinds[position] |= kind
        self._name_columns(kinds)
        self.num_rows = last

    def _find_first(self, rows: Iterator[tuple[int, list[Any]]]) -> tuple[int, tuple[int, list[Any]]]:
        """The first row that is not blank with its number, and how many blank ones are above it."""
        for blanks, (number, row) in enumerate(rows):
            if any(value is not None for value in row):
                return blanks, (number, row)
        skipped = self._options.skip_rows
        what = f"no row is left after the {skipped:,} that `skip_rows` skips" if skipped else "the sheet is empty"
        raise InputError(f"{self._name}: {what}. Name another one with `sheet`.")

    def _name_columns(self, kinds: list[set[str]]) -> None:
        """Make the schema from the header and the kinds of the cells of each column."""
        header = self._header + [""] * (len(kinds) - len(self._header))
        names = make_distinct(header)
        self._positions = [position for position, name in enumerate(header) if name or kinds[position]]
        kept = [names[position] for position in self._positions]
        if self._header:
            warn_renamed(self._name, [header[position] for position in self._positions], kept)
        self.schema = pa.schema(
            [(name, choose_type(kinds[position])) for name, position in zip(kept, self._positions, strict=True)]
        )

    def _check_header(self, head: list[tuple[int, list[Any]]]) -> None:
        texts = [(number, list(map(to_text, row))) for number, row in head]
        width = max(len(row) for _, row in texts)
        used = [at for at in range(width) if any(row[at : at + 1] not in ([], [""]) for _, row in texts)]
        table = [(number, [row[at] if at < len(row) else "" for at in used]) for number, row in texts if any(row)]
        check_header(self._name, [row for _, row in table], [number for number, _ in table], "row")

    def _repeats_header(self, row: list[Any]) -> bool:
        """True if a row has the names of at least two columns in all its cells."""
        if not row or not self._header or to_text(row[0]) != self._header[0] or sum(map(bool, self._header)) < 2:
            return False
        return _join(map(to_text, row)) == _join(self._header)

    def _refuse_repeat(self, number: int) -> None:
        if self._options.on_bad_row is None:
            raise InputError(
                f"{self._name}, row {number:,}: the row repeats the header, as if tables had been joined. Delete the "
                'row, or keep it as a row without values with `on_bad_row="mark"`.'
            )

    def _empty_repeat(self, at: int, number: int, row: list[Any]) -> list[Any]:
        """A row without values and a report, if it repeats the header; else the row itself."""
        if not self._repeats_header(row):
            return row
        if self._options.on_bad_row is not None:
            where, original = f"{self._name}, row {number:,}", _join(self._header).encode()
            problem = Problem(row=at, where=where, reason="the row repeats the header", original=original)
            self._options.on_bad_row(problem)
        return []

    @contextlib.contextmanager
    def _translate_errors(self, place: Any = lambda: "") -> Iterator[None]:
        try:
            yield
        except (InputError, UsageError):
            raise
        except Exception as error:  # openpyxl passes on errors of zipfile, zlib and the XML parser, and has bugs
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"{self._location}{place()} cannot be read as a workbook ({why}). Open it in a spreadsheet program and "
                "save it again as .xlsx."
            ) from error


def _join(row: Iterable[str]) -> str:
    """The cells of a row with tabs between them, without the empty ones at its end."""
    return "\t".join(row).rstrip("\t")


def _open_file(location: str) -> BinaryIO:
    """Open a file for random access."""
    if location == "-":
        return io.BytesIO(sys.stdin.buffer.read())
    try:
        return cast(BinaryIO, fsspec.open(location, "rb", compression="infer").open())
    except FileNotFoundError as error:
        raise InputError(f"{location} is not there. Check the path.") from error
    except Exception as error:
        raise InputError(f"{location} cannot be opened: {error}. Check the path and its permissions.") from error
