"""Reads back, by rules of its own, what a value of any type is in CSV and in JSON; it knows none of our code."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import struct

import numpy as np
import pyarrow as pa

from tests.arrow_tables import TICKS

DAY = 86_400 * 10**9
NAN = b"nan"
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?")
_CLOCK = re.compile(r"(\d\d:\d\d:\d\d)(?:\.(\d+))?")
_DURATION = re.compile(r"(-?)PT(\d+)(?:\.(\d+))?S")


class Digits(str):
    """A number in JSON, as it stands there."""


def records(line: str) -> dict:
    """The object on a line, with the digits of its numbers; a name that comes twice is an error."""
    return loads(line)


def loads(text: str):
    """JSON by the letter: no NaN, no repeated names."""
    return json.loads(text, parse_float=Digits, parse_int=Digits, parse_constant=_refused, object_pairs_hook=_once)


def _refused(word: str):
    raise AssertionError(f"{word} is no JSON")


def _once(pairs: list[tuple]) -> dict:
    assert len(dict(pairs)) == len(pairs), "a name comes twice"
    return dict(pairs)


def in_csv(text: str, kind: pa.DataType):
    """The value that the text of a cell says, in the form that `arrow_tables.exact` gives."""
    kind = unpacked(kind)
    if pa.types.is_nested(kind):
        return in_json(loads(text), kind)
    return {"true": True, "false": False}[text] if pa.types.is_boolean(kind) else _scalar(text, kind)


def in_json(value, kind: pa.DataType):
    """The value that JSON says, likewise."""
    kind = unpacked(kind)
    if value is None:
        return None
    if pa.types.is_map(kind):
        textual = unpacked(kind.key_type) in (pa.string(), pa.large_string(), pa.string_view())
        pairs = value.items() if textual else value
        return [(in_json(key, kind.key_type), in_json(item, kind.item_type)) for key, item in pairs]
    if pa.types.is_struct(kind):
        assert list(value) == [field.name for field in kind]
        return [in_json(value[field.name], field.type) for field in kind]
    if pa.types.is_nested(kind):
        return [in_json(item, kind.value_type) for item in value]
    if pa.types.is_boolean(kind):
        assert isinstance(value, bool)
        return value
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    assert isinstance(value, Digits) == number
    return _scalar(value, kind)


def unpacked(kind: pa.DataType) -> pa.DataType:
    """The type without dictionary, run-ends or extension."""
    if isinstance(kind, pa.BaseExtensionType):
        return unpacked(kind.storage_type)
    packed = pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind)
    return unpacked(kind.value_type) if packed else kind


def _scalar(text: str, kind: pa.DataType):
    if pa.types.is_integer(kind):
        assert re.fullmatch(r"-?\d+", text)
        return int(text)
    if pa.types.is_floating(kind):
        assert re.search(r"[.en]", text), "a float that reads as an integer"
        wide = float({pa.float16(): np.float16, pa.float32(): np.float32}.get(kind, float)(text))
        return NAN if math.isnan(wide) else struct.pack("<d", wide)
    if pa.types.is_decimal(kind):
        return decimal.Decimal(text)
    if pa.types.is_temporal(kind):
        return _nanoseconds(text, kind)
    return str(text)


def _nanoseconds(text: str, kind: pa.DataType) -> int:
    if pa.types.is_date(kind):
        return _day(text)
    if pa.types.is_time(kind):
        clock, fraction = _CLOCK.fullmatch(text).groups()
        return _clock(clock) + _fraction(fraction, kind)
    if pa.types.is_duration(kind):
        sign, seconds, fraction = _DURATION.fullmatch(text).groups()
        return (-1 if sign else 1) * (int(seconds) * 10**9 + _fraction(fraction, kind))
    day, clock, fraction, offset = _MOMENT.fullmatch(text).groups()
    assert (offset is None) == (kind.tz is None)
    return _day(day) + _clock(clock) + _fraction(fraction, kind) - _offset(offset)


def _day(text: str) -> int:
    return (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days * DAY


def _clock(text: str) -> int:
    hours, minutes, seconds = map(int, text.split(":"))
    return (hours * 3600 + minutes * 60 + seconds) * 10**9


def _offset(text: str | None) -> int:
    if text in (None, "Z"):
        return 0
    return (1 if text[0] == "+" else -1) * _clock(text[1:] + ":00")


def _fraction(digits: str | None, kind: pa.DataType) -> int:
    assert len(digits or "") == len(str(TICKS[kind.unit])) - 1, "all digits of the unit and no more"
    return int((digits or "").ljust(9, "0"))


def storable(value, *, json: bool):
    """A value of `arrow_tables.exact` as a format can store it: NaN has one form, and is null in JSON."""
    if isinstance(value, list | tuple):
        return type(value)(storable(item, json=True) for item in value)
    if isinstance(value, bytes):
        number = struct.unpack("<d", value)[0]
        if json and not math.isfinite(number):
            return None
        return NAN if math.isnan(number) else value
    return value
