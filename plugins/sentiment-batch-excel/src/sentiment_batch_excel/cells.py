"""What a cell holds: values of openpyxl into Arrow, and the escapes of characters that XML cannot hold."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pyarrow as pa

_ESCAPED = re.compile(r"_x(00[01][0-9A-F]|005F|FFF[EF])_")
_MUST_ESCAPE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "datetime": pa.timestamp("us")}
ERROR: Any = object()
"""Stands for a cell that holds an error such as `#N/A`: null, but not nothing."""


def escaped(text: str) -> str:
    r"""Text as Excel stores it.

    >>> escaped("a\x01_x0001_")
    'a_x0001__x005F_x0001_'
    """
    return _MUST_ESCAPE.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def unescaped(text: str) -> str:
    """The reverse of `escaped`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def plain(cell: Any) -> Any:
    """The value of a cell of openpyxl, or `ERROR`."""
    value = cell.value
    if cell.data_type == "e":
        return ERROR
    if isinstance(value, str):
        return unescaped(value)
    return value


def kinds_of(value: Any) -> set[str]:
    """The kind of one value, by which a column's type is chosen; none for an error."""
    if value is ERROR:
        return set()
    if isinstance(value, bool):
        return {"bool"}
    if isinstance(value, int):
        return {"int"} if -(2**63) <= value < 2**63 else {"text"}
    if isinstance(value, float):
        return {"float"}
    return {"datetime"} if isinstance(value, datetime.datetime) else {"text"}


def common_type(kinds: set[str]) -> pa.DataType:
    """The type of a column whose cells are of these kinds; text for a mixture, and for no cell at all."""
    if kinds == {"int", "float"}:
        return pa.float64()
    return _TYPES.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string()


def convert(values: list[Any], kind: pa.DataType) -> pa.Array:
    """The values as an array of the type that `common_type` gave."""
    values = [None if value is ERROR else value for value in values]
    if kind == pa.string():
        values = [None if value is None else _text(value) for value in values]
    elif kind == pa.float64():
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, kind)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
