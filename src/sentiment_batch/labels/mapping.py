"""Maps the values of a label column (words, integers, booleans or stars) to class numbers and names."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sentiment_batch.errors import InputError, listed
from sentiment_batch.labels.stars import StarRange, format_setting, number_labels
from sentiment_batch.labels.values import THOUSANDS, normalize_word, parse_number, rescale_rating, to_canonical
from sentiment_batch.labels.words import find_side

LabelKind = Literal["words", "numbers", "booleans", "stars"]
"""How the labels of a column are written."""
MISSING_CLASS = -1
"""Class number of rows without a label."""
UNKNOWN_CLASS = -2
"""Class number of rows whose label is not in the mapping."""
MAX_NAMED_VALUES = 20
"""Largest number of unknown labels that are shown."""
MAX_NAMED_LENGTH = 24
"""Unknown labels with more characters are not shown, because they may be texts of the user's customers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelMapping:
    """From the written label to the class. It is stored with the model, and used for every file it is measured on."""

    labels: tuple[str, ...]
    """The class names in the order of the class numbers."""
    kind: LabelKind
    """How the labels are written."""
    values: Mapping[str, str] = field(default_factory=dict)
    """From a canonical value to its label; empty for stars."""
    stars: tuple[StarRange, ...] = ()
    """The ranges of stars; empty for the other kinds."""
    no_answer: tuple[str, ...] = ()
    """The values, as `normalize_word` gives them, that the user called no answer."""
    assumed: bool = False
    """True if only a usual order shows what the numbers mean, such as 0/1/2 from negative to positive."""

    @property
    def meanings(self) -> dict[str, str]:
        """The label of each value or range of numbers, such as `{"1-2": "negative"}`, for people."""
        return {span.words: span.label for span in self.stars} if self.stars else dict(self.values)

    def find_label(self, value: str) -> str | None:
        """The label of one canonical value, or None if it is unknown."""
        if value in self.values:
            return self.values[value]
        # A number: stars have ranges. A rating such as 8/10 is brought to the scale of the ranges first.
        top = max((span.high for span in self.stars), default=0)
        number = self._read_comma(value) if THOUSANDS.fullmatch(value) else None
        if number is None:
            number = parse_number(rescale_rating(value, None if math.isinf(top) else top))
        if self.stars and number is not None:
            return next((span.label for span in self.stars if span.low <= number <= span.high), None)
        # A word: as it is written, then in looser forms. Exact first, because labels may differ only in case.
        names = dict(self.values) | {label: label for label in self.labels}
        for normalize in (str, to_canonical, normalize_word):
            written = normalize(value)
            for name, label in names.items():
                if written is not None and normalize(name) == written:
                    return label
        return None

    def _read_comma(self, value: str) -> float | None:
        """A number such as `4,333`. On a scale below 1,000 its comma is a decimal one, else it divides thousands."""
        ends = [abs(end) for span in self.stars for end in (span.low, span.high) if not math.isinf(end)]
        return parse_number(value.replace(",", "." if max(ends, default=0) < 1_000 else ""))

    def encode(self, values: Iterable[object]) -> EncodedLabels:
        """The class numbers of `values` (n,), and the counts of the values that have none."""
        numbers: dict[str | None, int] = {label: number for number, label in enumerate(self.labels)}
        # Labels that look like missing ones, such as `none`
        known = {normalize_word(name) for name in (*self.labels, *self.values) if to_canonical(name) is None}
        missing: collections.Counter[str] = collections.Counter()
        # Bring each value into its canonical form, and count the words that mean that there is no label
        texts: list[str | None] = []
        for value in values:
            text = to_canonical(value, known)
            if text is not None and self.no_answer and normalize_word(text) in self.no_answer:
                missing[text] += 1
                text = None
            elif text is None and isinstance(value, str) and value.strip():
                missing[value.strip()] += 1
            texts.append(text)
        # Look up each different value once, because a table has millions of rows and few values
        counts = collections.Counter(text for text in texts if text is not None)
        codes: dict[str | None, int] = {text: numbers.get(self.find_label(text), UNKNOWN_CLASS) for text in counts}
        unknown = [(text, count) for text, count in counts.items() if codes[text] == UNKNOWN_CLASS]
        return EncodedLabels(
            codes=np.array([codes.get(text, MISSING_CLASS) for text in texts], dtype=np.int64),
            unknown=dict(sorted(unknown, key=lambda item: (-item[1], item[0]))),
            missing=dict(missing.most_common()),
        )

    def __str__(self) -> str:
        if self.stars:
            return "stars " + ", ".join(str(span) for span in self.stars)
        if all(normalize_word(value) == normalize_word(label) for value, label in self.values.items()):
            return ", ".join(self.labels)
        return ", ".join(f"{value} -> {label}" for value, label in self.values.items())

    def to_json(self) -> dict[str, Any]:
        """Plain values for sentiment_batch.json. Infinite ends of star ranges are null."""
        spans = [{"label": span.label, "low": _to_json(span.low), "high": _to_json(span.high)} for span in self.stars]
        # Written only if they say something. Version 0.2.0 and earlier did not know them.
        further = {"no_answer": list(self.no_answer), "assumed": self.assumed}
        stored = {"labels": list(self.labels), "kind": self.kind, "values": dict(self.values), "stars": spans}
        return stored | {name: value for name, value in further.items() if value}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> LabelMapping:
        """The mapping that `to_json` wrote."""
        spans = tuple(
            StarRange(
                label=span["label"],
                low=-math.inf if span["low"] is None else span["low"],
                high=math.inf if span["high"] is None else span["high"],
            )
            for span in stored["stars"]
        )
        return cls(
            labels=tuple(stored["labels"]),
            kind=stored["kind"],
            values=dict(stored["values"]),
            stars=spans,
            no_answer=tuple(stored.get("no_answer", ())),
            assumed=stored.get("assumed", False),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedLabels:
    """The class numbers of some rows."""

    codes: npt.NDArray[np.int64]
    """(n,) the class number of each row, `MISSING_CLASS` or `UNKNOWN_CLASS`."""
    unknown: dict[str, int]
    """The number of rows of each unknown value, the most frequent first."""
    missing: dict[str, int] = field(default_factory=dict)
    """The number of rows of each word that means that there is no label, such as `none`."""

    @property
    def num_missing(self) -> int:
        """The number of rows without a label."""
        return int((self.codes == MISSING_CLASS).sum())

    @property
    def num_unknown(self) -> int:
        """The number of rows whose label is not in the mapping."""
        return sum(self.unknown.values())

    @property
    def named_unknown(self) -> dict[str, int]:
        """The entries of `unknown` that may be stored and shown."""
        return list_named_unknown(self.unknown)

    @property
    def named_missing(self) -> dict[str, int]:
        """The entries of `missing` that may be stored and shown."""
        return dict(list(self.missing.items())[:MAX_NAMED_VALUES])


def list_named_unknown(unknown: Mapping[str, int]) -> dict[str, int]:
    """The unknown labels that may be stored and shown, with their numbers of rows, the most frequent first."""
    short = [(value, rows) for value, rows in unknown.items() if len(value) <= MAX_NAMED_LENGTH]
    return dict(sorted(short, key=lambda item: (-item[1], item[0]))[:MAX_NAMED_VALUES])


def reconcile(mapping: LabelMapping, labels: Sequence[str]) -> LabelMapping:
    """`mapping` with the class names and numbers of a model, matched by meaning: `pos` becomes `POSITIVE`.

    A neutral label that the model lacks is left out if others have a counterpart, so its rows have no class.

    Raises:
        InputError: another label has no counterpart in the model.
    """
    names = {normalize_word(label): label for label in labels}
    lost = [label for label in mapping.labels if normalize_word(label) not in names]
    # A neutral label may be missing, because many models know none. Any other one means that the tables do not fit.
    if lost and (len(lost) == len(mapping.labels) or {*map(find_side, lost)} != {"neutral"}):
        cure = f"Name another label column with `label_column`, or give their meaning with {suggest_map(lost, labels)}."
        if mapping.kind in {"numbers", "stars"}:
            cure = (
                "Name another label column with `label_column`, write the model's labels, or give the meaning of "
                f"the numbers with `stars`, such as {format_setting(_number_by_meaning(mapping, labels))}."
            )
        raise InputError(f"the labels {listed(lost)} are none of the model's, which are {listed(labels)}. {cure}")
    known = {label: names[word] for label in mapping.labels if (word := normalize_word(label)) in names}
    return replace(
        mapping,
        labels=tuple(labels),
        values={value: known[label] for value, label in mapping.values.items() if label in known},
        stars=tuple(replace(span, label=known[span.label]) for span in mapping.stars if span.label in known),
    )


def _number_by_meaning(mapping: LabelMapping, labels: Sequence[str]) -> str:
    """A suggestion for `stars`: each of `labels` has the numbers that mean the same, or a number of its own."""
    sides = {find_side(label): number for number, label in mapping.meanings.items()}
    numbers = [sides[side] for label in labels if (side := find_side(label)) in sides]
    return number_labels(labels, [*mapping.meanings] if len({*numbers}) < len(labels) else numbers)


def suggest_map(words: Sequence[str], labels: Sequence[str]) -> str:
    """The setting `labels_map`, with its value if all `words` mean one of the `labels` in another language."""
    sides = {find_side(label): label for label in reversed(labels)}
    known = [f"{word}={sides[side]}" for word in words if (side := find_side(word)) in sides]
    return format_setting(",".join(known), "labels_map") if len(known) == len(words) else "`labels_map`"


def suggest_middle(mapping: LabelMapping, unknown: Iterable[str]) -> str | None:
    """A value of `stars` that makes a class of the unknown numbers between two ranges; None if there are none.

    Args:
        mapping: the labels of a column.
        unknown: the values that it gives no class, such as 3 beside 1-2 and 4-5.
    """
    if len(mapping.stars) != 2 or any(math.isinf(one.low) or math.isinf(one.high) for one in mapping.stars):
        return None
    below, above = mapping.stars
    numbers = (parse_number(rescale_rating(to_canonical(value) or "", above.high)) for value in unknown)
    middle = [number for number in numbers if number is not None and below.high < number < above.low]
    if not middle:
        return None
    neutral = StarRange(label="neutral", low=min(middle), high=max(middle))
    return ",".join(f"{one.label}={one.words}" for one in (below, neutral, above))


def _to_json(value: float) -> float | None:
    """A number as JSON can hold it, which has no infinity."""
    return None if math.isinf(value) else value
