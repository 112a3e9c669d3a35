"""Brings the values of a label column into one form, however they were written, and counts them."""

from __future__ import annotations

import collections
import functools
import math
import re
import string
import unicodedata
from collections.abc import Container, Iterable, Mapping

import numpy as np

RARE_SHARE = 0.01
"""Numbers in a smaller share of the rows do not decide on which scale a column is; they are then unknown labels."""
_SYNONYMS = {"neg": "negative", "neu": "neutral", "pos": "positive", "y": "yes", "n": "no"}
_JOINTS = re.compile(r"(?<=\w)[\s_-]+(?=\w)|[\s_]+")
"""What joins the words of a label. A hyphen joins only between two of them, and is a minus sign in `-1` and `A-`."""
_MISSING_WORDS = {"nan", "null", "none", "<na>", "na", "n/a", "#n/a", "(null)", "\\n"}
"""The words that programs write for a missing label, in lower case."""
_MISSING_SIGNS = re.compile(r"[-–—−?._]+")
"""The signs that people write for a missing label."""
MINUS_SIGNS = frozenset(("-", "−", "–", "—", "--", "−−", "––"))
"""The signs for a missing label that may also be negative labels, beside `+`."""
_FASTTEXT_MARK = "__label__"
"""What fastText writes before each label."""
_INVISIBLE = string.whitespace + "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Invisible characters around a label: white space, zero-width characters, direction marks and byte order marks."""
_IGNORED = dict.fromkeys(
    map(
        ord,
        "\u0307\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff",
    )
)
"""Characters that do not change the meaning of a label: the dot of a folded Turkish capital, invisible characters, and
the skin colours of emoji."""
_NUMBER = r"(?P<number>\d+(?:[.,]\d+)?)"
_TOP = r"(?P<top>10|20|100|[3-9])(?:[.,]0)?"
_UNIT = (
    r"(?:[★⭐]\ufe0f?|(?:[颗顆つ] ?)?星|(?:stars?|sterne?n?|étoiles?|estrellas?|estrelas?|stelle|sterren|yıldız|"
    r"bintang|gwiazd(?:k[ai]|ek|y)?|stjärn(?:a|or)|stjerner?|hvězd\w*|hviezd\w*|stele|tähteä|зв[её]зд\w*|نجوم|bubbles?)\b)"
)
_POINTS = r"(?:[점点點分]|points?|pts\.?|punkte?n?|puntos?|punti|pontos?|punten|poäng|puan|балл\w*)"
_OF = r"(?:/|(?:out )?of|von|sur|su|de|van|z|av|af|din|dari|из|من)"
_STARS_OR_POINTS = rf"(?:{_UNIT}|{_POINTS})?"
_RATINGS = tuple(
    (re.compile(pattern, re.IGNORECASE), unit, top)
    for pattern, unit, top in (
        (rf"(?:\w+:? )?{_NUMBER} ?{_UNIT}? ?{_OF} ?{_TOP} ?{_STARS_OR_POINTS}", 1, 0),
        (rf"[(\[]{_NUMBER} ?/ ?{_TOP}[)\]]", 1, 0),
        (rf"(?:\w+:? )?{_NUMBER} ?-? ?{_UNIT}(?: rating)?", 1, 5),
        (rf"[★⭐星]\ufe0f? ?{_NUMBER}つ?", 1, 5),
        # Amazon's words in Japanese, Turkish and Chinese, and how points are written in Japanese and Korean
        (rf"{_TOP} ?つ星のうち ?{_NUMBER}", 1, 0),
        (rf"星 ?{_TOP} ?つ中の ?{_NUMBER}", 1, 0),
        (rf"{_TOP} ?{_UNIT} ?üzerinden ?{_NUMBER}(?: {_UNIT})?", 1, 0),
        (rf"{_NUMBER} ?[颗顆]?星[，,] ?最多 ?{_TOP} ?[颗顆]?星", 1, 0),
        (rf"{_TOP}[점点點](?:中| ?만점에| ?만점 중| ?중) ?{_NUMBER}[점点點]", 1, 0),
        (r".*bubble_(?P<number>\d\d)", 0.1, 5),
        (rf"{_NUMBER} ?%", 1, 100),
    )
)
"""Ratings in words: the pattern, the unit of its number, and the top of the scale. 0: a group holds it."""
_POINTED = re.compile(
    rf"(?:(?:rating|rated|score|bewertung|valoración|calificación|puntuación|valutazione|avaliação|beoordeling|оценка|"
    rf"评分|評分|評価|평점):? ?)?{_NUMBER} ?{_POINTS}?",
    re.IGNORECASE,
)
"""A number of points whose scale is not named, such as `Rating: 4`. It is the same label as the number."""
_NUMBER_WORDS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5"}
_CHINESE_STARS = re.compile("[一二三四五][颗顆つ]?星")
_CHINESE_DIGITS = str.maketrans("一二三四五", "12345")
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+,(?:\d{1,2}|\d{4,})|0+,\d+)")
"""A number with a comma that cannot divide thousands."""
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
"""A number whose comma may divide thousands, or be a decimal comma."""
_GLYPHS = re.compile("([★⭐🌟✭✮*]*)(½?)([☆✩✰]*)|(?=.{5}$)(●*)(◐?)(○*)")
"""A rating in glyphs: full stars, a half one, and empty ones; or five circles, of which one alone may mean yes."""
_TOPS = frozenset({*range(3, 11), 20, 100})
"""The tops of the scales that ratings name."""


