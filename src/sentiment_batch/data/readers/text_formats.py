"""Tells from its beginning whether a text is CSV or JSON, for files that are not what their name says."""

from __future__ import annotations

import csv
import json
import re

from sentiment_batch.data.readers.delimiters import NO_DELIMITER, detect_delimiter
from sentiment_batch.data.readers.encodings import find_marked_encoding
from sentiment_batch.data.readers.file_signatures import FileKind
from sentiment_batch.errors import InputError

_LINES = FileKind(name="jsonl", what="JSON lines", cure="give --input-format jsonl")
_ARRAY = FileKind(
    name="json array",
    what="a JSON array",
    cure="turn it into one object per line with jq -c '.[]', and give --input-format jsonl",
)
_SPREAD = FileKind(
    name="json",
    what="JSON with an object over several lines",
    cure="turn it into one object per line with jq -c ., and give --input-format jsonl",
)
_TEXT = FileKind(name="csv", what="text, such as CSV", cure="give --input-format csv")

_OBJECT = re.compile(r'\{\s*"(?>[^"\\]+|\\.)*+"\s*:')
_OBJECTS = re.compile(r"\[\s*\{")
_BLANKS = " \t\r\n\ufeff"
_CONTROLS = frozenset(range(0x20)) - frozenset(b"\t\n\f\r\x1a")
"""Bytes that no text holds; the last one is the end of a file in DOS."""


def detect_json_kind(text: str) -> FileKind | None:
    """Which JSON a text is that begins with `text`, None where it is not."""
    text = text.lstrip(_BLANKS)
    if _OBJECTS.match(text):
        return _ARRAY
    found = _OBJECT.match(text)
    return None if found is None else _SPREAD if "\n" in found[0] else _LINES


def refuse_json(name: str, text: str) -> None:
    """Check that what is to be read as CSV is no JSON.

    Args:
        name: what messages call the file.
        text: its beginning.

    Raises:
        InputError: it is JSON; the message says of which kind.
    """
    kind = detect_json_kind(text)
    if kind is not None:
        raise InputError(f"{name} is {kind.what}, not CSV; {kind.cure}.")


def refuse_csv(name: str, text: str) -> None:
    """Check that what is to be read as JSON lines is no CSV; one object among the lines is enough.

    Args:
        name: what messages call the file.
        text: its beginning.

    Raises:
        InputError: it is CSV.
    """
    lines = [line for line in text.lstrip(_BLANKS).splitlines(keepends=True) if line.strip(_BLANKS)]
    if not lines or any(line.lstrip(_BLANKS).startswith(("{", "[")) for line in lines) or _is_json(lines[0]):
        return
    dialect = {"strict": True, "quoting": csv.QUOTE_MINIMAL}
    if detect_delimiter(lines[:1000], dialect, whole=False) != NO_DELIMITER:
        raise InputError(f"{name} is CSV, not JSON lines; give --input-format csv.")


def detect_text_kind(head: bytes) -> FileKind | None:
    """What a file of text is that begins with `head`, None where it is not text."""
    encoding = find_marked_encoding(head) or "utf-8"
    if not head or (not encoding.startswith(("utf-16", "utf-32")) and not _CONTROLS.isdisjoint(head)):
        return None
    text = head.decode(encoding, "replace")
    # In another encoding than UTF-8 at least its ASCII can be read; a file of few of them is anything but text.
    if text.count("\ufffd") * 2 > len(text):
        return None
    return detect_json_kind(text) or _TEXT


def refuse_text(name: str, head: bytes, cure: str | None = None) -> None:
    """Check that what is to be read as a binary format is no text.

    Args:
        name: what messages call the file.
        head: its first bytes.
        cure: what to do, instead of having it read as what it is.

    Raises:
        InputError: it is text; the message says how to have it read.
    """
    kind = detect_text_kind(head)
    if kind is not None:
        raise InputError(f"{name} is {kind.what}; {cure or kind.cure}.")


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
