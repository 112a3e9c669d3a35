"""Reads JSON objects in two passes: the first infers the columns and their types, the second makes the batches."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sentiment_batch.data.readers.header_names import make_distinct, warn_renamed
from sentiment_batch.data.readers.json_layouts import choose_layout, iterate_values, refuse_csv, refuse_pandas_layouts
from sentiment_batch.data.readers.json_objects import (
    NEEDS_OBJECTS,
    Objects,
    extract_member_texts,
    find_repeated_key,
    has_non_finite,
    parse_objects,
    split_into_blocks,
)
from sentiment_batch.data.readers.json_types import JsonShape, count_lone_surrogates, replace_surrogates
from sentiment_batch.data.readers.source import Source
from sentiment_batch.data.readers.text import TextFile
from sentiment_batch.errors import InputError, reason
from sentiment_batch.locations import without_password
from sentiment_batch.records import JSON_MARK, Dialect, Problem, ReadOptions, Split

logger = logging.getLogger("sentiment_batch")

JSON_METADATA = {JSON_MARK: b"1"}
"""The metadata of a field whose strings are JSON text. The JSON lines writer writes them as they are."""
MAX_COLUMNS = 10_000
"""Files with more different keys are refused, because these are data and not names of columns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    key: str
    """The key in the objects."""
    type: pa.DataType | None
    """The Arrow type, or None if only JSON text holds all values."""


@dataclass(kw_only=True, slots=True)
class _Seen:
    """The first line in which something was seen, and the number of such lines. Memory does not grow with them."""

    first: int = 0
    """The number of the line, counted from 1; 0 if there is none."""
    what: str = ""
    """What was seen in it."""
    count: int = 0
    """The number of lines."""

    def add(self, number: int, what: str = "") -> None:
        """Count a line."""
        if not self.count:
            self.first, self.what = number, what
        self.count += 1

    def __str__(self) -> str:
        more = f", and so in {self.count - 1:,} more" if self.count > 1 else ""
        return f"line {self.first:,}{more}"


class _Changes:
    """What is read in another way than it stands in the file: repeated keys, NaN and infinity, lone surrogates."""

    def __init__(self) -> None:
        self._repeated, self._non_finite = _Seen(), _Seen()
        self._surrogates: Counter[str] = Counter()
        """The number of lone surrogates, by key."""

    def add(self, found: Objects) -> None:
        """Look at the next objects."""
        for number, text, row in zip(found.numbers, found.texts, found.rows, strict=True):
            # Surrogates need an escape such as \ud83d in the text. The search for it is quicker than one in each value.
            if "\\ud" in text or "\\uD" in text:
                self._surrogates.update({key: count_lone_surrogates(value) for key, value in row.items()})
            if (twice := find_repeated_key(text, row)) is not None:
                self._repeated.add(number, twice)
            if has_non_finite(text):
                self._non_finite.add(number)

    def warn(self, columns: Sequence[_Column], name: str) -> None:
        """Log a warning for each kind of change; `name` is what it calls the file."""
        if self._repeated.count:
            place = f"{name}, {self._repeated}"
            logger.warning(
                "%s: the key %r occurs twice in an object; its last value counts", place, self._repeated.what
            )
        if self._non_finite.count:
            logger.warning("%s, %s: NaN and Infinity, which are not JSON, are read as null", name, self._non_finite)
        # Columns of JSON text keep their escapes, so nothing is replaced there
        replaced = sum(self._surrogates[column.key] for column in columns if column.type is not None)
        if replaced:
            logger.warning("%s: U+FFFD replaced %d lone surrogates, which are not valid text", name, replaced)


