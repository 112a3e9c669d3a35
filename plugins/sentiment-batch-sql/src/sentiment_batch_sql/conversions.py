"""Converts Arrow columns for a database: every value arrives exactly, or is refused.

Values for which a database has no type become text in the form of the CSV of sentiment-batch. Nested values become
JSON.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.writing import TEXT, decoded, is_bytes, is_text, json_text, marked, repeated_name, scalar_text
from sentiment_batch_sql import date_ranges

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTES = pa.large_binary()
_MICROSECONDS = pa.duration("us")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """The conversion of a column for a database."""

    wire: pa.DataType
    """The Arrow type that the driver gets."""
    staged: str
    """The SQL type in the table that the driver fills."""
    final: str
    """The SQL type in the finished table."""
    convert: Callable[[pa.Array], pa.Array]
    """Converts a column to `wire`. It raises `pa.ArrowInvalid` for a value that would change."""


def decoded_type(kind: pa.DataType) -> pa.DataType:
    """The type that `decoded` returns: without an extension, a dictionary, run-ends or views."""
    if isinstance(kind, pa.BaseExtensionType):
        return decoded_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return decoded_type(kind.value_type)
    return TEXT if is_text(kind) else kind


def convert_for_postgresql(field: pa.Field) -> Conversion:
    """The conversion of a column for PostgreSQL."""
    kind = decoded_type(field.type)
    simple = _postgresql_simple(kind)
    if simple is not None:
        return _cast(*simple)
    if is_text(kind):
        return _cast(TEXT, "text", final="json" if marked(field) else "text")
    if is_bytes(kind):
        return _cast(_BYTES, "bytea")
    if pa.types.is_date(kind):
        return _cast_within(pa.date32(), "date", date_ranges.POSTGRESQL)
    if pa.types.is_time(kind):
        return _cast(pa.time64("us"), "time")
    if pa.types.is_timestamp(kind):
        name = "timestamptz" if kind.tz else "timestamp"
        return _cast_within(pa.timestamp("us", kind.tz and "UTC"), name, date_ranges.POSTGRESQL)
    if pa.types.is_duration(kind):
        return _interval()
    if _is_list(kind) and (element := _postgresql_simple(kind.value_type) or _text_element(kind)) is not None:
        return _cast(pa.list_(element[0]), f"{element[1]}[]")
    if pa.types.is_nested(kind):
        return _text(field, "text", "json")  # jsonb changes -0.0, and does not support \u0000
    if pa.types.is_decimal(kind) and kind.scale >= 0:
        return _text(field, "text", f"numeric({kind.precision}, {kind.scale})")
    return _text(field, "text", "text" if pa.types.is_null(kind) else "numeric")


def convert_for_sqlite(field: pa.Field) -> Conversion:
    """The conversion of a column for SQLite, which has integers, reals, text and blobs."""
    kind = decoded_type(field.type)
    if pa.types.is_boolean(kind):
        return _cast(pa.int64(), "BOOLEAN")
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return _cast(pa.int64(), "INTEGER")
    if pa.types.is_float64(kind):
        return _cast(pa.float64(), "REAL")
    if pa.types.is_floating(kind):
        # SQLite has only doubles. The nearest double to 0.6352 shows these digits; the exact one has 17 of them.
        return _cast(pa.float64(), "REAL", pa.float32(), TEXT)
    if is_bytes(kind):
        return _cast(_BYTES, "BLOB")
    return _text(field, "TEXT")


def convert_for_duckdb(field: pa.Field) -> Conversion:
    """The conversion of a column for DuckDB, which chooses the SQL types itself."""
    kind = decoded_type(field.type)
    if pa.types.is_float16(kind):
        return _cast(pa.float32(), "")
    if pa.types.is_duration(kind):
        return _cast(_MICROSECONDS, "")
    if pa.types.is_timestamp(kind) and kind.tz:
        return _cast_within(pa.timestamp("us", "UTC"), "", date_ranges.DUCKDB)
    within = _within(kind) if pa.types.is_nested(kind) else [kind]
    return _cast_within(kind, "", date_ranges.DUCKDB) if all(map(_in_duckdb, within)) else _text(field, "")


def _postgresql_simple(kind: pa.DataType) -> tuple[pa.DataType, str] | None:
    """The wire type and the SQL name of types that may also be elements of an array; None for others."""
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
    """All types inside a nested type; or one that DuckDB lacks, if it cannot hold the names of the fields."""
    if pa.types.is_union(kind):
        return [kind]
    fields = [kind.field(index) for index in range(kind.num_fields)]
    if pa.types.is_struct(kind):
        names = pa.schema([(field.name.lower(), pa.null()) for field in fields])
        strange = any(not name or "\0" in name for name in names.names)  # the driver would cut a name at a NUL
        if not fields or strange or repeated_name(names) is not None:
            return [pa.null()]
    return [found for field in fields for found in (_within(field.type) if field.type.num_fields else [field.type])]


def _in_duckdb(kind: pa.DataType) -> bool:
    """True if DuckDB has a type for a type that is not nested."""
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return False
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= 38 and 0 <= kind.scale <= kind.precision and not pa.types.is_decimal256(kind))
    if pa.types.is_timestamp(kind) and kind.tz and kind.unit == "ns":
        return False  # DuckDB has this type, but it cannot be read back from within a nested type
    not_there = (pa.types.is_null, pa.types.is_float16, pa.types.is_duration, pa.types.is_union, pa.types.is_interval)
    return not any(check(kind) for check in not_there)


def _cast(wire: pa.DataType, staged: str, *before: pa.DataType, final: str | None = None) -> Conversion:
    """A conversion by a cast to an Arrow type, and to the types `before` first."""

    def convert(column: pa.Array) -> pa.Array:
        return functools.reduce(lambda values, kind: values.cast(kind), (*before, wire), decoded(column))

    return Conversion(wire=wire, staged=staged, final=staged if final is None else final, convert=convert)


def _cast_within(wire: pa.DataType, staged: str, limits: date_ranges.DateRange) -> Conversion:
    """A conversion by a cast to an Arrow type, which checks the range of dates and timestamps."""
    plain = _cast(wire, staged)

    def convert(column: pa.Array) -> pa.Array:
        column = plain.convert(column)
        limits.check(column)
        return column

    return dataclasses.replace(plain, convert=convert)


def _interval() -> Conversion:
    """The conversion of durations for PostgreSQL, in whole microseconds, because it rounds large fractions of
    seconds."""

    def convert(column: pa.Array) -> pa.Array:
        ticks = decoded(column).cast(_MICROSECONDS).cast(pa.int64())
        return pc.binary_join_element_wise(ticks.cast(TEXT), pa.scalar("microseconds", TEXT), pa.scalar(" ", TEXT))

    return Conversion(wire=TEXT, staged="text", final="interval", convert=convert)


def _text(field: pa.Field, staged: str, final: str | None = None) -> Conversion:
    """A conversion to text, or to JSON for nested values."""

    def convert(column: pa.Array) -> pa.Array:
        column = decoded(column)
        if pa.types.is_nested(column.type):
            return pc.if_else(column.is_valid(), json_text(column, field), pa.scalar(None, TEXT))
        return scalar_text(column, field.name)

    return Conversion(wire=TEXT, staged=staged, final=staged if final is None else final, convert=convert)
