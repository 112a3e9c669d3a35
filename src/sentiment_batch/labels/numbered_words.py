"""Reads labels of a number and its meaning, such as `5 - Very satisfied`, as stars if number and meaning agree."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sentiment_batch.labels.mapping import LabelMapping
from sentiment_batch.labels.scales import read_scale
from sentiment_batch.labels.values import normalize_word
from sentiment_batch.labels.words import find_side

MIN_SHARE = 0.9
"""A column holds such labels if at least this share of its rows does."""
_NUMBERED = re.compile(r"(?P<number>\d\d?)(?:\s*[-–—:.=)]\s*|\s+|\s*(?=\())\(?(?P<word>[^\W\d][^()]*)\)?")


def find_numbered_words(counts: Mapping[str, int]) -> dict[str, str]:
    """The number of stars in each value, such as `5` in `5 - Very satisfied`; empty if the values are others.

    The numbers must be on a scale of stars. A word that is known to be positive, neutral or negative must stand where
    stars are so, and there must be words of both ends. So codes such as `1 - positive` are not read as stars.
    """
    found = {value: match for value in counts if (match := _NUMBERED.fullmatch(value)) is not None}
    words = {(match["number"], normalize_word(match["word"])) for match in found.values()}
    numbers = {float(number) for number, _ in words}
    scale = read_scale(numbers, stars=True)
    # Each number has one word, and each word one number
    if scale is None or scale.kind != "stars" or not len(words) == len(numbers) == len({word for _, word in words}):
        return {}
    sides = {number: side for number, word in words if (side := find_side(word)) in {"negative", "neutral", "positive"}}
    # The scale leaves its middle out, where neutral words may stand
    agree = all(side == (scale.find_label(number) or "neutral") for number, side in sides.items())
    rows = sum(counts[value] for value in found)
    if not agree or not {"negative", "positive"} <= {*sides.values()} or rows < MIN_SHARE * sum(counts.values()):
        return {}
    return {value: match["number"] for value, match in found.items()}


def map_numbered_words(stars: LabelMapping, numbers: Mapping[str, str]) -> LabelMapping:
    """The mapping of values by the star ranges that their `numbers` lie in."""
    found = {value: stars.find_label(number) for value, number in sorted(numbers.items())}
    values = {value: label for value, label in found.items() if label is not None}
    return LabelMapping(labels=stars.labels, kind="words", values=values)
