"""Keeps bytes that do not decode as escapes in the text, to give them back or to put U+FFFD in their place."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

ESCAPE_HANDLER = "sentiment_batch_escape"
"""The name of the decoding error handler that `register` makes known."""

_FIRST = 0xDC00
_NEXT = 0xDD00
# Halves of surrogate pairs: no strict decoder of an encoding that `encodings.known` lets through gives one.
_ESCAPED = re.compile("[\udc00-\uddff]")
_ERROR = re.compile("[\udc00-\udcff][\udd00-\uddff]*")
_STRETCHES = re.compile("([\udc00-\uddff]+)")


def register_handler() -> None:
    """Make the error handler known to `codecs`, which keeps one list for the process; may be called again."""
    codecs.register_error(ESCAPE_HANDLER, _escape)


def _escape(error: UnicodeError) -> tuple[str, int]:
    """One escape for each byte; the first is of another kind, so that one error can be told from two in a row."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data, start, end = error.object, error.start, error.end
    first, *others = data[start:end]
    if not others and (run := _run(data, start)) > end:
        return chr(_FIRST + first) * (run - start), run
    return chr(_FIRST + first) + "".join(chr(_NEXT + byte) for byte in others), end


def _run(data: bytes, start: int) -> int:
    """The end of a run of one byte, of which the first is an error by itself, as far as all the others must be too.

    A byte's fate hangs on three more at most. This spares a call for each of millions of equal bytes.
    """
    byte = data[start : start + 1]
    return len(data) - len(data[start:].lstrip(byte)) - 3 if data.startswith(byte * 64, start) else start


def are_decoded(lines: Sequence[str]) -> bool:
    """Whether all bytes of all `lines` did decode; faster than looking through each."""
    try:
        "".join([line for line in lines if not line.isascii()]).encode()
    except UnicodeEncodeError:
        return False
    return True


def has_escapes(text: str) -> bool:
    """Whether bytes of `text` did not decode."""
    return not text.isascii() and _ESCAPED.search(text) is not None


def replace_escapes(text: str) -> str:
    """`text` as it had been decoded with `errors="replace"`: U+FFFD once for each error, not for each byte."""
    return _ERROR.sub("\ufffd", text)


def count_errors(text: str) -> tuple[int, int]:
    """How many characters of `text` did not decode, and how many did."""
    errors = len(_ERROR.findall(text))
    return errors, len(replace_escapes(text)) - errors


def find_first_bad_byte(text: str) -> int | None:
    """The first byte of `text` that did not decode, None where all did."""
    found = _ESCAPED.search(text)
    return ord(found[0]) & 0xFF if found else None


def restore_bytes(text: str, encoding: str) -> bytes:
    """The bytes that `text` was decoded from.

    Where an encoding has two codes for a character, as few do, it is the usual one that comes out.

    Args:
        text: what was decoded with `ERRORS`.
        encoding: one that writes no byte order mark.
    """
    stretches = _STRETCHES.split(text)
    return b"".join(
        stretch.encode("utf-16-le", "surrogatepass")[::2] if number % 2 else stretch.encode(encoding, "replace")
        for number, stretch in enumerate(stretches)
    )
