"""The types to which columns must be cast before pyarrow can write them to Parquet, and the types that come back.

pyarrow has two defects. Text and bytes in views, which Polars uses, can be written as a column or in a list, but not in
a struct or a dictionary. And a null struct cannot be read back if it has a list of fixed size that must not be null.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

_LARGE = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
_SMALL = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
Change = Callable[[pa.DataType], pa.DataType]


def writable(schema: pa.Schema) -> pa.Schema:
    """`schema` with other types for the columns that cannot be written or read back unchanged."""

    def change(kind: pa.DataType) -> pa.DataType:
        return _LARGE.get(kind, _plain_dictionary(kind))

    # Only columns that fail are cast, because a cast costs time and changes the type that comes back
    return _with_types(schema, [_change_type(kind, change) if _fails(kind) else kind for kind in schema.types])


def restored(schema: pa.Schema) -> pa.Schema:
    """`schema` as it is read back: with views, except in dictionaries; and lists of fixed size in structs may be
    null."""
    return _with_types(schema, [_change_type(kind, _plain_dictionary) for kind in schema.types])


def spoiled(kind: pa.DataType) -> bool:
    """True if a column of this type needs a cast that fails, because pyarrow miscounts nulls in lists."""
    return _fails(kind) and _has_nulls_in_lists(kind)


def _has_nulls_in_lists(kind: pa.DataType, in_list: bool = False) -> bool:
    """True if a list or map inside of the type holds values of the type null."""
    if pa.types.is_null(kind):
        return in_list
    inside = in_list or (pa.types.is_nested(kind) and not pa.types.is_struct(kind))
    return any(_has_nulls_in_lists(kind.field(index).type, inside) for index in range(kind.num_fields))


def _with_types(schema: pa.Schema, types: list[pa.DataType]) -> pa.Schema:
    fields = [field.with_type(kind) for field, kind in zip(schema, types, strict=True)]
    return pa.schema(fields, metadata=schema.metadata)


def _fails(kind: pa.DataType, in_struct: bool = False) -> bool:
    """True if pyarrow cannot write a column of this type, or cannot read it back; `in_struct` if it is in a struct."""
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
    """The type of a dictionary without views; any other type as it is."""
    if pa.types.is_dictionary(kind) and kind.value_type in _SMALL:
        return pa.dictionary(kind.index_type, _SMALL[kind.value_type], kind.ordered)
    return kind


def _unreadable(field: pa.Field) -> bool:
    """True if a null struct with this field could not be read back."""
    return pa.types.is_fixed_size_list(field.type) and not field.nullable


def _change_type(kind: pa.DataType, change: Change) -> pa.DataType:
    """`kind` with `change` applied to all of its types that are not nested."""
    if not pa.types.is_nested(kind):
        return change(kind)
    if pa.types.is_struct(kind):
        return pa.struct(
            [_change_field(field.with_nullable(field.nullable or _unreadable(field)), change) for field in kind]
        )
    if pa.types.is_map(kind):
        return pa.map_(_change_field(kind.key_field, change), _change_field(kind.item_field, change), kind.keys_sorted)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_change_field(kind.value_field, change), kind.list_size)
    if pa.types.is_large_list(kind):
        return pa.large_list(_change_field(kind.value_field, change))
    # pyarrow cannot cast list views, and casts them wrongly to lists, so their values stay unchanged.
    return pa.list_(_change_field(kind.value_field, change)) if pa.types.is_list(kind) else kind


def _change_field(field: pa.Field, change: Change) -> pa.Field:
    return field.with_type(_change_type(field.type, change))
