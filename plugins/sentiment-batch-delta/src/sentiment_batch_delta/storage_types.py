"""Chooses the types in which columns are stored. A value that would change is refused."""

from __future__ import annotations

import pyarrow as pa

from sentiment_batch.writing import decoded, is_bytes, is_text, repeated_name

MAX_DIGITS = 38
"""Maximum number of digits of a decimal."""
_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
    pa.null(): pa.string(),
}
_SAME = {pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.date32()}
_VIEWS = (pa.string_view(), pa.binary_view())


class NoTypeError(Exception):
    """Delta Lake has no type for a column. The message says why."""


def explain_no_type(field: pa.Field) -> str | None:
    """Why Delta Lake cannot hold a column; None if it can."""
    try:
        if not field.name or "\0" in field.name:
            raise NoTypeError("its name is empty, or has a NUL character")
        find_storage_type(field.type)
    except NoTypeError as error:
        return str(error)
    return None


def find_storage_type(kind: pa.DataType) -> pa.DataType:
    """The type in which values of a type are stored.

    Text and bytes have offsets of 64 bits, which makes no difference in the file.

    Raises:
        NoTypeError: there is none.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return find_storage_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return find_storage_type(kind.value_type)
    if kind in _SAME or kind in _WIDER:
        return _WIDER.get(kind, kind)
    if is_text(kind):
        return pa.large_string()
    if is_bytes(kind):
        return pa.large_binary()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", None if kind.tz is None else "UTC")
    if pa.types.is_decimal(kind) and kind.precision <= MAX_DIGITS and 0 <= kind.scale <= kind.precision:
        return pa.decimal128(kind.precision, kind.scale)
    return _find_nested_type(kind)


def convert(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column in its storage type.

    Raises:
        pa.ArrowInvalid: a value would change.
    """
    column = decoded(column)
    return column if column.type == kind else column.cast(kind)


def find_shared_name(fields: pa.Schema | pa.StructType) -> str | None:
    """The first name that two columns share if case is ignored, as Delta Lake does; None if there is none."""
    return repeated_name(pa.schema([pa.field(field.name.casefold(), pa.null()) for field in fields]))


def holds_local_timestamps(kind: pa.DataType) -> bool:
    """True if values of a type are or hold timestamps without a zone."""
    inside = any(map(holds_local_timestamps, _list_inner(kind)))
    return inside or bool(pa.types.is_timestamp(kind) and kind.tz is None)


def _find_nested_type(kind: pa.DataType) -> pa.DataType:
    if any(map(pa.types.is_run_end_encoded, _list_inner(kind))):
        raise NoTypeError(f"pyarrow cannot decode the run-ends within {kind}")
    if any(pa.types.is_dictionary(inner) and inner.value_type in _VIEWS for inner in _list_inner(kind)):
        raise NoTypeError(f"pyarrow cannot decode the dictionary of views within {kind}")
    if pa.types.is_struct(kind):
        if not kind.num_fields:
            raise NoTypeError("a struct must have a field")
        if (name := find_shared_name(kind)) is not None:
            raise NoTypeError(f"two fields of {kind} are named {name!r}, if case is ignored")
        return pa.struct([pa.field(one.name, find_storage_type(one.type)) for one in kind])
    if pa.types.is_map(kind):
        if holds_local_timestamps(kind):  # deltalake forgets the feature that such a table needs
            raise NoTypeError(f"deltalake cannot make tables with timestamps without a zone in {kind}")
        return pa.map_(find_storage_type(kind.key_type), find_storage_type(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", find_storage_type(kind.value_type)))
    raise NoTypeError(f"it has no type for {kind}")


def _list_inner(kind: pa.DataType) -> list[pa.DataType]:
    """The types directly inside a nested type."""
    if pa.types.is_map(kind):
        return [kind.key_type, kind.item_type]
    return [kind.field(index).type for index in range(0 if pa.types.is_union(kind) else kind.num_fields)]
