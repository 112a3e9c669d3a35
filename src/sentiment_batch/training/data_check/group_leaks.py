"""Groups that stand on both sides of a split, and columns that look like groups; numbers in, counts out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.data.other_columns import to_codes, concatenate_words

if TYPE_CHECKING:
    from sentiment_batch.training.dataset import Coded

Integers = npt.NDArray[np.int64]

LEAST_VALUES = 20
"""A column of fewer values is a category, such as one of six airlines: new texts will have the same ones."""
MOST_ROWS = 100
"""Rows a value, on average, beyond which the like holds."""
LEAST_COVERED = 0.2
"""Of all rows, those whose value some other row has, too."""
LEAST_SHARED = 0.1
"""Of the rows held back, those whose value is trained on, too."""
LEAST_KAPPA = 0.1
"""Agreement of labels within a value beyond chance, as a share of what is possible."""
LEAST_DEVIATIONS = 6.0
"""The same in standard deviations of what chance gives."""


@dataclass(frozen=True, slots=True)
class Likely:
    """A column whose equal values go with equal labels."""

    column: str
    values: int
    """Those that two rows or more have."""
    rows_per_value: float
    agreement: float
    """How often another row of the value has the same label."""
    chance: float
    """How often any other row has."""
    shared: int
    """Rows held back whose value is trained on, too."""
    shared_share: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)


def likely_groups(training: Coded, held: Coded) -> list[Likely]:
    """The columns beside text and label that look like groups and are on both sides, the clearest first.

    Args:
        training: rows to train on.
        held: rows to validate or test on.
    """
    found = []
    first = np.unique(training.near, return_index=True)[1]  # repeated texts agree, and are on one side anyway
    for column in training.others.keys() & held.others.keys():
        values = to_codes(concatenate_words([training.others[column], held.others[column]]))
        trained, other = values[: len(training)], values[len(training) :]
        shared = int(((other >= 0) & np.isin(other, trained)).sum())
        if not len(held) or shared < LEAST_SHARED * len(held):
            continue
        measured = _measured(trained[first], training.codes[first])
        if measured is not None:
            found.append(Likely(column, *measured, shared, round(shared / len(held), 4)))
    return sorted(found, key=lambda one: (one.chance - one.agreement, one.column))


def shared_rows(training: Coded, other: Coded) -> int | None:
    """Rows of `other` whose group is trained on, too; None where either has no groups."""
    if training.groups is None or other.groups is None:
        return None
    known = {group for group in training.groups if group is not None}
    return sum(group in known for group in other.groups)


def _measured(values: Integers, classes: Integers) -> tuple[int, float, float, float] | None:
    """How far rows of one value have one label, None where they are no groups or agree by chance.

    Args:
        values: (n,) below 0 for none.
        classes: (n,) class numbers.

    Returns:
        values that repeat, rows of each on average, agreement of labels, agreement by chance.
    """
    sizes = np.bincount(values[values >= 0], minlength=1)
    inside = (values >= 0) & (sizes[values] > 1)
    rows, repeated = int(inside.sum()), int((sizes > 1).sum())
    if repeated < LEAST_VALUES or rows < LEAST_COVERED * len(values) or rows > MOST_ROWS * repeated:
        return None
    every = int(classes.max()) + 1
    pairs, counts = np.unique(values[inside] * every + classes[inside], return_counts=True)
    # Of each row, the share of the value's other rows that have its label.
    agreement = float((counts * (counts - 1) / (sizes[pairs // every] - 1)).sum() / rows)
    shares = np.bincount(classes[inside]) / rows
    chance = float((shares**2).sum())
    kappa = (agreement - chance) / (1 - chance) if chance < 1 else 0.0
    deviation = np.sqrt(2 * chance * (1 - chance) / rows)  # as if no row were in more than one pair
    clear = kappa >= LEAST_KAPPA and agreement - chance >= LEAST_DEVIATIONS * deviation
    return (repeated, round(rows / repeated, 1), round(agreement, 4), round(chance, 4)) if clear else None
