"""Finds what a label column means: its values in, the mapping that they suggest out; knows no tables or files."""

from __future__ import annotations

import collections
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sentiment_batch.errors import InputError, listed
from sentiment_batch.labels import (
    Kind,
    LabelMapping,
    StarRange,
    canonical,
    coding_of,
    number_in,
    parse_stars,
    reconcile,
    word_of,
)

ORDER = ("very negative", "negative", "neutral", "mixed", "positive", "very positive")
"""Known label words from worst to best; other words go in alphabetical order."""
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
"""The integer codings in common use, by the set of their values; those from 1 up only where no star column is named."""
STAR_COLUMNS = ("star", "rating", "score")
DEFAULT_STARS = {5: "negative=1-2,positive=4-5", 10: "negative=1-4,positive=7-10"}
"""What stars mean by default, by the top of the scale; what lies between is left out."""
RARE = 0.01
"""A number that fewer rows than this share hold does not decide which scale a column is on; it is then unknown."""
MOST_CLASSES = 100
LEAST_ROWS = 2
"""A word must label at least so many rows to be a class: one for training, one for validation."""


def infer(values: Iterable[object], column: str, stars: str | None = None) -> LabelMapping:
    """The mapping that the values of a label column suggest.

    Args:
        values: the labels of all rows, of any type.
        column: the column's name; `stars`, `rating` and `score` are read as stars where integers could be either.
        stars: cut points, as `--stars` takes them; makes any numeric scale possible.

    Raises:
        InputError: no labels, too many, or a scale that is not known.
        UsageError: `stars` cannot be understood.
    """
    counts = _counted(values)
    if not counts:
        raise InputError(f"column {column!r} holds no labels at all. Name the right one with --label-column.")
    if stars is not None:
        return _stars(parse_stars(stars))
    kind = kind_of(counts, column)
    if kind == "booleans":
        return LabelMapping(
            labels=("negative", "positive"), kind=kind, values={"false": "negative", "true": "positive"}
        )
    if kind == "words":
        return _words(counts, column)
    numbers = _frequent_numbers(counts)
    if kind == "stars":
        return _default_stars(numbers, column)
    _check_rare(numbers, counts, column)
    return _codes(numbers)


def infer_together(tables: Sequence[tuple[str, Sequence[object], str]], stars: str | None = None) -> LabelMapping:
    """The mapping that the label columns of several tables suggest, which must write their labels in one way.

    Args:
        tables: of each (one or more) its name, its labels and the name of their column.
        stars: as for `infer`.

    Raises:
        InputError: as for `infer`, or two tables have codings of their own.
        UsageError: likewise.
    """
    if stars is None and len(tables) > 1:
        found = [_written(*table) for table in tables]
        for one, other in itertools.combinations(filter(None, found), 2):
            if one.differs(other):
                raise InputError(
                    f"{one.table} has the labels {one.mapping}, and {other.table} {other.mapping}. Write them in one "
                    "way, train on one of the tables, or say what stars mean with --stars."
                )
    return infer([value for _, values, _ in tables for value in values], tables[0][2], stars)


@dataclass(frozen=True, slots=True)
class _Written:
    """How a table writes its labels."""

    table: str
    counts: collections.Counter[str]
    mapping: LabelMapping

    @property
    def numbers(self) -> set[float]:
        return _frequent_numbers(self.counts)

    @property
    def family(self) -> str:
        return "numbers" if self.mapping.kind == "stars" else self.mapping.kind

    def differs(self, other: _Written) -> bool:
        """Whether the two codings cannot be one of which each table has a part."""
        if self.family != other.family:
            return True
        kinds = {self.mapping.kind, other.mapping.kind}
        both = self.numbers | other.numbers
        if kinds == {"numbers"} and min(len(self.numbers), len(other.numbers)) > 1 and _scale(both):
            together = _codes(both).values
            readings = [(one.mapping.values, f"{number:g}") for one in (self, other) for number in one.numbers]
            return any(alone[value] != together[value] for alone, value in readings)
        lower, higher = sorted((max(self.numbers, default=0), max(other.numbers, default=0)))
        return kinds == {"stars"} and lower < higher and lower in DEFAULT_STARS


