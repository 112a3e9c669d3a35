"""Records that packages pass to each other: small, frozen, and made of plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

JSON_MARK = b"sentiment_batch.json"
"""Metadata key of a text column whose values are JSON. A reader sets it to `1`, and a writer of JSON reads it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A chosen value and the reason, for people to read."""

    value: str
    """The value, such as `cuda`."""
    reason: str
    """Why it was chosen, such as `it is available`."""

    def __str__(self) -> str:
        return f"{self.value} ({self.reason})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """A unit of reading. The same split of the same input always has the same rows in the same order."""

    index: int
    """Position among the splits of the input, from 0. In this order the splits give the rows of the input in order."""
    label: str
    """The name of the split in messages, such as `reviews.parquet, row group 3`."""
    num_rows: int | None = None
    """Number of rows, if the format knows it without reading them; else None."""
    key: tuple[str | int, ...] = ()
    """The values by which the reader finds the split again. Only the reader that made the split uses them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A bad row, which stays in its place."""

    row: int
    """Its number from 0: within its split when a reader reports it, within the input when it is stored."""
    where: str
    """The place of the row in messages, such as `reviews.csv, line 7`."""
    reason: str
    """What is wrong, in one line."""
    original: bytes = b""
    """The bytes of the row or the value in the input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """The settings of the input. A reader ignores those that do not concern it."""

    encoding: str | None = None
    """Text encoding of CSV and JSON lines. None: the encoding that the byte order mark names, else UTF-8."""
    delimiter: str | None = None
    """The character between the fields of a CSV. None: it is found from the first lines."""
    quotes: bool = True
    """True: a double quote at the start of a CSV cell encloses the cell. False: a quote is an ordinary character."""
    header: bool | None = None
    """True: the first row names the columns. False: no row does, and they are called `column_1`, `column_2` and so on.
    None: the first row does, unless it looks like data."""
    skip_rows: int = 0
    """Rows to skip before the header or, without one, before the first row: lines of a text file, rows of a sheet."""
    comment: str | None = None
    """The character with which comments begin. Such lines of a CSV, and such rows of a sheet, are left out."""
    escape: str | None = None
    """The character of a CSV after which a delimiter or a quote is part of a cell, such as a backslash."""
    sheet: str | None = None
    """The sheet of a workbook: its name, or its number from 1. None: the first visible sheet."""
    query: str | None = None
    """The SQL query whose result is the table. None: the table that the location names."""
    key: str | None = None
    """A unique, non-null column of a database table. It gives the rows an order, so that a run can be resumed."""
    on_bad_row: Callable[[Problem], None] | None = None
    """Called with each bad row before the batch with that row is returned. None: a bad row raises an `InputError`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How a reader reads its table. None stands for what the format does not have."""

    format: str | None = None
    """The format of the files of a folder, if nothing but their endings shows it."""
    delimiter: str | None = None
    """The character between the fields of a CSV."""
    encoding: str | None = None
    """The encoding of a text file, as Python names it."""
    header: bool | None = None
    """True if the first row names the columns."""
    skip_rows: int | None = None
    """Rows that are skipped before the header."""
    sheet: str | None = None
    """The name of the sheet of a workbook."""
    assumed: tuple[str, ...] = ()
    """The names of those fields above that the reader found out by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteOptions:
    """The settings of the output. A writer ignores those that do not concern it."""

    overwrite: bool = False
    """Replace an output that exists at the destination."""
    delimiter: str | None = None
    """The character between the fields of a CSV. None: a tab if the suffix is `.tsv` or `.tab`, else a comma."""
    escape_formulas: bool = False
    """Put an apostrophe before text that a spreadsheet would take for a formula, such as text that begins with =."""
    scratch: str | None = None
    """The folder for files that are not published yet, on the same file system. None: a hidden file beside the
    destination."""
    run_id: str | None = None
    """An ID that no other run has, of letters and digits. A writer that registers `find_run_id` or `has_run_id` stores
    it with the output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedFile:
    """The size and digest of a file that is complete and on disk, published or not."""

    bytes: int
    """Size of the stored file, after compression."""
    sha256: str
    """SHA-256 of the stored bytes in hexadecimal, as `sha256sum` prints it."""


Sealed = FinishedFile
"""Deprecated: the name of `FinishedFile` in version 0.1."""
