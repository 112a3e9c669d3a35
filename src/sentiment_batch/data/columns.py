"""Finds the text columns of a table by their names, types and first values, and reads values."""

from __future__ import annotations

import collections
import itertools
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.column_paths import (
    describe_type,
    explain_rows_inside,
    find_field,
    holds_json,
    infer_json_types,
    list_paths,
    read_column,
)
from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.data.readers.utf8_repair import describe_bad_utf8, repair_utf8
from sentiment_batch.data.texts import BLANK_CHARACTERS, drop_null_words
from sentiment_batch.data.usual_names import LONG_TEXT_NAMES, TEXT_NAMES, find_usual_name, simplify_name
from sentiment_batch.errors import InputError, listed
from sentiment_batch.records import Problem

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader

MIN_MEAN_TEXT_LENGTH = 20
"""Mean number of characters from which a column without a usual name counts as a text column."""
_MAX_SAMPLE_ROWS = 200
"""Rows whose texts are measured."""
_NO_TEXT = re.compile(rb"\s*(?:.{,30}\d\d:\d\d(?::\d\d)?.{,30}|https?://\S+|[0-9a-fA-F-]{20,})\s*")
"""A time, an address or an identifier, which may be as long as a text."""

BadValues = dict[int, list[tuple[str, bytes]]]
"""The values that are not UTF-8 by row of the batch: the column's name and the bytes."""


def find_text_columns(schema: pa.Schema, chosen: Sequence[str] = (), sample: pa.RecordBatch | None = None) -> list[str]:
    """The names of the columns that hold the text.

    Args:
        schema: the table's columns.
        chosen: the columns or paths that the user named; several are later joined by a blank line.
        sample: some rows. If no column has a usual name, a column of long texts is found by its values.

    Raises:
        InputError: a chosen column is missing or holds no text, or no text column was found.
    """
    if chosen:
        for name in chosen:
            _check_text(schema, name)
        return list(chosen)
    if sample is not None:
        schema = infer_json_types(schema, sample)
    counts = collections.Counter(schema.names)
    unique = [field for field in schema if counts[field.name] == 1]
    # The type of a column of nulls says nothing, so only its name can make it a text column.
    texts = [field.name for field in unique if holds_text(field.type) or _is_named_null(field)]
    usual = find_usual_name(texts, TEXT_NAMES)
    if usual is not None:
        return [usual]
    strings = [name for name in texts if sample is not None and not is_binary(schema.field(name).type)]
    long = [name for name in strings if _holds_long_texts(sample, name)]
    usual = long[0] if len(long) == 1 else find_usual_name(long, LONG_TEXT_NAMES)
    if usual is not None:
        return [usual]
    if len(texts) == 1 and len(schema) == 1:
        return texts
    if not long and (rows_inside := explain_rows_inside(schema)):
        raise InputError(f"no column holds the text: {rows_inside}.")
    inside = None if long else _find_text_inside(schema)
    setting = "`text_column`" if inside is None else f"`text_column={json.dumps(inside, ensure_ascii=False)}`"
    raise InputError(
        f"cannot tell which column holds the text: {_explain_no_text(counts, unique, texts, long)}. Name it with "
        f"{setting}; the columns are {listed(schema.names)}."
    )


def _find_text_inside(schema: pa.Schema) -> str | None:
    """The path of the likeliest text inside the objects of a column, or None."""
    texts = [path for path in _list_texts(schema) if path not in schema.names]
    last = {path.rpartition(".")[2]: path for path in reversed(texts)}
    usual = find_usual_name(list(last), TEXT_NAMES)
    return last[usual] if usual is not None else next(iter(texts), None)


def _list_texts(schema: pa.Schema) -> list[str]:
    """The names and paths of the columns and values that can hold text."""
    return [path for path, field in list_paths(schema) if holds_text(field.type)]


def _explain_no_text(
    counts: collections.Counter[str], unique: Sequence[pa.Field], texts: Sequence[str], long: Sequence[str]
) -> str:
    """Why no text column was found, as part of a sentence."""
    if long:
        return f"{listed(long)} could all be it"
    for name in counts:
        if counts[name] > 1 and simplify_name(name) in TEXT_NAMES:
            return f"{name!r} occurs {counts[name]} times, so all but one of these need another name"
    for field in unique:
        if simplify_name(field.name) in TEXT_NAMES and field.name not in texts:
            return f"{field.name!r} holds {describe_type(field.type)}, which is no text"
    return "none has a usual name or holds long texts"


