"""Labelled rows that say little, and unlabelled texts that tell the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tests.conftest import BAD, GOOD, WORDS

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import LabelledRows

KNOWN, NEW = range(3), range(3, 8)
"""The places of the telling words of labelled rows, and of those that only unlabelled texts and new rows have."""
LEARNS = {"learning_rate": 0.01, "batch_size": 8, "epochs": 6, "report": False, "baseline": False}
"""Settings with which the tiny model learns in a second or two."""


def write_reviews(count: int, first: range, second: range, seed: int) -> tuple[list[str], list[str]]:
    """Texts with two telling words of their class, taken from these places of its words; and their labels."""
    draw, texts, labels = np.random.default_rng(seed), [], []
    for number in range(count):
        words = (BAD, GOOD)[number % 2]
        telling = f"{words[draw.choice(first)]} and {words[draw.choice(second)]}"
        texts.append(f"the {WORDS[draw.integers(40)]} film {1000 * seed + number} was {telling}")
        labels.append(("negative", "positive")[number % 2])
    return texts, labels


@dataclasses.dataclass(frozen=True)
class Planted:
    """A training whose labelled rows have a few telling words, while the rows that validate have all of them."""

    rows: LabelledRows
    val: LabelledRows
    linked: pa.Table
    """Unlabelled texts with a telling word that the labelled rows know and one that they do not."""
    misleading: pa.Table
    """Unlabelled texts with a good and a bad word each, which no label fits."""


@pytest.fixture
def planted(reviews) -> Planted:
    def label(texts: list[str], labels: list[str], name: str) -> LabelledRows:
        return dataclasses.replace(reviews(2, name=name), texts=texts, labels=labels)

    known, new = write_reviews(40, KNOWN, KNOWN, 2), write_reviews(40, NEW, NEW, 3)
    draw = np.random.default_rng(5)
    mixed = [f"film {n} was {GOOD[draw.integers(8)]} and {BAD[draw.integers(8)]}" for n in range(120)]
    return Planted(
        rows=label(*write_reviews(80, KNOWN, KNOWN, 1), "reviews.csv"),
        val=label(known[0] + new[0], known[1] + new[1], "val.csv"),
        linked=pa.table({"text": write_reviews(400, KNOWN, NEW, 4)[0]}),
        misleading=pa.table({"text": mixed}),
    )


@pytest.fixture
def pool(reviews) -> Callable[[int], pa.Table]:
    """Makes unlabelled texts of the kind of `reviews`."""
    return lambda count=40: pa.table({"text": reviews(count, start=500).texts})
