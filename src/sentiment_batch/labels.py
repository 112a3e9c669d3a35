"""Maps what a label column holds (words, 0/1, booleans, stars) to class numbers and names; knows no tables or files.

Every value is first written in one canonical way (1, 1.0, "1" and " 1 " are all `1`), so that a CSV and a Parquet file
of the same labels give the same mapping.
"""

from __future__ import annotations

import collections
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sentiment_batch.errors import InputError, UsageError, listed

Kind = Literal["words", "numbers", "booleans", "stars"]
MISSING = -1
UNKNOWN = -2
"""Class numbers of rows without a label, and with one that the mapping does not know."""

ALIASES = {"neg": "negative", "neu": "neutral", "pos": "positive"}
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
MISSING_WORDS = {"nan", "null", "none", "<na>", "na", "n/a"}
"""How tools write that there is no label, in lower case."""
RARE = 0.01
"""A number that fewer rows than this share hold does not decide which scale a column is on; it is then unknown."""
MOST_CLASSES = 100
LEAST_ROWS = 2
"""A word must label at least so many rows to be a class: one for training, one for validation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StarRange:
    """The stars from `low` to `high`, both included, mean `label`."""

    label: str
    low: float
    high: float

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"up to {self.high:g} -> {self.label}"
        if math.isinf(self.high):
            return f"{self.low:g} and more -> {self.label}"
        return f"{self.low:g}{'' if self.low == self.high else f'-{self.high:g}'} -> {self.label}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelMapping:
    """From the written label to the class: stored with the model, and the same for every file it is measured on."""

    labels: tuple[str, ...]
    """Class names in the order of the class numbers."""
    kind: Kind
    values: Mapping[str, str] = field(default_factory=dict)
    """From a canonical value to its label; empty for stars."""
    stars: tuple[StarRange, ...] = ()

    def label_of(self, value: str) -> str | None:
        """The label of one canonical value, None where it is unknown."""
        if value in self.values:
            return self.values[value]
        number = _number(value)
        if self.stars and number is not None:
            return next((span.label for span in self.stars if span.low <= number <= span.high), None)
        by_word = {word_of(label): label for label in self.labels}
        return by_word.get(word_of(value))

    def encode(self, values: Iterable[object]) -> Encoded:
        """Class numbers of `values` (n,), with the unknown ones counted by name."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        known: dict[str, int] = {}
        unknown: collections.Counter[str] = collections.Counter()
        codes: list[int] = []
        for value in values:
            text = canonical(value)
            if text is None:
                codes.append(MISSING)
                continue
            if text not in known:
                label = self.label_of(text)
                known[text] = UNKNOWN if label is None else numbers[label]
            if known[text] == UNKNOWN:
                unknown[text] += 1
            codes.append(known[text])
        named = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
        return Encoded(codes=np.array(codes, dtype=np.int64), unknown=dict(named))

    def __str__(self) -> str:
        if self.stars:
            return "stars " + ", ".join(str(span) for span in self.stars)
        if all(word_of(value) == word_of(label) for value, label in self.values.items()):
            return ", ".join(self.labels)
        return ", ".join(f"{value} -> {label}" for value, label in self.values.items())

    def to_json(self) -> dict[str, Any]:
        """Plain values for sentiment_batch.json; infinite ends of star ranges are null."""
        spans = [{"label": span.label, "low": _finite(span.low), "high": _finite(span.high)} for span in self.stars]
        return {"labels": list(self.labels), "kind": self.kind, "values": dict(self.values), "stars": spans}

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
        return cls(labels=tuple(stored["labels"]), kind=stored["kind"], values=dict(stored["values"]), stars=spans)


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """Class numbers of some rows."""

    codes: npt.NDArray[np.int64]
    """(n,) the class, `MISSING` or `UNKNOWN`."""
    unknown: dict[str, int]
    """How often each unknown value came, most frequent first."""

    @property
    def num_missing(self) -> int:
        """Rows without a label."""
        return int((self.codes == MISSING).sum())


