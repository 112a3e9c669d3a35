"""The types to which columns are cast before pyarrow can write them to Parquet, and those as which they come back.

Two things go wrong in pyarrow. Text and bytes in views, of which Polars' files are full, can be written as a column or
in a list, but not in a struct or a dictionary. And a struct that is null cannot be read again if it has a list of a
fixed size that may not be null.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

_LARGE = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
_SMALL = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
Change = Callable[[pa.DataType], pa.DataType]


def writable(schema: pa.Schema) -> pa.Schema:
    """`schema` with other types for the columns that cannot be written or read as they are."""

    def change(kind: pa.DataType) -> pa.DataType:
        return _LARGE.get(kind, _plain_dictionary(kind))

    return _with_types(schema, [_changed(kind, change) if _fails(kind) else kind for kind in schema.types])


def restored(schema: pa.Schema) -> pa.Schema:
    """`schema` as it comes back: with views, but none in a dictionary, and that list may be null."""
    return _with_types(schema, [_changed(kind, _plain_dictionary) for kind in schema.types])


def spoiled(kind: pa.DataType) -> bool:
    """Whether a column of this type needs a cast that goes wrong: pyarrow's loses count of nulls in lists."""
    return _fails(kind) and _has_nulls_in_lists(kind)


def _has_nulls_in_lists(kind: pa.DataType, in_list: bool = False) -> bool:
    if pa.types.is_null(kind):
        return in_list
    inside = in_list or (pa.types.is_nested(kind) and not pa.types.is_struct(kind))
    return any(_has_nulls_in_lists(kind.field(index).type, inside) for index in range(kind.num_fields))


def _with_types(schema: pa.Schema, types: list[pa.DataType]) -> pa.Schema:
    fields = [field.with_type(kind) for field, kind in zip(schema, types, strict=True)]
    return pa.schema(fields, metadata=schema.metadata)


def _fails(kind: pa.DataType, in_struct: bool = False) -> bool:
    if kind in _LARGE:
        return in_struct
    if _plain_dictionary(kind) != kind:
        return True
    if not pa.types.is_nested(kind):
        return False
    if pa.types.is_struct(kind) and any(map(_unreadable, kind)):
        return True
    inside = in_struct or pa.types.is_struct(kind)
    return any(_fails(kind.field(index).type, inside) for index in range(kind.num_fields))


def _plain_dictionary(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind) and kind.value_type in _SMALL:
        return pa.dictionary(kind.index_type, _SMALL[kind.value_type], kind.ordered)
    return kind


def _unreadable(field: pa.Field) -> bool:
    return pa.types.is_fixed_size_list(field.type) and not field.nullable


def _changed(kind: pa.DataType, change: Change) -> pa.DataType:
    """`kind` with `change` made to all that is not nested in it."""
    if not pa.types.is_nested(kind):
        return change(kind)
    if pa.types.is_struct(kind):
        return pa.struct([_field(field.with_nullable(field.nullable or _unreadable(field)), change) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_field(kind.key_field, change), _field(kind.item_field, change), kind.keys_sorted)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_field(kind.value_field, change), kind.list_size)
    if pa.types.is_large_list(kind):
        return pa.large_list(_field(kind.value_field, change))
    # pyarrow casts no list view to another, and wrongly to a list: what is in them stays as it is.
    return pa.list_(_field(kind.value_field, change)) if pa.types.is_list(kind) else kind


def _field(field: pa.Field, change: Change) -> pa.Field:
    return field.with_type(_changed(field.type, change))
