"""Turns columns of numbers, dates and times into exact, shortest text, which is the same in CSV and JSON lines."""

from __future__ import annotations

import datetime
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import decode_dictionary
from sentiment_batch.data.writers.unsupported_types import refuse_out_of_range
from sentiment_batch.errors import OutputError

TEXT = pa.large_string()
"""The type of text columns. Its offsets have 64 bits, because a batch of long texts may exceed 2 GiB."""
MAX_ROWS_AT_ONCE = 8_192
"""Rows that are turned into text at once, which bounds the memory for the text of a batch."""
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH = datetime.date(1970, 1, 1)
_FIRST_DAY = (datetime.date.min - _EPOCH).days
_LAST_DAY = (datetime.date.max - _EPOCH).days
_WHOLE_OFFSETS_SINCE = (datetime.date(1972, 2, 1) - _EPOCH).days
"""The first day on which every time zone was whole minutes from UTC; Liberia was the last."""


def constant(text: str) -> pa.Scalar:
    """`text` as a scalar of the type `TEXT`, for functions of `pyarrow.compute`."""
    return pa.scalar(text, TEXT)


def joined(*parts: pa.Array | str) -> pa.Array:
    """Columns and constants concatenated row by row; null if one of the columns is null."""
    texts = [constant(part) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*texts, constant(""))


def decoded(column: pa.Array) -> pa.Array:
    """The same values without an extension type, a dictionary, run-ends or views."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return decoded(column.storage)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return decoded(decode_dictionary(column))
    return column.cast(TEXT) if is_text(kind) else column


def is_text(kind: pa.DataType) -> bool:
    """True if `kind` is one of the three text types of Arrow."""
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def scalar_text(column: pa.Array, name: str) -> pa.Array:
    """The text of each value; nulls stay null.

    Args:
        column: values of any type that is not nested, as `decoded` returns them.
        name: the name of the column, for messages.

    Raises:
        OutputError: a date lies outside the years 1 to 9999, or a time outside of a day.
    """
    kind = column.type
    if pa.types.is_time(kind):
        refuse_out_of_range(column, name, "text", "Parquet or Arrow")
    if pa.types.is_floating(kind):
        return _float_text(column)
    if pa.types.is_date(kind):
        _check_calendar(column, name, 1 if pa.types.is_date32(kind) else 86_400_000)
        return column.cast(TEXT)
    if pa.types.is_timestamp(kind):
        _check_calendar(column, name, 86_400 * _TICKS[kind.unit])
        return _timestamp_text(column)
    if pa.types.is_duration(kind):
        return _duration_text(column)
    return column.cast(TEXT)


def _float_text(column: pa.Array) -> pa.Array:
    """The shortest text that is read back as the same float. It has a point or an exponent, so that it stays a
    float."""
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    return pc.replace_substring_regex(column.cast(TEXT), r"^(-?\d+)$", r"\1.0")


def _check_calendar(column: pa.Array, name: str, ticks_per_day: int) -> None:
    """Refuse dates outside the years 1 to 9999, for which Arrow makes wrong text."""
    # The smallest and the largest value decide for all
    ends = pc.min_max(_ticks(column))
    low, high = ends["min"].as_py(), ends["max"].as_py()
    if low is not None and not _FIRST_DAY <= low // ticks_per_day <= high // ticks_per_day <= _LAST_DAY:
        raise OutputError(
            f"the column {name!r} holds a date outside the years 1 to 9999, which has no exact form as text. Leave it "
            "out with `columns`, or write Parquet or Arrow."
        )


def _ticks(column: pa.Array) -> pa.Array:
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32()).cast(pa.int64())
    return column.cast(pa.int64())


def _timestamp_text(column: pa.Array) -> pa.Array:
    """ISO 8601 with all digits of the unit, and with the offset if there is a time zone."""
    kind = column.type
    if kind.tz is None:
        return _with_t(column.cast(TEXT))
    in_utc = _with_t(column.cast(pa.timestamp(kind.unit, "UTC")).cast(TEXT))
    try:
        local = _with_t(column.cast(TEXT))
    except pa.ArrowInvalid:  # a time zone that this machine does not know; UTC names the same instant
        return in_utc
    local = pc.replace_substring_regex(local, r"([+-]\d\d)(\d\d)$", r"\1:\2")
    # UTC is exact in three cases where the local time is not. Arrow drops the seconds of old offsets. The local day may
    # lie in the year 10000. Near the last nanosecond of 64 bits an offset wraps around to the year 1677.
    day = 86_400 * _TICKS[kind.unit]
    ticks = _ticks(column)
    plain = pc.and_(
        pc.greater_equal(ticks, pa.scalar(_WHOLE_OFFSETS_SINCE * day, pa.int64())),
        pc.less(ticks, pa.scalar(min(_LAST_DAY * day, 2**63 - day), pa.int64())),
    )
    return pc.if_else(plain, local, in_utc)


def _with_t(text: pa.Array) -> pa.Array:
    return pc.replace_substring(text, " ", "T", max_replacements=1)


def _duration_text(column: pa.Array) -> pa.Array:
    """ISO 8601 in seconds, such as `-PT90.250S`."""
    ticks: list[Any] = column.cast(pa.int64()).to_pylist()
    per_second = _TICKS[column.type.unit]
    return pa.array([None if count is None else _iso_duration(count, per_second) for count in ticks], TEXT)


def _iso_duration(ticks: int, per_second: int) -> str:
    seconds, rest = divmod(abs(ticks), per_second)
    digits = len(str(per_second)) - 1
    fraction = f".{rest:0{digits}}" if digits else ""
    return f"{'-' if ticks < 0 else ''}PT{seconds}{fraction}S"


def write_lines(stream: BinaryIO, lines: pa.Array) -> None:
    """Write texts one after the other, straight from the memory of Arrow.

    Args:
        stream: takes the bytes.
        lines: texts of the type `TEXT` without nulls, as a compute function returns them, so that their bytes are
            contiguous.
    """
    size = pc.sum(pc.binary_length(lines)).as_py() or 0
    if size:
        # The third buffer of a text array holds the bytes of all texts, one after the other
        stream.write(lines.buffers()[2].slice(0, size))