def kind_of(counts: Mapping[str, int], column: str) -> Kind:
    """How the canonical values of a label column are written; a few odd values among many do not change it."""
    rows = sum(counts.values())
    numeric = sum(count for value, count in counts.items() if number_in(value) is not None)
    if numeric < 0.9 * rows:
        flags = sum(count for value, count in counts.items() if value in {"true", "false"})
        return "booleans" if flags >= 0.9 * rows else "words"
    numbers = _frequent_numbers(counts)
    if min(numbers) >= 1 and (_names_stars(column) or not _scale(numbers)):
        return "stars"
    return "numbers"


def for_file(
    trained: LabelMapping | None,
    labels: Sequence[str],
    values: Sequence[object],
    column: str,
    stars: str | None = None,
    *,
    same_column: bool = False,
) -> LabelMapping:
    """The mapping for another labelled file: the model's own where the file writes labels the same way, else inferred.

    Args:
        trained: the model's own, if it has one.
        labels: the model's.
        values: the labels of all rows, of any type.
        column: the column's name.
        stars: as for `infer`.
        same_column: whether the model was trained on a column of this name: then 1 and 2 alone are two of its stars.

    Raises:
        InputError: the file's labels have no counterpart among the model's.
    """
    counts = _counted(values)
    if trained is not None and stars is None and counts and _same_coding(trained, counts, column, same_column):
        return trained
    by_name = LabelMapping(labels=tuple(labels), kind="words")
    if not counts or (stars is None and any(by_name.label_of(value) is not None for value in counts)):
        return by_name
    if stars is None:
        numbers = _numbers(counts)
        of_label = _numbers_in(labels)
        if numbers and numbers <= set(of_label):
            return LabelMapping(labels=by_name.labels, kind="numbers", values={f"{n:g}": of_label[n] for n in of_label})
        _check_telling(numbers, labels, column)
    return reconcile(infer(values, column, stars), labels)


def _numbers_in(labels: Sequence[str]) -> dict[float, str]:
    """The label of each number, where each label has one of its own in it: `1 star`, `2 stars`; else none."""
    found = [re.findall(r"\d+", label) for label in labels]
    numbers = {float(one[0]): label for one, label in zip(found, labels, strict=True) if len(one) == 1}
    return numbers if len(numbers) == len(labels) else {}


def _check_telling(numbers: set[float], labels: Sequence[str], column: str) -> None:
    """Refuse numbers that are on several scales, when neither the model nor the column's name says on which."""
    several = numbers == {2} or (len(labels) > 2 and numbers and numbers <= {1, 2})
    if several and not _names_stars(column):
        raise InputError(
            f"column {column!r} holds {listed(f'{one:g}' for one in sorted(numbers))} and no other number, which does "
            f"not tell what they mean. Say it with --stars, such as --stars {coding_of(labels)}."
        )


def _same_coding(trained: LabelMapping, counts: Mapping[str, int], column: str, same_column: bool) -> bool:
    """Whether a file writes its labels as the training data did; of numbers, whether they are on the same scale."""
    kind = kind_of(counts, column)
    if kind in {"words", "booleans"}:
        return kind == trained.kind and any(trained.label_of(value) is not None for value in counts)
    numbers = _frequent_numbers(counts)
    if trained.kind == "numbers":
        return {f"{number:g}" for number in numbers} <= set(trained.values)
    if trained.kind != "stars":
        return False
    top, highest = max(span.high for span in trained.stars), max(numbers)
    if kind == "numbers" and _scale(numbers) and not (same_column and min(numbers) >= 1):
        return False
    # A file that goes exactly up to another known scale's top is on that one: 1-5 for a model of 1-10.
    return math.isinf(top) or (highest <= top and (highest == top or highest not in DEFAULT_STARS))


def _written(table: str, values: Sequence[object], column: str) -> _Written | None:
    """None where the table alone does not tell."""
    try:
        return _Written(table, _counted(values), infer(values, column))
    except InputError:
        return None


def _counted(values: Iterable[object]) -> collections.Counter[str]:
    return collections.Counter(text for text in map(canonical, values) if text is not None)


def _numbers(counts: Iterable[str]) -> set[float]:
    return {number for value in counts if (number := number_in(value)) is not None}


def _names_stars(column: str) -> bool:
    return any(name in column.casefold() for name in STAR_COLUMNS)