def detect_text_columns(reader: Reader, chosen: Sequence[str] = ()) -> list[str]:
    """The text columns of an open table. Its first rows are read only if no column has a usual name.

    Raises:
        InputError: a chosen column is missing or holds no text, or no text column was found.
    """
    # JSON text may hold objects, which only the rows show.
    needs_rows = not chosen and any(map(holds_json, reader.schema))
    try:
        return find_text_columns(reader.schema, chosen, read_first_batch(reader) if needs_rows else None)
    except InputError:
        if chosen:
            raise
        return find_text_columns(reader.schema, chosen, read_first_batch(reader))


def read_first_batch(reader: Reader) -> pa.RecordBatch | None:
    """The first rows of a table, or None if it has no rows. The splits can be read again afterwards."""
    batches = itertools.chain.from_iterable(map(reader.batches, reader.splits()))
    return next((batch for batch in batches if batch.num_rows), None)


def check_column(schema: pa.Schema, name: str, setting: str, *, whole: bool = False) -> str:
    """`name`, if it is a column or a path inside one.

    Args:
        schema: the table's columns.
        name: the column's name or path.
        setting: the setting that gave the name, such as `group_column`.
        whole: refuse a path.

    Raises:
        InputError: there is no such column, or several columns have the name.
    """
    count = schema.names.count(name)
    if count == 0 and (whole or find_field(schema, name) is None):
        if rows_inside := explain_rows_inside(schema, name):
            raise InputError(f"`{setting}` cannot be {name!r}: {rows_inside}.")
        raise InputError.no_column(name, [path for path, _ in list_paths(schema)], setting)
    if count > 1:
        raise InputError(f"{count} columns are called {name!r}. Rename them so that `{setting}` can name one.")
    return name


def to_column_names(text_column: object) -> tuple[str, ...]:
    """The column names in a user's `text_column`: None, one name or several. A pandas column name may be a number."""
    if text_column is None:
        return ()
    return tuple(map(str, text_column)) if isinstance(text_column, (list, tuple)) else (str(text_column),)


def extract_texts(
    batch: pa.RecordBatch,
    names: Sequence[str],
    start: int = 0,
    on_bad_row: Callable[[Problem], None] | None = None,
    null_words: collections.Counter[str] | None = None,
) -> pa.LargeStringArray:
    """The text of each row, null if there is none. Several columns are joined by a blank line.

    Words that stand for a missing value, such as `NULL`, are no text; see `NULL_WORDS`.

    Args:
        batch: some rows.
        names: the text columns, as `find_text_columns` returns them.
        start: the number of the first row in the input, counted from 0; used in messages.
        on_bad_row: called in row order for each row with a value that is not UTF-8. The row stays, with U+FFFD in
            place of the bad bytes. None makes such a row an error.
        null_words: counts the words that stand for a missing value.

    Raises:
        InputError: a value is not UTF-8; the message names the row.
    """
    bad: BadValues = {}
    columns = [drop_null_words(_read_text(batch, name, bad), null_words) for name in names]
    for row, values in sorted(bad.items()):
        if on_bad_row is None:
            raise InputError(
                f"column {values[0][0]!r} holds bytes that are not UTF-8 in row {start + row:,} (rows counted from 0). "
                'Repair the row, decode the column before scoring, or keep such rows with `on_bad_row="mark"`.'
            )
        on_bad_row(_describe_problem(start + row, values))
    return columns[0] if len(columns) == 1 else _join_texts(columns)


def extract_values(batch: pa.RecordBatch, name: str) -> list[object]:
    """The values of a column in Python types. Strings in a column of JSON text lose their quotes and escapes."""
    column, is_json = read_column(batch, name)
    values: list[object] = column.to_pylist()
    return list(map(_unquote_json, values)) if is_json else values


def holds_text(data_type: pa.DataType) -> bool:
    """True if a column of this type can hold texts: any type of string, bytes, or an encoding of these."""
    if pa.types.is_dictionary(data_type) or pa.types.is_run_end_encoded(data_type):
        return holds_text(data_type.value_type)
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, is_binary)
    return any(check(data_type) for check in checks)


