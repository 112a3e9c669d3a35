"""Decodes a source's bytes to lines of text of a bounded length; it knows nothing of what the lines mean."""

from __future__ import annotations

import codecs
import functools
import io
from typing import TYPE_CHECKING

from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.readers.damage import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentiment_batch.readers.source import Source

ROWS = 8192
"""Most rows of a batch that is made from text."""
CHARACTERS = 1 << 25
"""A batch ends after the row that reaches this many characters."""
LONGEST = (1 << 29) - CHARACTERS - 1
"""Most characters of one row. A character takes four bytes at most, so with this a batch that was nearly full before
stays below the 2^31 bytes that a column of `pyarrow.string()` can hold."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(head: bytes, given: str | None, name: str) -> str:
    """The encoding to decode a file with, such that its byte order mark does not come out as a character.

    Args:
        head: the file's first bytes.
        given: what the user said, or None to go by the byte order mark, else UTF-8.
        name: what messages call the file.

    Raises:
        UsageError: there is no encoding of the given name.
        InputError: the file is UTF-16 without a mark, which only the user can tell.
    """
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    if given is not None:
        known = _known(given)
        return marked if marked and known.startswith(marked.removesuffix("-sig")) else known
    if marked is None and len(head) >= 8:
        for zeros, others, order in ((head[1::2], head[::2], "le"), (head[::2], head[1::2], "be")):
            if not any(zeros) and all(others):
                raise InputError(f"{name} looks like UTF-16 without a byte order mark; give --encoding utf-16-{order}.")
    return marked or "utf-8"


def _known(encoding: str) -> str:
    try:
        with io.TextIOWrapper(io.BytesIO(), encoding=encoding):
            return codecs.lookup(encoding).name  # alone this would take base64 too, which is no text encoding
    except (LookupError, ValueError) as error:
        raise UsageError(f"--encoding: {reason(error)}; give one such as utf-8, cp1252 or utf-16.") from error


def open_text(source: Source, encoding: str, newline: str) -> io.TextIOWrapper:
    r"""The text of `source`; its lines keep their ends.

    Args:
        source: where the bytes come from.
        encoding: what `encoding_of` said.
        newline: `""` where lines end at \n, \r or \r\n; `"\n"` where only that ends one.
    """
    return io.TextIOWrapper(source.open(), encoding=encoding, newline=newline)


class Lines:
    """The lines of a text stream, with a count of their characters.

    Raises:
        InputError: a line is longer than `LONGEST`, while iterating.
    """

    def __init__(self, stream: io.TextIOWrapper, name: str) -> None:
        self.characters = 0
        """Characters read since somebody last set this to 0."""
        self._stream = stream
        self._name = name

    def __iter__(self) -> Iterator[str]:
        for line in iter(functools.partial(self._stream.readline, LONGEST + 1), ""):
            if len(line) > LONGEST:
                raise InputError(f"{self._name} has a line of over {LONGEST:,} characters; is it a text file of lines?")
            self.characters += len(line)
            yield line


def undecodable(source: Source, encoding: str, newline: str) -> InputError:
    """The error for a source that is not in `encoding`; reads it again to find the place."""
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(None, translate=newline == "")
    offset, line = 0, 1
    with source.open() as stream:
        while True:
            chunk = stream.read(1 << 20)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                start = (
                    error.start + len(chunk) - len(error.object)
                )  # the decoder may have kept bytes of the last chunk
                good = newlines.decode(decoder.decode(chunk[: max(start, 0)]))
                return _bad_byte(source.name, error, line + good.count("\n"), offset + start, encoding)
            except UnicodeError as error:
                return InputError(f"{source.name} is not {encoding}: {reason(error)}. Name it with --encoding.")
            if not chunk:
                return InputError(f"{source.name} is not {encoding}. Name the file's encoding with --encoding.")
            line += newlines.decode(text).count("\n")
            offset += len(chunk)


def _bad_byte(name: str, error: UnicodeDecodeError, line: int, offset: int, encoding: str) -> InputError:
    return InputError(
        f"{name}, line {line:,}: byte 0x{error.object[error.start]:02x} at offset {offset:,} is not "
        f"{encoding.removesuffix('-sig')}. Name the file's encoding with --encoding, for instance cp1252, latin-1, "
        "utf-16 or gb18030."
    )
