"""Finds columns whose name says that low numbers are good, such as school grades, and asks which order is meant."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sentiment_batch.errors import UsageError
from sentiment_batch.labels.scales import NO_ANSWER_CODES, show_counts
from sentiment_batch.labels.stars import format_setting, number_labels, parse_stars, suggest_meaning
from sentiment_batch.labels.values import find_frequent_numbers
from sentiment_batch.labels.words import find_side

if TYPE_CHECKING:
    from sentiment_batch.labels.mapping import LabelMapping

HIGHEST_GRADE = 6
"""The worst school grade in the countries where 1 is the best one."""
_NEGATIVE = (
    "negativity unsatisfied dissatisfaction complaint complaints complained detractor toxic toxicity hateful "
    "offensive unzufrieden beschwerde insatisfait insatisfecho"
)
_NEGATIVE_NAMES = frozenset(_NEGATIVE.split())
"""Words in a column's name that say that 1 or true is bad, besides words for negative labels."""
_GRADE = re.compile(r"(?:\w*(?:schul|gesamt|durchschnitts|abschluss|bewertungs|kunden|teil|end))?noten?|zn[aá]mk[aouy]")
"""German, Czech and Slovak words for a school grade. In other countries 5 or 6 is the best grade."""
_FRENCH = frozenset(
    ("de", "du", "des", "la", "le", "sur", "globale", "moyenne", "générale", "client", "clients", "avis")
)
"""Words beside `note` that show that it is French, where a high one is good."""
_EQUALS = r"\s*(?:=|:|\bis\b|\bist\b|\bmeans\b)\s*"
_NUMBER = r"(?<![\d.,-])(?P<number>-?\d+)"
_DEGREE = r"(?:(?:the|am|very|sehr|completely|extremely|totally|most)[ _]+)?"
_GOOD = _DEGREE + r"(?:best\w*|good|gut|excellent\w*|outstanding|great|perfect|satisfied|zufrieden|positive?|happy)"
_BAD = _DEGREE + (
    r"(?:worst|bad|poor|schlecht\w*|mangelhaft|ungenügend|ungenuegend|terrible|awful|dissatisfied|unsatisfied|"
    r"unzufrieden|negative?|unhappy)"
)
_END = rf"(?:(?P<good>{_GOOD})|(?P<bad>{_BAD}))"
_ENDS = (
    re.compile(rf"{_NUMBER}(?:{_EQUALS}| - | ?– ?| ?\(| ){_END}\b", re.IGNORECASE),
    re.compile(rf"\b{_END}(?:{_EQUALS}{_NUMBER}| ?\((?P<inside>-?\d+)\))", re.IGNORECASE),
)
"""What a name says of one number, such as `1 = best` or `sehr gut: 1`."""


def refuse_inverted(mapping: LabelMapping | None, counts: Mapping[str, int], column: str) -> None:
    """Refuse numbers or booleans whose lower ones are good by the column's name, because the usual order inverts them.

    Args:
        mapping: the usual meaning; None if the numbers are on no known scale.
        counts: the number of rows of each canonical value.
        column: the column's name.

    Raises:
        UsageError: the name says that low numbers, or false, are good.
    """
    if mapping is not None and mapping.kind == "booleans":
        if names_negative(column):
            orders = ["false=positive,true=negative", "false=negative,true=positive"]
            raise _make_order_error(counts, column, "false is", [format_setting(one, "labels_map") for one in orders])
        return
    # Numbers. Codes for no answer are not among the grades, and would look like the worst one.
    numbers = sorted(find_frequent_numbers(counts))
    if _names_grade(column):  # 9 is no grade
        numbers = [number for number in numbers if number <= 0 or number not in NO_ANSWER_CODES]
    if numbers in ([0], [1]):  # a table to measure a model on may hold one class
        numbers = [0, 1]
    if len(numbers) > 1 and is_lowest_best(column, numbers):
        labels, ranges = _list_ranges(mapping, numbers)
        orders = [number_labels(names, ranges) for names in (labels[::-1], labels)]
        raise _make_order_error(counts, column, "low numbers are", [*map(format_setting, orders)])


def _make_order_error(counts: Mapping[str, int], column: str, low: str, answers: Sequence[str]) -> UsageError:
    """The question which order is meant.

    Args:
        counts: the number of rows of each canonical value.
        column: the column's name.
        low: what its name calls good, such as `low numbers are`.
        answers: the settings for this order and for the usual one.
    """
    return UsageError(
        f"column {column!r} holds {show_counts(counts)}, and its name suggests that {low} good. If so, use "
        f"{answers[0]}. If not, use {answers[1]}, or name another column with `label_column`."
    )


def is_lowest_best(column: str, numbers: Sequence[float]) -> bool:
    """True if the name of a column says that the lowest of its numbers, in ascending order, is the best one."""
    # What a note such as "1 = best" says comes before what the other words suggest
    for number, is_good in _read_notes(column):
        if number <= numbers[0]:
            return is_good
        if number >= numbers[-1]:
            return not is_good
    return names_negative(column) or (numbers[0] >= 1 and numbers[-1] <= HIGHEST_GRADE and _names_grade(column))


def _read_notes(column: str) -> Iterator[tuple[float, bool]]:
    """The numbers that a name explains, with True for a good one."""
    for pattern in _ENDS:
        for found in pattern.finditer(unicodedata.normalize("NFC", column)):
            number = found["number"] or found.groupdict()["inside"]
            yield float(number), found["good"] is not None


def names_negative(column: str) -> bool:
    """True if a word of a column's name is negative and none is positive, as in `is_negative`."""
    sides = set()
    for before, word in itertools.pairwise(["", *_split_name(column)]):
        side = find_side(word)
        # `not` turns the word after it: `not_satisfied` is negative, although `satisfied` is positive
        if word in _NEGATIVE_NAMES or (before == "not" and side == "positive"):
            side = "negative"
        sides.add(side)
    return "negative" in sides and "positive" not in sides


def _names_grade(column: str) -> bool:
    """True if the name is a word for a school grade of which 1 is the best."""
    words = _split_name(column)
    return any(map(_GRADE.fullmatch, words)) and _FRENCH.isdisjoint(words)


def _split_name(column: str) -> list[str]:
    """The words of a column's name in lower case, also of one such as `isNegative`."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFC", column))
    return [word.casefold() for word in re.findall(r"[^\W\d_]+", name)]


def _list_ranges(mapping: LabelMapping | None, numbers: Sequence[float]) -> tuple[list[str], list[str]]:
    """The labels of some numbers in the usual order, and the number or the range of each."""
    if mapping is not None:
        return [*mapping.meanings.values()], [*mapping.meanings]
    # A scale is cut around its middle. Two or three numbers have one label each.
    meaning = suggest_meaning(numbers)
    if "=" in meaning:
        spans = parse_stars(meaning)
        return [span.label for span in spans], [span.words for span in spans]
    low, high = meaning.split(",")
    return ["negative", "positive"], [f"{numbers[0]:g}-{low}", f"{high}-{numbers[-1]:g}"]
