"""Ranks the encodings that some bytes may be in by how much they look like text in each; it reads no files."""

from __future__ import annotations

import collections
import itertools
import unicodedata

from sentiment_batch.data.readers.alphabets import CYRILLIC, FREQUENT, GREEK, LATIN, MARKS, find_script

# The likelier comes first: of encodings that give the same text only the first is named.
_SINGLE_BYTE = (
    *("cp1252", "cp1250", "cp1251", "koi8-r", "koi8-u", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"),
    *("iso-8859-1", "iso-8859-2", "iso-8859-15", "iso-8859-5", "iso-8859-7", "iso-8859-8", "iso-8859-6", "iso-8859-9"),
    *("mac-roman", "cp850", "cp437", "cp852", "cp866", "mac-cyrillic"),
)
_SEVERAL_BYTES = ("shift_jis", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp949")
# In these the characters of everyday use have codes of their own: the encoding, and its first bytes for them.
_EVERYDAY = {
    "gb18030": ("gb2312", range(0xB0, 0xD8)),
    "big5": ("big5", range(0xA4, 0xC7)),
    "shift_jis": ("euc_jp", range(0xB0, 0xD0)),
    "cp932": ("euc_jp", range(0xB0, 0xD0)),
    "euc_jp": ("euc_jp", range(0xB0, 0xD0)),
}
_LEAST = 0.4
"""What is less plausible than this is not named."""
_FALLBACK = "latin-1"
"""It decodes any bytes."""


def rank_encodings(data: bytes, *, most: int = 3) -> list[str]:
    """The encodings that `data` may be in, the most plausible first; never an empty list.

    Args:
        data: some lines of the file, whole ones where that can be told.
        most: how many to name at most.
    """
    if b"\0" in data:
        return _by_zeros(data)
    if _is_utf_8(data):
        return ["utf-8"]
    # Lines of nothing but ASCII say nothing about an encoding, save for their number.
    telling = b"".join(line for line in data.splitlines(keepends=True) if not line.isascii())
    found: dict[str, tuple[float, str]] = {}
    for encoding in (*_SEVERAL_BYTES, *_SINGLE_BYTE):
        try:
            text = telling.decode(encoding)
        except UnicodeDecodeError:
            continue
        score = _plausibility(text, encoding)
        if score >= _LEAST and text not in found:
            found[text] = (score, encoding)
    ranked = sorted(found.values(), key=lambda pair: -pair[0])
    return [encoding for score, encoding in ranked if score >= ranked[0][0] * 0.6][:most] or [_FALLBACK]


def _by_zeros(data: bytes) -> list[str]:
    """UTF-16 in the order in which the line ends, or the zeros of ASCII, are found where they belong."""
    ends = {order: data.decode(order, "replace").count("\n") for order in ("utf-16-le", "utf-16-be")}
    if any(ends.values()):
        return [max(ends, key=lambda order: ends[order])]
    return ["utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be"]


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _plausibility(text: str, encoding: str) -> float:
    """From 0 to 1: how much the characters beyond ASCII look like letters of one script, and like words."""
    beyond = [character for character in text if character > "\x7f"]
    scripts = collections.Counter(filter(None, map(find_script, beyond)))
    marks = sum(character in MARKS for character in beyond)
    if not beyond or any(unicodedata.category(character) in ("Cc", "Co", "Cn") for character in beyond):
        return 0.0
    kana, script = scripts["kana"], scripts.most_common(1)[0][0] if scripts else ""
    if script in ("kana", "han"):
        of_script = scripts["han"] + (kana if encoding in ("shift_jis", "cp932", "euc_jp") else 0)
    else:
        of_script = scripts[script] if script else 0
    share = (of_script + marks) / len(beyond)
    letters = [character for character in beyond if find_script(character) in (script, "kana", "han")]
    alike = _letters_alike(letters, script, encoding) if letters else 0.8
    return share * alike * (1 - min(1.0, 4 * _broken_words(text) / len(beyond)))


def _letters_alike(letters: list[str], script: str, encoding: str) -> float:
    """How well the letters go together as those of one language, from 0 to 1."""
    if script == "latin":
        return max(sum(letter in alphabet for letter in letters) for alphabet in LATIN) / len(letters)
    frequent = sum(letter in FREQUENT for letter in letters) / len(letters)
    if script in ("han", "kana"):
        kana = sum(find_script(letter) == "kana" for letter in letters) / len(letters)
        japanese = encoding in ("shift_jis", "cp932", "euc_jp")
        if japanese:
            return min(1.0, 0.5 * _everyday(letters, encoding) + 2 * kana)
        return _everyday(letters, encoding) * (0.5 + min(0.5, 2 * frequent)) * (1 - kana)
    if script in ("cyrillic", "greek"):
        alphabet = CYRILLIC if script == "cyrillic" else GREEK
        return sum(letter in alphabet for letter in letters) / len(letters) * (0.4 + min(0.6, frequent))
    return 0.5 + min(0.5, frequent) if script != "half kana" else 0.3


def _everyday(letters: list[str], encoding: str) -> float:
    """The share of characters that are among those of everyday use in the encoding's country."""
    if encoding not in _EVERYDAY:
        return 0.5  # Chinese characters in an encoding of Korean
    codec, first_bytes = _EVERYDAY[encoding]
    codes = (letter.encode(codec, "ignore") for letter in letters if find_script(letter) == "han")
    known = [bool(code) and code[0] in first_bytes for code in codes]
    return sum(known) / len(known) if known else 1.0


def _broken_words(text: str) -> int:
    """How often a capital follows a small letter, or a letter one of another script, as hardly ever in words."""
    broken = 0
    for left, right in itertools.pairwise(text):
        if left.isascii() and right.isascii():
            continue
        if left.islower() and right.isupper():
            broken += 1
        elif left.isalpha() and right.isalpha():
            ours, theirs = (("latin" if side.isascii() else find_script(side)) for side in (left, right))
            broken += ours != theirs and {ours, theirs} != {"han", "kana"}
    return broken
