"""Finds the encoding of a text from its first bytes, and refuses one that was named wrongly; it decodes no rows."""

from __future__ import annotations

import codecs
import io

from sentiment_batch.errors import InputError, UsageError, reason

SAMPLE_BYTES = 1 << 18
"""Bytes from the beginning of a file that are looked at."""
MIN_UTF8_CHARACTERS = 4
"""So many characters in a row may look like UTF-8 by chance in an encoding whose characters take several bytes: of two
bytes of Chinese in GB 18030 about one pair in five does."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ORDERS = {"utf-16-le": "utf-16-be", "utf-16-be": "utf-16-le", "utf-32-le": "utf-32-be", "utf-32-be": "utf-32-le"}
# These can give halves of surrogate pairs, or no text at all, and no file of rows is written in them.
_NO_FILES = ("utf-7", "unicode_escape", "raw_unicode_escape", "punycode", "idna", "undefined")
_SEVERAL_BYTES = ("gb", "big5", "euc", "shift_jis", "cp932", "cp949", "cp950", "johab", "iso2022", "hz")

_BETWEEN = b'\n\r\t ,;"'
_BEYOND_ASCII = bytes(range(0x80, 0x100))


def find_marked_encoding(sample: bytes) -> str | None:
    """The encoding that a byte order mark at the beginning of `sample` tells, None where there is none."""
    return next((encoding for mark, encoding in _MARKS if sample.startswith(mark)), None)


def without_byte_order_mark(encoding: str, sample: bytes) -> str:
    """`encoding` under a name that writes no byte order mark; `utf-16` alone gets the order of the file's mark."""
    if encoding in ("utf-16", "utf-32"):
        return find_marked_encoding(sample) or encoding
    return encoding.removesuffix("-sig")


def choose_encoding(sample: bytes, given: str | None, name: str) -> str:
    """The encoding to decode a file with, such that its byte order mark does not come out as a character.

    Args:
        sample: the file's first bytes.
        given: what the user said, or None to go by the byte order mark, else UTF-8.
        name: what messages call the file.

    Raises:
        UsageError: there is no encoding of the given name.
        InputError: the given encoding is not the file's, or it is UTF-16 without a mark, which only the user can tell.
    """
    mark = find_marked_encoding(sample)
    by_mark = mark and mark.removesuffix("-le").removesuffix("-be")  # a decoder without an order takes the mark away
    if given is None:
        if mark is None and (order := _unmarked_utf_16(sample)):
            raise InputError(f"{name} looks like UTF-16 without a byte order mark; give --encoding {order}.")
        return by_mark or "utf-8"
    encoding = look_up_encoding(given)
    if mark is None:
        _refuse_unlike(sample, encoding, given, name)
        return encoding
    if not mark.startswith(encoding.removesuffix("-sig")):
        family = mark.removesuffix("-sig").removesuffix("-le").removesuffix("-be").upper()
        raise InputError(
            f"{name} is not {given}: it begins, at offset 0, with the byte order mark of {family}. "
            "Leave --encoding out."
        )
    return by_mark or encoding


def look_up_encoding(given: str) -> str:
    """The name that Python's codecs have for the encoding `given`.

    Raises:
        UsageError: there is no such encoding, or no file of rows can be in it.
    """
    try:
        with io.TextIOWrapper(io.BytesIO(), encoding=given):
            encoding = codecs.lookup(given).name  # alone this would take base64 too, which is no text encoding
    except (LookupError, ValueError) as error:
        raise UsageError(f"--encoding: {reason(error)}; give one such as utf-8, cp1252 or utf-16.") from error
    if encoding.replace("_", "-") in {other.replace("_", "-") for other in _NO_FILES}:
        raise UsageError(f"--encoding: {given} is not read; give one such as utf-8, cp1252 or utf-16.")
    return encoding


def max_chance_characters(encoding: str) -> int:
    """How many characters of a text in `encoding` may look like UTF-8 without being it; -1 where nothing is to tell."""
    if encoding.startswith("utf") or encoding == "ascii":
        return -1
    return MIN_UTF8_CHARACTERS - 1 if encoding.startswith(_SEVERAL_BYTES) else 0


class Utf8Check:
    """Whether bytes that come in pieces are UTF-8, and how many of its characters are not ASCII."""

    def __init__(self) -> None:
        self.valid = True
        self.characters = 0
        """Those outside ASCII, so far."""
        self.offset: int | None = None
        """Where the first byte outside ASCII stands."""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._seen = 0

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Take more bytes into account; `final` says that there are no others."""
        if not self.valid:
            return
        if self.offset is None and not data.isascii():
            self.offset = self._seen + next(at for at, byte in enumerate(data) if byte > 0x7F)
        self._seen += len(data)
        if self.offset is None:
            return
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError:
            self.valid = False
        else:
            self.characters += len(text) - len(data.translate(None, _BEYOND_ASCII))

    def is_utf_8(self, chance: int) -> bool:
        """Whether it is UTF-8 and holds more characters outside ASCII than `chance` explains."""
        return self.valid and self.offset is not None and self.characters > chance >= 0


def explain_utf8(name: str, given: str, offset: int | None) -> InputError:
    """The error for a file that is UTF-8 where the user named another encoding."""
    return InputError(
        f"{name} is not {given}: its bytes outside ASCII, the first of them at offset {offset or 0:,}, are all valid "
        "UTF-8. Leave --encoding out."
    )


def _refuse_unlike(sample: bytes, encoding: str, given: str, name: str) -> None:
    """Check that a file without a byte order mark can be in the encoding that the user named."""
    check = Utf8Check()
    check.feed(sample, final=len(sample) < SAMPLE_BYTES)
    if check.is_utf_8(max_chance_characters(encoding)):
        raise explain_utf8(name, given, check.offset)
    if not encoding.startswith(("utf-16", "utf-32")) or len(sample) < 4:
        return
    # In UTF-16 a line end holds a zero.
    if check.valid and b"\0" not in sample and (b"\n" in sample or b"\r" in sample):
        first = "none outside ASCII" if check.offset is None else f"the first outside ASCII at offset {check.offset:,}"
        raise InputError(f"{name} is not {given}: its bytes, {first}, are all valid UTF-8. Leave --encoding out.")
    other = _ORDERS.get(encoding)
    if other and not _line_ends(sample, encoding) and _line_ends(sample, other):
        raise InputError(f"{name} is not {given}: its bytes are in the other order. Give --encoding {other}.")


def _line_ends(sample: bytes, encoding: str) -> int:
    text = sample.decode(encoding, "replace")
    return text.count("\n") + text.count("\r")


def _unmarked_utf_16(sample: bytes) -> str | None:
    """The order of UTF-16 that a text is in, going by where the zeros are of what stands between its values."""
    if len(sample) < 8 or b"\0" not in sample:
        return None
    for order, high, low in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        text = sample.decode(order, "replace")
        whole = sum(text.count(chr(sign)) for sign in _BETWEEN)
        if 2 * whole > sum(map(sample.count, _BETWEEN)) or (not any(sample[high::2]) and all(sample[low::2])):
            return order
    return None
