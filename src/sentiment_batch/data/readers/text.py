"""Decodes a source's bytes to lines of text of a bounded length; it knows nothing of what the lines mean."""

from __future__ import annotations

import contextlib
import functools
import io
from typing import TYPE_CHECKING, Any, cast

from sentiment_batch.data.readers import byte_escapes
from sentiment_batch.data.readers.decode_errors import explain_undecodable, explain_wrong_encoding
from sentiment_batch.data.readers.encodings import SAMPLE_BYTES, Utf8Check, choose_encoding, explain_utf8, without_byte_order_mark, max_chance_characters
from sentiment_batch.data.readers.file_signatures import HEAD_BYTES, refuse_other_formats
from sentiment_batch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentiment_batch.data.readers.source import Source
    from sentiment_batch.records import ReadOptions

MAX_ROWS_PER_BATCH = 8192
"""Most rows of a batch that is made from text."""
MAX_BATCH_CHARACTERS = 1 << 25
"""A batch ends after the row that reaches this many characters."""
MAX_ROW_CHARACTERS = (1 << 29) - MAX_BATCH_CHARACTERS - 1
"""Most characters of one row. A character takes four bytes at most, so with this a batch that was nearly full before
stays below the 2^31 bytes that a column of `pyarrow.string()` can hold."""
_MAX_SEPARATE_LINES = 1 << 16
"""Lines that are put together."""
_FEW_LINES = 20
"""In a shorter sample half of the lines may be bad rows."""


class Lines:
    """The lines of a text stream, with a count of their characters.

    Args:
        stream: where they come from.
        name: what messages call it.
        kept: where each line is put as it is read; None keeps none.

    Raises:
        InputError: a line is longer than `LONGEST`, while iterating.
    """

    def __init__(self, stream: io.TextIOWrapper, name: str, kept: list[str] | None = None) -> None:
        self.characters = 0
        """Characters read since somebody last set this to 0."""
        self.kept = kept
        """The lines since the last `restart`; many short ones that are more than makes a batch are put together."""
        self._solid = 0
        self._stream = stream
        self._name = name

    def __iter__(self) -> Iterator[str]:
        kept = self.kept
        for line in iter(functools.partial(self._stream.readline, MAX_ROW_CHARACTERS + 1), ""):
            if len(line) > MAX_ROW_CHARACTERS:
                raise InputError(f"{self._name} has a line of over {MAX_ROW_CHARACTERS:,} characters; is it a text file of lines?")
            self.characters += len(line)
            if kept is not None:
                kept.append(line)
                if self.characters > MAX_BATCH_CHARACTERS:
                    self._fold(kept)
            yield line

    def restart(self) -> None:
        """Count, and keep, from here on."""
        self.characters = 0
        self._solid = 0
        if self.kept is not None:
            self.kept.clear()

    def _fold(self, kept: list[str]) -> None:
        """Put lines together: a batch ends with the row that makes it full, so all from here on are that row's.

        A quote that never closes makes one row of the rest of a file, and a line takes ten times its text to keep.
        """
        self._solid = self._solid or len(kept)
        if len(kept) - self._solid > _MAX_SEPARATE_LINES:
            kept[self._solid :] = ["".join(kept[self._solid :])]
            self._solid += 1


class TextFile:
    r"""A source whose bytes are text in one encoding.

    Args:
        source: where the bytes come from.
        options: the encoding; with `on_bad_row` bytes that do not decode stay in the text as `escapes`.
        newline: `""` where lines end at \n, \r or \r\n; `"\n"` where only that ends one.

    Raises:
        InputError: the source is no text, or in another encoding.
        UsageError: the encoding is unknown.
    """

    def __init__(self, source: Source, options: ReadOptions, newline: str) -> None:
        self._source = source
        self._given = options.encoding
        self._newline = newline
        self._marking = options.on_bad_row is not None
        sample = source.head(SAMPLE_BYTES)
        refuse_other_formats(source.name, sample[:HEAD_BYTES])
        self._encoding = choose_encoding(sample, options.encoding, source.name)
        self._plain = without_byte_order_mark(self._encoding, sample)
        self.called = (self._given or self._encoding).removesuffix("-sig")
        """What messages call the encoding."""
        self._chance = _watched(self._encoding, sample) if self._given else -1
        byte_escapes.register_handler()
        self.sample = sample.decode(self._encoding, byte_escapes.ESCAPE_HANDLER)
        """The text of the first bytes; what was cut in two at its end is an escape."""
        if self._marking:
            self._refuse_noise(sample)

    @contextlib.contextmanager
    def lines(self, *, keep: bool = False) -> Iterator[Lines]:
        """The lines from the first one, with their ends; what goes wrong in decoding becomes an `InputError`.

        Args:
            keep: whether the lines are to be found in `Lines.kept` too.
        """
        errors = byte_escapes.ESCAPE_HANDLER if self._marking else "strict"
        stream: Any = self._source.open()
        if self._chance >= 0:
            stream = cast(Any, io.BufferedReader(_Watched(stream, self._source.name, self.called, self._chance)))
        try:
            with io.TextIOWrapper(stream, encoding=self._encoding, errors=errors, newline=self._newline) as text:
                yield Lines(text, self._source.name, [] if keep else None)
        except UnicodeError as error:
            raise self.undecodable() from error

    def undecodable(self) -> InputError:
        """The error for the first byte that does not decode; reads the source again to find it."""
        return explain_undecodable(self._source, self._encoding, self._newline, given=self._given)

    def original(self, text: str) -> bytes:
        """The bytes of a stretch of lines as they stand in the file."""
        return byte_escapes.restore_bytes(text, self._plain)

    def _refuse_noise(self, sample: bytes) -> None:
        """Check that most of the beginning decodes: bytes of another encoding are no matter of single bad rows."""
        if not byte_escapes.has_escapes(self.sample):
            return
        errors, characters = byte_escapes.count_errors(self.sample)
        lines = self.sample.split("\n")
        bad = sum(map(byte_escapes.has_escapes, lines))
        if errors > characters:
            share = "most characters"
        elif bad * 2 > len(lines) >= _FEW_LINES:
            share = "most lines"
        else:
            return
        raise explain_wrong_encoding(self._source, self._encoding, sample, share, self._given)


def _watched(encoding: str, sample: bytes) -> int:
    """How many characters of UTF-8 are no surprise in what follows `sample`; -1 where there is nothing to watch for."""
    check = Utf8Check()
    check.feed(sample)
    return max_chance_characters(encoding) if check.valid else -1


class _Watched(io.RawIOBase):
    """The bytes of a stream; its end is an error if they all were UTF-8, where the user named another encoding."""

    def __init__(self, stream: io.BufferedReader, name: str, given: str, chance: int) -> None:
        self._stream = stream
        self._name = name
        self._given = given
        self._chance = chance
        self._check = Utf8Check()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read1(len(buffer))
        buffer[: len(data)] = data
        if self._check.valid:
            self._check.feed(data, final=not data)
            if not data and self._check.is_utf_8(self._chance):
                raise explain_utf8(self._name, self._given, self._check.offset)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
