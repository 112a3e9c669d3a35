"""Says where a source of text does not decode and what to do about it: the errors for bytes in another encoding."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment_batch.data.readers.encoding_candidates import rank_encodings
from sentiment_batch.errors import InputError, reason

if TYPE_CHECKING:
    from sentiment_batch.data.readers.source import Source

_CHUNK = 1 << 20
_AROUND = 1 << 15
"""Bytes before and after the bad one that are looked at to find the encoding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the first byte stands that does not decode."""

    byte: int
    line: int
    """From 1."""
    offset: int
    """From 0."""
    around: bytes
    """The bytes before and after it, whole lines where they are short."""


def explain_undecodable(source: Source, encoding: str, newline: str, *, given: str | None = None) -> InputError:
    """The error for a source that is not in `encoding`; reads it again to find the place.

    Args:
        source: where the bytes come from.
        encoding: what it was decoded with.
        newline: as for `open_text`.
        given: what the user called the encoding, None where nothing was said.
    """
    called = (given or encoding).removesuffix("-sig")
    try:
        place = _first_bad(source, encoding, newline)
    except UnicodeError as error:  # UTF-16 without a byte order mark, of which nothing says where it begins
        return InputError(f"{source.name} is not {called}: {reason(error)}. Name it with --encoding.")
    if place is None:
        return InputError(f"{source.name} is not {called}. Name the file's encoding with --encoding.")
    where = f"{source.name}, line {place.line:,}: byte 0x{place.byte:02x} at offset {place.offset:,} is not {called}."
    # The header of a CSV, which alone has such line ends, is never kept as a bad row.
    keep = "" if newline == "" and place.line == 1 else " Or keep such rows with --on-bad-row mark."
    if encoding.startswith("utf-8") and _mostly_utf_8(place.around):
        return InputError(f"{where} The text around it is, so the line is damaged: mend it.{keep}")
    return InputError(f"{where} {_cure(place.around, given)}{keep}")


def explain_wrong_encoding(source: Source, encoding: str, sample: bytes, share: str, given: str | None) -> InputError:
    """The error for a source so little of which decodes that its rows are not bad: the encoding is.

    Args:
        source: where the bytes come from.
        encoding: what it was decoded with.
        sample: its first bytes.
        share: how much of them does not decode, as `most lines`.
        given: what the user called the encoding, None where nothing was said.
    """
    called = (given or encoding).removesuffix("-sig")
    return InputError(
        f"{source.name} is not {called}: {share} of its beginning do not decode, which is no matter of single bad "
        f"rows. {_cure(sample[: 2 * _AROUND], given)}"
    )


def _cure(around: bytes, given: str | None) -> str:
    found = rank_encodings(around)
    if found == ["utf-8"] and given is not None:
        return "It is UTF-8: leave --encoding out."
    *others, last = found
    named = f"{', '.join(others)} or {last}" if others else last
    return f"Name the file's encoding with --encoding; going by the bytes it is {named}."


def _mostly_utf_8(around: bytes) -> bool:
    """Whether more characters outside ASCII are UTF-8 than bytes are not."""
    text = around.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - bad > bad


def _first_bad(source: Source, encoding: str, newline: str) -> Place | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(None, translate=newline == "")
    offset, line, before = 0, 1, b""
    with source.open() as stream:
        while True:
            chunk = stream.read(_CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # The decoder may have kept bytes of the last chunk.
                start = error.start + len(chunk) - len(error.object)
                good = newlines.decode(decoder.decode(chunk[: max(start, 0)]))
                around = _window(before + chunk + stream.read(_AROUND), len(before) + start, offset - len(before))
                byte = error.object[error.start]
                return Place(byte=byte, line=line + good.count("\n"), offset=offset + start, around=around)
            if not chunk:
                return None
            line += newlines.decode(text).count("\n")
            offset += len(chunk)
            before = (before + chunk)[-_AROUND:] if len(chunk) < _AROUND else chunk[-_AROUND:]


def _window(data: bytes, at: int, begin: int) -> bytes:
    """The bytes around `data[at]`, cut at line ends where there are some; `begin` is the offset of `data`."""
    first, last = max(0, at - _AROUND), at + _AROUND
    first -= (begin + first) % 4 if first >= 4 else 0  # where a unit of UTF-16 or UTF-32 begins
    window = data[first:last]
    if b"\0" in window:
        return window
    start = 0 if begin + first == 0 else window.find(b"\n", 0, at - first) + 1
    end = window.rfind(b"\n", at - first) + 1
    return window[start : end or len(window)]
