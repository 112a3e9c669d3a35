"""Reads the texts of a command: its arguments, or the lines of standard input."""

from __future__ import annotations

import codecs
import itertools
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence

import click

from sentiment_batch.errors import InputError, UsageError, reason

_TABLE = re.compile(
    r"\S+\.(csv|tsv|tab|jsonl?|ndjson|parquet|pq|arrows?|feather|ipc|xlsx?|xlsm|txt|db|sqlite3?|duckdb)(\.(gz|bz2|xz|zst|zip))?",
    re.IGNORECASE,
)
"""A word that ends like the name of a table."""


def read_texts(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments, or the lines of standard input if there are none, or only `-`.

    Raises:
        UsageError: there are no arguments, and standard input is a terminal; or one is a file or looks like a table. It
            is raised at once, not at the first text.
        InputError: an argument or a line is not UTF-8.
    """
    if not arguments and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("there is no text. Give some in quotes, or pipe lines into standard input.")
    if not arguments or tuple(arguments) == ("-",):
        if sys.stdin is None:  # Python sets it to None if the descriptor is closed
            raise InputError("standard input is closed. Give texts in quotes, or pipe lines into it.")
        return _lines()
    for text in arguments:
        _refuse_file(text)
    return iter([_decode(os.fsencode(text), f"text {number}") for number, text in enumerate(arguments, start=1)])


def _refuse_file(text: str) -> None:
    """Raise UsageError if an argument is the name of a file, or ends like the name of a table."""
    is_table = _TABLE.fullmatch(text) is not None
    if not is_table and not (os.path.splitext(text)[1] and os.path.isfile(text)):
        return
    word, running = shlex.quote(text), click.get_current_context().command_path
    what = f"{text} is a file" if os.path.isfile(text) else f"{text} looks like the name of a file"
    raise UsageError(
        f"{what}, not a text. Score the rows of a table with: sentiment-batch score {word} OUT. Read each line as a "
        f"text with: {running} - < {word}. If it is a text, pass it with: echo {word} | {running} -"
    )


def require_one(texts: Iterator[str]) -> Iterator[str]:
    """The same texts, after waiting for the first one, so that no model is loaded for nothing.

    Raises:
        InputError: there is no text, because standard input is empty.
    """
    first = next(texts, None)
    if first is None:
        raise InputError("standard input holds no text. Pipe one text per line into it, or give texts in quotes.")
    return itertools.chain([first], texts)


def _lines() -> Iterator[str]:
    """The lines of standard input. Only a line feed ends a line."""
    # Bytes, because a text stream would end lines at a carriage return, too, and guess the encoding
    lines = iter(sys.stdin.buffer)
    for number in itertools.count(1):
        try:
            line = next(lines, b"")
        except OSError as error:  # it is a folder, or open for writing only
            raise InputError(f"standard input cannot be read: {reason(error)}. Pipe lines into it.") from error
        if not line:
            return
        marked = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        yield _decode(marked.rstrip(b"\r\n"), f"line {number} of standard input")


def _decode(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 ({error.reason}). Convert it first.") from error