def is_binary(data_type: pa.DataType) -> bool:
    """True for the types of bytes with a variable length."""
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(check(data_type) for check in checks)


def decode_dictionary(column: pa.Array) -> pa.Array:
    """A column of a dictionary or of run ends as its plain values; any other column as it is."""
    if pa.types.is_run_end_encoded(column.type):
        return decode_dictionary(pc.run_end_decode(column))
    if not pa.types.is_dictionary(column.type):
        return column
    values = column.dictionary
    if pa.types.is_string_view(values.type) or pa.types.is_binary_view(values.type):
        # Arrow has no `take` for views.
        values = values.cast(pa.large_binary() if is_binary(values.type) else pa.large_string())
    return values.take(column.indices)


def to_single_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one array."""
    # `combine_chunks` would drop the dictionary of a single chunk without rows.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _check_text(schema: pa.Schema, name: str) -> None:
    check_column(schema, name, "text_column")
    field = find_field(schema, name)
    if field is not None and not holds_text(field.type) and not pa.types.is_null(field.type):
        raise InputError(
            f"column {name!r} holds {describe_type(field.type)}, not text. Name another with `text_column`; "
            f"the columns of text are {listed(_list_texts(schema))}."
        )


def _is_named_null(field: pa.Field) -> bool:
    return pa.types.is_null(field.type) and simplify_name(field.name) in TEXT_NAMES


def _holds_long_texts(sample: pa.RecordBatch, name: str) -> bool:
    """True if the values of a column are long, and they are no times, addresses or identifiers."""
    # Measured in bytes, because bytes that are not UTF-8 must not raise here.
    column = decode_dictionary(sample.column(name).slice(0, _MAX_SAMPLE_ROWS)).cast(pa.large_binary())
    long: bool = (pc.mean(pc.binary_length(column)).as_py() or 0) >= MIN_MEAN_TEXT_LENGTH
    return long and not all(_NO_TEXT.fullmatch(value) for value in column.to_pylist() if value)


def _read_text(batch: pa.RecordBatch, name: str, bad: BadValues) -> pa.LargeStringArray:
    """A column as text. Values that are not UTF-8 are repaired and added to `bad`."""
    column, is_json = read_column(batch, name)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.large_string())
    column = decode_dictionary(column)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    try:
        text = column.cast(pa.large_string())
        text.validate(full=True)  # strings of Arrow and Parquet files may hold any bytes, and nothing has checked them
    except (pa.ArrowInvalid, UnicodeDecodeError):
        text, found = repair_utf8(column.cast(pa.large_binary()).view(pa.large_string()))
        for row, value in found.items():
            bad.setdefault(row, []).append((name, value))
    return pa.array(map(_unquote_json, text.to_pylist()), pa.large_string()) if is_json else text


def _join_texts(columns: Sequence[pa.LargeStringArray]) -> pa.LargeStringArray:
    """The columns' texts of each row, joined by blank lines; null and blank parts are left out."""
    parts = [
        pc.if_else(pc.equal(pc.utf8_trim(column, characters=BLANK_CHARACTERS), ""), None, column) for column in columns
    ]
    joined = parts[0]
    for part in parts[1:]:
        # `null_handling="skip"` would drop rows whose parts are all null, and shift the rows below them.
        both = pc.binary_join_element_wise(joined, part, pa.scalar("\n\n", pa.large_string()))
        joined = pc.coalesce(both, joined, part)
    return joined


def _describe_problem(row: int, values: Sequence[tuple[str, bytes]]) -> Problem:
    """The record of a row with values that are not UTF-8."""
    names = ", ".join(repr(name) for name, _ in values)
    where = f"column{'s' * (len(values) > 1)} {names}, row {row:,}"
    reasons = [describe_bad_utf8(value, f" in column {name!r}") for name, value in values]
    return Problem(row=row, where=where, reason="; ".join(reasons), original=b"\n\n".join(value for _, value in values))


def _unquote_json(value: object) -> object:
    """A JSON string without its quotes and escapes; any other value as it is."""
    if not isinstance(value, str) or not value.startswith('"'):
        return value
    try:
        text = str(json.loads(value))
    except ValueError:  # another program changed the values and kept the column's metadata
        return value
    return replace_surrogates(text)  # JSON can escape half of a surrogate pair, but UTF-8 cannot hold it
