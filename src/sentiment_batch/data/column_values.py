"""Reads the values of a column: as the texts to score, as Python values, or as names that can be counted and shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import decode_dictionary, holds_json, holds_text
from sentiment_batch.data.readers.utf8_repair import describe_bad_utf8, repair_utf8
from sentiment_batch.errors import InputError
from sentiment_batch.records import Problem

CONVERSION_ERRORS = (ValueError, TypeError, OverflowError, NotImplementedError)
"""What pyarrow raises for values that Python or a text cannot hold. Its own errors are subclasses of these."""

BadValues = dict[int, list[tuple[str, bytes]]]
"""The values that are not UTF-8 by row of the batch: the column's name and the bytes."""


def extract_texts(
    batch: pa.RecordBatch,
    names: Sequence[str],
    start: int = 0,
    on_bad_row: Callable[[Problem], None] | None = None,
) -> pa.LargeStringArray:
    """The text of each row, null if there is none. Several columns are joined by a blank line.

    Args:
        batch: some rows.
        names: the text columns, as `find_text_columns` returns them.
        start: the number of the first row in the input, counted from 0; used in messages.
        on_bad_row: called in row order for each row with a value that is not UTF-8. The row stays, with U+FFFD in
            place of the bad bytes. None makes such a row an error.

    Raises:
        InputError: a value is not UTF-8; the message names the row.
    """
    bad: BadValues = {}
    columns = [_read_text(batch.column(name), batch.schema.field(name), bad) for name in names]
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
    values: list[object] = batch.column(name).to_pylist()
    return list(map(_unquote_json, values)) if holds_json(batch.schema.field(name)) else values


def name_values(batch: pa.RecordBatch, column: str) -> pa.DictionaryArray:
    """The name of each value of a column: (n,), null if there is no value or NaN; the dictionary has each name once.

    Equal values have equal names, and different values different names. Only blank texts share one name, "".
    """
    values = batch.column(column)
    if holds_json(batch.schema.field(column)):
        return _encode_names([None if value is None else str(value) for value in extract_values(batch, column)])
    try:
        unique = _shrink_dictionary(values).dictionary_encode()
    except CONVERSION_ERRORS:  # Arrow does not encode nested values
        return _encode_names(_find_names(values))
    names = _encode_names(_find_names(unique.dictionary))
    return pa.DictionaryArray.from_arrays(names.indices.take(unique.indices), names.dictionary)


def concatenate_dictionaries(parts: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    """Dictionary arrays of int32 and large strings, one after the other, under one dictionary; (0,) for no parts."""
    return pa.chunked_array([_encode_names([]), *parts]).unify_dictionaries().combine_chunks()


def to_single_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one array."""
    # `combine_chunks` would drop the dictionary of a single chunk without rows.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _read_text(column: pa.Array, field: pa.Field, bad: BadValues) -> pa.LargeStringArray:
    """A column as text. Values that are not UTF-8 are repaired and added to `bad`."""
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
            bad.setdefault(row, []).append((field.name, value))
    return pa.array(map(_unquote_json, text.to_pylist()), pa.large_string()) if holds_json(field) else text


def _join_texts(columns: Sequence[pa.LargeStringArray]) -> pa.LargeStringArray:
    """The columns' texts of each row, joined by blank lines; null and blank parts are left out."""
    parts = [pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column) for column in columns]
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
    # JSON can escape half of a surrogate pair, but UTF-8 cannot hold it. It becomes U+FFFD.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _encode_names(names: Sequence[str | None]) -> pa.DictionaryArray:
    without_blanks = ["" if name is not None and name.isspace() else name for name in names]
    encoded = pa.array(without_blanks, pa.large_string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int32()), encoded.dictionary)


def _shrink_dictionary(column: pa.Array) -> pa.Array:
    """The plain values of a batch that is smaller than its dictionary.

    Naming every entry of a large dictionary again for each of many small batches would take too long.
    """
    if pa.types.is_dictionary(column.type) and len(column.dictionary) > len(column):
        return column.dictionary_decode()
    return column


def _find_names(values: pa.Array) -> list[str | None]:
    """The name of each value, None for null and NaN: the first of three ways that knows the type."""
    for convert in (_cast_to_names, _format_in_python):
        try:
            return convert(values)
        except CONVERSION_ERRORS:
            continue
    # For example dates outside Python's calendar.
    return [_format_in_arrow(values, row) if values[row].is_valid else None for row in range(len(values))]


def _cast_to_names(values: pa.Array) -> list[str | None]:
    """The names of texts, numbers and times."""
    kind = values.type
    if holds_text(kind) or pa.types.is_fixed_size_binary(kind):
        bytes_ = values.cast(pa.binary() if pa.types.is_fixed_size_binary(kind) else pa.large_binary()).to_pylist()
        return [None if value is None else value.decode("utf-8", "backslashreplace") for value in bytes_]
    if isinstance(values, pa.ExtensionArray):
        raise TypeError("the storage of an extension type does not show its values")
    names: list[str | None] = values.cast(pa.large_string()).to_pylist()
    if pa.types.is_duration(kind):
        return [None if name is None else f"{name} {kind.unit}" for name in names]
    if pa.types.is_floating(kind):
        missing = pc.is_null(values, nan_is_null=True).to_pylist()
        return [None if none else name for name, none in zip(names, missing, strict=True)]
    return names


def _format_in_python(values: pa.Array) -> list[str | None]:
    """The names of lists, structs and other values that Python has a type for."""
    return [None if value is None else str(value) for value in values.to_pylist()]


def _format_in_arrow(values: pa.Array, row: int) -> str:
    return " ".join(values.slice(row, 1).to_string().strip("[] \n").split())
