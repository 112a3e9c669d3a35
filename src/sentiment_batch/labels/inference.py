"""Finds what a label column means: its values in, the mapping that they suggest out; knows no tables or files."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sentiment_batch.errors import InputError, listed
from sentiment_batch.labels.mapping import (
    LabelKind,
    LabelMapping,
    StarRange,
    normalize_word,
    parse_number,
    parse_stars,
    to_canonical,
)

WORD_ORDER = ("very negative", "negative", "neutral", "mixed", "positive", "very positive")
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
STAR_RANGES = {
    ("negative", "positive"): {5: "negative=1-2,positive=4-5", 10: "negative=1-4,positive=7-10"},
    ("negative", "neutral", "positive"): {
        5: "negative=1-2,neutral=3,positive=4-5",
        10: "negative=1-4,neutral=5-6,positive=7-10",
    },
    ("very negative", "negative", "neutral", "positive", "very positive"): {
        5: "very negative=1,negative=2,neutral=3,positive=4,very positive=5",
        10: "very negative=1-2,negative=3-4,neutral=5-6,positive=7-8,very positive=9-10",
    },
}
"""What stars mean to a model of these labels, by the top of the scale; what lies between is left out."""
DEFAULT_STAR_RANGES = STAR_RANGES["negative", "positive"]
"""What they mean in training."""
RARE_SHARE = 0.01
"""A number that fewer rows than this share hold does not decide which scale a column is on; it is then unknown."""
MAX_CLASSES = 100
MIN_ROWS_PER_CLASS = 2
"""A word must label at least so many rows to be a class: one for training, one for validation."""


def infer_mapping(values: Iterable[object], column: str, stars: str | None = None) -> LabelMapping:
    """The mapping that the values of a label column suggest.

    Args:
        values: the labels of all rows, of any type.
        column: the column's name; `stars`, `rating` and `score` are read as stars where integers could be either.
        stars: cut points, as `--stars` takes them; makes any numeric scale possible.

    Raises:
        InputError: no labels, too many, or a scale that is not known.
        UsageError: `stars` cannot be understood.
    """
    counts = count_values(values)
    if not counts:
        raise InputError(f"column {column!r} holds no labels at all. Name the right one with --label-column.")
    if stars is not None:
        return _stars(parse_stars(stars))
    kind = detect_label_kind(counts, column)
    if kind == "booleans":
        return LabelMapping(
            labels=("negative", "positive"), kind=kind, values={"false": "negative", "true": "positive"}
        )
    if kind == "words":
        return _words(counts, column)
    numbers = find_frequent_numbers(counts)
    if kind == "stars":
        return _default_stars(numbers, column)
    _check_rare(numbers, counts, column)
    return _codes(numbers)


def infer_shared_mapping(tables: Sequence[tuple[str, Sequence[object], str]], stars: str | None = None) -> LabelMapping:
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
    return infer_mapping([value for _, values, _ in tables for value in values], tables[0][2], stars)


@dataclass(frozen=True, slots=True)
class _Written:
    """How a table writes its labels."""

    table: str
    counts: collections.Counter[str]
    mapping: LabelMapping

    @property
    def numbers(self) -> set[float]:
        return find_frequent_numbers(self.counts)

    @property
    def family(self) -> str:
        return "numbers" if self.mapping.kind == "stars" else self.mapping.kind

    def differs(self, other: _Written) -> bool:
        """Whether the two codings cannot be one of which each table has a part."""
        if self.family != other.family:
            return True
        kinds = {self.mapping.kind, other.mapping.kind}
        both = self.numbers | other.numbers
        if kinds == {"numbers"} and min(len(self.numbers), len(other.numbers)) > 1 and find_scale(both):
            together = _codes(both).values
            readings = [(one.mapping.values, f"{number:g}") for one in (self, other) for number in one.numbers]
            return any(alone[value] != together[value] for alone, value in readings)
        lower, higher = sorted((max(self.numbers, default=0), max(other.numbers, default=0)))
        return kinds == {"stars"} and lower < higher and lower in DEFAULT_STAR_RANGES


def detect_label_kind(counts: Mapping[str, int], column: str) -> LabelKind:
    """How the canonical values of a label column are written; a few odd values among many do not change it."""
    rows = sum(counts.values())
    numeric = sum(count for value, count in counts.items() if parse_number(value) is not None)
    if numeric < 0.9 * rows:
        flags = sum(count for value, count in counts.items() if value in {"true", "false"})
        return "booleans" if flags >= 0.9 * rows else "words"
    numbers = find_frequent_numbers(counts)
    if min(numbers) >= 1 and (is_star_column(column) or not find_scale(numbers)):
        return "stars"
    return "numbers"


def _written(table: str, values: Sequence[object], column: str) -> _Written | None:
    """None where the table alone does not tell."""
    try:
        return _Written(table, count_values(values), infer_mapping(values, column))
    except InputError:
        return None


def count_values(values: Iterable[object]) -> collections.Counter[str]:
    """The rows of each canonical value; those without a label count for none."""
    return collections.Counter(text for text in map(to_canonical, values) if text is not None)


def find_numbers(counts: Iterable[str]) -> set[float]:
    """The canonical values that are numbers."""
    return {number for value in counts if (number := parse_number(value)) is not None}


def is_star_column(column: str) -> bool:
    """Whether a column of this name holds stars where integers could be something else."""
    return any(name in column.casefold() for name in STAR_COLUMNS)


def _check_rare(frequent: set[float], counts: Mapping[str, int], column: str) -> None:
    """Refuse numbers whose meaning hangs on a few rows: 0 and 1 are other classes beside a -1 or a 2 than alone."""
    rare = find_numbers(counts) - frequent
    scales = [find_scale(numbers) for numbers in (frequent, frequent | rare)]
    if rare and all(scales):
        alone, beside = (str(_codes(numbers)) for numbers in (frequent, frequent | rare))
        named = listed(f"{number:g}" for number in sorted(rare))
        raise InputError(
            f"column {column!r} holds {named} in fewer than {RARE_SHARE:.0%} of its rows: without them it says {alone}, with "
            f"them {beside}. Leave those rows out, or write words such as negative for all numbers."
        )


def suggest_cuts(numbers: Iterable[float]) -> str:
    """How `--stars` could be given for a scale: the lower two fifths are negative, the upper two positive."""
    held = sorted(numbers)
    low, span = held[0], held[-1] - held[0]
    return f"{low + 0.4 * span:g},{low + 0.6 * span:g}"


def _stars(spans: tuple[StarRange, ...]) -> LabelMapping:
    return LabelMapping(labels=tuple(dict.fromkeys(span.label for span in spans)), kind="stars", stars=spans)


def _default_stars(numbers: set[float], column: str) -> LabelMapping:
    top = next((top for top in sorted(DEFAULT_STAR_RANGES) if max(numbers) <= top), None)
    if top is None:
        raise InputError(
            f"column {column!r} holds numbers from {min(numbers):g} to {max(numbers):g}, no scale that is known. "
            f"Say where negative ends and positive begins with --stars, such as --stars {suggest_cuts(numbers)}."
        )
    if numbers == {1, 2, 3, 4}:
        raise InputError(
            f"column {column!r} holds 1, 2, 3 and 4, which may be a scale of four or one of five without a 5. Say what "
            "they mean with --stars, such as --stars negative=1-2,positive=3-4."
        )
    return _stars(parse_stars(DEFAULT_STAR_RANGES[top]))


def find_scale(numbers: set[float]) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
    """The smallest known integer coding with the lowest and all of `numbers`: its values and labels in order.

    One of five values must have its highest, too: 0 to 3 may be a scale of four.
    """
    for known in sorted(INTEGER_SCALES, key=len):
        whole = len(known) < 5 or max(numbers) == max(known)
        if numbers <= known and whole and (min(numbers) == min(known) if len(numbers) > 1 else known == {0, 1}):
            return tuple(sorted(known)), INTEGER_SCALES[known]
    return None


def _codes(numbers: set[float]) -> LabelMapping:
    scale = find_scale(numbers)
    if scale is None:
        raise InputError(
            f"labels from {min(numbers):g} to {max(numbers):g} are no coding that is known (0/1, -1/0/1, 0/1/2, 0-4, "
            "stars 1-5 or 1-10). Say where negative ends and positive begins with --stars, such as --stars "
            f"{suggest_cuts(numbers)}."
        )
    codes, labels = scale
    return LabelMapping(
        labels=labels, kind="numbers", values={str(code): label for code, label in zip(codes, labels, strict=True)}
    )


def _words(counts: Mapping[str, int], column: str) -> LabelMapping:
    spellings: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for value, count in counts.items():
        spellings[normalize_word(value)][value] += count
    classes = {word: found for word, found in spellings.items() if found.total() >= MIN_ROWS_PER_CLASS}
    labelled = sum(found.total() for found in classes.values())
    numbers = [word for word in classes if parse_number(word) is not None]
    if numbers:
        raise InputError(
            f"column {column!r} holds numbers such as {listed(sorted(numbers), 3)} and words such as "
            f"{listed(sorted(set(spellings) - set(numbers)), 3)}, which are hardly labels of one "
            "kind. Leave the label of one kind empty, or name another column with --label-column."
        )
    if len(classes) > MAX_CLASSES or 2 * labelled < sum(counts.values()) or not classes:
        raise InputError(
            f"column {column!r} holds {len(spellings):,} different values in {sum(counts.values()):,} rows, which are "
            f"hardly labels: each needs {MIN_ROWS_PER_CLASS} rows. Name their column with --label-column, or give more rows."
        )
    rank = {word: place for place, word in enumerate(WORD_ORDER)}
    known = all(word in rank for word in classes)
    ordered = sorted(classes, key=lambda word: (rank[word], word) if known else (0, word))
    # The most frequent spelling names the class; ties go to the first in the alphabet, so that row order is nothing.
    names = {word: min(classes[word], key=lambda value: (-classes[word][value], value)) for word in ordered}
    values = {value: names[word] for word in ordered for value in sorted(classes[word])}
    return LabelMapping(labels=tuple(names[word] for word in ordered), kind="words", values=values)


def find_frequent_numbers(counts: Mapping[str, int]) -> set[float]:
    """The numbers that decide which scale a column is on: without the rare ones, unless most of them are rare."""
    numbers = {number: count for value, count in counts.items() if (number := parse_number(value)) is not None}
    frequent = {number for number, count in numbers.items() if count >= RARE_SHARE * sum(counts.values())}
    covered = sum(numbers[number] for number in frequent)
    return frequent if 2 * covered >= sum(numbers.values()) else set(numbers)
