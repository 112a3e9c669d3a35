"""Schemas and values as plain ones that can be compared whole; and what formats are known to change or refuse."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pyarrow as pa

from tests.arrow_tables import TICKS

Described = list | tuple | pa.DataType | None
VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
BYTE_ARRAYS = {kind: kind for kind in (pa.string(), pa.binary())} | VIEWS
BYTE_ARRAYS |= {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}


def described(schema: pa.Schema, *, parquet: bool = False) -> tuple:
    """Names, types, what may be null, and all metadata; of `parquet` what it makes of them."""
    return _fields(schema, parquet), dict(schema.metadata or {})


def _fields(fields, parquet: bool) -> list[tuple]:
    return [(one.name, _kind(one.type, parquet), one.nullable, dict(one.metadata or {})) for one in fields]


def _kind(kind: pa.DataType, parquet: bool) -> Described:
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_run_end_encoded(kind):
        return kind
    if parquet and not pa.types.is_nested(kind):
        return _in_parquet(kind)
    if pa.types.is_struct(kind):
        # A null struct with a list of a fixed size that may not be null: pyarrow cannot read what it writes.
        loose = [one.with_nullable(one.nullable or pa.types.is_fixed_size_list(one.type)) for one in kind]
        return ("struct", _fields(loose if parquet else kind, parquet))
    if pa.types.is_map(kind):
        key, item = kind.key_field, kind.item_field
        # pyarrow forgets at times that keys are sorted.
        names, order = (("key", "value"), None) if parquet else ((key.name, item.name), kind.keys_sorted)
        return ("map", _fields([key.with_name(names[0]), item.with_name(names[1])], parquet), order)
    if pa.types.is_nested(kind):
        item = kind.value_field.with_name("element") if parquet else kind.value_field
        size = kind.list_size if pa.types.is_fixed_size_list(kind) else None
        return (kind.id, size, _fields([item], parquet))
    return kind


def _in_parquet(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_date64(kind):
        return pa.date32()
    if kind == pa.time32("s"):
        return pa.time32("ms")
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    if pa.types.is_dictionary(kind):
        text = BYTE_ARRAYS.get(kind.value_type)
        return pa.dictionary(kind.index_type, text, kind.ordered) if text else _in_parquet(kind.value_type)
    return kind


def inside(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The type and all that it is made of."""
    yield kind
    if isinstance(kind, pa.BaseExtensionType):
        yield from inside(kind.storage_type)
    elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        yield from inside(kind.value_type)
    elif pa.types.is_nested(kind):
        for index in range(kind.num_fields):
            yield from inside(kind.field(index).type)


def parquet_refuses(kind: pa.DataType) -> bool | None:
    """Whether Parquet has no place for the type; None where pyarrow has, but not for every value."""
    kinds = list(inside(kind))
    if any(pa.types.is_run_end_encoded(one) or (pa.types.is_decimal(one) and one.scale < 0) for one in kinds):
        return True
    rigid = any(pa.types.is_list_view(one) or pa.types.is_large_list_view(one) for one in kinds)
    rigid = rigid or any(isinstance(one, pa.BaseExtensionType) or pa.types.is_null(one) for one in kinds)
    weak = any(one in VIEWS or pa.types.is_fixed_size_list(one) for one in kinds)
    around = any(pa.types.is_struct(one) or pa.types.is_dictionary(one) for one in kinds)
    return None if rigid and weak and around else False


def text_refuses(kind: pa.DataType) -> bool | None:
    """Whether run-ends lie within something nested, from where pyarrow cannot take them; None: nor, at times,
    extension types."""
    kinds = [one for one in inside(kind) if pa.types.is_nested(one) and not pa.types.is_run_end_encoded(one)]
    parts = [one.field(index).type for one in kinds for index in range(one.num_fields)]
    if any(map(pa.types.is_run_end_encoded, parts)):
        return True
    return None if any(isinstance(one, pa.BaseExtensionType) for one in parts) else False


def contents(table: pa.Table) -> list[list]:
    """The values of each column, exactly: times in nanoseconds, floats as their bits, so that 0.0 is not -0.0."""
    return [[exact(scalar) for scalar in column] for column in table.columns]


def exact(scalar: pa.Scalar):
    """One value as what Python compares without loss; the unit of a time does not matter, nor how it is encoded."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_dictionary(kind):
        return exact(scalar.value) if scalar.value is not None else None
    if pa.types.is_run_end_encoded(kind):
        return exact(pa.scalar(scalar.as_py(), kind.value_type))
    if pa.types.is_floating(kind):
        return struct.pack("<d", scalar.as_py())
    if pa.types.is_temporal(kind):
        return scalar.value * nanoseconds(kind)
    if pa.types.is_map(kind):
        return [(exact(pair["key"]), exact(pair["value"])) for pair in scalar.values]
    if pa.types.is_struct(kind):
        return [exact(scalar[position]) for position in range(kind.num_fields)]
    if pa.types.is_nested(kind):
        return [exact(item) for item in scalar.values]
    return scalar.as_py()


def nanoseconds(kind: pa.DataType) -> int:
    """How many of them a tick of the type has."""
    if pa.types.is_date32(kind):
        return 86_400 * 10**9
    return 10**9 // TICKS["ms" if pa.types.is_date64(kind) else kind.unit]
