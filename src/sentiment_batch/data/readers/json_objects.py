"""Parses lines of text into JSON objects, and finds the text of each value in its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from sentiment_batch.data.readers.base import MAX_ROWS_PER_BATCH
from sentiment_batch.data.readers.byte_escapes import are_decoded, find_first_bad_byte, has_escapes, replace_escapes
from sentiment_batch.data.readers.json_types import NonFinite
from sentiment_batch.data.readers.text import MAX_BATCH_CHARACTERS, Lines
from sentiment_batch.errors import InputError

_BLANKS = " \t\r\n"
_SKIP_BLANKS = re.compile(r"[ \t\r\n]*").match
# Possessive, because backtracking in a long string would fill the memory. The group holds the colon after a name.
_STRING = re.compile(r'"(?>[^"\\]+|\\.)*+"([ \t\r\n]*:)?')
_TYPE_NAMES = {list: "a list", str: "a string", bool: "true or false", int: "a number", type(None): "null"}


def _parse_integer(digits: str) -> int:
    """An integer of any length. Python refuses to convert thousands of digits, because that takes quadratic time."""
    # No 64-bit type holds either number, so only the text of the value will be used.
    return int(digits) if len(digits) < 64 else 1 << 128


_DECODER = json.JSONDecoder(parse_constant=NonFinite)
_SLOW_DECODER = json.JSONDecoder(parse_constant=NonFinite, parse_int=_parse_integer)

BadLine = tuple[int, int, str, str]
"""The row's number in its block from 0, the line's number in the file from 1, the reason, and the line."""


def split_into_blocks(lines: Lines) -> Iterator[tuple[int, list[str]]]:
    """Split `lines` into blocks of bounded rows and characters.

    Each block is the number of its first line in the file, counted from 1, and its lines with their line ends.
    """
    first = 1
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) >= MAX_ROWS_PER_BATCH or lines.characters >= MAX_BATCH_CHARACTERS:
            yield first, held
            first += len(held)
            held = []
            lines.start_batch()
    if held:
        yield first, held


def parse_objects(
    block: list[str], first: int, name: str, *, encoding: str, accept_bad: bool
) -> tuple[list[str], list[dict[str, Any]], list[BadLine]]:
    """The lines of a block that are not blank, the object on each, and the bad lines among them.

    Args:
        block: some lines.
        first: the number of the first one in the file, counted from 1.
        name: what messages call the file.
        encoding: what messages call the file's encoding.
        accept_bad: make an empty object of a bad line. If only bytes in its values did not decode, the row stays, with
            U+FFFD for them. False makes a bad line an error.

    Raises:
        InputError: a line does not hold one JSON object; the message names the line.
    """
    try:
        if not accept_bad or are_decoded(block):
            rows = list(map(_DECODER.decode, block))
            if set(map(type, rows)) == {dict}:
                return block, rows, []
    except (ValueError, RecursionError):
        pass  # a blank line, a very long integer or an error, which is found below, line by line
    full = [pair for pair in enumerate(block, first) if pair[1].strip(_BLANKS)]
    texts, rows, bad = [], [], []
    for number, line in full:
        text, row, reasons = _repair_line(line, encoding)
        if reasons and not accept_bad:
            raise InputError(
                f"{name}, line {number:,}: {reasons[0]}. Each line must be one JSON object, such as "
                '{"text": "Great!"}; jq -c . makes such lines. Or keep such rows with `on_bad_row="mark"`.'
            )
        if reasons:
            bad.append((len(rows), number, "; ".join(reasons), line.rstrip("\n").removesuffix("\r")))
        texts.append(text)
        rows.append(row)
    return texts, rows, bad


def _repair_line(line: str, encoding: str) -> tuple[str, dict[str, Any], list[str]]:
    """A line, its object and what is wrong with it. Line and object are empty if the line cannot be parsed."""
    reasons = [f"byte 0x{find_first_bad_byte(line):02x} is not {encoding}"] if has_escapes(line) else []
    text = replace_escapes(line)
    try:
        row = _parse(text)
    except ValueError as error:
        return "{}", {}, [*reasons, str(error)]
    if reasons and any(has_escapes(string[0]) for string in _STRING.finditer(line) if string[1]):
        # Such a name would make a column of its own.
        return "{}", {}, [f"{reasons[0]} in the name of a value"]
    return text, row, reasons


def extract_member_texts(line: str) -> dict[str, str | None]:
    """The text of each member of the object on `line`, as it stands there; None for null.

    >>> extract_member_texts('{"a": 1.50, "b": [1,  2], "c": null}')
    {'a': '1.50', 'b': '[1,  2]', 'c': None}
    """
    found: dict[str, str | None] = {}
    at = _skip_blanks(line, line.index("{") + 1)
    while line[at] != "}":
        key, at = _SLOW_DECODER.raw_decode(line, at)
        begin = _skip_blanks(line, _skip_blanks(line, at) + 1)  # after the colon
        value, end = _SLOW_DECODER.raw_decode(line, begin)
        found[key] = None if value is None else line[begin:end]
        at = _skip_blanks(line, end)
        if line[at] == ",":
            at = _skip_blanks(line, at + 1)
    return found


def _skip_blanks(line: str, at: int) -> int:
    blanks = _SKIP_BLANKS(line, at)
    return blanks.end() if blanks else at


def _parse(line: str) -> dict[str, Any]:
    """The object on `line`. Raises a `ValueError` with the reason in a few words if there is none."""
    try:
        value = _SLOW_DECODER.decode(line.rstrip(_BLANKS))
    except json.JSONDecodeError as error:
        raise ValueError(f"column {error.colno:,}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("lists or objects are nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"{_TYPE_NAMES.get(type(value), 'a number')} where an object is needed")
    return value
