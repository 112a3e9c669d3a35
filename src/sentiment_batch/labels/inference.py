"""Infers from the values of a label column what they mean."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sentiment_batch.errors import InputError, UsageError, listed
from sentiment_batch.labels.directions import refuse_inverted
from sentiment_batch.labels.mapping import LabelKind, LabelMapping, suggest_map
from sentiment_batch.labels.numbered_words import find_numbered_words, map_numbered_words
from sentiment_batch.labels.scales import make_meaning_error, map_ranges, read_scale, show_counts
from sentiment_batch.labels.settings import NO_LABEL_SETTINGS, LabelSettings
from sentiment_batch.labels.signs import check_signs
from sentiment_batch.labels.stars import (
    DEFAULT_STAR_RANGES,
    PROMOTER_RANGES,
    StarRange,
    format_setting,
    is_promoter_score,
    is_star_column,
    number_labels,
    parse_stars,
    suggest_meaning,
)
from sentiment_batch.labels.values import (
    RARE_SHARE,
    find_frequent_numbers,
    find_numbers,
    normalize_word,
    parse_rating,
    split_ratings,
)
from sentiment_batch.labels.word_classes import check_dates, map_words
from sentiment_batch.labels.words import find_meaning, find_side, order_words
from sentiment_batch.report.formatting import format_percent

MIN_SHARE_OF_KIND = 0.9
"""A column is numeric, or boolean, if at least this share of its rows is."""

BOOLEANS = LabelMapping(
    labels=("negative", "positive"), kind="booleans", values={"false": "negative", "true": "positive"}
)
"""The meaning of true and false."""


def infer_mapping(
    values: Iterable[object], column: str, settings: LabelSettings = NO_LABEL_SETTINGS, *, any_order: bool = False
) -> LabelMapping:
    """The mapping that the values of a label column suggest.

    Args:
        values: the labels of all rows, of any type.
        column: the column's name. Integers may be stars or class numbers; a name such as `rating` makes them stars.
        settings: what the user says about the values.
        any_order: True reads numbers and booleans in the usual order, even if the column's name says that low is good.

    Raises:
        InputError: there are no labels, or too many, or they are dates.
        UsageError: the labels have several meanings, such as numbers on no known scale.
    """
    # Only the different values and their numbers of rows matter. There are few, however long the table is.
    counts, signs = settings.count_signs(values)
    if not counts:
        raise InputError(f"column {column!r} holds no labels at all. Name the right one with `label_column`.")
    # What the user says comes before what the values suggest
    if settings.ranges:
        mapping = _map_ranges(settings.ranges)
    elif settings.labels_map:
        mapping = _map_renamed(counts, column, settings)
    else:
        if not any_order:
            check_order(counts, column)
        mapping = _map_counts(counts, column)
    if mapping.kind == "words":
        check_signs(counts, signs, column)
    return replace(mapping, no_answer=settings.no_answer)


def _map_counts(counts: Mapping[str, int], column: str) -> LabelMapping:
    """The mapping that the counts of the canonical values suggest."""
    kind = detect_label_kind(counts)
    if kind == "words":
        check_dates(counts, column)
        # Values such as "5 - Very satisfied" are words by their form, and stars by their meaning
        if numbered := find_numbered_words(counts):
            stars = _map_numbers({f"{number}": 1 for number in numbered.values()}, "stars")
            return map_numbered_words(stars, numbered)
        return map_words(counts, column)
    return _map_numbers(counts, column) if kind == "numbers" else BOOLEANS


def _map_renamed(counts: Mapping[str, int], column: str, settings: LabelSettings) -> LabelMapping:
    """The mapping of a user's `labels_map`. Other words keep their names, other numbers have no label."""
    # Count the rows by their new names, and let the usual rules for words check and order these
    names = {value: settings.labels_map.get(normalize_word(value)) for value in counts}
    renamed: collections.Counter[str] = collections.Counter()
    for value, name in names.items():
        if name is not None or parse_rating(value) is None:
            renamed[name or value] += counts[value]
    if not any(names.values()):
        raise UsageError(
            f"`labels_map` names no value of column {column!r}, which holds {show_counts(counts)}. Name these, or "
            "another column with `label_column`."
        )
    mapping = map_words(renamed, column, chosen=True)
    # Sorted, because the mapping is stored with the model, and must not depend on the order of the rows
    labels = {value: mapping.find_label(names[value] or value) for value in sorted(counts)}
    return replace(mapping, values={value: label for value, label in labels.items() if label is not None})


