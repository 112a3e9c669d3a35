"""Finds the type that holds the values of a column in all files of a folder, and the columns that become JSON text."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import decode_dictionary
from sentiment_batch.data.writers.json_text import json_text
from sentiment_batch.data.writers.value_text import is_text

_NULL = "null"


def unify_types(known: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """A type that holds the values of both types, or None if there is none.

    Dictionaries and views that do not go together become their plain values. Integers beside floats become floats; the
    cast refuses an integer that a float does not hold. Decimals never become floats, because that cast would round.
    """
    # First the types as they are, so that equal dictionaries stay dictionaries
    unified = _promote(known, other) or _promote(_to_plain(known), _to_plain(other))
    if unified is None or _rounds(known, unified) or _rounds(other, unified):
        return None
    return unified


def can_be_json(kind: pa.DataType) -> bool:
    """True if JSON has values for this type: texts, numbers, true and false, and lists and objects of these."""
    kind = _to_plain(kind)
    if pa.types.is_struct(kind):
        # A JSON object cannot hold two members of one name.
        is_distinct = len({field.name for field in kind}) == kind.num_fields
        return is_distinct and all(can_be_json(field.type) for field in kind)
    if _is_list(kind):
        return can_be_json(kind.value_type)
    checks = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return is_text(kind) or any(check(kind) for check in checks)


def encode_as_json(column: pa.Array) -> pa.Array:
    """The JSON text of each value, null where there is none. The type must be one that `can_be_json` accepts.

    Raises:
        ValueError: a number is NaN or infinite, which JSON lacks.
    """
    column = decode_dictionary(column)
    # The writer makes null of such a number, which would lose a value without a word
    if _holds_non_finite(column):
        raise ValueError("NaN and infinity are not JSON, which another file holds there")
    text = json_text(column, pa.field("", column.type))
    return pc.if_else(pc.equal(text, _NULL), None, text)  # the text `null` has quotes


def _promote(known: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    schemas = [pa.schema([("", known)]), pa.schema([("", other)])]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None


def _to_plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values without dictionaries and views, also inside of lists and objects."""
    if pa.types.is_dictionary(kind):
        return _to_plain(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_to_plain(field.type)) for field in kind])
    if _is_list(kind):
        item = kind.value_field.with_type(_to_plain(kind.value_type))
        return pa.large_list(item) if pa.types.is_large_list(kind) else pa.list_(item)
    return kind


def _rounds(kind: pa.DataType, unified: pa.DataType) -> bool:
    """True if decimals in a column of the type `kind` would become floats in the type `unified`."""
    if pa.types.is_decimal(kind):
        return bool(pa.types.is_floating(unified))
    if pa.types.is_struct(kind) and pa.types.is_struct(unified):
        return any(_rounds(field.type, unified.field(field.name).type) for field in kind)
    if pa.types.is_map(kind) and pa.types.is_map(unified):
        return _rounds(kind.key_type, unified.key_type) or _rounds(kind.item_type, unified.item_type)
    is_list = _is_list(kind) and _is_list(unified)
    return is_list and _rounds(kind.value_type, unified.value_type)


def _holds_non_finite(column: pa.Array) -> bool:
    kind = column.type
    if pa.types.is_floating(kind):
        return bool(pc.any(pc.invert(pc.is_finite(column.cast(pa.float64())))).as_py())
    if pa.types.is_struct(kind):
        return any(map(_holds_non_finite, column.flatten()))
    return _is_list(kind) and _holds_non_finite(column.flatten())


def _is_list(kind: pa.DataType) -> bool:
    checks = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(check(kind) for check in checks)
