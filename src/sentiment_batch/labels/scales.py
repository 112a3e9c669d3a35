"""The numeric scales that are understood without asking, and the error that asks for the meaning of other numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping

from sentiment_batch.errors import UsageError
from sentiment_batch.labels.mapping import LabelMapping
from sentiment_batch.labels.stars import DEFAULT_STAR_RANGES, StarRange, format_setting, parse_stars, suggest_meaning
from sentiment_batch.labels.values import find_frequent_numbers, find_numbers
from sentiment_batch.report.formatting import format_quantity

INTEGER_SCALES: dict[frozenset[int], tuple[str, ...]] = {
    frozenset({0, 1}): ("negative", "positive"),
    frozenset({-1, 1}): ("negative", "positive"),
    frozenset({-1, 0, 1}): ("negative", "neutral", "positive"),
    frozenset({0, 1, 2}): ("negative", "neutral", "positive"),
    frozenset({0, 4}): ("negative", "positive"),
    frozenset({0, 2, 4}): ("negative", "neutral", "positive"),
    frozenset({0, 1, 2, 3, 4}): ("very negative", "negative", "neutral", "positive", "very positive"),
    frozenset({1, 2}): ("negative", "positive"),
    frozenset({1, 2, 3}): ("negative", "neutral", "positive"),
}
"""The labels of the usual integer codings by their values. In a star column, integers from 1 are stars instead."""
ASSUMED_SCALES = (frozenset({0, 1, 2}), frozenset({1, 2}), frozenset({1, 2, 3}))
"""The codings that other people write in another order, such as 0 for neutral."""
NO_ANSWER_CODES = frozenset({-999, -99, -9, -1, 0, 8, 9, 88, 98, 99, 888, 998, 999})
"""Numbers that often stand for "no answer" or "not applicable" beside a scale."""
MAX_SHOWN_VALUES = 12
"""Largest number of values that the question shows."""


def read_scale(numbers: set[float], *, stars: bool, top: float | None = None) -> LabelMapping | None:
    """The mapping of numbers on a known scale; None if the scale is unknown.

    Args:
        numbers: the numbers of a label column.
        stars: True if the column's name says that integers from 1 are stars.
        top: the top of the scale if the values name it, such as 10 in `8/10`.
    """
    if not numbers:
        return None
    # The values name the top themselves, so there is nothing to guess
    if top is not None:
        return _map_stars(numbers, int(top)) if top in DEFAULT_STAR_RANGES else None
    # Class numbers are a known set of integers. 1 and 2, or 1 to 3, are class numbers in one column, stars in another.
    codes = find_scale(numbers)
    if codes and not (stars and min(numbers) >= 1):
        return _map_codes(codes)
    found = 5 if max(numbers) <= 5 else 10
    return _map_stars(numbers, found) if _is_star_scale(numbers, found, stars=stars) else None


def find_scale(numbers: set[float]) -> frozenset[int] | None:
    """The integer coding with these numbers. One of five values needs only its ends and a third value."""
    # One class only: a table to measure a model on may hold no other
    if len(numbers) == 1:
        return frozenset({0, 1}) if numbers <= {0, 1} else None
    exact = next((known for known in INTEGER_SCALES if known == numbers), None)
    five = frozenset(range(5))
    return exact or (five if numbers <= five and {0, 4} < numbers else None)


def _map_codes(codes: frozenset[int]) -> LabelMapping:
    """The mapping of an integer coding."""
    labels = INTEGER_SCALES[codes]
    values = {str(code): label for code, label in zip(sorted(codes), labels, strict=True)}
    return LabelMapping(labels=labels, kind="numbers", values=values, assumed=codes in ASSUMED_SCALES)


def _map_stars(numbers: set[float], top: int) -> LabelMapping:
    """The mapping of stars up to `top`. A number below 1, such as 0 or a half star, is negative."""
    return map_ranges(parse_stars(DEFAULT_STAR_RANGES[top]), lowest=min(numbers))


def map_ranges(ranges: Iterable[StarRange], lowest: float = math.inf) -> LabelMapping:
    """The mapping of star ranges, whose first one also holds the number `lowest`."""
    first, *others = ranges
    spans = (StarRange(label=first.label, low=min(first.low, lowest), high=first.high), *others)
    return LabelMapping(labels=tuple(dict.fromkeys(span.label for span in spans)), kind="stars", stars=spans)


def _is_star_scale(numbers: set[float], top: int, *, stars: bool) -> bool:
    """True for stars and half stars up to 5 or 10 that reach the top, or whose meaning does not depend on the top.

    On a scale of four, 3 is positive, on one of five it is not. 1 and 2 are negative on both, 4 is positive.
    """
    low, high = min(numbers), max(numbers)
    halves = all((2 * number).is_integer() for number in numbers)
    if high > top or low < (0.5 if top == 5 else 0) or not (halves or (stars and low >= 1)):
        return False
    if math.ceil(high) == top:
        return True
    return high == 4 and 3 not in numbers and halves


def make_meaning_error(counts: Mapping[str, int], column: str, *, stars: bool) -> UsageError:
    """The question what the numbers of a column mean, with its values and answers that can be typed.

    Args:
        counts: the number of rows of each canonical value.
        column: the column's name.
        stars: as for `read_scale`.
    """
    # If a known scale remains without some codes for no answer, that is the first answer
    frequent = find_frequent_numbers(counts)
    codes = _find_no_answers(frequent)
    answers = []
    if codes and read_scale(frequent - set(codes), stars=stars):
        words = ",".join(f"{code:g}" for code in codes)
        noun = "means" if len(codes) == 1 else "mean"
        answers.append(f"If {words} {noun} no answer, use {format_setting(words, 'no_answer')}.")
    meaning = suggest_meaning(frequent - set(codes))
    words = "" if "=" in meaning else " (up to {} is negative, from {} on positive)".format(*meaning.split(","))
    answers.append(f"Say what the numbers mean, such as {format_setting(meaning)}{words}")
    return UsageError(
        f"column {column!r} holds {show_counts(counts)}, which is no known scale. {' '.join(answers)}, or name another "
        "column with `label_column`."
    )


def show_counts(counts: Mapping[str, int]) -> str:
    """The values with their numbers of rows, numbers in ascending order, such as `1 (50 rows), 9 (6)`."""
    numbers = {f"{number:g}" for number in find_numbers(counts)}
    ordered = sorted(counts, key=lambda value: (value not in numbers, float(value) if value in numbers else 0, value))
    if len(ordered) > MAX_SHOWN_VALUES:
        ends = [*ordered[: MAX_SHOWN_VALUES - 2], *ordered[-2:]]
        return f"{len(ordered):,} values such as {', '.join(ends)}"
    first, *others = ordered
    return ", ".join(
        [f"{first} ({format_quantity(counts[first], 'row')})", *(f"{one} ({counts[one]:,})" for one in others)]
    )


def _find_no_answers(numbers: set[float]) -> tuple[float, ...]:
    """The fewest codes whose removal leaves numbers on a known scale; empty if no removal does.

    The highest number may be one of them if it lies beyond every known scale, such as a mistyped 55.
    """
    highest = max(numbers, default=0)
    beyond = {highest} if highest > max(DEFAULT_STAR_RANGES) else set()
    codes = sorted((numbers & NO_ANSWER_CODES) | beyond, reverse=True)
    # The fewest codes first, because each code that is left out may be an answer
    for size in range(1, len(codes) + 1):
        for chosen in itertools.combinations(codes, size):
            rest = numbers - set(chosen)
            # 0 is an answer on most scales, but not beside stars from 1
            if len(rest) > 1 and (0 not in chosen or max(rest) in {5, 10}) and read_scale(rest, stars=False):
                return chosen
    return ()