def _map_ranges(ranges: Sequence[StarRange]) -> LabelMapping:
    """The mapping of a user's `stars`. Single numbers are codes, whose order says nothing."""
    if any(span.low != span.high for span in ranges):
        return map_ranges(ranges)
    # Known words are ordered by their meaning. Others stay in the order in which the user wrote them.
    labels = order_words(dict.fromkeys(span.label for span in ranges))
    if not all(map(find_meaning, labels)):
        labels = list(dict.fromkeys(span.label for span in ranges))
    return LabelMapping(labels=tuple(labels), kind="numbers", values={f"{span.low:g}": span.label for span in ranges})


def infer_shared_mapping(
    tables: Sequence[tuple[str, Sequence[object], str]], settings: LabelSettings = NO_LABEL_SETTINGS
) -> LabelMapping:
    """The mapping that the label columns of several tables suggest. All tables must write their labels in one way.

    Args:
        tables: the name, the labels and the name of the label column of each table (one or more).
        settings: as for `infer_mapping`.

    Raises:
        InputError: as for `infer_mapping`.
        UsageError: as for `infer_mapping`, or two tables have different codings.
    """
    # The first table's column is checked by `infer_mapping`, the others here
    if not settings.ranges and not settings.labels_map:
        for _, values, column in tables[1:]:
            check_order(settings.count(values), column)
    # One mapping serves all rows, so tables with different codings are found before their rows are pooled
    if not settings.ranges and len(tables) > 1:
        found = [_infer_coding(*table, settings) for table in tables]
        for one, other in itertools.combinations(filter(None, found), 2):
            if one.contradicts(other):
                raise UsageError(
                    f"{one.table} has the labels {one.mapping}, and {other.table} {other.mapping}. Write them in one "
                    f"way, train on one of the tables, or give their meaning with {_suggest_meaning(one, other)}."
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
        # Numbers and stars may be one coding: few stars look like class numbers
        kinds = {self.mapping.kind, other.mapping.kind}
        if len(kinds) > 1 and kinds != {"numbers", "stars"}:
            return True
        # Other words contradict if they mean the same, such as "good" in one table and "positive" in the other
        words = [set(map(normalize_word, one.mapping.labels)) for one in (self, other)]
        if kinds == {"words"} and words[0].isdisjoint(words[1]):
            return not {*map(find_side, words[0])}.isdisjoint(map(find_side, words[1]))
        # Class numbers contradict if together they are a coding that gives one of them another label
        together = read_scale(self.numbers | other.numbers, stars=False)
        if kinds == {"numbers"} and min(len(self.numbers), len(other.numbers)) > 1 and together:
            return self._differs(together) or other._differs(together)
        # Stars contradict if one table ends at 5 and the other one above it
        lower, higher = sorted((max(self.numbers, default=0), max(other.numbers, default=0)))
        return kinds == {"stars"} and lower < higher and lower in DEFAULT_STAR_RANGES

    def _differs(self, mapping: LabelMapping) -> bool:
        """True if a number of the table has another label by `mapping`."""
        values = [f"{number:g}" for number in self.numbers]
        return any(self.mapping.find_label(value) != mapping.find_label(value) for value in values)


def _suggest_meaning(one: _Coding, other: _Coding) -> str:
    """A setting that gives the labels of both tables a meaning."""
    if one.mapping.kind == other.mapping.kind == "words":
        return suggest_map(other.mapping.labels, one.mapping.labels)
    if one.mapping.kind != other.mapping.kind and not one.mapping.stars and not other.mapping.stars:
        values = {**one.mapping.values, **other.mapping.values}
        renamed = [
            f"{value}={label}" for value, label in values.items() if normalize_word(value) != normalize_word(label)
        ]
        return format_setting(",".join(renamed), "labels_map")
    return format_setting(suggest_meaning(one.numbers | other.numbers))


def _infer_coding(table: str, values: Sequence[object], column: str, settings: LabelSettings) -> _Coding | None:
    """The coding of one table, or None if the table alone does not show it."""
    try:
        counts, _ = split_ratings(settings.count(values))
        return _Coding(table, infer_mapping(values, column, settings), find_frequent_numbers(counts))
    except (InputError, UsageError):
        return None


def detect_label_kind(counts: Mapping[str, int]) -> LabelKind:
    """How the labels of a column are written, by the counts of its canonical values. A few odd values are ignored.

    Numbers may turn out to be stars.
    """
    # By rows and not by values: a few misspelt values, each in one row, do not make a column of numbers one of words
    rows = sum(counts.values())
    numeric = sum(count for value, count in counts.items() if parse_rating(value) is not None)
    if numeric < MIN_SHARE_OF_KIND * rows:
        booleans = sum(count for value, count in counts.items() if value in {"true", "false"})
        return "booleans" if booleans >= MIN_SHARE_OF_KIND * rows else "words"
    return "numbers"


def _map_numbers(counts: Mapping[str, int], column: str) -> LabelMapping:
    """The mapping of numbers on a known scale. Rare numbers may complete a scale, and must not change its meaning."""
    stars = is_star_column(column)
    counts, top = split_ratings(counts)
    # Read the scale with and without the rare numbers. If both are known, they must agree on the frequent ones.
    frequent, every = find_frequent_numbers(counts), find_numbers(counts)
    alone, whole = (read_scale(numbers, stars=stars, top=top) for numbers in (frequent, every))
    found = whole or alone
    if found is None:
        raise make_meaning_error(counts, column, stars=stars)
    if alone and whole and any(alone.find_label(f"{one:g}") != whole.find_label(f"{one:g}") for one in frequent):
        raise _make_rare_values_error(every - frequent, alone, whole, column)
    if found.kind == "stars" and is_promoter_score(column, top or max(every)):
        return map_ranges(parse_stars(PROMOTER_RANGES["negative", "positive"]))
    return found


def check_order(counts: Mapping[str, int], column: str) -> None:
    """Refuse numbers and booleans that the usual order inverts by the column's name, see `directions`.

    Raises:
        UsageError: the name says that low numbers, or false, are good.
    """
    counts, top = split_ratings(counts)
    kind = detect_label_kind(counts)
    if top is not None or kind == "words":  # where the top is named, such as in 4/5, high numbers are good
        return
    # The scale of all numbers, else that of the frequent ones, as `_map_numbers` chooses
    stars = is_star_column(column)
    scale = read_scale(find_numbers(counts), stars=stars) or read_scale(find_frequent_numbers(counts), stars=stars)
    refuse_inverted(BOOLEANS if kind == "booleans" else scale, counts, column)


def _make_rare_values_error(rare: set[float], alone: LabelMapping, whole: LabelMapping, column: str) -> UsageError:
    """The question about numbers in a few rows, such as 0, which has another meaning beside -1 than alone."""
    numbers = [f"{number:g}" for number in sorted(rare)]
    ranges = number_labels([*whole.meanings.values()], [*whole.meanings])
    return UsageError(
        f"column {column!r} holds {listed(numbers)} in fewer than {format_percent(RARE_SHARE, 0)} of its rows: without "
        f"them the labels mean {alone}, with them {whole}. Leave those rows out with "
        f"{format_setting(','.join(numbers), 'no_answer')}, or keep them with {format_setting(ranges)}."
    )
