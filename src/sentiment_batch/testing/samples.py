"""Makes the tables for the checks of a plugin: values of every type, odd texts and names, any number of rows."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ODD_TEXTS: tuple[str, ...] = (
    " ",
    " first and last blank ",
    "a,b;c|d\te",
    'she said "yes"',
    "it's",
    "two\nlines",
    "two\r\nlines",
    "a carriage\rreturn",
    "a NUL \x00 within",
    "\x1f \x7f \x85",
    "größer é e\u0301",
    "beyond the BMP: 😀 𝒳",
    "\u2028 \ufeff",
    "null",
    "NaN",
    "007",
    "1e5",
    "=1+1",
    "#N/A",
    "true",
    "2024-01-01",
    "<b>&amp;</b>",
    "\\n \\",
    "'; DROP TABLE reviews; --",
)
"""Texts that have broken file formats before."""
ODD_NAMES: tuple[str, ...] = ("id", "Größe, cm", 'a "b"', "it's", "select", "a.b", "A", " c ", "$1", "é/x")
"""Column names that have broken file formats before."""
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LEAP_DAY = 19_782
"""29 February 2024, in days since 1 January 1970."""
Holds = Callable[[str], bool]


def sample_types() -> tuple[pa.DataType, ...]:
    """The Arrow types with which every format is checked. The `types` of a suite may name others as well."""
    import pyarrow as pa

    # Each kind that a format may lack: widths, precisions, time units, zones, and each way to nest values.
    integers = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    timestamps = (*map(pa.timestamp, _TICKS), pa.timestamp("us", "UTC"), pa.timestamp("ms", "America/St_Johns"))
    return (
        *(pa.null(), pa.bool_(), *integers, pa.float32(), pa.float64()),
        *(pa.decimal128(9, 2), pa.decimal128(38, 10), pa.decimal256(60, 4)),
        *(pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary(3)),
        *timestamps,
        *(pa.date32(), pa.date64(), pa.duration("ms")),
        *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
        *(pa.list_(pa.int64()), pa.large_list(pa.string()), pa.list_(pa.float64(), 2)),
        pa.struct([("city", pa.string()), ("visits", pa.int64())]),
        pa.list_(pa.struct([("name", pa.string())])),
        pa.map_(pa.string(), pa.int64()),
        *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.string(), ordered=True)),
        pa.run_end_encoded(pa.int32(), pa.string()),
    )


def make_long_text() -> str:
    """A text of about three million characters."""
    return "so good! " * 333_333


def make_column(kind: pa.DataType, holds: Holds) -> pa.Array:
    """A few values of a type, including its extremes and a null between them.

    Raises:
        TypeError: there are no sample values for this type.
    """
    import pyarrow as pa

    if pa.types.is_run_end_encoded(kind):
        values = make_column(kind.value_type, holds)
        return pa.RunEndEncodedArray.from_arrays(pa.array(range(2, 2 * len(values) + 2, 2), kind.run_end_type), values)
    first, *rest = make_values(kind, holds)
    return pa.array([first, None, *rest], kind)


def make_values(kind: pa.DataType, holds: Holds) -> list[Any]:
    """Two or more values of a type, as `pyarrow.array` takes them. Only those of the null type are null.

    Raises:
        TypeError: there are no sample values for this type.
    """
    import pyarrow as pa

    from sentiment_batch.data.writers.value_text import is_text

    is_a = pa.types
    if is_a.is_null(kind):
        return [None, None]
    if is_a.is_boolean(kind):
        return [True, False]
    if is_a.is_integer(kind):
        # The least and the greatest value of the type. A signed one has one bit less for the number.
        bits = kind.bit_width - is_a.is_signed_integer(kind)
        return [0, 1, 2**bits - 1, -(2**bits) if is_a.is_signed_integer(kind) else 7]
    if is_a.is_floating(kind):
        return [0.0, 1.5, -2.25, 0.001953125, 65504.0]  # exact in half precision, and with few decimal digits
    if is_a.is_decimal(kind):
        # The last one has as many digits as the type allows.
        digits = (0, 1, -250, 10**kind.precision - 1)
        return [decimal.Decimal((number < 0, tuple(map(int, str(abs(number)))), -kind.scale)) for number in digits]
    if is_text(kind):
        return ["a", "größer", *(text for text in ODD_TEXTS[:8] if holds(text))]
    if is_a.is_fixed_size_binary(kind):
        return [bytes(kind.byte_width), b"\xff" * kind.byte_width]
    if is_a.is_binary(kind) or is_a.is_large_binary(kind) or is_a.is_binary_view(kind):
        return [b"a", b"\x00\xff\n", bytes(range(256))]
    if is_a.is_temporal(kind):
        return _make_ticks(kind)
    if is_a.is_dictionary(kind):
        return make_values(kind.value_type, holds)
    return _make_nested_values(kind, holds)


def _make_ticks(kind: pa.DataType) -> list[int]:
    """Values of a date, time, duration or timestamp, as the whole numbers that Arrow stores."""
    import pyarrow as pa

    if pa.types.is_date32(kind):
        # 1970, a leap day, 1815, and the last day of the year 9999
        return [0, _LEAP_DAY, -56_445, 2_932_896]
    if pa.types.is_date64(kind):
        return [0, _LEAP_DAY * 86_400_000, -56_445 * 86_400_000]
    ticks = _TICKS[kind.unit]
    if pa.types.is_time(kind):
        # Midnight, 12:34:56, and the last moment of a day
        return [0, 45_296 * ticks, 86_400 * ticks - 1]
    if pa.types.is_duration(kind):
        return [0, 1, -90 * ticks, 10**6 * ticks]
    # The smallest difference, and a time before 1970.
    return [0, 1_700_000_000 * ticks, 1_700_000_000 * ticks + 1, -1]


def _make_nested_values(kind: pa.DataType, holds: Holds) -> list[Any]:
    """Two values of a list, struct or map, in which the order and the number of items differ.

    Raises:
        TypeError: there are no sample values for this type.
    """
    import pyarrow as pa

    if pa.types.is_struct(kind):
        columns = {field.name: make_values(field.type, holds)[:2] for field in kind}
        return [{name: values[row] for name, values in columns.items()} for row in (0, 1)]
    if pa.types.is_map(kind):
        keys, items = make_values(kind.key_type, holds), make_values(kind.item_type, holds)
        return [[(keys[0], items[0])], [(keys[0], items[1]), (keys[1], items[0])]]
    if pa.types.is_fixed_size_list(kind):
        first, second = make_values(kind.value_type, holds)[:2]
        return [[first] * kind.list_size, [second] * kind.list_size]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        first, second = make_values(kind.value_type, holds)[:2]
        return [[first], [second, first, second]]
    raise TypeError(f"there are no sample values of the type {kind}; leave it out of `types`")


def make_table(schema: pa.Schema, rows: int, holds: Holds, start: int = 0) -> pa.Table:
    """A table in which every text and every int64 names its row. Every seventh text is null.

    Args:
        schema: the columns.
        rows: the number of rows. The last text is never null.
        holds: whether the format can store a text.
        start: the number of the first row.
    """
    import pyarrow as pa

    from sentiment_batch.data.writers.value_text import is_text

    def make(field: pa.Field) -> Sequence[Any]:
        if field.type == pa.int64():
            return range(start, start + rows)
        if is_text(field.type):
            nulls = {row for row in range(5, rows - 1, 7) if field.nullable}
            return [None if row in nulls else f"film {start + row} was great" for row in range(rows)]
        some = make_values(field.type, holds)
        return [some[row % len(some)] for row in range(rows)]

    return pa.table([pa.array(make(field), field.type) for field in schema], schema=schema)