def to_canonical(value: object, known: Container[str] = ()) -> str | None:
    """The canonical form of a label, so that a CSV and a Parquet file of the same labels give the same mapping.

    It is trimmed; numbers have no needless zeros, booleans are in lower case, and ratings are written as NUMBER/TOP.
    None if the label is missing.

    Args:
        value: a label of any type.
        known: words, as `normalize_word` gives them, that are labels even if they look like missing ones.

    >>> [to_canonical(value) for value in (1, 1.0, "1", " 1 ", True, "NaN", "4.0 out of 5 stars", "★★★☆☆")]
    ['1', '1', '1', '1', 'true', None, '4/5', '3/5']
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value)
    canonical = _canonize(text)
    return text.strip() if canonical is None and known and normalize_word(text) in known else canonical


@functools.lru_cache(maxsize=10_000)  # a column of labels holds few different ones
def _canonize(text: str) -> str | None:
    """The canonical form of a text, see `to_canonical`."""
    text = " ".join(unicodedata.normalize("NFC", text).strip(_INVISIBLE).split()).strip(_INVISIBLE)
    text = text.removeprefix(_FASTTEXT_MARK)
    if not text or text.casefold() in _MISSING_WORDS or _MISSING_SIGNS.fullmatch(text):
        return None
    pointed = _POINTED.fullmatch(text)
    number = parse_number(text if pointed is None else pointed["number"])
    # From 2**53 on, a float does not hold every integer: two different ids would become one
    if number is not None and abs(number) < 2**53:
        return str(int(number) if number.is_integer() else number)
    if (rating := _read_rating(text)) is not None:
        return f"{rating[0]:g}/{rating[1]:g}"
    return text.lower() if text.casefold() in {"true", "false"} else text


def _read_rating(text: str) -> tuple[float, float] | None:
    """The number and the top of the scale of a rating in words or glyphs; None if `text` is none."""
    word, blank, unit = text.partition(" ")
    text = _NUMBER_WORDS.get(word.casefold(), word) + blank + unit
    text = text.translate(_CHINESE_DIGITS) if _CHINESE_STARS.fullmatch(text) else text
    for pattern, step, highest in _RATINGS:
        if (found := pattern.fullmatch(text)) is not None:
            number, top = float(found["number"].replace(",", ".")) * step, float(highest or found["top"])
            return (number, top) if number <= top else None
    # Glyphs: full, half and empty stars. The top is 5, or 10 for more than five stars, because people omit empty ones.
    glyphs = _GLYPHS.fullmatch(text.replace("\ufe0f", "").replace(" ", ""))
    if glyphs is None:
        return None
    # Groups 1 to 3 hold stars, groups 4 to 6 circles
    full, half, empty = (len(glyphs[one] or glyphs[one + 3] or "") for one in (1, 2, 3))
    number = full + 0.5 * half
    top = math.ceil(number) + empty
    return (number, 5.0 if top <= 5 else 10.0) if top <= 10 else None


def parse_rating(text: str) -> tuple[float, float | None] | None:
    """The number in a canonical value, and the top of its scale if it contains one; None if it holds no number."""
    number, _, top = text.partition("/")
    value, highest = parse_number(number), parse_number(top)
    if not top or value is None:
        return None if value is None else (value, None)
    return (value, highest) if highest in _TOPS and highest is not None and value <= highest else None


def normalize_word(text: str) -> str:
    """The form that all spellings of a label word share: without case and joints, and `positive` for `pos`."""
    word = fold_word(text)
    return _SYNONYMS.get(word, word)


def fold_word(text: str) -> str:
    """A label word without case, joints and the point of an abbreviation.

    The four letters i of Turkish are one, because capitals are written by both rules.
    """
    word = _JOINTS.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold() or text.strip()
    word = unicodedata.normalize("NFC", word.translate(_IGNORED)).replace("ı", "i")
    return word.rstrip(".: ") or word


def strip_accents(word: str) -> str:
    """A word without its accents."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))


