"""What the values of a column are called: a column of any type in, names that can be counted and shown out."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import holds_json, holds_text, extract_values

CONVERSION_ERRORS = (ValueError, TypeError, OverflowError, NotImplementedError)
"""What pyarrow raises for values that Python, or a text, cannot hold; its own errors are kinds of these."""


def name_values(batch: pa.RecordBatch, name: str) -> pa.DictionaryArray:
    """The names of a column's values, each name once: (n,), null where there is no value or NaN.

    Equal values have equal names, and others other ones, but that blank texts all have the empty one.
    """
    column = batch.column(name)
    if holds_json(batch.schema.field(name)):
        return _encoded([None if value is None else str(value) for value in extract_values(batch, name)])
    try:
        each = _decoded(column).dictionary_encode()
    except CONVERSION_ERRORS:  # nested values are not told apart by Arrow
        return _encoded(_names(column))
    names = _encoded(_names(each.dictionary))
    return pa.DictionaryArray.from_arrays(names.indices.take(each.indices), names.dictionary)


def concatenate_names(parts: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    """Names one after the other, under one dictionary."""
    return pa.chunked_array([_encoded([]), *parts]).unify_dictionaries().combine_chunks()


def _encoded(names: Sequence[str | None]) -> pa.DictionaryArray:
    plain = ["" if name is not None and name.isspace() else name for name in names]
    encoded = pa.array(plain, pa.large_string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int32()), encoded.dictionary)


def _decoded(column: pa.Array) -> pa.Array:
    """A column as its values; a dictionary larger than its batch would cost as much with each of many batches."""
    if pa.types.is_dictionary(column.type) and len(column.dictionary) > len(column):
        return column.dictionary_decode()
    return column


def _names(values: pa.Array) -> list[str | None]:
    """What each value is called, None for null and NaN; for dates that no calendar has, what Arrow shows."""
    for named in (_as_arrow_casts, _as_python_says):
        try:
            return named(values)
        except CONVERSION_ERRORS:
            continue
    return [_as_arrow_shows(values, row) if values[row].is_valid else None for row in range(len(values))]


def _as_arrow_casts(values: pa.Array) -> list[str | None]:
    """Of texts, numbers and times."""
    kind = values.type
    if holds_text(kind) or pa.types.is_fixed_size_binary(kind):
        bytes_ = values.cast(pa.binary() if pa.types.is_fixed_size_binary(kind) else pa.large_binary()).to_pylist()
        return [None if value is None else value.decode("utf-8", "backslashreplace") for value in bytes_]
    if isinstance(values, pa.ExtensionArray):
        raise TypeError("its storage alone says little")
    names: list[str | None] = values.cast(pa.large_string()).to_pylist()
    if pa.types.is_duration(kind):
        return [None if name is None else f"{name} {kind.unit}" for name in names]
    if pa.types.is_floating(kind):
        missing = pc.is_null(values, nan_is_null=True).to_pylist()
        return [None if none else name for name, none in zip(names, missing, strict=True)]
    return names


def _as_python_says(values: pa.Array) -> list[str | None]:
    """Of lists, structs and whatever else is a value of Python's."""
    return [None if value is None else str(value) for value in values.to_pylist()]


def _as_arrow_shows(values: pa.Array, row: int) -> str:
    return " ".join(values.slice(row, 1).to_string().strip("[] \n").split())
