"""Chooses the label column among several that fit: they must agree, or the run stops with a question."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.labels.inference import detect_label_kind, infer_mapping
from sentiment_batch.labels.settings import NO_LABEL_SETTINGS, LabelSettings
from sentiment_batch.labels.stars import format_setting
from sentiment_batch.labels.values import to_canonical
from sentiment_batch.labels.words import find_meaning, find_side, order_words

if TYPE_CHECKING:
    from sentiment_batch.labels.mapping import LabelMapping


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelChoice:
    """The column that holds the labels, and how it stands to others."""

    column: str
    """The name of the column."""
    agreeing: tuple[str, ...] = ()
    """Other columns that could be the label, too, and give no row another class."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A column whose values are labels of two classes or more."""

    column: str
    """The name of the column."""
    values: Sequence[object]
    """(n,) the values, of any type."""
    mapping: LabelMapping
    """The mapping that they suggest."""
    labels: Mapping[str, str]
    """The label of each canonical value that has one."""

    @property
    def holds_known_words(self) -> bool:
        """True if all labels are words of a known meaning."""
        return self.mapping.kind == "words" and all(map(find_meaning, self.mapping.labels))

    @property
    def has_known_labels(self) -> bool:
        """True if the labels have a known meaning: numbers and booleans on a known scale, or known words."""
        return self.mapping.kind != "words" or self.holds_known_words


def choose_label_column(
    columns: Mapping[str, Sequence[object]], settings: LabelSettings, *, usual: int, chosen: bool = False
) -> LabelChoice | None:
    """The column that holds the labels. None if no column has a usual name, and no values are labels.

    Args:
        columns: the values (n,) of the columns that may hold them by name, the most likely first.
        settings: what the user says about the labels.
        usual: the number of columns with a usual name. Only these may hold words of any kind.
        chosen: True if the user named the first column.

    Raises:
        UsageError: two columns fit, and some rows have different classes by them, or no row has labels in both.
    """
    # The columns whose values are labels. Words of any kind are labels in a column with a usual name only.
    found = [_read_candidate(column, values, settings) for column, values in columns.items()]
    fits = [one for place, one in enumerate(found) if one and (place < usual or one.has_known_labels)]
    # If none fits, the likeliest one is returned all the same. Its labels are read later, with an error that says why.
    if not fits or (chosen and found[0] is None):
        column = next(iter(columns)) if usual else _find_sentiments(columns, settings)
        return None if column is None else LabelChoice(column=column)
    # The first one is taken if no other contradicts it. Codes of an assumed order give way to words beside them.
    first, others = fits[0], [one for one in fits[1:] if one.has_known_labels]
    for other in others:
        if first.mapping.assumed and other.holds_known_words and (order := _match_words(first, other)):
            if not chosen:
                return LabelChoice(column=other.column, agreeing=(first.column,))
            _check_order(first, other, order)
        elif not chosen:
            _check_agreement(first, other)
    return LabelChoice(column=first.column, agreeing=() if chosen else tuple(other.column for other in others))


def holds_labels(column: str, values: Sequence[object]) -> bool:
    """True if the values are labels of a known meaning, of two classes or more."""
    found = _read_candidate(column, values, NO_LABEL_SETTINGS)
    return found is not None and found.has_known_labels


def _find_sentiments(columns: Mapping[str, Sequence[object]], settings: LabelSettings) -> str | None:
    """The first column of numbers, booleans or words of sentiment, although it does not fit as it is; None if none."""
    for column, values in columns.items():
        # Labels repeat. A column of texts holds words of sentiment, too, but each text once.
        counts = settings.count(values)
        repeats = 2 * len(counts) <= sum(counts.values())
        known = repeats and any(find_meaning(word) for value in counts for word in (value, *value.split()))
        if counts and (known or detect_label_kind(counts) != "words"):
            return column
    return None


def _read_candidate(column: str, values: Sequence[object], settings: LabelSettings) -> _Candidate | None:
    """A column with its mapping; None if its values are no labels, or all are of one class."""
    try:
        mapping = infer_mapping(values, column, settings, any_order=True)
    except (InputError, UsageError):
        return None
    labels = {value: label for value in settings.count(values) if (label := mapping.find_label(value)) is not None}
    return _Candidate(column, values, mapping, labels) if len(set(labels.values())) > 1 else None


def _count_pairs(first: _Candidate, other: _Candidate) -> collections.Counter[tuple[str, str]]:
    """The number of rows of each pair of values that have labels in both columns."""
    columns = ([to_canonical(value) or "" for value in one.values] for one in (first, other))
    pairs = collections.Counter(zip(*columns, strict=True))
    return collections.Counter(
        {(one, two): count for (one, two), count in pairs.items() if one in first.labels and two in other.labels}
    )


def _check_agreement(first: _Candidate, other: _Candidate) -> None:
    """Refuse two columns by which rows have different classes, or that share no row.

    A neutral class in one column only does not count as a difference.
    """
    # Both columns must give each row a label of the same side: negative, neutral or positive
    pairs = _count_pairs(first, other)
    both = set(map(find_side, first.mapping.labels)).intersection(map(find_side, other.mapping.labels))
    different = {}
    for (one, two), count in pairs.items():
        sides = {find_side(first.labels[one]), find_side(other.labels[two])}
        if len(sides) > 1 and ("neutral" not in sides or "neutral" in both):
            different[one, two] = count
    if pairs and not different:
        return
    why = "no row has a label in both"
    if different:
        one, two = max(different, key=lambda pair: (different[pair], pair))
        share = f"{sum(different.values()):,} of {pairs.total():,} rows"
        why = f"they differ in {share}, such as {one} beside {two}"
    raise UsageError(
        f"{first.column!r} and {other.column!r} could both hold the labels, and {why}. Name the right one: "
        f"{format_setting(first.column, 'label_column')} or {format_setting(other.column, 'label_column')}."
    )


def _match_words(codes: _Candidate, words: _Candidate) -> dict[str, str]:
    """The label beside each code; empty if a code stands beside several words, or a word beside several codes."""
    pairs = {(code, words.labels[word]) for code, word in _count_pairs(codes, words)}
    found = dict(pairs)
    return found if len(pairs) == len(found) == len(set(found.values())) else {}


def _check_order(codes: _Candidate, words: _Candidate, order: Mapping[str, str]) -> None:
    """Refuse codes whose usual order is not that of the words beside them."""
    if all(find_side(label) == find_side(codes.labels[code]) for code, label in order.items()):
        return
    beside = {label: code for code, label in order.items()}
    meaning = ",".join(f"{find_meaning(label)}={beside[label]}" for label in order_words(beside))
    raise UsageError(
        f"the numbers of {codes.column!r} would be read as {codes.mapping}, but {words.column!r} beside it says "
        f"otherwise. Use {format_setting(meaning)}, or {format_setting(words.column, 'label_column')}."
    )
