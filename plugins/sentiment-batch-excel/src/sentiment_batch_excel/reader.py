"""Reads the first visible sheet of a workbook. One pass finds the types of the columns, the next streams the rows."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import fsspec
import openpyxl
import pyarrow as pa

from sentiment_batch import InputError, Split
from sentiment_batch_excel.cells import ERROR, choose_type, convert, find_kinds, read_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentiment_batch import ReadOptions

logger = logging.getLogger("sentiment_batch.excel")

ROWS_PER_BATCH = 4096
_OLD_OR_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The first bytes of .xls files, and of workbooks with a password."""


class ExcelReader:
    """A reader of the first visible sheet of a workbook. Its first row names the columns.

    Args:
        location: a path, an fsspec URL, or `-` for standard input.
        options: the settings of the input. None concerns workbooks.

    Raises:
        InputError: the file is missing, is no workbook, or its header does not name each column once.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._location = location
        self.schema: pa.Schema = pa.schema([])
        self.num_rows: int | None = None
        self._file = _open_file(location)
        try:
            with self._translate_errors():
                self._check_kind()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about styles and validations, which do not matter here
                    self._book = openpyxl.load_workbook(self._file, read_only=True, data_only=True)
                self._sheet = self._first_sheet()
                self._find_columns()
        except BaseException:
            self._file.close()
            raise

    def splits(self) -> Sequence[Split]:
        """One split with the whole sheet, because a workbook can only be read from its start."""
        label = f"{self._location}, sheet {self._sheet.title!r}"
        return [Split(index=0, label=label, num_rows=self.num_rows, key=())]

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows in order.

        Raises:
            InputError: the workbook is damaged. The message names the row.
        """
        rows = itertools.islice(self._rows(), 1, 1 + (self.num_rows or 0))  # the first is the header
        while chunk := list(itertools.islice(rows, ROWS_PER_BATCH)):
            yield pa.RecordBatch.from_arrays(
                [
                    convert([row[position] if position < len(row) else None for row in chunk], field.type)
                    for position, field in zip(self._positions, self.schema, strict=True)
                ],
                schema=self.schema,
            )

    def close(self) -> None:
        """Close the file."""
        self._book.close()
        self._file.close()

    def _check_kind(self) -> None:
        start = self._file.read(len(_OLD_OR_ENCRYPTED))
        self._file.seek(0)
        if start == _OLD_OR_ENCRYPTED:
            raise InputError(
                f"{self._location} is a workbook in the old .xls format, or has a password. Save it as .xlsx "
                "without a password."
            )

    def _first_sheet(self) -> Any:
        sheets = [sheet for sheet in self._book.worksheets if sheet.sheet_state == "visible"]
        if not sheets:
            raise InputError(f"{self._location} has no visible sheet. Show one in a spreadsheet program and save it.")
        if len(sheets) > 1:
            others = ", ".join(repr(sheet.title) for sheet in sheets[1:])
            logger.warning("%s: reading the sheet %r and not %s", self._location, sheets[0].title, others)
        return sheets[0]

    def _rows(self) -> Iterator[list[Any]]:
        """The values of the cells, row by row. The error for a damaged row names it."""
        self._sheet.reset_dimensions()  # some programs write a wrong size, beyond which cells would be lost
        number = 0
        with self._translate_errors(lambda: f", sheet {self._sheet.title!r}, row {number + 1:,}"):
            for number, row in enumerate(self._sheet.iter_rows(), start=1):  # noqa: B007 - the message needs it
                yield [read_cell(cell) for cell in row]

    def _find_columns(self) -> None:
        """Find the names and types of the columns and the number of rows in one pass."""
        rows = self._rows()
        names = next(rows, [])
        kinds: list[set[str]] = [set() for _ in names]
        last = 0
        for number, row in enumerate(rows, start=1):
            kinds += [set() for _ in range(len(row) - len(kinds))]
            found = [(position, find_kinds(value)) for position, value in enumerate(row) if value is not None]
            for position, kind in found:
                kinds[position] |= kind
            if found:
                last = number
        names += [None] * (len(kinds) - len(names))
        self._positions = [position for position, name in enumerate(names) if name is not None or kinds[position]]
        named = [_name(names[position], position) for position in self._positions]
        self._check_names(named)
        types = [choose_type(kinds[position]) for position in self._positions]
        self.num_rows = last
        self.schema = pa.schema(list(zip(named, types, strict=True)))

    def _check_names(self, names: list[str]) -> None:
        if not names:
            raise InputError(
                f"{self._location}: the sheet {self._sheet.title!r} is empty. Move the sheet of the table to the front."
            )
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{self._location} has two columns named {name!r} in its first row. Rename one.")

    @contextlib.contextmanager
    def _translate_errors(self, place: Any = lambda: "") -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except Exception as error:  # openpyxl passes on errors of zipfile, zlib and the XML parser, and has bugs
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"{self._location}{place()} cannot be read as a workbook ({why}). Open it in a spreadsheet program and "
                "save it again as .xlsx."
            ) from error


def _name(value: Any, position: int) -> str:
    return f"column_{position + 1}" if value is None or value is ERROR else str(convert([value], pa.string())[0])


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
