"""Ranks the encodings in which some bytes may be written by how much they look like text in each encoding.

The candidates are named in the error for a file that does not decode. Nothing is decoded with a guessed encoding.

Only the characters outside ASCII count, because ASCII is the same in all candidates. They should be letters of one
script, frequent ones of one language, and stand in words. On 202 files of other projects the right encoding came first
for 181.
"""

from __future__ import annotations

import collections
import functools
import itertools
import unicodedata

# The most likely encoding comes first, because only the first of those that give the same text is named.
_SINGLE_BYTE = (
    *("cp1252", "cp1250", "cp1251", "koi8-r", "koi8-u", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"),
    *("iso-8859-1", "iso-8859-2", "iso-8859-15", "iso-8859-5", "iso-8859-7", "iso-8859-8", "iso-8859-6", "iso-8859-9"),
    *("mac-roman", "cp850", "cp437", "cp852", "cp866", "mac-cyrillic", "cp855", "cp737", "cp869", "mac-greek", "cp862"),
    *("cp857", "mac-turkish", "mac-latin2", "iso-8859-13", "cp775"),
)
_SEVERAL_BYTES = ("shift_jis", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp949", "johab")
_JAPANESE = ("shift_jis", "cp932", "euc_jp")
# These encodings have a block for everyday characters: the codec that has the block, and its range of first bytes.
_EVERYDAY = {
    "gb18030": ("gb2312", range(0xB0, 0xD8)),
    "big5": ("big5", range(0xA4, 0xC7)),
    **dict.fromkeys(_JAPANESE, ("euc_jp", range(0xB0, 0xD0))),
}
_LATIN = tuple(
    frozenset(letters)
    for letters in (
        "éèàùâêîôûçëïüœæÉÈÀÊÇŒ",  # French
        "äöüßÄÖÜ",  # German, Finnish, Estonian in part
        "áéíóúñüÁÉÍÓÚÑ",  # Spanish
        "ãõáéíóúâêôçàÃÕÁÉÍÓÚÇ",  # Portuguese
        "àèéìòùÀÈÉÌÒÙ",  # Italian
        "åäöæøÅÄÖÆØé",  # Nordic languages
        "áéíóúýþæöðÁÉÍÓÚÝÞÆÖÐ",  # Icelandic
        "éëïóèöüê",  # Dutch
        "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",  # Polish
        "áčďéěíňóřšťúůýžľĺŕôäÁČĎÉĚÍŇÓŘŠŤÚŮÝŽĽ",  # Czech, Slovak
        "áéíóöőúüűÁÉÍÓÖŐÚÜŰ",  # Hungarian
        "ăâîșțşţĂÂÎȘȚŞŢ",  # Romanian
        "čćđšžČĆĐŠŽ",  # Croatian, Slovene
        "çğıöşüÇĞİÖŞÜâ",  # Turkish
        "āčēģīķļņšūžąęėįųõäöüĀČĒĢĪĶĻŅŠŪŽĄĘĖĮŲ",  # Baltic languages
    )
)
"""The letters outside ASCII of languages that are written in Latin letters, one set for each."""

_CYRILLIC = frozenset("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґўАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁІЇЄҐЎђјљњћџЂЈЉЊЋЏ")
_GREEK = frozenset("αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏ")

_FREQUENT = frozenset(
    "оеаинтсрвлкм"  # about three letters in four of Russian
    "αοιετνσηρκπς"
    "יוהלאתרבמש"
    "اليمنترب"
    "านรอกเงคมล"
    "的一是不了在人有我他这个们中来上大和说到要就出会可也你对很好没看片电影剧"
    "這個們來說會對沒電劇為時後還過"
    "이다는을의에가고한하지은도로사그리기나를서만있어아요었영화보정진너무재미"
)
"""The most frequent letters of running text in each script."""

_MARKS = frozenset("“”‘’„‚–—…•«»€£¥°·¿¡©®™§½¼¾×²³´№、。「」『』！？：；，．（）《》～·・ー　\u00a0\u00ad\u2028\ufeff")
"""Signs that occur in texts of any script."""

_SCRIPT_RANGES = (
    (0x00C0, 0x024F, "latin"),
    (0x1E00, 0x1EFF, "latin"),
    (0x0370, 0x03FF, "greek"),
    (0x0400, 0x04FF, "cyrillic"),
    (0x0590, 0x05FF, "hebrew"),
    (0x0600, 0x06FF, "arabic"),
    (0x0E00, 0x0E7F, "thai"),
    (0x3040, 0x30FF, "kana"),
    (0xFF66, 0xFF9F, "half kana"),
    (0x4E00, 0x9FFF, "han"),
    (0xAC00, 0xD7A3, "hangul"),
)
_MIN_PLAUSIBILITY = 0.4
"""Encodings that are less plausible than this are not named."""
_MIN_SHARE_OF_BEST = 0.6
"""Encodings less plausible than this share of the best one are not named either."""
_MAX_CANDIDATES = 3
"""Largest number of encodings that are named."""
_FALLBACK = "latin-1"
"""An encoding that decodes any bytes."""


def rank_encodings(data: bytes) -> list[str]:
    """The encodings in which `data` may be written, the most plausible first: 1 to `_MAX_CANDIDATES` of them.

    Args:
        data: some lines of the file, whole ones if possible.
    """
    if b"\0" in data:
        return _rank_utf_16(data)
    if _decode(data, "utf-8") is not None:
        return ["utf-8"]
    # Lines of ASCII only look the same in all of these encodings.
    telling = b"".join(line for line in data.splitlines(keepends=True) if not line.isascii())
    found: dict[str, tuple[float, str]] = {}
    for encoding in (*_SEVERAL_BYTES, *_SINGLE_BYTE):
        text = _decode(telling, encoding)
        # Two encodings that give the same text cannot be told apart, so only the likelier one is named
        if text is None or text in found:
            continue
        score = _rate_plausibility(text, encoding)
        if score >= _MIN_PLAUSIBILITY:
            found[text] = (score, encoding)
    ranked = sorted(found.values(), key=lambda pair: -pair[0])
    good = [encoding for score, encoding in ranked if score >= ranked[0][0] * _MIN_SHARE_OF_BEST]
    return good[:_MAX_CANDIDATES] or [_FALLBACK]


def _rank_utf_16(data: bytes) -> list[str]:
    """UTF-16 in the byte order in which the line ends, or else the zero bytes of ASCII, are in the right place."""
    ends = {order: data.decode(order, "replace").count("\n") for order in ("utf-16-le", "utf-16-be")}
    if any(ends.values()):
        return [max(ends, key=lambda order: ends[order])]
    return ["utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be"]


def _decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _rate_plausibility(text: str, encoding: str) -> float:
    """From 0 to 1: how much the characters outside ASCII look like letters of one script, and like words."""
    beyond = [character for character in text if character > "\x7f"]
    scripts = collections.Counter(filter(None, map(_find_script, beyond)))
    marks = sum(character in _MARKS for character in beyond)
    # Categories of Unicode: control, private use and unassigned characters hardly occur in texts.
    if not beyond or any(unicodedata.category(character) in ("Cc", "Co", "Cn") for character in beyond):
        return 0.0
    script = scripts.most_common(1)[0][0] if scripts else ""
    # Japanese mixes two scripts, so kana beside Chinese characters speak for its encodings and against the others
    if script in ("kana", "han"):
        of_script = scripts["han"] + (scripts["kana"] if encoding in _JAPANESE else 0)
    else:
        of_script = scripts[script]
    share = (of_script + marks) / len(beyond)
    letters = [character for character in beyond if _find_script(character) in (script, "kana", "han")]
    agreement = _rate_letters(letters, script, encoding) if letters else 0.8
    # One broken word in four characters outside ASCII is enough to exclude an encoding
    return share * agreement * (1 - min(1.0, 4 * _count_broken_words(text) / len(beyond)))


def _rate_letters(letters: list[str], script: str, encoding: str) -> float:
    """From 0 to 1: how well the letters fit one language."""
    # The letters must fit one language, not all of Latin: a wrong code page mixes letters of several languages
    if script == "latin":
        return max(sum(letter in alphabet for letter in letters) for alphabet in _LATIN) / len(letters)
    frequent = sum(letter in _FREQUENT for letter in letters) / len(letters)
    if script in ("han", "kana"):
        kana = sum(_find_script(letter) == "kana" for letter in letters) / len(letters)
        if encoding in _JAPANESE:
            return min(1.0, 0.5 * _share_of_everyday(letters, encoding) + 2 * kana)
        return _share_of_everyday(letters, encoding) * (0.5 + min(0.5, 2 * frequent)) * (1 - kana)
    if script in ("cyrillic", "greek"):
        alphabet = _CYRILLIC if script == "cyrillic" else _GREEK
        return sum(letter in alphabet for letter in letters) / len(letters) * (0.4 + min(0.6, frequent))
    return 0.5 + min(0.5, frequent) if script != "half kana" else 0.3


def _share_of_everyday(letters: list[str], encoding: str) -> float:
    """The share of Chinese characters that are in everyday use where the encoding is used."""
    if encoding not in _EVERYDAY:
        return 0.5  # Chinese characters in an encoding of Korean
    codec, first_bytes = _EVERYDAY[encoding]
    codes = (letter.encode(codec, "ignore") for letter in letters if _find_script(letter) == "han")
    known = [bool(code) and code[0] in first_bytes for code in codes]
    return sum(known) / len(known) if known else 1.0


def _count_broken_words(text: str) -> int:
    """How often a capital follows a small letter, or a letter one of another script. Words hardly ever have these."""
    broken = 0
    for left, right in itertools.pairwise(text):
        if left.isascii() and right.isascii():
            continue
        if left.islower() and right.isupper():
            broken += 1
        elif left.isalpha() and right.isalpha():
            scripts = {"latin" if side.isascii() else _find_script(side) for side in (left, right)}
            broken += len(scripts) > 1 and scripts != {"han", "kana"}
    return broken


@functools.lru_cache(maxsize=10_000)  # a text has few different letters, and is rated in many encodings
def _find_script(character: str) -> str | None:
    """The script of a letter outside ASCII, or None for signs and letters of other scripts."""
    code = ord(character)
    if character in "×÷":
        return None
    return next((script for first, last, script in _SCRIPT_RANGES if first <= code <= last), None)
