"""Matches the labels of another table to a model: by name, by the model's own coding, or by their meaning."""

from __future__ import annotations

import collections
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sentiment_batch.errors import UsageError, listed
from sentiment_batch.labels.directions import is_lowest_best
from sentiment_batch.labels.inference import check_order, detect_label_kind, infer_mapping
from sentiment_batch.labels.mapping import LabelMapping, reconcile
from sentiment_batch.labels.numbered_words import find_numbered_words, map_numbered_words
from sentiment_batch.labels.scales import map_ranges, read_scale
from sentiment_batch.labels.settings import NO_LABEL_SETTINGS, LabelSettings
from sentiment_batch.labels.signs import check_signs
from sentiment_batch.labels.stars import (
    DEFAULT_STAR_RANGES,
    PROMOTER_RANGES,
    STAR_RANGES,
    format_setting,
    is_promoter_score,
    is_star_column,
    number_labels,
    parse_stars,
)
from sentiment_batch.labels.values import (
    find_frequent_numbers,
    find_numbers,
    normalize_word,
    parse_number,
    split_ratings,
)
from sentiment_batch.labels.words import find_side

MAX_NUMBER_SHARE = 0.1
"""In a column of words, a smaller share of the rows than this may hold numbers."""


def match_mapping(
    trained: LabelMapping | None,
    labels: Sequence[str],
    values: Sequence[object],
    column: str,
    settings: LabelSettings = NO_LABEL_SETTINGS,
    *,
    same_column: bool = False,
) -> LabelMapping:
    """The mapping for another table: the model's own if the table writes labels in the same way, else an inferred one.

    Args:
        trained: the model's own mapping, or None.
        labels: the model's labels.
        values: the table's labels, of any type.
        column: the name of the label column.
        settings: as for `infer_mapping`.
        same_column: True if the model was trained on a column of this name. Then 1 and 2 alone are two of its stars,
            and the name says nothing new about the order of its numbers.

    Raises:
        InputError: labels of the table have no counterpart in the model.
        UsageError: the numbers are on no known scale, or they have several meanings.
    """
    # What the user said about missing labels in training holds for this table, too, unless the user says otherwise
    if trained is not None and not settings.no_answer:
        settings = replace(settings, no_answer=trained.no_answer)
    counts, signs = settings.count_signs(values)
    by_name = LabelMapping(labels=tuple(labels), kind="words", no_answer=settings.no_answer)
    if counts and detect_label_kind(counts) == "words":
        check_signs(counts, signs, column, known={*labels, *(trained or by_name).values})
    # 1. What the user says
    if settings.labels_map:
        return _match_renamed(trained or by_name, counts, settings)
    if settings.ranges and counts:
        return reconcile(infer_mapping(values, column, settings), labels)
    # 2. The coding of the training, if the table writes its labels as the training data did
    if counts and not same_column and not _is_lowest_positive(trained or by_name) and not _holds_names(by_name, counts):
        check_order(counts, column)
    if counts and trained and _has_same_coding(trained, counts, column, same_column):
        return trained if trained.no_answer == settings.no_answer else replace(trained, no_answer=settings.no_answer)
    # 3. The names of the labels, or numbers in them, such as in `1 star`
    if not counts or _holds_names(by_name, counts):
        return by_name
    numbers = find_numbers(counts)
    numbered = _find_numbers_in_labels(labels)
    if numbers and numbers <= set(numbered):
        return replace(by_name, kind="numbers", values={f"{number:g}": numbered[number] for number in numbered})
    # 4. The usual meaning of the values, matched with the labels by meaning
    found = _infer_usual(labels, values, counts, column, settings)
    if trained and trained.kind == "numbers" and len(found.labels) > len(labels):
        _check_contradiction(found, trained, column)
    return reconcile(replace(found, no_answer=settings.no_answer), labels)


def _infer_usual(
    labels: Sequence[str],
    values: Sequence[object],
    counts: Mapping[str, int],
    column: str,
    settings: LabelSettings,
) -> LabelMapping:
    """What the values of a table mean by themselves. Arguments and errors are those of `match_mapping`."""
    _check_unambiguous(find_numbers(counts), labels, column)
    if stars := _choose_star_ranges(labels, counts, column):
        return stars
    if detect_label_kind(counts) == "words":
        # Twice, because a single row with a label is enough to measure a model, though not to train one
        values = [*values, *values]
    return infer_mapping(values, column, settings)


def _is_lowest_positive(mapping: LabelMapping) -> bool:
    """True if the lowest of the numbers, or false, is positive by a mapping, as in a table of school grades."""
    if mapping.stars:
        return find_side(mapping.stars[0].label) == "positive"
    codes = [value for value in mapping.values if value == "false" or parse_number(value) is not None]
    lowest = min(codes, key=lambda value: parse_number(value) or 0, default=None)
    return lowest is not None and find_side(mapping.values[lowest]) == "positive"


def _match_renamed(mapping: LabelMapping, counts: Mapping[str, int], settings: LabelSettings) -> LabelMapping:
    """`mapping` with the values of a user's `labels_map`."""
    names = {
        value: settings.labels_map[word] for value in counts if (word := normalize_word(value)) in settings.labels_map
    }
    by_name = LabelMapping(labels=mapping.labels, kind="words")
    found = {value: label for value, name in names.items() if (label := by_name.find_label(name)) is not None}
    if lost := sorted(set(names.values()) - {names[value] for value in found}):
        raise UsageError(
            f"`labels_map` gives the labels {listed(lost)}, which are none of the model's: {listed(mapping.labels)}."
        )
    return replace(mapping, values={**mapping.values, **found}, no_answer=settings.no_answer)


