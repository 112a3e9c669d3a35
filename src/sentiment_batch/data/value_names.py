"""Names the values of a column of any type, so that they can be counted and shown."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import extract_values, holds_text, read_column

CONVERSION_ERRORS = (ValueError, TypeError, OverflowError, NotImplementedError)
"""What pyarrow raises for values that Python or a text cannot hold. Its own errors are subclasses of these."""


def format_values(batch: pa.RecordBatch, column: str) -> pa.DictionaryArray:
    """The name of each value of a column: (n,), null if there is no value or NaN; the dictionary has each name once.

    Equal values have equal names, and different values different names. Only blank texts share one name, "".
    """
    values, is_json = read_column(batch, column)
    if is_json:
        return _encode_names([None if value is None else str(value) for value in extract_values(batch, column)])
    try:
        unique = _shrink_dictionary(values).dictionary_encode()
    except CONVERSION_ERRORS:  # Arrow does not encode nested values
        return _encode_names(_find_names(values))
    # Two values may share a name, as blank texts do, so the names are encoded once more
    names = _encode_names(_find_names(unique.dictionary))
    return pa.DictionaryArray.from_arrays(names.indices.take(unique.indices), names.dictionary)


def concatenate_dictionaries(parts: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    """Dictionary arrays of int32 and large strings, one after the other, under one dictionary; (0,) for no parts."""
    return pa.chunked_array([_encode_names([]), *parts]).unify_dictionaries().combine_chunks()


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
    # Arrow formats numbers and times in C, and all of them at once
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
