"""Finds the objects of a JSON file: one a line, the items of an array, or objects over several lines."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from sentiment_batch.data.readers.csv_sample import NO_DELIMITER, CsvSample
from sentiment_batch.data.readers.json_objects import skip_blanks
from sentiment_batch.data.readers.sniff import is_json
from sentiment_batch.data.readers.text import CHUNK_CHARACTERS, MAX_ROW_CHARACTERS
from sentiment_batch.errors import InputError, reason

_MAX_TOKEN = 16
"""No word, escape or mark of JSON is longer, so an error further from the end does not come from a cut text."""
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=lambda pairs: None)
"""Finds the end of a value, and keeps little of it."""
_MAX_SNIFFED_LINES = 1000
"""Lines that are looked at to find out if a file is CSV."""
_BLANKS_AND_MARK = " \t\r\n\ufeff"
_ORIENTS = "Give one object for each row: df.to_json(path, orient='records', lines=True) writes them."


def refuse_csv(name: str, text: str) -> None:
    """Check that a file that is going to be read as JSON lines is not CSV. One line with an object is enough.

    Args:
        name: what messages call the file.
        text: its beginning.

    Raises:
        InputError: it is CSV.
    """
    lines = [line for line in text.lstrip(_BLANKS_AND_MARK).splitlines(keepends=True) if line.strip(_BLANKS_AND_MARK)]
    if not lines or any(line.lstrip(_BLANKS_AND_MARK).startswith(("{", "[")) for line in lines) or is_json(lines[0]):
        return
    # A line that is not JSON may be a bad row. Only lines that agree on a delimiter show a CSV.
    sample = CsvSample(name=name, lines=lines[:_MAX_SNIFFED_LINES], whole=False)
    if sample.find_delimiter({"strict": True, "quoting": csv.QUOTE_MINIMAL}) != NO_DELIMITER:
        raise InputError(f'{name} is CSV, not JSON lines; give `input_format="csv"`.')


def choose_layout(sample: str, name: str, *, is_whole: bool, accept_bad: bool) -> str:
    """How objects follow each other: `lines`, `array` or `values` (objects over several lines).

    Args:
        sample: the beginning of the file.
        name: what messages call the file.
        is_whole: True if the sample is the whole file.
        accept_bad: True if a list on the first line may be a bad row.

    Raises:
        InputError: the file is an array of arrays or of texts.
    """
    text = sample.lstrip("\ufeff \t\r\n")
    first, _, rest = text.partition("\n")
    if text.startswith("["):
        # A whole list on the first line may be a bad row above objects
        if accept_bad and rest.strip() and is_json(first):
            return "lines"
        if re.match(r"\[\s*\[", text):
            raise InputError(
                f"{name} is a JSON array of arrays, whose values have no names, as pandas writes it with "
                f"orient='values'. {_ORIENTS}"
            )
        if re.match(r'\[\s*"', text):
            raise InputError(
                f"{name} is a JSON array of texts without names. Make an object of each one first, with "
                "jq -c '.[] | {text: .}'."
            )
        return "array"
    # Each line is a row if the first one is an object, or cannot be the start of one
    if not text.startswith("{") or not rest or is_json(first):
        return "lines"
    # The first line is no JSON alone. It begins an object over several lines, or it is a bad row.
    try:
        _, end = _DECODER.raw_decode(text)
    except json.JSONDecodeError as error:
        return "values" if not is_whole and _may_be_cut(error, text) and "\n" in text[: error.pos] else "lines"
    except RecursionError:
        return "lines"
    return "values" if "\n" in text[:end] else "lines"


def iterate_values(chunks: Iterator[str], name: str, *, array: bool) -> Iterator[tuple[int, str]]:
    """The text of each value with the number of the line on which it begins. Memory is bounded by the largest value.

    Args:
        chunks: the text of the file.
        name: what messages call the file.
        array: True if the values are the items of one array; False if they follow each other.

    Raises:
        InputError: the text is not JSON; the message names the line.
    """
    text = _Text(chunks, name)
    if not array:
        while text.peek():
            yield text.take_value()
        return
    text.take("[")
    while text.peek() != "]":
        yield text.take_value()
        if text.peek() != "]":
            text.take(",")
    text.take("]")
    if text.peek():
        raise text.make_error("there is more after the end of the array")


def refuse_pandas_layouts(row: dict[str, Any], name: str) -> None:
    """Check that the only object of a file is a row, and not a whole table as pandas or other programs write it.

    Raises:
        InputError: it is a table; the message names its layout.
    """
    # pandas writes such files, and they would be read as a table of one row
    if _holds_columns(row):
        raise InputError(
            f"{name} is a whole table in one object, with a list for each column, as df.to_dict('list') gives it. "
            f"{_ORIENTS}"
        )
    if (orient := _find_orient(row)) is not None:
        raise InputError(
            f"{name} is a whole table in one object, as pandas writes it with orient={orient!r}. {_ORIENTS}"
        )


def _find_orient(row: dict[str, Any]) -> str | None:
    """The `orient` with which pandas writes a table as such an object; None if it is the object of one row."""
    if row.keys() >= {"columns", "data"} and isinstance(row["columns"], list) and isinstance(row["data"], list):
        return "split"
    if row.keys() >= {"schema", "data"} and isinstance(row["schema"], dict) and isinstance(row["data"], list):
        return "table"
    # The others are objects of objects that all have the same keys
    values = list(row.values())
    if not values or not all(isinstance(one, dict) and one and one.keys() == values[0].keys() for one in values):
        return None
    kinds = set(map(type, values[0].values()))
    # Keys that are all numbers are an index. So are keys over values of several types, because a column has one type.
    if all(map(str.isdecimal, row)) or (len(row) > 1 and len(kinds) > 1):
        return "index"
    if dict not in kinds and (all(map(str.isdecimal, values[0])) or (len(row) > 1 and len(values[0]) > 1)):
        return "columns"
    return None


def _holds_columns(row: dict[str, Any]) -> bool:
    """True if all values are lists of plain values, equally long, and some of these are texts."""
    lists = [value for value in row.values() if isinstance(value, list)]
    plain = not any(isinstance(value, list | dict) for values in lists for value in values)
    texts = any(isinstance(value, str) for values in lists for value in values)
    alike = len(lists) == len(row) and len(set(map(len, lists))) == 1
    return alike and plain and texts and len(row) + len(lists[0]) > 2  # one list with one value is hardly a table


def _may_be_cut(error: json.JSONDecodeError, text: str) -> bool:
    """True if `text` may be the start of a valid text."""
    return error.msg.startswith("Unterminated string") or error.pos >= len(text) - _MAX_TOKEN


class _Text:
    """A text of which only the part around the current position is held."""

    def __init__(self, chunks: Iterator[str], name: str) -> None:
        self._chunks = chunks
        self._name = name
        self._text = ""
        self._at = 0
        self._line = 1

    def peek(self) -> str:
        """The next character that is not blank; an empty string at the end."""
        while True:
            self._move(skip_blanks(self._text, self._at))
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._grow():
                return ""

    def take(self, mark: str) -> None:
        """Step over `mark`, which must be next."""
        if self.peek() != mark:
            raise self.make_error(f"{mark!r} is missing")
        self._at += 1

    def take_value(self) -> tuple[int, str]:
        """Step over the next value; returns the number of its first line and its text."""
        self.peek()
        while True:
            try:
                _, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # The text may only be cut here. More of it is read, and the value is tried again.
                if not _may_be_cut(error, self._text) or not self._grow():
                    self._move(error.pos)
                    raise self.make_error(reason(error).partition(":")[0]) from error
            except RecursionError as error:
                raise self.make_error("lists or objects are nested too deeply") from error
            else:
                if end < len(self._text) or not self._grow():  # a number may continue in the next chunk
                    break
        number, value = self._line, self._text[self._at : end]
        self._move(end)
        return number, value

    def make_error(self, what: str) -> InputError:
        """The error for the current position."""
        return InputError(f"{self._name}, line {self._line:,}: not JSON: {what}. Check that the file is complete.")

    def _move(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to

    def _grow(self) -> bool:
        """Read as much again as is held, so that a long value is not tried too often. False at the end of the text."""
        # What lies before the position is dropped, so only the current value is held
        self._text, self._at = self._text[self._at :], 0
        if len(self._text) > MAX_ROW_CHARACTERS:
            raise self.make_error(f"a value has over {MAX_ROW_CHARACTERS:,} characters")
        more = "".join(itertools.islice(self._chunks, 1 + len(self._text) // CHUNK_CHARACTERS))
        self._text += more
        return bool(more)
