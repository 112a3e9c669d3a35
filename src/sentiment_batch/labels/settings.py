"""What a user says about the values of a label column: scales, other words, and values that are no answer."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sentiment_batch.errors import UsageError, listed
from sentiment_batch.labels.stars import StarRange, parse_stars
from sentiment_batch.labels.values import MINUS_SIGNS, normalize_word, to_canonical


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSettings:
    """What a user says about the values of a label column. Nothing is said by default."""

    stars: str | None = None
    """The meaning of numbers, see `parse_stars`."""
    labels_map: Mapping[str, str] = field(default_factory=dict)
    """From a value, as `normalize_word` gives it, to its label."""
    no_answer: tuple[str, ...] = ()
    """The values, as `normalize_word` gives them, of rows without a label, such as 9 or 99."""

    @classmethod
    def parse(cls, *, stars: object = None, labels_map: object = None, no_answer: object = None) -> LabelSettings:
        """The settings of a user.

        Args:
            stars: cut points such as `2,4`, or ranges such as `negative=1-2,neutral=3,positive=4-5`.
            labels_map: a mapping from value to label, or a text such as `negativ=negative,positiv=positive`.
            no_answer: values, or a text such as `9,99`.

        Raises:
            UsageError: one of them cannot be read.
        """
        if stars is not None and not isinstance(stars, str):
            raise UsageError(f"`stars` is {stars!r}; it must be text, such as '2,4'.")
        if stars is not None:
            parse_stars(stars)  # raises an error for a text that cannot be read
        settings = cls(stars=stars, labels_map=_parse_map(labels_map), no_answer=_parse_values(no_answer))
        if stars is not None and settings.labels_map:
            raise UsageError("`stars` and `labels_map` exclude each other. Name all values in one of them.")
        return settings

    @property
    def ranges(self) -> tuple[StarRange, ...]:
        """The ranges of `stars`; empty if it is None."""
        return () if self.stars is None else parse_stars(self.stars)

    @property
    def names_meaning(self) -> bool:
        """True if the user said what some values mean."""
        return self.stars is not None or bool(self.labels_map)

    def count(self, values: Iterable[object]) -> collections.Counter[str]:
        """The number of rows of each canonical value. Rows without a label do not count."""
        return self.count_signs(values)[0]

    def count_signs(self, values: Iterable[object]) -> tuple[collections.Counter[str], collections.Counter[str]]:
        """The counts of `count`, and the number of rows of each minus sign that counts as no label.

        A minus sign is a label if the user named it in `labels_map`.
        """
        counts = collections.Counter(to_canonical(value, MINUS_SIGNS | self.labels_map.keys()) for value in values)
        labels: collections.Counter[str] = collections.Counter()
        signs: collections.Counter[str] = collections.Counter()
        for text, count in counts.items():
            if text and (word := normalize_word(text)) not in self.no_answer:
                is_sign = word in MINUS_SIGNS and word not in self.labels_map
                (signs if is_sign else labels)[text] += count
        return labels, signs

    def describe_unused(self, values: Iterable[object]) -> list[str]:
        """A sentence about values of `no_answer` that no label has, if there are any: they may be misspelt."""
        if not self.no_answer:
            return []
        found = {normalize_word(to_canonical(value, self.labels_map) or str(value)) for value in values}
        unused = [value for value in self.no_answer if value not in found]
        return [f"`no_answer` names {listed(unused)}, but no label is {listed(unused)}"] if unused else []


NO_LABEL_SETTINGS = LabelSettings()
"""The settings of a user who says nothing about the labels."""


def _parse_map(given: object) -> dict[str, str]:
    """From each value, as `normalize_word` gives it, to its label; empty if nothing is given.

    Raises:
        UsageError: it cannot be read, or names a value twice.
    """
    pairs: list[tuple[object, object]] = []
    if isinstance(given, Mapping):
        pairs = list(given.items())
    elif isinstance(given, str):
        # At the last `=`, because a value may be `=`, and a label is a word
        parts = [part.rpartition("=") for part in given.split(",")]
        pairs = [(value, label) for value, _, label in parts]
    elif given is not None:
        pairs = [("", "")]  # which is refused below, as every other value that cannot be read
    found = {
        normalize_word(to_canonical(value) or str(value)): "" if label is None else str(label).strip()
        for value, label in pairs
    }
    if not all(found) or not all(found.values()) or (pairs and len(found) < len(pairs)):
        raise UsageError(
            f"`labels_map` is {given!r}, which cannot be read. Give each value once with its label, such as "
            "negativ=negative,positiv=positive."
        )
    return found


def _parse_values(given: object) -> tuple[str, ...]:
    """The different values, as `normalize_word` gives them; empty if nothing is given.

    Raises:
        UsageError: one of them is empty.
    """
    if given is None:
        return ()
    values: Iterable[object] = [given]
    if isinstance(given, str):
        values = given.split(",")
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        values = given
    found = [normalize_word(to_canonical(value) or str(value)) for value in values]
    if not all(found):
        raise UsageError(f"`no_answer` is {given!r}, which cannot be read. Give values, such as 9,99.")
    return tuple(dict.fromkeys(found))
