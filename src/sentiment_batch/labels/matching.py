"""Matches the labels of another table to a model: by name, by the model's own coding, or by their meaning."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

from sentiment_batch.errors import InputError, listed
from sentiment_batch.labels.inference import detect_label_kind, find_scale, infer_mapping
from sentiment_batch.labels.mapping import LabelMapping, reconcile
from sentiment_batch.labels.settings import UNSAID, LabelSettings
from sentiment_batch.labels.stars import (
    DEFAULT_STAR_RANGES,
    STAR_RANGES,
    is_star_column,
    number_labels,
    word_setting,
)
from sentiment_batch.labels.values import (
    count_values,
    find_frequent_numbers,
    find_numbers,
    normalize_word,
    parse_number,
)

MAX_NUMBER_SHARE = 0.1
"""In a column of words, a smaller share of the rows than this may hold numbers."""


def match_mapping(
    trained: LabelMapping | None,
    labels: Sequence[str],
    values: Sequence[object],
    column: str,
    settings: LabelSettings = UNSAID,
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
        same_column: True if the model was trained on a column of this name. Then 1 and 2 alone are two of its stars.

    Raises:
        InputError: labels of the table have no counterpart in the model.
    """
    counts = count_values(values)
    if (
        trained is not None
        and not settings.ranges
        and counts
        and _has_same_coding(trained, counts, column, same_column)
    ):
        return trained
    by_name = LabelMapping(labels=tuple(labels), kind="words")
    if not counts or (not settings.ranges and _holds_names(by_name, counts)):
        return by_name
    if not settings.ranges:
        numbers = find_numbers(counts)
        numbered = _find_numbers_in_labels(labels)
        if numbers and numbers <= set(numbered):
            return LabelMapping(
                labels=by_name.labels, kind="numbers", values={f"{number:g}": numbered[number] for number in numbered}
            )
        _check_unambiguous(numbers, labels, column)
        settings = dataclasses.replace(settings, stars=_choose_star_ranges(labels, counts, column))
    return reconcile(infer_mapping(values, column, settings), labels)


def _holds_names(mapping: LabelMapping, counts: Mapping[str, int]) -> bool:
    """True if the values are labels of `mapping`. Other values may stand among them, but few numbers.

    Numbers in more rows would be a second way to write the same labels.
    """
    others = [value for value in counts if mapping.find_label(value) is None]
    numbers = sum(counts[value] for value in others if parse_number(value) is not None)
    return len(others) < len(counts) and numbers < MAX_NUMBER_SHARE * sum(counts.values())


def _choose_star_ranges(labels: Sequence[str], counts: Mapping[str, int], column: str) -> str | None:
    """The star ranges for a model with these labels; None if the values are not stars, or the labels are others."""
    if detect_label_kind(counts, column) != "stars":
        return None
    words = {normalize_word(label) for label in labels}
    ranges = next((known for names, known in STAR_RANGES.items() if set(names) == words), {})
    return next((ranges[top] for top in sorted(ranges) if max(find_frequent_numbers(counts)) <= top), None)


def _find_numbers_in_labels(labels: Sequence[str]) -> dict[float, str]:
    """The label of each number if each label holds a different one, such as `1 star`, `2 stars`; else nothing."""
    found = [re.findall(r"\d+", label) for label in labels]
    numbers = {float(one[0]): label for one, label in zip(found, labels, strict=True) if len(one) == 1}
    return numbers if len(numbers) == len(labels) else {}


def _check_unambiguous(numbers: set[float], labels: Sequence[str], column: str) -> None:
    """Refuse numbers that occur on several scales if neither the model nor the column's name shows which it is."""
    is_ambiguous = numbers == {2} or (len(labels) > 2 and numbers and numbers <= {1, 2})
    if is_ambiguous and not is_star_column(column):
        raise InputError(
            f"column {column!r} holds {listed(f'{one:g}' for one in sorted(numbers))} and no other number, which does "
            f"not show what they mean. Give their meaning with {word_setting(number_labels(labels))}, for example."
        )


def _has_same_coding(trained: LabelMapping, counts: Mapping[str, int], column: str, same_column: bool) -> bool:
    """True if the table writes its labels as the training data did, with numbers on the same scale."""
    kind = detect_label_kind(counts, column)
    if kind in {"words", "booleans"}:
        return kind == trained.kind and _holds_names(trained, counts)
    numbers = find_frequent_numbers(counts)
    if trained.kind == "numbers":
        return {f"{number:g}" for number in numbers} <= set(trained.values)
    if trained.kind != "stars":
        return False
    top, highest = max(span.high for span in trained.stars), max(numbers)
    if kind == "numbers" and find_scale(numbers) and not (same_column and min(numbers) >= 1):
        return False
    # A table that ends exactly at the top of another known scale is on that one: 1-5 for a model of 1-10.
    return math.isinf(top) or (highest <= top and (highest == top or highest not in DEFAULT_STAR_RANGES))
