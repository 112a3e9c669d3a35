"""What travels between the rooms: small frozen records of plain values; no behaviour beyond what they can derive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

JSON_MARK = b"sentiment_batch.json"
"""Metadata key of a text column whose values are JSON already; a reader sets it to `1` for a writer of JSON to see."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Something that was chosen, and why, for people to read."""

    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.value} ({self.reason})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """A unit of reading: the same split of the same input always gives the same rows in the same order."""

    index: int
    """Position among the splits of the input, from 0; reading them in this order gives the input's row order."""
    label: str
    """What a person calls it, for messages: `reviews.parquet, row group 3`."""
    num_rows: int | None = None
    """Rows in the split where the format knows without reading them."""
    key: tuple[str | int, ...] = ()
    """What the reader needs to find the split again; only the reader that made it looks inside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What is wrong with a row that stays in its place all the same."""

    row: int
    """Its number from 0: within its split where a reader tells it, within the input where it is kept."""
    where: str
    """What a person calls the place: `reviews.csv, line 7`."""
    reason: str
    """What is wrong, in one line."""
    original: bytes = b""
    """The row, or the value, as it stands in the input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """What a user may say about the input's format; a reader ignores what does not concern it."""

    encoding: str | None = None
    """Text encoding of CSV and JSON lines; None takes the byte order mark's, else UTF-8."""
    delimiter: str | None = None
    """One character between the fields of a CSV; None finds it in the first lines."""
    quotes: bool = True
    """Whether a double quote at the start of a CSV cell encloses it; False reads it as a character like any other."""
    query: str | None = None
    """SQL whose rows are the table; None takes the table that the location names."""
    key: str | None = None
    """A column of a database that is another in each row and never null: it gives the rows an order to go on in."""
    on_bad_row: Callable[[Problem], None] | None = None
    """Told of each bad row, before the batch that holds it is given; None makes a bad row an `InputError`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteOptions:
    """What a user may say about the output's format; a writer ignores what does not concern it."""

    overwrite: bool = False
    """Replace what is at the destination."""
    delimiter: str | None = None
    """One character between the fields of a CSV; None takes the suffix's (`.tsv`: a tab), else a comma."""
    escape_formulas: bool = False
    """Put an apostrophe before text that a spreadsheet would take for a formula: such as begins with =, +, - or @."""
    scratch: str | None = None
    """A folder beside the destination for what is not public yet; None: a hidden file beside it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedFile:
    """The size and digest of a file that is complete and on disk, published or not."""

    bytes: int
    """Size of the stored file, after compression."""
    sha256: str
    """SHA-256 of the stored bytes in hexadecimal, as `sha256sum` prints it."""


Sealed = FinishedFile
"""Deprecated: the name of `FinishedFile` in version 0.1."""
