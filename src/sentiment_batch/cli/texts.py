"""Reads the texts of a command: its arguments, or the lines of standard input."""

from __future__ import annotations

import codecs
import itertools
import os
import sys
from collections.abc import Iterator, Sequence

from sentiment_batch.errors import InputError, UsageError


def read_texts(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments, or the lines of standard input if there are none.

    Raises:
        UsageError: there are no arguments, and standard input is a terminal. It is raised at once, not at the first
            text.
        InputError: an argument or a line is not UTF-8.
    """
    if not arguments and sys.stdin.isatty():
        raise UsageError("there is no text. Give some in quotes, or pipe lines into standard input.")
    if not arguments:
        return _lines()
    return iter([_decode(os.fsencode(text), f"text {number}") for number, text in enumerate(arguments, start=1)])


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
    for number, line in enumerate(sys.stdin.buffer, start=1):
        marked = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        yield _decode(marked.rstrip(b"\r\n"), f"line {number} of standard input")


def _decode(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 ({error.reason}). Convert it first.") from error
