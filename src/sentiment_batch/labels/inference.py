"""Infers from the values of a label column what they mean."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sentiment_batch.errors import InputError, listed
from sentiment_batch.labels.mapping import LabelKind, LabelMapping
from sentiment_batch.labels.settings import UNSAID, LabelSettings
from sentiment_batch.labels.stars import (
    DEFAULT_STAR_RANGES,
    StarRange,
    is_star_column,
    parse_stars,
    suggest_cuts,
    word_setting,
)
from sentiment_batch.labels.values import (
    RARE_SHARE,
    count_values,
    find_frequent_numbers,
    find_numbers,
    normalize_word,
    parse_number,
)
from sentiment_batch.report.formatting import format_percent

WORD_ORDER = ("very negative", "negative", "neutral", "mixed", "positive", "very positive")
"""Known label words from worst to best. Columns with other words have their classes in alphabetical order."""
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
MIN_SHARE_OF_KIND = 0.9
"""A column is numeric, or boolean, if at least this share of its rows is."""
MAX_WORD_CLASSES = 100
"""Largest number of classes of a column of words."""
MIN_ROWS_PER_WORD = 2
"""Number of rows that make a word a class, so that training and validation both have one."""


def infer_mapping(values: Iterable[object], column: str, settings: LabelSettings = UNSAID) -> LabelMapping:
    """The mapping that the values of a label column suggest.

    Args:
        values: the labels of all rows, of any type.
        column: the column's name. Integers may be stars or class numbers; a name such as `rating` makes them stars.
        settings: what the user says about the values.

    Raises:
        InputError: there are no labels or too many, or the scale is unknown.
    """
    counts = count_values(values)
    if not counts:
        raise InputError(f"column {column!r} holds no labels at all. Name the right one with `label_column`.")
    if settings.ranges:
        return _map_stars(settings.ranges)
    kind = detect_label_kind(counts, column)
    if kind == "booleans":
        booleans = {"false": "negative", "true": "positive"}
        return LabelMapping(labels=("negative", "positive"), kind=kind, values=booleans)
    if kind == "words":
        return _map_words(counts, column)
    numbers = find_frequent_numbers(counts)
    if kind == "stars":
        return _map_default_stars(numbers, column)
    _check_rare_numbers(numbers, counts, column)
    return _map_codes(numbers)


def infer_shared_mapping(
    tables: Sequence[tuple[str, Sequence[object], str]], settings: LabelSettings = UNSAID
) -> LabelMapping:
    """The mapping that the label columns of several tables suggest. All tables must write their labels in one way.

    Args:
        tables: the name, the labels and the name of the label column of each table (one or more).
        settings: as for `infer_mapping`.

    Raises:
        InputError: as for `infer_mapping`, or two tables have different codings.
    """
    if not settings.ranges and len(tables) > 1:
        found = [_infer_coding(*table) for table in tables]
        for one, other in itertools.combinations(filter(None, found), 2):
            if one.contradicts(other):
                raise InputError(
                    f"{one.table} has the labels {one.mapping}, and {other.table} {other.mapping}. Write them in one "
                    "way, train on one of the tables, or give the meaning of stars with `stars`."
                )
    return infer_mapping([value for _, values, _ in tables for value in values], tables[0][2], settings)


@dataclass(frozen=True, slots=True)
class _Coding:
    """How one table writes its labels."""

    table: str
    """The table's name, for messages."""
    mapping: LabelMapping
    """The mapping that the table alone suggests."""
    numbers: set[float]
    """Its frequent numbers."""

    def contradicts(self, other: _Coding) -> bool:
        """True if the two tables cannot hold parts of one coding."""
        kinds = {self.mapping.kind, other.mapping.kind}
        if len(kinds) > 1 and kinds != {"numbers", "stars"}:
            return True
        both = self.numbers | other.numbers
        if kinds == {"numbers"} and min(len(self.numbers), len(other.numbers)) > 1 and find_scale(both):
            together = _map_codes(both).values
            readings = [(one.mapping.values, f"{number:g}") for one in (self, other) for number in one.numbers]
            return any(alone[value] != together[value] for alone, value in readings)
        lower, higher = sorted((max(self.numbers, default=0), max(other.numbers, default=0)))
        return kinds == {"stars"} and lower < higher and lower in DEFAULT_STAR_RANGES


def _infer_coding(table: str, values: Sequence[object], column: str) -> _Coding | None:
    """The coding of one table, or None if the table alone does not show it."""
    try:
        return _Coding(table, infer_mapping(values, column), find_frequent_numbers(count_values(values)))
    except InputError:
        return None


def detect_label_kind(counts: Mapping[str, int], column: str) -> LabelKind:
    """How the labels of a column are written, by the counts of its canonical values. A few odd values are ignored."""
    rows = sum(counts.values())
    numeric = sum(count for value, count in counts.items() if parse_number(value) is not None)
    if numeric < MIN_SHARE_OF_KIND * rows:
        booleans = sum(count for value, count in counts.items() if value in {"true", "false"})
        return "booleans" if booleans >= MIN_SHARE_OF_KIND * rows else "words"
    numbers = find_frequent_numbers(counts)
    if min(numbers) >= 1 and (is_star_column(column) or not find_scale(numbers)):
        return "stars"
    return "numbers"