def parse_number(text: str) -> float | None:
    """The finite number in `text`, also with a decimal comma or a Unicode minus sign; None if it is not a number.

    A comma before three digits may divide thousands, so `1,250` is no number.
    """
    text = text.replace("\u2212", "-")
    text = text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def find_numbers(values: Iterable[str]) -> set[float]:
    """The numbers among canonical values."""
    return {number for value in values if (number := parse_number(value)) is not None}


def find_frequent_numbers(counts: Mapping[str, int]) -> set[float]:
    """The numbers that decide on which scale a column is: without the rare ones, unless most rows hold rare ones."""
    numbers = {number: count for value, count in counts.items() if (number := parse_number(value)) is not None}
    # Numbers in few rows may be typing errors, such as 55 on a scale to 5
    frequent = {number for number, count in numbers.items() if count >= RARE_SHARE * sum(counts.values())}
    covered = sum(numbers[number] for number in frequent)
    return frequent if 2 * covered >= sum(numbers.values()) else set(numbers)


def split_ratings(counts: Mapping[str, int]) -> tuple[collections.Counter[str], float | None]:
    """The counts with the numbers of ratings such as `8/10`, and the top of their scale, if most rows name one.

    Ratings on other scales are brought to that one.
    """
    # The top that most rows name; among equal ones the highest, so that the order of the rows does not matter
    tops: collections.Counter[float | None] = collections.Counter()
    for value, count in counts.items():
        if (rating := parse_rating(value)) is not None:
            tops[rating[1]] += count
    top = max(tops, key=lambda one: (tops[one], one or 0), default=None)
    plain: collections.Counter[str] = collections.Counter()
    for value, count in counts.items():
        plain[rescale_rating(value, top)] += count
    return plain, top


def rescale_rating(value: str, top: float | None) -> str:
    """A canonical value that is a rating as its number on the scale up to `top`; other values as they are."""
    rating = parse_rating(value)
    if rating is None or rating[1] is None:
        return value
    return f"{rating[0] * (top or rating[1]) / rating[1]:g}"


def is_placeholder_label(name: str) -> bool:
    """True for a name such as `LABEL_0`, which Transformers gives to a class without a name."""
    return re.fullmatch(r"LABEL_\d+", name) is not None
