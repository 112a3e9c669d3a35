"""Keeps bytes that do not decode as escape characters in the text.

The escapes can be turned back into the bytes, or replaced by U+FFFD. They are halves of surrogate pairs: U+DC00 plus
the byte for the first byte of an error, and U+DD00 plus the byte for its other bytes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

ESCAPE_HANDLER = "sentiment_batch_escape"
"""The name of the decoding error handler that `register_handler` registers."""

_FIRST_BYTE = 0xDC00
_OTHER_BYTE = 0xDD00
# No strict decoder of the encodings that `encodings.look_up_encoding` accepts gives such characters.
_ESCAPED = re.compile("[\udc00-\uddff]")
# One error is a first byte and all other bytes behind it, so two errors in a row stay apart
_ERROR = re.compile("[\udc00-\udcff][\udd00-\uddff]*")
_RUNS = re.compile("([\udc00-\uddff]+)")


def register_handler() -> None:
    """Register the error handler with `codecs`, for the whole process. It may be called again."""
    codecs.register_error(ESCAPE_HANDLER, _escape)


def _escape(error: UnicodeError) -> tuple[str, int]:
    """One escape for each byte. The first byte gets another escape, so that adjacent errors can be counted."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data, start, end = error.object, error.start, error.end
    first, *others = data[start:end]
    if not others and (run := _find_run_end(data, start)) > end:
        return chr(_FIRST_BYTE + first) * (run - start), run
    return chr(_FIRST_BYTE + first) + "".join(chr(_OTHER_BYTE + byte) for byte in others), end


def _find_run_end(data: bytes, start: int) -> int:
    """The end of a run of 64 or more equal bytes that are all errors by themselves, as the first one is.

    This saves a call for each of millions of equal bytes. The last three bytes of the run are left out, because how
    they decode depends on the bytes after them.
    """
    byte = data[start : start + 1]
    return len(data) - len(data[start:].lstrip(byte)) - 3 if data.startswith(byte * 64, start) else start


def are_decoded(lines: Sequence[str]) -> bool:
    """True if all bytes of all `lines` decoded. This is faster than `has_escapes` for each line."""
    try:
        "".join([line for line in lines if not line.isascii()]).encode()
    except UnicodeEncodeError:
        return False
    return True


def has_escapes(text: str) -> bool:
    """True if some bytes of `text` did not decode."""
    return not text.isascii() and _ESCAPED.search(text) is not None


def replace_escapes(text: str) -> str:
    """`text` as `errors="replace"` would have decoded it: one U+FFFD for each error, not for each byte."""
    return _ERROR.sub("\ufffd", text)


def count_errors(text: str) -> tuple[int, int]:
    """The number of errors in `text`, and the number of characters that decoded."""
    errors = len(_ERROR.findall(text))
    return errors, len(replace_escapes(text)) - errors


def find_first_bad_byte(text: str) -> int | None:
    """The first byte of `text` that did not decode, or None if all bytes decoded."""
    found = _ESCAPED.search(text)
    return ord(found[0]) & 0xFF if found else None


def restore_bytes(text: str, encoding: str) -> bytes:
    """The bytes from which `text` was decoded.

    A few encodings have two codes for the same character. Then the usual code is returned.

    Args:
        text: text that was decoded with `ESCAPE_HANDLER`.
        encoding: the text's encoding, under a name that writes no byte order mark.
    """
    parts = _RUNS.split(text)  # text and runs of escapes alternate
    return b"".join(
        # The low byte of each escape is the original byte.
        part.encode("utf-16-le", "surrogatepass")[::2] if number % 2 else part.encode(encoding, "replace")
        for number, part in enumerate(parts)
    )
