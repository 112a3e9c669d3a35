"""Parses lines of text to JSON objects, and finds the text that each value has in its line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.readers.byte_escapes import are_decoded, find_first_bad_byte, has_escapes, replace_escapes
from sentiment_batch.data.readers.json_types import NonFinite
from sentiment_batch.data.readers.text import MAX_BATCH_CHARACTERS, MAX_ROWS_PER_BATCH
from sentiment_batch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sentiment_batch.data.readers.text import Lines

_BLANKS = " \t\r\n"
_SKIP = re.compile(r"[ \t\r\n]*").match
_STRING = re.compile(r'"(?>[^"\\]+|\\.)*+"([ \t\r\n]*:)?')  # possessive: a long one must not fill the memory
_TYPES = {list: "a list", str: "a string", bool: "true or false", int: "a number", type(None): "null"}


def _any_int(digits: str) -> int:
    """An integer of any length; Python refuses to convert thousands of digits, which take it quadratic time."""
    return int(digits) if len(digits) < 64 else 1 << 128  # no 64-bit type holds either, so only the text will be used


_DECODER = json.JSONDecoder(parse_constant=NonFinite)
_PATIENT = json.JSONDecoder(parse_constant=NonFinite, parse_int=_any_int)


@dataclass(frozen=True, kw_only=True, slots=True)
class BadLineHandler:
    """Who is told of bad lines, and how bytes that did not decode are spoken of."""

    tell: Callable[[int, int, str, str], None]
    """Takes the number of the row in its block from 0, that of its line in the file from 1, the reason, the line."""
    encoding: str
    """What messages call the file's encoding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LineBlock:
    """Consecutive lines of a file."""

    first: int
    """Number of the first line in the file, from 1."""
    lines: list[str]
    """The lines with their ends; also blank ones."""


def split_into_blocks(lines: Lines) -> Iterator[LineBlock]:
    """Cut `lines` into blocks that are bounded in rows and characters."""
    first = 1
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) >= MAX_ROWS_PER_BATCH or lines.characters >= MAX_BATCH_CHARACTERS:
            yield LineBlock(first=first, lines=held)
            first += len(held)
            held = []
            lines.characters = 0
    if held:
        yield LineBlock(first=first, lines=held)


def parse_objects(block: LineBlock, name: str, bad: BadLineHandler | None = None) -> tuple[list[str], list[dict[str, Any]]]:
    """The lines of a block that are not blank, and the object on each.

    Args:
        block: some lines.
        name: what messages call the file.
        bad: told of the lines that are bad; in the place of each stands an empty object, or, where only bytes of its
            values did not decode, one with U+FFFD for them. None makes a bad line an error.

    Raises:
        InputError: a line does not hold one JSON object; the message says which.
    """
    try:
        if bad is None or are_decoded(block.lines):
            rows = list(map(_DECODER.decode, block.lines))
            if set(map(type, rows)) == {dict}:
                return block.lines, rows
    except (ValueError, RecursionError):
        pass  # a blank line, a very long integer, or an error; found below, one line at a time
    full = [pair for pair in enumerate(block.lines, block.first) if pair[1].strip(_BLANKS)]
    if bad is None:
        return [line for _, line in full], [_object(line, f"{name}, line {number:,}") for number, line in full]
    kept = [_mended(line, number, at, bad) for at, (number, line) in enumerate(full)]
    return [line for line, _ in kept], [row for _, row in kept]


def _mended(line: str, number: int, at: int, bad: BadLineHandler) -> tuple[str, dict[str, Any]]:
    """A line and its object, whatever the line is."""
    reasons = []
    text = line
    if has_escapes(line):
        reasons.append(f"byte 0x{find_first_bad_byte(line):02x} is not {bad.encoding}")
        text = replace_escapes(line)
    try:
        row = _parsed(text)
        if reasons and any(has_escapes(string[0]) for string in _STRING.finditer(line) if string[1]):
            reasons[0] += " in the name of a value"  # such a name would make a column of its own
            text, row = "{}", {}
    except ValueError as error:
        reasons.append(str(error))
        text, row = "{}", {}
    if reasons:
        bad.tell(at, number, "; ".join(reasons), line.rstrip("\n").removesuffix("\r"))
    return text, row


def extract_member_texts(line: str) -> dict[str, str | None]:
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
    try:
        return _parsed(line)
    except ValueError as error:
        raise InputError(
            f'{where}: {error}. Each line must be one JSON object, such as {{"text": "Great!"}}; jq -c . makes such '
            "lines. Or keep such rows with --on-bad-row mark."
        ) from error


def _parsed(line: str) -> dict[str, Any]:
    """The object on `line`; a `ValueError` says in a few words why there is none."""
    try:
        value = _PATIENT.decode(line.rstrip(_BLANKS))
    except json.JSONDecodeError as error:
        raise ValueError(f"column {error.colno:,}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("lists or objects are nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"{_TYPES.get(type(value), 'a number')} where an object is needed")
    return value
