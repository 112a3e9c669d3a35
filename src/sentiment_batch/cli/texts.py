"""Texts as the command line takes them: arguments, or the lines of standard input."""

from __future__ import annotations

import codecs
import itertools
import os
import sys
from collections.abc import Iterator, Sequence

from sentiment_batch.errors import InputError, UsageError


def given(arguments: Sequence[str]) -> Iterator[str]:
    """The texts among the arguments, or the lines of standard input where there are none; all of them UTF-8.

    Raises:
        UsageError: there are none, and standard input is a terminal; raised before the first text is asked for.
        InputError: an argument or a line is not UTF-8.
    """
    if not arguments and sys.stdin.isatty():
        raise UsageError("there is no text. Give some in quotes, or pipe lines into standard input.")
    if not arguments:
        return _lines()
    return iter([_decoded(os.fsencode(text), f"text {number}") for number, text in enumerate(arguments, start=1)])


def at_least_one(texts: Iterator[str]) -> Iterator[str]:
    """The same texts; the first is waited for here, before anything long is done for none.

    Raises:
        InputError: there is none, as on an empty standard input.
    """
    first = next(texts, None)
    if first is None:
        raise InputError("standard input holds no text. Pipe a text a line into it, or give some in quotes.")
    return itertools.chain([first], texts)


def _lines() -> Iterator[str]:
    """The lines of standard input; nothing but a line feed ends one."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        marked = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        yield _decoded(marked.rstrip(b"\r\n"), f"line {number} of standard input")


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 ({error.reason}). Convert it first.") from error
