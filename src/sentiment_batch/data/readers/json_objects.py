"""Parses texts into JSON objects, and finds the text of each value in its object.

NaN, Infinity and -Infinity, which are no JSON, count as null.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sentiment_batch.data.readers.base import MAX_ROWS_PER_BATCH
from sentiment_batch.data.readers.byte_escapes import are_decoded, find_first_bad_byte, has_escapes, replace_escapes
from sentiment_batch.data.readers.json_numbers import parse_float
from sentiment_batch.data.readers.text import MAX_BATCH_CHARACTERS
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


# The slow one takes integers of any length. It calls Python for each integer, so most blocks are spared it.
_DECODER = json.JSONDecoder(parse_constant=lambda constant: None, parse_float=parse_float)
_SLOW_DECODER = json.JSONDecoder(
    parse_constant=lambda constant: None, parse_int=_parse_integer, parse_float=parse_float
)
_CONSTANTS = re.compile(_STRING.pattern + "|NaN|-?Infinity")

NEEDS_OBJECTS = 'Each line, or each item of an array, must be one JSON object, such as {"text": "Great!"}.'
"""The cure for a text that is no JSON object."""

BadLine = tuple[int, int, str, str]
"""The row's number in its block from 0, the line's number in the file from 1, the reason, and the line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Objects:
    """A block of objects."""

    numbers: Sequence[int]
    """(n,) the number of the line on which each one begins, from 1."""
    texts: Sequence[str]
    """(n,) their texts; `{}` for a text that cannot be parsed."""
    rows: Sequence[dict[str, Any]]
    """(n,) the objects."""
    bad: Sequence[BadLine] = ()
    """What is wrong with some of them."""


def split_into_blocks(texts: Iterable[tuple[int, str]]) -> Iterator[tuple[list[int], list[str]]]:
    """Split texts with the numbers of their lines into blocks of bounded rows and characters."""
    numbers: list[int] = []
    held: list[str] = []
    characters = 0
    for number, text in texts:
        numbers.append(number)
        held.append(text)
        characters += len(text)
        if len(held) >= MAX_ROWS_PER_BATCH or characters >= MAX_BATCH_CHARACTERS:
            yield numbers, held
            numbers, held, characters = [], [], 0
    if held:
        yield numbers, held


def parse_objects(
    numbers: Sequence[int], block: Sequence[str], name: str, *, encoding: str, accept_bad: bool
) -> Objects:
    """The objects of a block; blank texts are left out.

    Args:
        numbers: (n,) the number of the line of each text, counted from 1.
        block: (n,) texts of one object each, such as lines.
        name: what messages call the file.
        encoding: what messages call the file's encoding.
        accept_bad: make an empty object of a bad text. If only bytes in its values did not decode, the row stays, with
            U+FFFD for them. False makes a bad text an error.

    Raises:
        InputError: a text does not hold one JSON object; the message names the line.
    """
    try:
        # Nearly every block takes this quick path: all lines are good objects.
        if not accept_bad or are_decoded(block):
            rows = list(map(_DECODER.decode, block))
            if set(map(type, rows)) == {dict}:
                return Objects(numbers=numbers, texts=block, rows=rows)
    except (ValueError, RecursionError):
        pass  # a blank line, a very long integer or an error, which is found below, line by line
    full = [pair for pair in zip(numbers, block, strict=True) if pair[1].strip(_BLANKS)]
    texts, rows, bad = [], [], []
    for number, line in full:
        text, row, reasons = _repair_line(line, encoding)
        if reasons and not accept_bad:
            keep = 'Or keep such rows with `on_bad_row="mark"`.'
            raise InputError(f"{name}, line {number:,}: {reasons[0]}. {NEEDS_OBJECTS} {keep}")
        if reasons:
            bad.append((len(rows), number, "; ".join(reasons), line.rstrip("\n").removesuffix("\r")))
        texts.append(text)
        rows.append(row)
    return Objects(numbers=[number for number, _ in full], texts=texts, rows=rows, bad=bad)


def find_repeated_key(text: str, row: dict[str, Any]) -> str | None:
    """The first key that occurs twice in one object of `text`, or None; `row` is the object that was parsed from it."""
    if text.count(":") == len(row):
        return None  # each colon stands after another key, so the slow way is not needed
    try:
        _KEY_CHECKER.decode(text)
    except KeyError as error:
        return str(error.args[0])
    return None


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    """Raise a `KeyError` with the first repeated key of an object."""
    if len(dict(pairs)) < len(pairs):
        raise KeyError(next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))


_KEY_CHECKER = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=_check_keys)


def _repair_line(line: str, encoding: str) -> tuple[str, dict[str, Any], list[str]]:
    """A line, its object and what is wrong with it. Line and object are empty if the line cannot be parsed."""
    # Bytes that did not decode become U+FFFD, so a row with a bad text keeps its other values.
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

    Non-finite numbers inside of lists and objects are replaced by null.

    >>> extract_member_texts('{"a": 1.50, "b": [1,  2], "c": null}')
    {'a': '1.50', 'b': '[1,  2]', 'c': None}
    """
    found: dict[str, str | None] = {}
    at = skip_blanks(line, line.index("{") + 1)
    while line[at] != "}":
        # The decoder also gives the end of each key and value. The text between two ends is that of the value.
        key, at = _SLOW_DECODER.raw_decode(line, at)
        begin = skip_blanks(line, skip_blanks(line, at) + 1)  # after the colon
        value, end = _SLOW_DECODER.raw_decode(line, begin)
        found[key] = None if value is None else replace_non_finite(line[begin:end])
        at = skip_blanks(line, end)
        if line[at] == ",":
            at = skip_blanks(line, at + 1)
    return found


def has_non_finite(text: str) -> bool:
    """True if NaN, Infinity or -Infinity is a value somewhere in `text`, which is JSON but for these."""
    if "NaN" not in text and "Infinity" not in text:
        return False
    # The pattern also takes whole strings, so that the word NaN inside a text does not count
    return any(not found[0].startswith('"') for found in _CONSTANTS.finditer(text))


def replace_non_finite(text: str) -> str:
    """`text`, which is JSON but for NaN, Infinity and -Infinity, with null for these."""
    if not has_non_finite(text):
        return text
    return _CONSTANTS.sub(lambda found: found[0] if found[0].startswith('"') else "null", text)


def skip_blanks(text: str, at: int) -> int:
    """The index of the next character from `at` on that is not blank."""
    blanks = _SKIP_BLANKS(text, at)
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
