"""How another table's labels are read for a model: by its names, its own coding, or what they suggest."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from sentiment_batch.errors import InputError, listed
from sentiment_batch.labels.inference import (
    DEFAULT_STAR_RANGES,
    STAR_RANGES,
    count_values,
    detect_label_kind,
    find_frequent_numbers,
    find_numbers,
    find_scale,
    infer_mapping,
    is_star_column,
)
from sentiment_batch.labels.mapping import LabelMapping, format_coding, normalize_word, parse_number, reconcile

MAX_NUMBER_SHARE = 0.1
"""The share of a column's rows that may hold a number where the others hold words."""


def match_mapping(
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
    counts = count_values(values)
    if trained is not None and stars is None and counts and _same_coding(trained, counts, column, same_column):
        return trained
    by_name = LabelMapping(labels=tuple(labels), kind="words")
    if not counts or (stars is None and _by_name(by_name, counts)):
        return by_name
    if stars is None:
        numbers = find_numbers(counts)
        of_label = _numbers_in(labels)
        if numbers and numbers <= set(of_label):
            return LabelMapping(labels=by_name.labels, kind="numbers", values={f"{n:g}": of_label[n] for n in of_label})
        _check_telling(numbers, labels, column)
        stars = _stars_of(labels, counts, column)
    return reconcile(infer_mapping(values, column, stars), labels)


def _by_name(mapping: LabelMapping, counts: Mapping[str, int]) -> bool:
    """Whether the labels are those of `mapping`: others may stand among them, but few numbers, which say the same."""
    others = [value for value in counts if mapping.label_of(value) is None]
    numbers = sum(counts[value] for value in others if parse_number(value) is not None)
    return len(others) < len(counts) and numbers < MAX_NUMBER_SHARE * sum(counts.values())


def _stars_of(labels: Sequence[str], counts: Mapping[str, int], column: str) -> str | None:
    """What stars mean for a model that knows more than good and bad; None where they are none, or it does not."""
    if detect_label_kind(counts, column) != "stars":
        return None
    words = {normalize_word(label) for label in labels}
    meanings = next((known for names, known in STAR_RANGES.items() if set(names) == words), {})
    return next((meanings[top] for top in sorted(meanings) if max(find_frequent_numbers(counts)) <= top), None)


def _numbers_in(labels: Sequence[str]) -> dict[float, str]:
    """The label of each number, where each label has one of its own in it: `1 star`, `2 stars`; else none."""
    found = [re.findall(r"\d+", label) for label in labels]
    numbers = {float(one[0]): label for one, label in zip(found, labels, strict=True) if len(one) == 1}
    return numbers if len(numbers) == len(labels) else {}


def _check_telling(numbers: set[float], labels: Sequence[str], column: str) -> None:
    """Refuse numbers that are on several scales, when neither the model nor the column's name says on which."""
    several = numbers == {2} or (len(labels) > 2 and numbers and numbers <= {1, 2})
    if several and not is_star_column(column):
        raise InputError(
            f"column {column!r} holds {listed(f'{one:g}' for one in sorted(numbers))} and no other number, which does "
            f"not tell what they mean. Say it with --stars, such as --stars {format_coding(labels)}."
        )


def _same_coding(trained: LabelMapping, counts: Mapping[str, int], column: str, same_column: bool) -> bool:
    """Whether a file writes its labels as the training data did; of numbers, whether they are on the same scale."""
    kind = detect_label_kind(counts, column)
    if kind in {"words", "booleans"}:
        return kind == trained.kind and _by_name(trained, counts)
    numbers = find_frequent_numbers(counts)
    if trained.kind == "numbers":
        return {f"{number:g}" for number in numbers} <= set(trained.values)
    if trained.kind != "stars":
        return False
    top, highest = max(span.high for span in trained.stars), max(numbers)
    if kind == "numbers" and find_scale(numbers) and not (same_column and min(numbers) >= 1):
        return False
    # A file that goes exactly up to another known scale's top is on that one: 1-5 for a model of 1-10.
    return math.isinf(top) or (highest <= top and (highest == top or highest not in DEFAULT_STAR_RANGES))
