"""Reads JSON lines in two passes: the first finds the columns and their types, the second makes the batches."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.errors import InputError
from sentiment_batch.readers.damage import reason
from sentiment_batch.readers.json_lines import blocks, objects, texts
from sentiment_batch.readers.json_types import Shape, lone_surrogates, without_surrogates
from sentiment_batch.readers.names import distinct
from sentiment_batch.readers.signatures import refuse_foreign
from sentiment_batch.readers.source import Source
from sentiment_batch.readers.text import Lines, encoding_of, open_text, undecodable
from sentiment_batch.records import JSON_MARK, Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")

JSON_TEXT = {JSON_MARK: b"1"}
"""Metadata of a field whose strings are JSON, to be written to JSON lines as they are."""
MOST_COLUMNS = 10_000
"""More different keys than this are data, not the names of columns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    key: str
    type: pa.DataType | None
    """None where only the values' JSON text holds them."""


class JsonLinesReader:
    """A `Reader` of files with one JSON object per line.

    A column whose values have no one Arrow type comes as strings of JSON text; see `JSON_TEXT`.

    Args:
        location: a path, an fsspec URL, or `-` for standard input.
        options: the encoding.

    Raises:
        InputError: the file is missing, empty, or a line is no JSON object.
        UsageError: the encoding is unknown.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._source = Source(location)
        self._name = self._source.name
        try:
            head = self._source.head()
            refuse_foreign(self._name, head)
            self._encoding = encoding_of(head, options.encoding, self._name)
            self._refuse_array(head)
            self._columns, num_rows = self._inferred()
        except BaseException:
            self.close()
            raise
        self.schema = _schema(self._columns)
        self.num_rows: int | None = num_rows

    def splits(self) -> Sequence[Split]:
        """One: where a line begins can only be told by reading from the start."""
        return (Split(index=0, label=self._name, num_rows=self.num_rows),)

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """All rows, from the beginning of the file."""
        verbatim = any(column.type is None for column in self._columns)
        for lines, rows in self._parsed():
            written = [texts(line) for line in lines] if verbatim else []
            arrays = [self._array(column, rows, written) for column in self._columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _parsed(self) -> Iterator[tuple[list[str], list[dict[str, Any]]]]:
        with self._opened() as opened:
            for block in blocks(opened):
                lines, rows = objects(block, self._name)
                if rows:
                    yield lines, rows

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Lines]:
        try:
            with open_text(self._source, self._encoding, newline="\n") as stream:
                yield Lines(stream, self._name)
        except UnicodeError as error:
            raise undecodable(self._source, self._encoding, newline="\n") from error

    def _refuse_array(self, head: bytes) -> None:
        text = head.decode(self._encoding, "ignore").lstrip()
        if text.startswith("["):
            raise InputError(
                f"{self._name} begins a JSON array; needed is one JSON object per line. "
                "Turn it into lines with: jq -c '.[]'"
            )
        if text.startswith("{") and not text.partition("\n")[0].strip("{ \t\r") and "\n" in text:
            raise InputError(
                f"{self._name} spreads an object over several lines; needed is one JSON object per line. "
                "Turn it into lines with: jq -c ."
            )

    def _inferred(self) -> tuple[list[_Column], int]:
        """The columns in the order of their first appearance, and the number of rows."""
        shapes: dict[str, Shape] = {}
        broken: Counter[str] = Counter()
        num_rows = 0
        for lines, rows in self._parsed():
            num_rows += len(rows)
            for key, values in _by_key(rows).items():
                shapes.setdefault(key, Shape()).add(values)
            if len(shapes) > MOST_COLUMNS:
                raise InputError(f"{self._name} has over {MOST_COLUMNS:,} different keys. Give each row the same keys.")
            for line, row in zip(lines, rows, strict=True):
                if "\\ud" in line or "\\uD" in line:
                    broken.update({key: lone_surrogates(value) for key, value in row.items()})
        if not shapes:
            raise InputError(
                f"{self._name} holds no objects with keys, so it has no columns. Give one object per line."
            )
        columns = [_Column(key=key, type=shape.arrow_type()) for key, shape in shapes.items()]
        self._warn(sum(broken[column.key] for column in columns if column.type is not None))
        return columns, num_rows

    def _warn(self, broken: int) -> None:
        if broken:
            logger.warning("%s: %d lone surrogates are no Unicode text; U+FFFD stands for each", self._name, broken)

    def _array(self, column: _Column, rows: list[dict[str, Any]], written: list[dict[str, str | None]]) -> pa.Array:
        if column.type is None:
            return pa.array([texts.get(column.key) for texts in written], pa.string())
        values = [row.get(column.key) for row in rows]
        try:
            try:
                return pa.array(values, column.type)
            except UnicodeEncodeError:
                return pa.array(without_surrogates(values), column.type)
        except (pa.ArrowException, OverflowError, TypeError) as error:
            raise InputError(
                f"{self._name}, column {column.key!r}: the file changed while it was read: {reason(error)}. "
                "Run again when nobody writes to it."
            ) from error


def _by_key(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        for key, value in row.items():
            found[key].append(value)
    return found


def _schema(columns: list[_Column]) -> pa.Schema:
    keys = [column.key for column in columns]
    names = distinct(without_surrogates(keys)) if lone_surrogates(keys) else keys
    return pa.schema(
        pa.field(name, column.type or pa.string(), metadata=None if column.type is not None else JSON_TEXT)
        for name, column in zip(names, columns, strict=True)
    )