def _check_rare(frequent: set[float], counts: Mapping[str, int], column: str) -> None:
    """Refuse numbers whose meaning hangs on a few rows: 0 and 1 are other classes beside a -1 or a 2 than alone."""
    rare = _numbers(counts) - frequent
    scales = [_scale(numbers) for numbers in (frequent, frequent | rare)]
    if rare and all(scales):
        alone, beside = (str(_codes(numbers)) for numbers in (frequent, frequent | rare))
        named = listed(f"{number:g}" for number in sorted(rare))
        raise InputError(
            f"column {column!r} holds {named} in fewer than {RARE:.0%} of its rows: without them it says {alone}, with "
            f"them {beside}. Leave those rows out, or write words such as negative for all numbers."
        )


def _stars(spans: tuple[StarRange, ...]) -> LabelMapping:
    return LabelMapping(labels=tuple(dict.fromkeys(span.label for span in spans)), kind="stars", stars=spans)


def _default_stars(numbers: set[float], column: str) -> LabelMapping:
    top = next((top for top in sorted(DEFAULT_STARS) if max(numbers) <= top), None)
    if top is None:
        raise InputError(
            f"column {column!r} holds numbers from {min(numbers):g} to {max(numbers):g}, no scale that is known. "
            "Say where negative ends and positive begins with --stars, such as --stars 40,60."
        )
    return _stars(parse_stars(DEFAULT_STARS[top]))


def _scale(numbers: set[float]) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
    """The smallest known integer coding with the lowest and all of `numbers`: its values and labels in order."""
    for known in sorted(INTEGER_SCALES, key=len):
        if numbers <= known and (min(numbers) == min(known) if len(numbers) > 1 else known == {0, 1}):
            return tuple(sorted(known)), INTEGER_SCALES[known]
    return None


def _codes(numbers: set[float]) -> LabelMapping:
    scale = _scale(numbers)
    if scale is None:
        raise InputError(
            f"labels from {min(numbers):g} to {max(numbers):g} are no coding that is known (0/1, -1/0/1, 0/1/2, 0-4, "
            "stars 1-5 or 1-10). Say where negative ends and positive begins with --stars, such as --stars 40,60."
        )
    codes, labels = scale
    return LabelMapping(
        labels=labels, kind="numbers", values={str(code): label for code, label in zip(codes, labels, strict=True)}
    )


def _words(counts: Mapping[str, int], column: str) -> LabelMapping:
    spellings: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for value, count in counts.items():
        spellings[word_of(value)][value] += count
    classes = {word: found for word, found in spellings.items() if found.total() >= LEAST_ROWS}
    labelled = sum(found.total() for found in classes.values())
    numbers = [word for word in classes if number_in(word) is not None]
    if numbers:
        raise InputError(
            f"column {column!r} holds numbers such as {listed(sorted(numbers), 3)} and words such as "
            f"{listed(sorted(set(spellings) - set(numbers)), 3)}, which are hardly labels of one "
            "kind. Leave the label of one kind empty, or name another column with --label-column."
        )
    if len(classes) > MOST_CLASSES or 2 * labelled < sum(counts.values()) or not classes:
        raise InputError(
            f"column {column!r} holds {len(spellings):,} different values in {sum(counts.values()):,} rows, which are "
            f"hardly labels: each needs {LEAST_ROWS} rows. Name their column with --label-column, or give more rows."
        )
    rank = {word: place for place, word in enumerate(ORDER)}
    known = all(word in rank for word in classes)
    ordered = sorted(classes, key=lambda word: (rank[word], word) if known else (0, word))
    # The most frequent spelling names the class; ties go to the first in the alphabet, so that row order is nothing.
    names = {word: min(classes[word], key=lambda value: (-classes[word][value], value)) for word in ordered}
    values = {value: names[word] for word in ordered for value in sorted(classes[word])}
    return LabelMapping(labels=tuple(names[word] for word in ordered), kind="words", values=values)


def _frequent_numbers(counts: Mapping[str, int]) -> set[float]:
    """The numbers that decide which scale a column is on: without the rare ones, unless most of them are rare."""
    numbers = {number: count for value, count in counts.items() if (number := number_in(value)) is not None}
    frequent = {number for number, count in numbers.items() if count >= RARE * sum(counts.values())}
    covered = sum(numbers[number] for number in frequent)
    return frequent if 2 * covered >= sum(numbers.values()) else set(numbers)
