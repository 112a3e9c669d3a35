"""How a label column's values (words, 0/1, booleans, stars) become class numbers and names; knows no tables or files.

Every value is first written in one canonical way (1, 1.0, "1" and " 1 " are all `1`), so that a CSV and a Parquet file
of the same labels give the same mapping. `label_inference` finds the mapping that a column suggests.
"""

from __future__ import annotations

import collections
import itertools
import math
import re
import shlex
import string
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sentiment_batch.display import visible
from sentiment_batch.errors import InputError, UsageError, listed

LabelKind = Literal["words", "numbers", "booleans", "stars"]
MISSING = -1
UNKNOWN = -2
"""Class numbers of rows without a label, and with one that the mapping does not know."""

MAX_NAMED_VALUES = 20
MAX_NAMED_LENGTH = 24
"""Unknown labels that are named, and the characters of each, at most."""

ALIASES = {"neg": "negative", "neu": "neutral", "pos": "positive"}
_UNSEEN = string.whitespace + "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""What stands around a label unseen: blanks, zero-width ones, marks of direction and of byte order."""
MISSING_WORDS = {"nan", "null", "none", "<na>", "na", "n/a"}
"""How tools write that there is no label, in lower case."""


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
    kind: LabelKind
    values: Mapping[str, str] = field(default_factory=dict)
    """From a canonical value to its label; empty for stars."""
    stars: tuple[StarRange, ...] = ()

    def label_of(self, value: str) -> str | None:
        """The label of one canonical value, None where it is unknown."""
        if value in self.values:
            return self.values[value]
        number = parse_number(value)
        if self.stars and number is not None:
            return next((span.label for span in self.stars if span.low <= number <= span.high), None)
        for same in (str, to_canonical, normalize_word):  # two labels may differ in no more than their case
            written = same(value)
            found = next((label for label in self.labels if written is not None and same(label) == written), None)
            if found is not None:
                return found
        return None

    def encode(self, values: Iterable[object]) -> Encoded:
        """Class numbers of `values` (n,), with the unknown ones counted by name."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        own = {label.casefold(): label for label in self.labels if to_canonical(label) is None}  # such as a class `none`
        missing: collections.Counter[str] = collections.Counter()
        known: dict[str, int] = {}
        unknown: collections.Counter[str] = collections.Counter()
        codes: list[int] = []
        for value in values:
            text = to_canonical(value)
            if text is None and own and isinstance(value, str):
                text = own.get(value.strip().casefold())
            if text is None:
                codes.append(MISSING)
                if isinstance(value, str) and (word := value.strip()):
                    missing[word] += 1
                continue
            if text not in known:
                label = self.label_of(text)
                known[text] = UNKNOWN if label is None else numbers[label]
            if known[text] == UNKNOWN:
                unknown[text] += 1
            codes.append(known[text])
        named = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
        return Encoded(codes=np.array(codes, dtype=np.int64), unknown=dict(named), missing=dict(missing.most_common()))

    def __str__(self) -> str:
        if self.stars:
            return "stars " + ", ".join(str(span) for span in self.stars)
        if all(normalize_word(value) == normalize_word(label) for value, label in self.values.items()):
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
    missing: dict[str, int] = field(default_factory=dict)
    """How often each word came that says that there is no label, such as `none`."""

    @property
    def num_missing(self) -> int:
        """Rows without a label."""
        return int((self.codes == MISSING).sum())

    @property
    def num_unknown(self) -> int:
        """Rows with a label that the mapping does not know."""
        return sum(self.unknown.values())

    @property
    def named_unknown(self) -> dict[str, int]:
        """Some of `unknown`, to be kept and shown; a long one may be a text of the user's, which is not to be."""
        short = [(value, rows) for value, rows in self.unknown.items() if len(value) <= MAX_NAMED_LENGTH]
        return dict(short[:MAX_NAMED_VALUES])

    @property
    def named_missing(self) -> dict[str, int]:
        """Some of `missing`, to be kept and shown."""
        return dict(list(self.missing.items())[:MAX_NAMED_VALUES])


def to_canonical(value: object) -> str | None:
    """One way to write a label: trimmed, numbers without needless zeros, booleans in lower case; None if missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = " ".join(unicodedata.normalize("NFC", str(value)).strip(_UNSEEN).split())
    if not text or text.casefold() in MISSING_WORDS:
        return None
    number = parse_number(text)
    if number is not None and abs(number) < 2**53:
        return str(int(number) if number.is_integer() else number)
    return text.lower() if text.casefold() in {"true", "false"} else text


def normalize_word(text: str) -> str:
    """What two spellings of one label word share: case, `_` and `-` do not count, `pos` is `positive`."""
    word = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()
    return ALIASES.get(word, word)


def reconcile(mapping: LabelMapping, labels: Sequence[str]) -> LabelMapping:
    """`mapping` onto the classes of a model, by the words' meaning: `pos` finds `POSITIVE`.

    Raises:
        InputError: a label has no counterpart among the model's.
    """
    names = {normalize_word(label): label for label in labels}
    lost = [label for label in mapping.labels if normalize_word(label) not in names]
    if lost:
        cure = "Name another label column with --label-column, or write the model's labels."
        if mapping.kind in {"numbers", "stars"}:
            cure = (
                "Name another label column with --label-column, write the model's labels, or say what numbers mean "
                f"with --stars, such as --stars {format_coding(labels)}."
            )
        raise InputError(f"the labels {listed(lost)} are none of the model's, which are {listed(labels)}. {cure}")
    return LabelMapping(
        labels=tuple(labels),
        kind=mapping.kind,
        values={value: names[normalize_word(label)] for value, label in mapping.values.items()},
        stars=tuple(
            StarRange(label=names[normalize_word(span.label)], low=span.low, high=span.high) for span in mapping.stars
        ),
    )


def format_coding(labels: Sequence[str]) -> str:
    """How `--stars` would be given for labels that are numbered from 0, as a shell takes it."""
    return shlex.quote(visible(",".join(f"{label}={number}" for number, label in enumerate(labels))))


def parse_stars(text: str) -> tuple[StarRange, ...]:
    """Star ranges from `2,4` (at most 2 negative, at least 4 positive) or `negative=1-2,neutral=3,positive=4-5`.

    Raises:
        UsageError: it is neither.
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [parse_number(part) for part in parts]
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
    found = re.fullmatch(r"([^=]+)=\s*(-?[\d.]+)(?:\s*-\s*(-?[\d.]+))?", part)
    if not found:
        return None
    low, high = parse_number(found[2]), parse_number(found[3] or found[2])
    if low is None or high is None or high < low:
        return None
    return StarRange(label=found[1].strip(), low=low, high=high)


def parse_number(text: str) -> float | None:
    """The finite number that `text` is, also with a decimal comma or a true minus sign; None where it is none."""
    text = text.replace("\u2212", "-")
    text = text.replace(",", ".") if re.fullmatch(r"[+-]?\d+,\d", text) else text
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