def _holds_names(mapping: LabelMapping, counts: Mapping[str, int]) -> bool:
    """True if the values are labels of `mapping`. Other values may stand among them, but few numbers.

    Numbers in more rows would be a second way to write the same labels.
    """
    others = [value for value in counts if mapping.find_label(value) is None]
    numbers = sum(counts[value] for value in others if parse_number(value) is not None)
    return len(others) < len(counts) and numbers < MAX_NUMBER_SHARE * sum(counts.values())


def _choose_star_ranges(labels: Sequence[str], counts: Mapping[str, int], column: str) -> LabelMapping | None:
    """The star ranges for a model with these labels; None if the values are not stars, or the labels are others."""
    if numbered := find_numbered_words(counts):
        chosen = _choose_star_ranges(labels, collections.Counter(numbered.values()), "stars")
        return chosen and map_numbered_words(chosen, numbered)
    counts, top = split_ratings(counts)
    words = {normalize_word(label) for label in labels}
    names = next((names for names in STAR_RANGES if set(names) == words), ())
    ranges = STAR_RANGES.get(names)
    if ranges is None or detect_label_kind(counts) != "numbers":
        return None
    numbers = find_frequent_numbers(counts)
    low, high = min(numbers), max(numbers)
    stars = is_star_column(column)
    found = read_scale(numbers, stars=stars, top=top)
    # A few ratings need not reach the top of the scale
    is_on_scale = found.kind == "stars" if found else stars and low >= 1 and high <= 5
    if not is_on_scale:
        return None
    if is_promoter_score(column, top or high) and (promoters := PROMOTER_RANGES.get(names)):
        return map_ranges(parse_stars(promoters))
    return map_ranges(parse_stars(ranges[5 if (top or high) <= 5 else 10]), low)


def _find_numbers_in_labels(labels: Sequence[str]) -> dict[float, str]:
    """The label of each number if each label holds a different one, such as `1 star`, `2 stars`; else nothing."""
    found = [re.findall(r"\d+", label) for label in labels]
    numbers = {float(one[0]): label for one, label in zip(found, labels, strict=True) if len(one) == 1}
    return numbers if len(numbers) == len(labels) else {}


def _check_unambiguous(numbers: set[float], labels: Sequence[str], column: str) -> None:
    """Refuse numbers that occur on several scales if neither the model nor the column's name shows which it is."""
    # 1 alone is positive beside 0, and negative on a scale of stars
    is_ambiguous = numbers in ({1}, {2}) or (len(labels) > 2 and numbers == {1, 2})
    if is_ambiguous and not is_star_column(column):
        raise UsageError(
            f"column {column!r} holds {listed(f'{one:g}' for one in sorted(numbers))} and no other number, which does "
            f"not show what they mean. Give their meaning with {format_setting(number_labels(labels))}, for example."
        )


def _has_same_coding(trained: LabelMapping, counts: Mapping[str, int], column: str, same_column: bool) -> bool:
    """True if the table writes its labels as the training data did, with numbers on the same scale.

    Raises:
        UsageError: the numbers are some of the training data's, but alone they are another known coding.
    """
    kind = detect_label_kind(counts)
    if kind in {"words", "booleans"}:
        return kind == trained.kind and _holds_names(trained, counts)
    counts, top = split_ratings(counts)
    numbers = find_frequent_numbers(counts)
    alone = read_scale(numbers, stars=is_star_column(column), top=top)
    if trained.kind == "stars":
        if alone is not None and alone.kind == "numbers" and not (same_column and min(numbers) >= 1):
            return False
        return _is_on_scale(trained, numbers, top)
    # The model's coding is class numbers: all numbers of the table must be among them
    if not {f"{number:g}" for number in numbers} <= set(trained.values):
        return False
    if alone is not None and alone.kind == "numbers" and len(numbers) > 1:
        confirmed = _is_lowest_positive(trained) and is_lowest_best(column, sorted(numbers))
        if not confirmed:
            _check_contradiction(alone, trained, column)
    return True


def _is_on_scale(trained: LabelMapping, numbers: set[float], named_top: float | None) -> bool:
    """True if numbers lie on the scale of the stars that a model was trained with, and on no other one.

    Args:
        trained: a mapping of stars.
        numbers: the numbers of the table.
        named_top: the top of the scale if the values of the table name it, such as 10 in `8/10`.
    """
    top, highest = max(span.high for span in trained.stars), max(numbers)
    if math.isinf(top):
        return True
    if min(numbers) < min(span.low for span in trained.stars) or named_top not in {None, top}:
        return False
    # A table that ends exactly at the top of another known scale is on that one: 1-5 for a model of 1-10
    return highest <= top and (highest == top or highest not in DEFAULT_STAR_RANGES)


def _check_contradiction(alone: LabelMapping, trained: LabelMapping, column: str) -> None:
    """Refuse numbers that mean something else in the training data than a table with these numbers alone means."""
    meanings = [(trained.values.get(value, label), label) for value, label in alone.values.items()]
    if all(find_side(as_trained) == find_side(label) for as_trained, label in meanings):
        return
    as_trained, as_alone = (
        format_setting(number_labels([*mapping.values.values()], [*mapping.values])) for mapping in (trained, alone)
    )
    raise UsageError(
        f"column {column!r} holds {listed(alone.values)}, which alone mean {alone}, but {trained} in the training "
        f"data. Give their meaning with {as_trained} or {as_alone}, or write both in one way."
    )