def find_scale(numbers: set[float]) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
    """The smallest known integer coding that holds `numbers` and begins with the lowest: its values and labels.

    A coding of five values must also end with the highest number, because 0 to 3 may be a scale of four.
    """
    for known in sorted(INTEGER_SCALES, key=len):
        is_whole = len(known) < 5 or max(numbers) == max(known)
        if numbers <= known and is_whole and (min(numbers) == min(known) if len(numbers) > 1 else known == {0, 1}):
            return tuple(sorted(known)), INTEGER_SCALES[known]
    return None


def _check_rare_numbers(frequent: set[float], counts: Mapping[str, int], column: str) -> None:
    """Refuse numbers whose meaning depends on a few rows. For example, 0 has another meaning beside -1 than alone."""
    rare = find_numbers(counts) - frequent
    readings = (frequent, frequent | rare)
    if rare and all(map(find_scale, readings)):
        alone, beside = (str(_map_codes(numbers)) for numbers in readings)
        named = listed(f"{number:g}" for number in sorted(rare))
        raise InputError(
            f"column {column!r} holds {named} in fewer than {format_percent(RARE_SHARE, 0)} of its rows: without them "
            f"the labels mean {alone}, with them {beside}. Leave those rows out, or write words such as negative for "
            "all numbers."
        )


def _map_stars(spans: tuple[StarRange, ...]) -> LabelMapping:
    return LabelMapping(labels=tuple(dict.fromkeys(span.label for span in spans)), kind="stars", stars=spans)


def _map_default_stars(numbers: set[float], column: str) -> LabelMapping:
    top = next((top for top in sorted(DEFAULT_STAR_RANGES) if max(numbers) <= top), None)
    if top is None:
        raise InputError(
            f"column {column!r} holds numbers from {min(numbers):g} to {max(numbers):g}, which is no known scale. "
            "Give the numbers up to which labels are negative and from which they are positive, such as "
            f"{word_setting(suggest_cuts(numbers))}."
        )
    if numbers == {1, 2, 3, 4}:
        raise InputError(
            f"column {column!r} holds 1, 2, 3 and 4, which may be a scale of four or one of five without a 5. Give "
            f"their meaning with `stars`, such as {word_setting('negative=1-2,positive=3-4')}."
        )
    return _map_stars(parse_stars(DEFAULT_STAR_RANGES[top]))


def _map_codes(numbers: set[float]) -> LabelMapping:
    scale = find_scale(numbers)
    if scale is None:
        raise InputError(
            f"labels from {min(numbers):g} to {max(numbers):g} are no known coding (0/1, -1/0/1, 0/1/2, 0-4, "
            "stars 1-5 or 1-10). Give the numbers up to which labels are negative and from which they are positive, "
            f"such as {word_setting(suggest_cuts(numbers))}."
        )
    values = {str(code): label for code, label in zip(*scale, strict=True)}
    return LabelMapping(labels=scale[1], kind="numbers", values=values)


def _map_words(counts: Mapping[str, int], column: str) -> LabelMapping:
    spellings: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for value, count in counts.items():
        spellings[normalize_word(value)][value] += count
    classes = {word: found for word, found in spellings.items() if found.total() >= MIN_ROWS_PER_WORD}
    _check_words(counts, spellings, classes, column)
    rank = {word: place for place, word in enumerate(WORD_ORDER)}
    all_known = all(word in rank for word in classes)
    ordered = sorted(classes, key=lambda word: (rank[word], word) if all_known else (0, word))
    # The most frequent spelling names the class. Ties are broken by the alphabet, not by the order of the rows.
    names = {word: min(classes[word], key=lambda value: (-classes[word][value], value)) for word in ordered}
    values = {value: names[word] for word in ordered for value in sorted(classes[word])}
    return LabelMapping(labels=tuple(names[word] for word in ordered), kind="words", values=values)


def _check_words(
    counts: Mapping[str, int], spellings: Iterable[str], classes: Mapping[str, collections.Counter[str]], column: str
) -> None:
    """Refuse a column that mixes numbers with words, or whose words are too many or too rare to be labels."""
    numbers = [word for word in classes if parse_number(word) is not None]
    words = set(spellings)
    if numbers:
        raise InputError(
            f"column {column!r} holds numbers such as {listed(sorted(numbers), 3)} and words such as "
            f"{listed(sorted(words - set(numbers)), 3)}, which are hardly labels of one "
            "kind. Leave the label of one kind empty, or name another column with `label_column`."
        )
    rows, labelled = sum(counts.values()), sum(found.total() for found in classes.values())
    if len(classes) > MAX_WORD_CLASSES or 2 * labelled < rows or not classes:
        raise InputError(
            f"column {column!r} holds {len(words):,} different values in {rows:,} rows, which are hardly labels: each "
            f"needs {MIN_ROWS_PER_WORD} rows. Name their column with `label_column`, or give more rows."
        )
