"""Decodes the bytes of a source into lines of text of bounded length."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from sentiment_batch.data.readers import byte_escapes, encodings
from sentiment_batch.data.readers.decode_errors import make_decode_error, make_encoding_error
from sentiment_batch.data.readers.sniff import HEAD_BYTES, refuse_binary, refuse_other_formats
from sentiment_batch.errors import InputError

if TYPE_CHECKING:
    from sentiment_batch.data.readers.source import Source
    from sentiment_batch.records import ReadOptions

MAX_BATCH_CHARACTERS = 1 << 25
"""A batch ends after the row with which it reaches this number of characters."""
MAX_ROW_CHARACTERS = (1 << 29) - MAX_BATCH_CHARACTERS - 1
"""Largest number of characters of one row.

A character takes at most four bytes. So a batch stays below the 2^31 bytes that a column of `pyarrow.string()` can
hold, even if the largest row is added to a nearly full batch.
"""
CHUNK_CHARACTERS = 1 << 20
"""Number of characters that are read at once where lines do not matter."""
_MAX_SEPARATE_LINES = 1 << 16
"""Number of lines of one very long record that are held separately; then they are joined."""
_MIN_LINES_TO_JUDGE = 20
"""In a sample of fewer lines, bad rows may be the majority."""


class Lines:
    """Iterates over the lines of a text stream, and counts their characters.

    Args:
        stream: the text.
        name: what messages call it.
        hold: hold the lines of the current batch in `held`.

    Raises:
        InputError: a line is longer than `MAX_ROW_CHARACTERS`; raised while iterating.
    """

    def __init__(self, stream: io.TextIOWrapper, name: str, *, hold: bool = False) -> None:
        self.characters = 0
        """Number of characters since the last `start_batch`."""
        self.held: list[str] | None = [] if hold else None
        """The lines since the last `start_batch`. The many short lines of one very long record are joined."""
        self._num_joined = 0
        self._stream = stream
        self._name = name

    def __iter__(self) -> Iterator[str]:
        held = self.held
        # The limit lets `readline` stop inside a line without end, before it fills the memory
        for line in iter(functools.partial(self._stream.readline, MAX_ROW_CHARACTERS + 1), ""):
            if len(line) > MAX_ROW_CHARACTERS:
                raise InputError(
                    f"{self._name} has a line of over {MAX_ROW_CHARACTERS:,} characters; is it a text file of lines?"
                )
            self.characters += len(line)
            if held is not None:
                held.append(line)
                if self.characters > MAX_BATCH_CHARACTERS:
                    self._join_held(held)
            yield line

    def chunks(self) -> Iterator[str]:
        """The text in pieces of `CHUNK_CHARACTERS` characters, in place of its lines."""
        return iter(functools.partial(self._stream.read, CHUNK_CHARACTERS), "")

    def start_batch(self) -> None:
        """Reset the count of characters and the held lines."""
        self.characters = 0
        self._num_joined = 0
        if self.held is not None:
            self.held.clear()

    def _join_held(self, held: list[str]) -> None:
        """Join lines of the last row of a batch. All lines since the batch was full belong to that row.

        A quote that never closes makes one row of the rest of a file. A list of short lines takes ten times as much
        memory as their text.
        """
        # The index from which lines belong to the last row. The lines of the rows before it stay separate.
        self._num_joined = self._num_joined or len(held)
        if len(held) - self._num_joined > _MAX_SEPARATE_LINES:
            held[self._num_joined :] = ["".join(held[self._num_joined :])]
            self._num_joined += 1


class TextFile:
    r"""A source whose bytes are text in one encoding.

    Args:
        source: the source of the bytes.
        options: the encoding. With `on_bad_row`, bytes that do not decode stay in the text, see `byte_escapes`.
        newline: `""` if lines end with \n, \r or \r\n; `"\n"` if only \n ends a line.

    Raises:
        InputError: the source is not text, or it is in another encoding.
        UsageError: the encoding is unknown.
    """

    def __init__(self, source: Source, options: ReadOptions, newline: str) -> None:
        self._source = source
        self._given = options.encoding
        self._newline = newline
        self._escapes_errors = options.on_bad_row is not None
        # Other formats are refused first, so that the message names the format and not an encoding
        sample = source.head(encodings.SAMPLE_BYTES)
        refuse_other_formats(source.name, sample[:HEAD_BYTES])
        self._encoding = encodings.choose_encoding(sample, options.encoding, source.name)
        # Half of the bytes of ASCII in UTF-16 are zeros, which would count as control characters
        if not self._encoding.startswith(("utf-16", "utf-32")):
            refuse_binary(source.name, sample[:HEAD_BYTES])
        self._encoding_without_mark = encodings.drop_byte_order_mark(self._encoding, sample)
        self.encoding_name = (self._given or self._encoding).removesuffix("-sig")
        """What messages call the encoding."""
        self._max_accidental = _max_accidental_characters(self._encoding, sample) if self._given else -1
        byte_escapes.register_handler()
        self.sample = sample.decode(self._encoding, byte_escapes.ESCAPE_HANDLER)
        """The text of the first bytes. A character that is cut at the end of them is an escape."""
        self.is_whole = len(sample) < encodings.SAMPLE_BYTES
        """True if `sample` is the whole text."""
        if self._escapes_errors:
            self._refuse_wrong_encoding(sample)

    @contextlib.contextmanager
    def lines(self, *, hold: bool = False) -> Iterator[Lines]:
        """The lines from the first one, with their line ends. Errors while decoding become an `InputError`.

        Args:
            hold: hold the lines of the current batch in `Lines.held`.
        """
        errors = byte_escapes.ESCAPE_HANDLER if self._escapes_errors else "strict"
        stream: Any = self._source.open()
        # A setting such as latin-1 decodes every file, and garbles UTF-8 without an error. So the bytes are checked as
        # they are read, because the first ones may all be ASCII.
        if self._max_accidental >= 0:
            checking = _CheckingStream(stream, self._source.name, self.encoding_name, self._max_accidental)
            stream = cast(Any, io.BufferedReader(checking))
        try:
            with io.TextIOWrapper(stream, encoding=self._encoding, errors=errors, newline=self._newline) as text:
                yield Lines(text, self._source.name, hold=hold)
        except UnicodeError as error:
            raise self.make_decode_error() from error

    def make_decode_error(self) -> InputError:
        """The error for the first byte that does not decode. This reads the source again to find it."""
        return make_decode_error(self._source, self._encoding, self._newline, given=self._given)

    def restore_bytes(self, text: str) -> bytes:
        """The bytes of some lines as they stand in the file."""
        return byte_escapes.restore_bytes(text, self._encoding_without_mark)

    def _refuse_wrong_encoding(self, sample: bytes) -> None:
        """Check that most of the beginning decodes. If not, the encoding is wrong, not single rows."""
        if not byte_escapes.has_escapes(self.sample):
            return
        errors, characters = byte_escapes.count_errors(self.sample)
        lines = self.sample.split("\n")
        bad = sum(map(byte_escapes.has_escapes, lines))
        if errors > characters:
            share = "most characters"
        elif bad * 2 > len(lines) >= _MIN_LINES_TO_JUDGE:
            share = "most lines"
        else:
            return
        raise make_encoding_error(self._source, self._encoding, sample, share, self._given)


def _max_accidental_characters(encoding: str, sample: bytes) -> int:
    """The most characters of UTF-8 that may occur by accident in a file that begins with `sample`; -1 for no limit."""
    check = encodings.Utf8Check()
    check.feed(sample)
    return encodings.max_accidental_characters(encoding) if check.valid else -1


class _CheckingStream(io.RawIOBase):
    """A stream whose end raises an `InputError` if all its bytes were UTF-8, but the user gave another encoding."""

    def __init__(self, stream: io.BufferedReader, name: str, given: str, max_accidental: int) -> None:
        self._stream = stream
        self._name = name
        self._given = given
        self._max_accidental = max_accidental
        self._check = encodings.Utf8Check()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # `read1` does not wait for a full buffer, so that rows of a slow pipe arrive at once
        data = self._stream.read1(len(buffer))
        buffer[: len(data)] = data
        if self._check.valid:
            self._check.feed(data, final=not data)
            if not data and self._check.is_utf_8(self._max_accidental):
                raise encodings.make_utf8_error(self._name, self._given, self._check.offset)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
