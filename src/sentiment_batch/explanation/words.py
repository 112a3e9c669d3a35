"""Cuts a text into words and gives each word the weights of its tokens; it needs no model and no torch.

A token may be a part of a word, as in most tokenizers, or several words. In scripts without blanks between words, such
as Chinese and Thai, the tokens are the words.
"""

from __future__ import annotations

import bisect
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

DECIMALS = 4
"""Decimals of a weight in JSON."""
MIN_NAMED_WEIGHT = 0.005
"""A word of less weight is not named, because it would be shown as 0.00."""
MAX_LEADING_MARKS = 32
"""Characters after a cut that are searched for marks that belong to the character before it."""

_UNIT = re.compile(
    r" +"  # white space
    r"|Tt*"  # a mark-up tag
    r"|[wn](?:[wnmj]+|a(?=[wn])|(?<=n)\.(?=n))*"  # a word or number: it's, well-made, 7.5
    r"|c[mj]*"  # a character of a script without blanks
    r"|em*(?:j+em*)*"  # an emoji, with what is joined to it
    r"|rr?m*"  # a flag
    r"|[pa.][pa.m]*"  # punctuation
    r"|[mj]+"
)
"""A unit of the string that holds the kind of each character; see `_kind`. Its repeats are not possessive, because
nothing follows that could fail, and Python 3.11 sometimes loses characters of nested possessive repeats."""
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]{0,15}\s{0,4}/?>")
_UNSPACED = (
    (0x0E00, 0x109F),  # Thai, Lao, Tibetan, Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
"""Code points of scripts that put no blanks between words."""


class Word(NamedTuple):
    """A piece of a text: a word, a mark, the white space between two, or a part that the model did not see."""

    text: str
    weight: float | None
    """How much it speaks for the predicted label, from -1 (against it) to 1; None if the model did not see it."""

    @property
    def name(self) -> str:
        """Its name in a list of words; a word without letters and digits stands in quotes."""
        return self.text if any(map(str.isalnum, self.text)) else f'"{self.text}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """The label that a model gives to a text, and the words that decided it."""

    text: str
    label: str | None
    """The predicted label, None for a text of white space only."""
    score: float | None
    """The probability of the label, rounded as in scoring."""
    probabilities: dict[str, float] | None
    """The probability of each label, rounded in the same way."""
    words: tuple[Word, ...]
    """The text in pieces; joined, they are the whole text. The largest absolute weight is 1."""

    def strongest(self, most: int) -> tuple[list[Word], list[Word]]:
        """The words that weigh most for the label and those that weigh most against it, the heaviest first.

        Args:
            most: the most words of each kind.
        """
        weighty = [(word.text.strip(), word.weight or 0.0) for word in self.words if _is_weighty(word)]
        weighty.sort(key=lambda pair: -abs(pair[1]))
        speaking_for = [Word(text, weight) for text, weight in weighty if weight > 0]
        against = [Word(text, weight) for text, weight in weighty if weight < 0]
        return speaking_for[:most], against[:most]

    def to_json(self, most: int) -> dict[str, Any]:
        """Plain values; at most `most` words are named for the label, and as many against it."""
        speaking_for, against = self.strongest(most)
        return {
            "text": self.text,
            "sentiment": self.label,
            "sentiment_score": self.score,
            "probabilities": self.probabilities,
            "for": round_weights(speaking_for),
            "against": round_weights(against),
            "words": round_weights(self.words),
        }

    def _repr_html_(self) -> str:
        """The text with its marked words, for notebooks."""
        from sentiment_batch.report.notebook import EXPLANATION_HEIGHT, frame_page
        from sentiment_batch.report.words import MAX_NAMED_WORDS, render_explanation_page

        return frame_page(
            render_explanation_page([self], None, MAX_NAMED_WORDS), "Which words weighed", height=EXPLANATION_HEIGHT
        )


def _is_weighty(word: Word) -> bool:
    return abs(word.weight or 0.0) >= MIN_NAMED_WEIGHT and not word.text.isspace()


def round_weights(words: Iterable[Word]) -> list[list[Any]]:
    """Pairs of text and rounded weight, for JSON."""
    return [[text, None if weight is None else round(weight, DECIMALS)] for text, weight in words]


def weigh_words(
    text: str, spans: Sequence[tuple[int, int]], weights: Sequence[float], unseen: tuple[int, int]
) -> list[Word]:
    """Cut `text` into pieces, and add up the weights of their tokens.

    Args:
        text: what was tokenized.
        spans: the characters of each token, from the first to the one after the last; tokens may share characters.
        weights: the weight of each token.
        unseen: the characters that the model did not see; they become one piece, without a weight.

    Returns:
        The pieces, which joined are the text, with weights that are not scaled.
    """
    # A cut may separate a character from its accents. They are then shown with it, though the model did not see them.
    start, stop = unseen
    if 0 < start < stop:
        start += _count_marks(text[start : min(stop, start + MAX_LEADING_MARKS)])
    pieces: list[Word] = []
    for first, last in ((0, start), (stop, len(text))):
        some = [
            (span, weight)
            for span, weight in zip(spans, weights, strict=True)
            if first <= min(span[0], len(text) - 1) < last
        ]
        pieces += _pieces(text, first, last, some)
        if last == start < stop:
            pieces.append(Word(text[start:stop], None))
    return pieces


def scale_weights(words: Sequence[Word]) -> tuple[Word, ...]:
    """The same pieces with their weights divided by the largest absolute weight, unless all are 0."""
    largest = max((abs(word.weight) for word in words if word.weight is not None), default=0.0)
    if not largest:
        return tuple(words)
    return tuple(Word(text, weight if weight is None else weight / largest) for text, weight in words)


def _pieces(text: str, first: int, last: int, tokens: Sequence[tuple[tuple[int, int], float]]) -> list[Word]:
    """The pieces of a stretch of the text: units, which are joined if one token is in several of them."""
    kinds = _kinds(text[first:last])
    starts = [first + found.start() for found in _UNIT.finditer(kinds)]
    blank = [kinds[start - first] == " " for start in starts]
    joined = [False] * len(starts)  # True if a unit is joined with the unit before it
    sums = [0.0] * len(starts)
    for (start, stop), weight in tokens:
        # The units that the token begins and ends in, without blanks at its ends. All units between them are joined.
        left, right = (bisect.bisect(starts, place) - 1 for place in (start, max(stop - 1, start)))
        while left < right and blank[left]:
            left += 1
        while left < right and blank[right]:
            right -= 1
        joined[left + 1 : right + 1] = [True] * (right - left)
        sums[left] += weight
    heads = [number for number, more in enumerate(joined) if not more]
    bounds = [*(starts[number] for number in heads), last]
    totals = [math.fsum(sums[left:right]) for left, right in pairwise([*heads, len(sums)])]
    return [Word(text[left:right], total) for (left, right), total in zip(pairwise(bounds), totals, strict=True)]


def _count_marks(text: str) -> int:
    """How many characters at the front belong to the character before them; they are shown with it."""
    kinds = _kinds(text)
    return len(kinds) - len(kinds.lstrip("mj"))


class _Kinds(dict[int, str]):
    """For `str.translate`: the kind of each code point, found when the code point first occurs."""

    def __missing__(self, point: int) -> str:
        self[point] = kind = _kind(chr(point))
        return kind


def _kinds(text: str) -> str:
    """The kind of each character, in a string as long as the text; a mark-up tag is T, then t."""
    kinds = bytearray(text.translate(_Kinds()), "ascii")
    for tag in _TAG.finditer(text):
        kinds[tag.start() : tag.end()] = b"T".ljust(len(tag[0]), b"t")
    return kinds.decode("ascii")


def _kind(character: str) -> str:
    """The kind of a character, as the pattern `_UNIT` reads it."""
    point, category = ord(character), unicodedata.category(character)
    if character.isspace():
        return " "
    if character == "\u200d":
        return "j"  # joins emoji
    if category[0] == "M" or category == "Cf" or 0x1F3FB <= point <= 0x1F3FF:
        return "m"  # belongs to what is before it
    if category[0] in "LN":
        if any(first <= point <= last for first, last in _UNSPACED):
            return "c"
        return "n" if category == "Nd" else "w"
    if category == "So":
        return "r" if 0x1F1E6 <= point <= 0x1F1FF else "e"
    if character in ".,":
        return "."
    return "a" if character in "'’-‐‑_" else "p"
