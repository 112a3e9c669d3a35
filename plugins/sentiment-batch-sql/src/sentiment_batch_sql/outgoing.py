"""Arrow columns as a database takes them: the type on the way, and the type in the table; every value exact or refused.

What a database has no type for is text, in the form that it has in sentiment-batch's CSV; what is nested is JSON.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.writing import TEXT, decoded, is_text, json_text, marked, repeated_name, scalar_text
from sentiment_batch_sql import span

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTES = pa.large_binary()
_MICROSECONDS = pa.duration("us")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """How a column goes to a database."""

    wire: pa.DataType
    """What the driver is given."""
    staged: str
    """Its type in the table that the driver fills, as SQL has it."""
    final: str
    """Its type in the end."""
    convert: Callable[[pa.Array], pa.Array]
    """From the column as it comes to `wire`; raises `pa.ArrowInvalid` for a value that would be another."""


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values without an extension, a dictionary, run-ends or views: of what `decoded` gives."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    return TEXT if is_text(kind) else kind


def is_bytes(kind: pa.DataType) -> bool:
    """Whether `kind` is one of Arrow's types of bytes."""
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(check(kind) for check in checks)


def postgresql_column(field: pa.Field) -> Outgoing:
    """A column for PostgreSQL."""
    kind = plain_type(field.type)
    simple = _postgresql_simple(kind)
    if simple is not None:
        return _cast(*simple)
    if is_text(kind):
        return _cast(TEXT, "text", "json" if marked(field) else "text")
    if is_bytes(kind):
        return _cast(_BYTES, "bytea")
    if pa.types.is_date(kind):
        return _within_span(pa.date32(), "date", span.POSTGRESQL)
    if pa.types.is_time(kind):
        return _cast(pa.time64("us"), "time")
    if pa.types.is_timestamp(kind):
        name = "timestamptz" if kind.tz else "timestamp"
        return _within_span(pa.timestamp("us", kind.tz and "UTC"), name, span.POSTGRESQL)
    if pa.types.is_duration(kind):
        return _interval()
    if _is_list(kind) and (element := _postgresql_simple(kind.value_type) or _text_element(kind)) is not None:
        return _cast(pa.list_(element[0]), f"{element[1]}[]")
    if pa.types.is_nested(kind):
        return _text(field, "text", "json")  # jsonb would make -0.0 another number, and knows no \u0000
    if pa.types.is_decimal(kind) and kind.scale >= 0:
        return _text(field, "text", f"numeric({kind.precision}, {kind.scale})")
    return _text(field, "text", "text" if pa.types.is_null(kind) else "numeric")


def sqlite_column(field: pa.Field) -> Outgoing:
    """A column for SQLite, which knows integers, reals, text and blobs."""
    kind = plain_type(field.type)
    if pa.types.is_boolean(kind):
        return _cast(pa.int64(), "BOOLEAN")
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return _cast(pa.int64(), "INTEGER")
    if pa.types.is_floating(kind):
        return _cast(pa.float64(), "REAL", first=pa.float32() if pa.types.is_float16(kind) else None)
    if is_bytes(kind):
        return _cast(_BYTES, "BLOB")
    return _text(field, "TEXT")


def duckdb_column(field: pa.Field) -> Outgoing:
    """A column for DuckDB, which says itself which type an Arrow type becomes."""
    kind = plain_type(field.type)
    if pa.types.is_float16(kind):
        return _cast(pa.float32(), "")
    if pa.types.is_duration(kind):
        return _cast(_MICROSECONDS, "")
    if pa.types.is_timestamp(kind) and kind.tz:
        return _within_span(pa.timestamp("us", "UTC"), "", span.DUCKDB)
    within = _within(kind) if pa.types.is_nested(kind) else [kind]
    return _within_span(kind, "", span.DUCKDB) if all(map(_in_duckdb, within)) else _text(field, "")


def _postgresql_simple(kind: pa.DataType) -> tuple[pa.DataType, str] | None:
    """The wire type and the name of types that may also stand in an array; None for others."""
    if pa.types.is_boolean(kind):
        return pa.bool_(), "boolean"
    if kind in (pa.int8(), pa.uint8(), pa.int16()):
        return pa.int16(), "smallint"
    if kind in (pa.uint16(), pa.int32()):
        return pa.int32(), "integer"
    if kind in (pa.uint32(), pa.int64()):
        return pa.int64(), "bigint"
    if kind in (pa.float16(), pa.float32()):
        return pa.float32(), "real"
    return (pa.float64(), "double precision") if kind == pa.float64() else None


def _text_element(kind: pa.DataType) -> tuple[pa.DataType, str] | None:
    return (pa.string(), "text") if is_text(kind.value_type) else None


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _within(kind: pa.DataType) -> list[pa.DataType]:
    """All types inside a nested one; the type itself where its fields cannot be told by name."""
    if pa.types.is_union(kind):
        return [kind]
    fields = [kind.field(index) for index in range(kind.num_fields)]
    if pa.types.is_struct(kind):
        names = pa.schema([(field.name.lower(), pa.null()) for field in fields])
        if not fields or "" in names.names or repeated_name(names) is not None:
            return [pa.null()]
    return [found for field in fields for found in (_within(field.type) if field.type.num_fields else [field.type])]


def _in_duckdb(kind: pa.DataType) -> bool:
    """Whether DuckDB has a type for a type that is not nested."""
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return False
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= 38 and 0 <= kind.scale <= kind.precision and not pa.types.is_decimal256(kind))
    if pa.types.is_timestamp(kind) and kind.tz and kind.unit == "ns":
        return False  # it has, but none that could be read again from within a nested type
    not_there = (pa.types.is_null, pa.types.is_float16, pa.types.is_duration, pa.types.is_union, pa.types.is_interval)
    return not any(check(kind) for check in not_there)


def _cast(wire: pa.DataType, staged: str, final: str | None = None, first: pa.DataType | None = None) -> Outgoing:
    """A column that goes as a type of Arrow's."""

    def convert(column: pa.Array) -> pa.Array:
        column = decoded(column)
        return (column if first is None else column.cast(first)).cast(wire)

    return Outgoing(wire=wire, staged=staged, final=staged if final is None else final, convert=convert)


def _within_span(wire: pa.DataType, staged: str, reach: span.Span) -> Outgoing:
    """A column that goes as a type of Arrow's, with all of its days and instants within reach."""
    plain = _cast(wire, staged)

    def convert(column: pa.Array) -> pa.Array:
        column = plain.convert(column)
        reach.check(column)
        return column

    return dataclasses.replace(plain, convert=convert)


def _interval() -> Outgoing:
    """A duration for PostgreSQL: in whole microseconds, for of seconds with a fraction it rounds the large ones."""

    def convert(column: pa.Array) -> pa.Array:
        ticks = decoded(column).cast(_MICROSECONDS).cast(pa.int64())
        return pc.binary_join_element_wise(ticks.cast(TEXT), pa.scalar("microseconds", TEXT), pa.scalar(" ", TEXT))

    return Outgoing(wire=TEXT, staged="text", final="interval", convert=convert)


def _text(field: pa.Field, staged: str, final: str | None = None) -> Outgoing:
    """A column that goes as text; as JSON where it is nested."""

    def convert(column: pa.Array) -> pa.Array:
        column = decoded(column)
        if pa.types.is_nested(column.type):
            return pc.if_else(column.is_valid(), json_text(column, field), pa.scalar(None, TEXT))
        return scalar_text(column, field.name)

    return Outgoing(wire=TEXT, staged=staged, final=staged if final is None else final, convert=convert)