class JsonLinesReader:
    """A `Reader` of files with one JSON object per line, one array of objects, or objects over several lines.

    A column whose values share no Arrow type becomes strings of JSON text, see `JSON_METADATA`.

    Args:
        location: a path, an fsspec URL, or `-` for standard input.
        options: the encoding, and the function that is called for bad rows.

    Raises:
        InputError: the file is missing or empty, or it does not hold one JSON object for each row.
        UsageError: the encoding is unknown.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._source = Source(location)
        self._name = self._source.name
        self._on_bad_row = options.on_bad_row
        try:
            self._text = TextFile(self._source, options, newline="\n")
            # The two checks look at the sample alone. Then the whole file is read once for the types of the columns.
            refuse_csv(self._name, self._text.sample)
            self._layout = choose_layout(
                self._text.sample, self._name, is_whole=self._text.is_whole, accept_bad=self._on_bad_row is not None
            )
            self._columns, num_rows = self._infer_columns()
        except BaseException:
            self.close()
            raise
        self.schema = _make_schema(self._columns, self._name)
        self.num_rows: int | None = num_rows
        assumed = () if options.encoding else ("encoding",)
        self.dialect = Dialect(encoding=self._text.encoding_name, assumed=assumed)

    def splits(self) -> Sequence[Split]:
        """One split, because where a line begins can only be found by reading from the start."""
        return (Split(index=0, label=self._name, num_rows=self.num_rows),)

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """All rows from the beginning of the file. `on_bad_row` is called for bad ones."""
        needs_texts = any(column.type is None for column in self._columns)
        seen = 0
        for found in self._parse():
            for at, number, why, line in found.bad:
                if self._on_bad_row is not None:
                    where, original = f"{self._name}, line {number:,}", self._text.restore_bytes(line)
                    self._on_bad_row(Problem(row=seen + at, where=where, reason=why, original=original))
            seen += len(found.rows)
            texts = [extract_member_texts(text) for text in found.texts] if needs_texts else []
            arrays = [self._make_array(column, found.rows, texts) for column in self._columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _parse(self) -> Iterator[Objects]:
        """The objects in blocks that are not empty."""
        encoding, accept_bad = self._text.encoding_name, self._on_bad_row is not None
        with self._text.lines() as lines:
            texts = (
                enumerate(lines, 1)
                if self._layout == "lines"
                else iterate_values(lines.chunks(), self._name, array=self._layout == "array")
            )
            for numbers, block in split_into_blocks(texts):
                found = parse_objects(numbers, block, self._name, encoding=encoding, accept_bad=accept_bad)
                if found.rows:
                    yield found

    def _infer_columns(self) -> tuple[list[_Column], int]:
        """The columns in the order of their first appearance, and the number of rows."""
        shapes: dict[str, JsonShape] = {}
        changes, problems, num_rows = _Changes(), _Seen(), 0
        for found in self._parse():
            # Only a file of one object can be a whole table, so larger files are not looked at
            if num_rows == 0 and len(found.rows) == 1:
                refuse_pandas_layouts(found.rows[0], self._name)
            num_rows += len(found.rows)
            for _, number, why, _ in found.bad[:1]:
                problems.add(number, why)
            for key, values in _group_by_key(found.rows).items():
                shapes.setdefault(key, JsonShape()).add(values)
            if len(shapes) > MAX_COLUMNS:
                raise InputError(f"{self._name} has over {MAX_COLUMNS:,} different keys. Give each row the same keys.")
            changes.add(found)
        if not shapes and problems.count:
            raise InputError(f"{self._name}, line {problems.first:,}: {problems.what}. {NEEDS_OBJECTS}")
        if not shapes:
            raise InputError(
                f"{self._name} holds no objects with keys, so it has no columns. Give one object per line."
            )
        columns = [_Column(key=key, type=shape.arrow_type()) for key, shape in shapes.items()]
        changes.warn(columns, without_password(self._name))
        return columns, num_rows

    def _make_array(
        self, column: _Column, rows: Sequence[dict[str, Any]], texts: list[dict[str, str | None]]
    ) -> pa.Array:
        if column.type is None:
            return pa.array([members.get(column.key) for members in texts], pa.string())
        # A row that lacks the key is null
        values = [row.get(column.key) for row in rows]
        try:
            try:
                return pa.array(values, column.type)
            except UnicodeEncodeError:  # a lone surrogate; looking at every text each time would take too long
                return pa.array(replace_surrogates(values), column.type)
        except (pa.ArrowException, OverflowError, TypeError) as error:
            raise InputError(
                f"{self._name}, column {column.key!r}: the file changed while it was read: {reason(error)}. "
                "Run again once no program writes to it."
            ) from error


def _group_by_key(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        for key, value in row.items():
            found[key].append(value)
    return found


def _make_schema(columns: list[_Column], name: str) -> pa.Schema:
    keys = [column.key for column in columns]
    names = make_distinct(replace_surrogates(keys)) if count_lone_surrogates(keys) else keys
    warn_renamed(name, replace_surrogates(keys), names)
    return pa.schema(
        pa.field(name, column.type or pa.string(), metadata=None if column.type is not None else JSON_METADATA)
        for name, column in zip(names, columns, strict=True)
    )
