"""Parses lines of text to JSON objects, and finds the text that each value has in its line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import InputError
from sentiment_batch.readers.json_types import NonFinite
from sentiment_batch.readers.text import CHARACTERS, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentiment_batch.readers.text import Lines

_BLANKS = " \t\r\n"
_SKIP = re.compile(r"[ \t\r\n]*").match
_TYPES = {list: "a list", str: "a string", bool: "true or false", int: "a number", type(None): "null"}


def _any_int(digits: str) -> int:
    """An integer of any length; Python refuses to convert thousands of digits, which take it quadratic time."""
    return int(digits) if len(digits) < 64 else 1 << 128  # no 64-bit type holds either, so only the text will be used


_DECODER = json.JSONDecoder(parse_constant=NonFinite)
_PATIENT = json.JSONDecoder(parse_constant=NonFinite, parse_int=_any_int)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Consecutive lines of a file."""

    first: int
    """Number of the first line in the file, from 1."""
    lines: list[str]
    """The lines with their ends; also blank ones."""


def blocks(lines: Lines) -> Iterator[Block]:
    """Cut `lines` into blocks that are bounded in rows and characters."""
    first = 1
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) >= ROWS or lines.characters >= CHARACTERS:
            yield Block(first=first, lines=held)
            first += len(held)
            held = []
            lines.characters = 0
    if held:
        yield Block(first=first, lines=held)


def objects(block: Block, name: str) -> tuple[list[str], list[dict[str, Any]]]:
    """The lines of a block that are not blank, and the object on each.

    Raises:
        InputError: a line does not hold one JSON object; the message says which.
    """
    try:
        rows = list(map(_DECODER.decode, block.lines))
        if set(map(type, rows)) == {dict}:
            return block.lines, rows
    except (ValueError, RecursionError):
        pass  # a blank line, a very long integer, or an error; found below, one line at a time
    pairs = [
        (line, _object(line, f"{name}, line {number:,}"))
        for number, line in enumerate(block.lines, block.first)
        if line.strip(_BLANKS)
    ]
    return [line for line, _ in pairs], [row for _, row in pairs]


def texts(line: str) -> dict[str, str | None]:
    """The text of each member of the object on `line`, as it stands there; None for null.

    >>> texts('{"a": 1.50, "b": [1,  2], "c": null}')
    {'a': '1.50', 'b': '[1,  2]', 'c': None}
    """
    found: dict[str, str | None] = {}
    at = _after_blanks(line, line.index("{") + 1)
    while line[at] != "}":
        key, at = _PATIENT.raw_decode(line, at)
        begin = _after_blanks(line, _after_blanks(line, at) + 1)  # past the colon
        value, end = _PATIENT.raw_decode(line, begin)
        found[key] = None if value is None else line[begin:end]
        at = _after_blanks(line, end)
        if line[at] == ",":
            at = _after_blanks(line, at + 1)
    return found


def _after_blanks(line: str, at: int) -> int:
    blanks = _SKIP(line, at)
    return blanks.end() if blanks else at


def _object(line: str, where: str) -> dict[str, Any]:
    cure = 'Each line must be one JSON object, such as {"text": "Great!"}; jq -c . makes such lines.'
    try:
        value = _PATIENT.decode(line.rstrip(_BLANKS))
    except json.JSONDecodeError as error:
        raise InputError(f"{where}, column {error.colno:,}: not JSON: {error.msg}. {cure}") from error
    except RecursionError as error:
        raise InputError(f"{where}: lists or objects are nested too deeply. {cure}") from error
    if not isinstance(value, dict):
        raise InputError(f"{where}: {_TYPES.get(type(value), 'a number')} where an object is needed. {cure}")
    return value