def canonical(value: object) -> str | None:
    """One way to write a label: trimmed, numbers without needless zeros, booleans in lower case; None if missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = " ".join(str(value).split())
    if not text or text.casefold() in MISSING_WORDS:
        return None
    number = _number(text)
    if number is not None and abs(number) < 2**53:
        return str(int(number) if number.is_integer() else number)
    return text.lower() if text.casefold() in {"true", "false"} else text


def word_of(text: str) -> str:
    """What two spellings of one label word share: case, `_` and `-` do not count, `pos` is `positive`."""
    word = re.sub(r"[\s_-]+", " ", text).strip().casefold()
    return ALIASES.get(word, word)


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
    counts = collections.Counter(text for text in map(canonical, values) if text is not None)
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
    return _codes(numbers) if kind == "numbers" else _default_stars(numbers, column)


def kind_of(counts: Mapping[str, int], column: str) -> Kind:
    """How the canonical values of a label column are written; a few odd values among many do not change it."""
    rows = sum(counts.values())
    numeric = sum(count for value, count in counts.items() if _number(value) is not None)
    if numeric < 0.9 * rows:
        flags = sum(count for value, count in counts.items() if value in {"true", "false"})
        return "booleans" if flags >= 0.9 * rows else "words"
    numbers = _frequent_numbers(counts)
    named = any(name in column.casefold() for name in STAR_COLUMNS)
    if min(numbers) >= 1 and (named or not _scale(numbers)):
        return "stars"
    return "numbers"


def reconcile(mapping: LabelMapping, labels: Sequence[str]) -> LabelMapping:
    """`mapping` onto the classes of a model, by the words' meaning: `pos` finds `POSITIVE`.

    Raises:
        InputError: a label has no counterpart among the model's.
    """
    names = {word_of(label): label for label in labels}
    lost = [label for label in mapping.labels if word_of(label) not in names]
    if lost:
        raise InputError(
            f"the labels {listed(lost)} are none of the model's, which are {listed(labels)}. "
            "Name another label column with --label-column, or map stars with --stars."
        )
    return LabelMapping(
        labels=tuple(labels),
        kind=mapping.kind,
        values={value: names[word_of(label)] for value, label in mapping.values.items()},
        stars=tuple(
            StarRange(label=names[word_of(span.label)], low=span.low, high=span.high) for span in mapping.stars
        ),
    )


def for_file(
    trained: LabelMapping | None, labels: Sequence[str], values: Sequence[object], column: str, stars: str | None = None
) -> LabelMapping:
    """The mapping for another labelled file: the model's own where the file writes labels the same way, else inferred.

    Raises:
        InputError: the file's labels have no counterpart among the model's.
    """
    counts = collections.Counter(text for text in map(canonical, values) if text is not None)
    if trained is not None and stars is None and counts and _same_coding(trained, counts, column):
        return trained
    by_name = LabelMapping(labels=tuple(labels), kind="words")
    if not counts or (stars is None and any(by_name.label_of(value) is not None for value in counts)):
        return by_name
    return reconcile(infer(values, column, stars), labels)


def _same_coding(trained: LabelMapping, counts: Mapping[str, int], column: str) -> bool:
    """Whether a file writes its labels as the training data did; of numbers, whether they are on the same scale."""
    kind = kind_of(counts, column)
    if kind in {"words", "booleans"}:
        return kind == trained.kind and any(trained.label_of(value) is not None for value in counts)
    numbers = _frequent_numbers(counts)
    if trained.kind == "numbers":
        return {f"{number:g}" for number in numbers} <= set(trained.values)
    if trained.kind != "stars" or (kind == "numbers" and _scale(numbers)):
        return False
    top, highest = max(span.high for span in trained.stars), max(numbers)
    # A file that goes exactly up to another known scale's top is on that one: 1-5 for a model of 1-10.
    return math.isinf(top) or (highest <= top and (highest == top or highest not in DEFAULT_STARS))


def parse_stars(text: str) -> tuple[StarRange, ...]:
    """Star ranges from `2,4` (at most 2 negative, at least 4 positive) or `negative=1-2,neutral=3,positive=4-5`.

    Raises:
        UsageError: it is neither.
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [_number(part) for part in parts]
    if len(parts) == 2 and numbers[0] is not None and numbers[1] is not None and numbers[0] < numbers[1]:
        return (
            StarRange(label="negative", low=-math.inf, high=numbers[0]),
            StarRange(label="positive", low=numbers[1], high=math.inf),
        )
    spans = [_span(part) for part in parts]
    ordered = sorted((span for span in spans if span), key=lambda span: span.low)
    overlap = any(left.high >= right.low for left, right in itertools.pairwise(ordered))
    if None in spans or overlap or len({span.label for span in ordered}) < 2:
        raise UsageError(
            f"--stars {text!r} cannot be read. Give two cut points such as 2,4 (at most 2 is negative, at least 4 "
            "positive), or ranges that do not overlap such as negative=1-2,neutral=3,positive=4-5."
        )
    return tuple(ordered)


def _span(part: str) -> StarRange | None:
    found = re.fullmatch(r"([^=]+)=\s*([\d.]+)(?:\s*-\s*([\d.]+))?", part)
    if not found:
        return None
    low, high = _number(found[2]), _number(found[3] or found[2])
    if low is None or high is None or high < low:
        return None
    return StarRange(label=found[1].strip(), low=low, high=high)


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
    if len(classes) > MOST_CLASSES or 2 * labelled < sum(counts.values()) or not classes:
        raise InputError(
            f"column {column!r} holds {len(spellings):,} different values, which are hardly labels. "
            "Name the label column with --label-column."
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
    numbers = {number: count for value, count in counts.items() if (number := _number(value)) is not None}
    frequent = {number for number, count in numbers.items() if count >= RARE * sum(counts.values())}
    covered = sum(numbers[number] for number in frequent)
    return frequent if 2 * covered >= sum(numbers.values()) else set(numbers)


def _number(text: str) -> float | None:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
