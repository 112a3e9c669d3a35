"""Chooses the encoding of a text by its first bytes and the user's setting, and refuses a setting that is wrong."""

from __future__ import annotations

import codecs
import io
import re

from sentiment_batch.errors import InputError, UsageError, reason

SAMPLE_BYTES = 1 << 18
"""Number of bytes at the beginning of a file that are looked at."""
MIN_UTF8_CHARACTERS = 4
"""A file counts as UTF-8 only with this many characters outside ASCII, if the user named a multi-byte encoding.

Fewer may look like UTF-8 by accident. About one in five pairs of bytes of Chinese in GB 18030 does.
"""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OTHER_ORDER = {"utf-16-le": "utf-16-be", "utf-16-be": "utf-16-le", "utf-32-le": "utf-32-be", "utf-32-be": "utf-32-le"}
# These decode to halves of surrogate pairs or to no text at all. No table is written in them.
_REFUSED = ("utf-7", "unicode_escape", "raw_unicode_escape", "punycode", "idna", "undefined")
_SEVERAL_BYTES = ("gb", "big5", "euc", "shift_jis", "cp932", "cp949", "cp950", "johab", "iso2022", "hz")

_UNMARKED = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
# ISO 2022 and HZ are pure ASCII bytes. Only these escape sequences show them.
_WITH_ESCAPES = {
    b"\x1b$": ("iso2022_kr", "iso2022_jp", "iso2022_jp_3", "iso2022_jp_ext", "iso2022_jp_2"),
    b"~{": ("hz",),
}
_CONTROL = re.compile("[\0-\x08\x0b\x0e-\x19\x1b-\x1f]").search
_SEPARATORS = b'\n\r\t ,;"'
_BEYOND_ASCII = bytes(range(0x80, 0x100))


def find_marked_encoding(sample: bytes) -> str | None:
    """The encoding of the byte order mark at the beginning of `sample`, or None if there is none."""
    return next((encoding for mark, encoding in _MARKS if sample.startswith(mark)), None)


def drop_byte_order_mark(encoding: str, sample: bytes) -> str:
    """The name of `encoding` whose encoder writes no byte order mark.

    `utf-16` and `utf-32` get the byte order of the mark in `sample`, the file's first bytes.
    """
    if encoding in ("utf-16", "utf-32"):
        return find_marked_encoding(sample) or encoding
    return encoding.removesuffix("-sig")


def choose_encoding(sample: bytes, given: str | None, name: str) -> str:
    """The encoding with which a file is decoded. Its decoder removes the byte order mark.

    Args:
        sample: the file's first bytes.
        given: the user's `encoding`; None takes the byte order mark's, else UTF-8.
        name: what messages call the file.

    Raises:
        UsageError: there is no encoding of the given name.
        InputError: the file is not in the given encoding, or it is UTF-16, UTF-32 or ISO 2022 and nothing says so.
    """
    mark = find_marked_encoding(sample)
    by_mark = mark and mark.removesuffix("-le").removesuffix("-be")  # the decoders without a byte order remove the mark
    if given is None:
        # Nothing is decoded with a guessed encoding, so a likely one is only suggested
        if mark is None and (found := detect_unmarked_encoding(sample)):
            raise InputError(f'{name} looks like {found}; give `encoding="{found}"`.')
        return by_mark or "utf-8"
    encoding = look_up_encoding(given)
    if mark is None:
        _refuse_unlike(sample, encoding, given, name)
        return encoding
    # The mark of UTF-8, for example, contradicts the setting utf-16
    if not mark.startswith(encoding.removesuffix("-sig")):
        family = mark.removesuffix("-sig").removesuffix("-le").removesuffix("-be").upper()
        raise InputError(
            f"{name} is not {given}: it begins, at offset 0, with the byte order mark of {family}. "
            "Leave `encoding` out."
        )
    return by_mark or encoding


def look_up_encoding(given: str) -> str:
    """The name of the encoding `given` in Python's codecs.

    Raises:
        UsageError: there is no such encoding, or it is not one of texts.
    """
    try:
        with io.TextIOWrapper(io.BytesIO(), encoding=given):
            encoding = codecs.lookup(given).name  # `lookup` alone accepts base64, which is not a text encoding
    except (LookupError, ValueError) as error:
        raise UsageError(f"`encoding`: {reason(error)}; give one such as utf-8, cp1252 or utf-16.") from error
    # Python writes the names of its codecs with either sign
    if encoding.replace("_", "-") in {other.replace("_", "-") for other in _REFUSED}:
        raise UsageError(f"`encoding`: {given} is not supported; give one such as utf-8, cp1252 or utf-16.")
    return encoding


