"""Reads JSON lines in two passes: the first finds the columns and their types, the second makes the batches."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.readers.header_names import make_distinct
from sentiment_batch.data.readers.json_objects import BadLineHandler, split_into_blocks, parse_objects, extract_member_texts
from sentiment_batch.data.readers.json_types import JsonShape, count_lone_surrogates, replace_surrogates
from sentiment_batch.data.readers.source import Source
from sentiment_batch.data.readers.text import TextFile
from sentiment_batch.data.readers.text_formats import refuse_csv
from sentiment_batch.errors import InputError, reason
from sentiment_batch.records import JSON_MARK, Problem, Split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")

JSON_METADATA = {JSON_MARK: b"1"}
"""Metadata of a field whose strings are JSON, to be written to JSON lines as they are."""
MAX_COLUMNS = 10_000
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
        options: the encoding, and who is told of bad rows.

    Raises:
        InputError: the file is missing, empty, or a line is no JSON object.
        UsageError: the encoding is unknown.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._source = Source(location)
        self._name = self._source.name
        self._tell = options.on_bad_row
        try:
            self._text = TextFile(self._source, options, newline="\n")
            self._refuse_others(self._text.sample)
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
        """All rows, from the beginning of the file; of bad ones `on_bad_row` is told."""
        verbatim = any(column.type is None for column in self._columns)
        for lines, rows in self._parsed(self._tell):
            written = [extract_member_texts(line) for line in lines] if verbatim else []
            arrays = [self._array(column, rows, written) for column in self._columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _parsed(
        self, tell: Callable[[Problem], None] | None = None
    ) -> Iterator[tuple[list[str], list[dict[str, Any]]]]:
        """The lines that are not blank and their objects, in blocks; of bad ones `tell` is told before their block."""
        seen = 0

        def bad(at: int, number: int, reason: str, line: str) -> None:
            if tell is not None:
                where, original = f"{self._name}, line {number:,}", self._text.original(line)
                tell(Problem(row=seen + at, where=where, reason=reason, original=original))

        marking = None if self._tell is None else BadLineHandler(tell=bad, encoding=self._text.called)
        with self._text.lines() as opened:
            for block in split_into_blocks(opened):
                lines, rows = parse_objects(block, self._name, marking)
                if rows:
                    yield lines, rows
                seen += len(rows)

    def _refuse_others(self, sample: str) -> None:
        """Check that the file has the layout of JSON lines, going by its beginning."""
        refuse_csv(self._name, sample)
        text = sample.lstrip()
        first, _, rest = text.partition("\n")
        # A list that ends where its line does is a bad row like any other, if there are more.
        if text.startswith("[") and not (self._tell and first.rstrip().endswith("]") and rest.strip()):
            raise InputError(
                f"{self._name} begins a JSON array; needed is one JSON object per line. "
                "Turn it into lines with: jq -c '.[]'"
            )
        if text.startswith("{") and not first.strip("{ \t\r") and "\n" in text:
            raise InputError(
                f"{self._name} spreads an object over several lines; needed is one JSON object per line. "
                "Turn it into lines with: jq -c ."
            )

    def _inferred(self) -> tuple[list[_Column], int]:
        """The columns in the order of their first appearance, and the number of rows."""
        shapes: dict[str, JsonShape] = {}
        broken: Counter[str] = Counter()
        num_rows = 0
        for lines, rows in self._parsed():
            num_rows += len(rows)
            for key, values in _by_key(rows).items():
                shapes.setdefault(key, JsonShape()).add(values)
            if len(shapes) > MAX_COLUMNS:
                raise InputError(f"{self._name} has over {MAX_COLUMNS:,} different keys. Give each row the same keys.")
            for line, row in zip(lines, rows, strict=True):
                if "\\ud" in line or "\\uD" in line:
                    broken.update({key: count_lone_surrogates(value) for key, value in row.items()})
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
                return pa.array(replace_surrogates(values), column.type)
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
    names = make_distinct(replace_surrogates(keys)) if count_lone_surrogates(keys) else keys
    return pa.schema(
        pa.field(name, column.type or pa.string(), metadata=None if column.type is not None else JSON_METADATA)
        for name, column in zip(names, columns, strict=True)
    )
