"""Explains why a text does not decode: where the first bad byte is, and which encodings the bytes may be in."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment_batch.data.readers.encoding_candidates import rank_encodings
from sentiment_batch.errors import InputError, reason

if TYPE_CHECKING:
    from sentiment_batch.data.readers.source import Source

_CHUNK_BYTES = 1 << 20
_CONTEXT_BYTES = 1 << 15
"""Number of bytes before and after the bad one that are looked at to guess the encoding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _BadByte:
    """The first byte that does not decode."""

    value: int
    """The byte itself."""
    line: int
    """The number of its line, counted from 1."""
    offset: int
    """Its offset in the decompressed file, counted from 0."""
    context: bytes
    """The bytes around it, cut at line ends if the lines are short."""


def make_decode_error(source: Source, encoding: str, newline: str, *, given: str | None = None) -> InputError:
    """The error for a source that is not in `encoding`. This reads the source again to find the bad byte.

    Args:
        source: the source of the bytes.
        encoding: the encoding with which the source was decoded.
        newline: as for `TextFile`.
        given: the user's `encoding`, or None.
    """
    called = (given or encoding).removesuffix("-sig")
    try:
        bad = _find_bad_byte(source, encoding, newline)
    except UnicodeError as error:  # UTF-16 without a byte order mark
        return InputError(f"{source.name} is not {called}: {reason(error)}. Name it with `encoding`.")
    if bad is None:
        return InputError(f"{source.name} is not {called}. Name the file's encoding with `encoding`.")
    where = f"{source.name}, line {bad.line:,}: byte 0x{bad.value:02x} at offset {bad.offset:,} is not {called}."
    # Only CSV has the newline "". Its header, in line 1, cannot be kept as a bad row.
    keep = "" if newline == "" and bad.line == 1 else ' Or keep such rows with `on_bad_row="mark"`.'
    if encoding.startswith("utf-8") and _is_mostly_utf_8(bad.context):
        return InputError(f"{where} The text around it is, so the line is damaged: repair it.{keep}")
    return InputError(f"{where} {_suggest_encoding(bad.context, given)}{keep}")


def make_encoding_error(source: Source, encoding: str, sample: bytes, share: str, given: str | None) -> InputError:
    """The error for a source of which so much does not decode that the encoding must be wrong, not single rows.

    Args:
        source: the source of the bytes.
        encoding: the encoding with which the source was decoded.
        sample: its first bytes.
        share: how much of them does not decode, such as `most lines`.
        given: the user's `encoding`, or None.
    """
    called = (given or encoding).removesuffix("-sig")
    return InputError(
        f"{source.name} is not {called}: {share} of its beginning do not decode, so the encoding is wrong rather "
        f"than single rows. {_suggest_encoding(sample[: 2 * _CONTEXT_BYTES], given)}"
    )


def _suggest_encoding(context: bytes, given: str | None) -> str:
    found = rank_encodings(context)
    if found == ["utf-8"] and given is not None:
        return "It is UTF-8: leave `encoding` out."
    *others, last = found
    named = f"{', '.join(others)} or {last}" if others else last
    return f"Name the file's encoding with `encoding`; going by the bytes it is {named}."


def _is_mostly_utf_8(context: bytes) -> bool:
    """True if there are more characters of UTF-8 outside ASCII than bytes that do not decode."""
    text = context.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - bad > bad


def _find_bad_byte(source: Source, encoding: str, newline: str) -> _BadByte | None:
    # The bytes are decoded again in chunks, because the first reading does not tell where in the file it stopped
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(None, translate=newline == "")
    offset, line, before = 0, 1, b""
    with source.open() as stream:
        while True:
            chunk = stream.read(_CHUNK_BYTES)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # The decoder may have kept bytes of the last chunk.
                start = error.start + len(chunk) - len(error.object)
                # The bytes before the bad one decode. Their line ends belong to the count.
                good = newlines.decode(decoder.decode(chunk[: max(start, 0)]))
                data = before + chunk + stream.read(_CONTEXT_BYTES)
                return _BadByte(
                    value=error.object[error.start],
                    line=line + good.count("\n"),
                    offset=offset + start,
                    context=_cut_context(data, len(before) + start, offset - len(before)),
                )
            if not chunk:
                return None
            line += newlines.decode(text).count("\n")
            offset += len(chunk)
            # The context may begin in the chunk before the bad byte
            before = (before + chunk)[-_CONTEXT_BYTES:]


def _cut_context(data: bytes, at: int, begin: int) -> bytes:
    """The bytes around `data[at]`, cut at line ends if possible; `begin` is the offset of `data` in the file."""
    first, last = max(0, at - _CONTEXT_BYTES), at + _CONTEXT_BYTES
    first -= (begin + first) % 4 if first >= 4 else 0  # begin with a whole code unit of UTF-16 or UTF-32
    context = data[first:last]
    if b"\0" in context:
        return context
    start = 0 if begin + first == 0 else context.find(b"\n", 0, at - first) + 1
    end = context.rfind(b"\n", at - first) + 1
    return context[start : end or len(context)]