def max_accidental_characters(encoding: str) -> int:
    """The most characters of a text in `encoding` that may look like UTF-8 by accident.

    -1 if the encoding is ASCII or one of Unicode, because then text that looks like UTF-8 shows no mistake.
    """
    if encoding.startswith("utf") or encoding == "ascii":
        return -1
    return MIN_UTF8_CHARACTERS - 1 if encoding.startswith(_SEVERAL_BYTES) else 0


class Utf8Check:
    """Checks whether bytes that arrive in pieces are UTF-8, and counts the characters outside ASCII."""

    def __init__(self) -> None:
        self.valid = True
        """True if all bytes so far are UTF-8."""
        self.characters = 0
        """Number of characters outside ASCII so far."""
        self.offset: int | None = None
        """Offset of the first byte outside ASCII, or None if there is none so far."""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._seen = 0

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Check more bytes. `final` is True for the last ones."""
        if not self.valid:
            return
        if self.offset is None and not data.isascii():
            self.offset = self._seen + next(at for at, byte in enumerate(data) if byte > 0x7F)
        self._seen += len(data)
        if self.offset is None:  # ASCII alone needs no decoder
            return
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError:
            self.valid = False
        else:
            self.characters += len(text) - len(data.translate(None, _BEYOND_ASCII))

    def is_utf_8(self, max_accidental: int) -> bool:
        """True if the bytes are UTF-8 with more characters outside ASCII than `max_accidental`."""
        return self.valid and self.offset is not None and self.characters > max_accidental >= 0


def make_utf8_error(name: str, given: str, offset: int | None) -> InputError:
    """The error for a UTF-8 file for which the user gave another encoding; `offset` is its first byte outside ASCII."""
    if offset is None:
        return InputError(f"{name} is not {given}: it is plain ASCII, which is valid UTF-8. Leave `encoding` out.")
    return InputError(
        f"{name} is not {given}: it is valid UTF-8, whose first byte outside ASCII is at offset {offset:,}. "
        "Leave `encoding` out."
    )


def _refuse_unlike(sample: bytes, encoding: str, given: str, name: str) -> None:
    """Check that a file without a byte order mark can be in the encoding that the user gave."""
    check = Utf8Check()
    check.feed(sample, final=len(sample) < SAMPLE_BYTES)
    # UTF-8 has strict rules for its bytes, so text of another encoding hardly ever fits them by accident
    if check.is_utf_8(max_accidental_characters(encoding)):
        raise make_utf8_error(name, given, check.offset)
    if not encoding.startswith(("utf-16", "utf-32")) or len(sample) < 4:
        return
    # A line end of UTF-16 or UTF-32 holds zero bytes.
    if check.valid and b"\0" not in sample and (b"\n" in sample or b"\r" in sample):
        raise make_utf8_error(name, given, check.offset)
    # In the wrong byte order no character is a line end
    other = _OTHER_ORDER.get(encoding)
    if other and not _count_line_ends(sample, encoding) and _count_line_ends(sample, other):
        raise InputError(f'{name} is not {given}: its bytes are in the other order. Give `encoding="{other}"`.')


def _count_line_ends(sample: bytes, encoding: str) -> int:
    text = sample.decode(encoding, "replace")
    return text.count("\n") + text.count("\r")


def detect_unmarked_encoding(sample: bytes) -> str | None:
    """UTF-32, UTF-16, ISO 2022 or HZ, if `sample` is text in it; None for the encodings that leave ASCII as it is.

    In the right byte order of UTF-16, the separators between values (line ends, blanks, commas) are whole characters.
    """
    if sample.isascii() and (encoding := _detect_escapes(sample)) is not None:
        return encoding
    if len(sample) < 8 or b"\0" not in sample:
        return None
    for order in _UNMARKED:
        text = sample.decode(order, "replace")
        if _CONTROL(text) or text.count("\ufffd") > 1:  # a cut character at the end becomes one
            continue
        # In UTF-16 the high byte of an ASCII character is zero, and its low byte is the ASCII code
        high, low = (1, 0) if order.endswith("le") else (0, 1)
        whole = sum(text.count(chr(separator)) for separator in _SEPARATORS)
        ascii_only = not any(sample[high::2]) and all(sample[low::2])
        if order.startswith("utf-32") or ascii_only or 2 * whole > sum(map(sample.count, _SEPARATORS)):
            return order
    return None


def _detect_escapes(sample: bytes) -> str | None:
    """ISO 2022 or HZ, if ASCII bytes are text in it; None if they are not."""
    # The sample may cut a character, so only its whole lines must decode
    lines = sample[: sample.rfind(b"\n") + 1] or sample
    found = (encoding for escape, several in _WITH_ESCAPES.items() if escape in sample for encoding in several)
    return next((one for one in found if _decodes(lines, one)), None)


def _decodes(sample: bytes, encoding: str) -> bool:
    """True if `sample` is valid in `encoding` and holds characters outside ASCII."""
    try:
        return not sample.decode(encoding).isascii()
    except UnicodeDecodeError:
        return False
