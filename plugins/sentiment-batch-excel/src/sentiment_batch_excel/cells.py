"""Converts cell values of openpyxl to Arrow, and escapes characters that XML cannot hold."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pyarrow as pa

_ESCAPED = re.compile(r"_x(00[01][0-9A-F]|005F|FFF[EF])_")
_MUST_ESCAPE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "datetime": pa.timestamp("us")}
ERROR: Any = object()
"""The value of a cell with an error such as `#N/A`. It is null, but the cell is not empty."""


def escape(text: str) -> str:
    r"""Text as Excel stores it.

    >>> escape("a\x01_x0001_")
    'a_x0001__x005F_x0001_'
    """
    return _MUST_ESCAPE.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def unescape(text: str) -> str:
    """The reverse of `escape`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def read_cell(cell: Any) -> Any:
    """The value of a cell of openpyxl, or `ERROR`."""
    value = cell.value
    if cell.data_type == "e":
        return ERROR
    if isinstance(value, str):
        return unescape(value)
    return value


def find_kinds(value: Any) -> set[str]:
    """The kind of a value, which decides the type of its column; empty for an error."""
    if value is ERROR:
        return set()
    if isinstance(value, bool):
        return {"bool"}
    if isinstance(value, int):
        return {"int"} if -(2**63) <= value < 2**63 else {"text"}
    if isinstance(value, float):
        return {"float"}
    return {"datetime"} if isinstance(value, datetime.datetime) else {"text"}


def choose_type(kinds: set[str]) -> pa.DataType:
    """The type of a column with cells of these kinds. Text for a mixture, and for a column without cells."""
    if kinds == {"int", "float"}:
        return pa.float64()
    return _TYPES.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string()


def convert(values: list[Any], kind: pa.DataType) -> pa.Array:
    """The values as an array of the type that `choose_type` returned."""
    values = [None if value is ERROR else value for value in values]
    if kind == pa.string():
        values = [None if value is None else _text(value) for value in values]
    elif kind == pa.float64():
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, kind)


def to_text(value: Any) -> str:
    """The text of a value; empty for an empty cell and for an error."""
    return "" if value is None or value is ERROR else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
