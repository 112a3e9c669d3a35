"""Finds groups with rows on both sides of the split, and columns that look like groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.data.other_columns import to_codes
from sentiment_batch.data.value_names import concatenate_dictionaries
from sentiment_batch.report.formatting import format_quantity
from sentiment_batch.training.data_check.findings import MIN_LEAK_SHARE, TOO_GOOD, Finding, format_share

if TYPE_CHECKING:
    from sentiment_batch.training.dataset import ReviewSet, ReviewSplits
    from sentiment_batch.training.split import IntArray

MIN_VALUES = 20
"""A column with fewer values is a category, such as one of six airlines, and new texts will have the same values."""
MAX_ROWS_PER_VALUE = 100
"""A column with more rows for each value on average is a category, too."""
MIN_COVERED_SHARE = 0.2
"""Share of the rows whose value another row must have, too."""
MIN_SHARED_SHARE = 0.1
"""Share of the held-out rows whose value must be trained on, too."""
MIN_KAPPA = 0.1
"""Agreement of the labels of a value beyond chance, as a share of what is possible."""
MIN_DEVIATIONS = 6.0
"""Agreement of the labels of a value beyond chance, in standard deviations of what chance gives."""


@dataclass(frozen=True, slots=True)
class GroupCandidate:
    """A column in which rows with equal values tend to have equal labels."""

    column: str
    values: int
    """Number of values that two rows or more have."""
    rows_per_value: float
    """Rows for each of these values on average."""
    agreement: float
    """How often another row of the value has the same label."""
    chance: float
    """How often any other row has the same label."""
    shared: int
    """Number of held-out rows whose value is trained on, too."""
    shared_share: float
    """Share of the held-out rows whose value is trained on, too."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return dataclasses.asdict(self)


def check_groups(splits: ReviewSplits, candidates: Mapping[str, Sequence[GroupCandidate]]) -> Iterator[Finding]:
    """Find groups with rows on both sides, and columns that look like groups.

    Args:
        splits: the rows of the run.
        candidates: the columns that look like groups by the name of a file, which is "" for held-back rows.
    """
    groups = [group for group in splits.all_rows.groups or () if group is not None]
    if splits.group_column and len(set(groups)) == len(groups):
        yield Finding(
            text=f"No two rows have the same {splits.group_column!r}, so `group_column` changes nothing. Name a column "
            "whose values repeat.",
            weight=0.3,
        )
    for name, rows in splits.files():
        shared = count_shared_groups(splits.training, rows)
        if shared:
            share = shared / len(rows)
            leaks = share >= MIN_LEAK_SHARE
            yield Finding(
                text=f"{format_quantity(shared, 'row')} of {name} ({format_share(share)}) "
                f"{'has' if shared == 1 else 'have'} a {splits.group_column!r} that is also trained on."
                f"{f' {TOO_GOOD}' if leaks else ''}",
                weight=share,
                level="warning" if leaks else "note",
            )
    for name, columns in candidates.items():
        if columns:
            yield _describe_candidate(name, columns[0])


def _describe_candidate(name: str, candidate: GroupCandidate) -> Finding:
    rows = f"the rows of {name}" if name else "the validation rows"
    cure = "" if name else f" Keep groups on one side with `group_column={candidate.column!r}`."
    return Finding(
        text=f"Rows of one {candidate.column!r} have the same label in {format_share(candidate.agreement)} of cases, "
        f"by chance in {format_share(candidate.chance)}. {format_share(candidate.shared_share)} of {rows} have a "
        f"{candidate.column!r} that is also trained on. {TOO_GOOD}{cure}",
        weight=0.4 * candidate.shared_share,
    )


def find_group_columns(training: ReviewSet, held_out: ReviewSet) -> list[GroupCandidate]:
    """The columns besides text and label that look like groups and are on both sides, the clearest first.

    Args:
        training: the rows to train on.
        held_out: the rows to validate or test on.
    """
    candidates = []
    # Each text once, because repeated texts agree, and are on one side anyway
    first = np.unique(training.near, return_index=True)[1]
    for column in training.others.keys() & held_out.others.keys():
        # One numbering for both sides; a row without a value has a number below 0
        values = to_codes(concatenate_dictionaries([training.others[column], held_out.others[column]]))
        trained, other = values[: len(training)], values[len(training) :]
        shared = int(((other >= 0) & np.isin(other, trained)).sum())
        if not len(held_out) or shared < MIN_SHARED_SHARE * len(held_out):
            continue
        measured = _measure_agreement(trained[first], training.codes[first])
        if measured is not None:
            candidates.append(GroupCandidate(column, *measured, shared, round(shared / len(held_out), 4)))
    return sorted(candidates, key=lambda one: (one.chance - one.agreement, one.column))


def count_shared_groups(training: ReviewSet, other: ReviewSet) -> int | None:
    """The number of rows of `other` whose group is trained on, too; None if either has no groups."""
    if training.groups is None or other.groups is None:
        return None
    known = {group for group in training.groups if group is not None}
    return sum(group in known for group in other.groups)


def _measure_agreement(values: IntArray, classes: IntArray) -> tuple[int, float, float, float] | None:
    """How well the labels of rows with the same value agree.

    Args:
        values: (N,) value numbers, below 0 for none.
        classes: (N,) class numbers.

    Returns:
        The number of repeated values, the rows for each on average, the agreement of labels, and the agreement by
        chance. None if the values are no groups, or agree by chance.
    """
    # Only values that repeat can agree. Few such values, or many rows for each, make a category and no group.
    sizes = np.bincount(values[values >= 0], minlength=1)
    inside = (values >= 0) & (sizes[values] > 1)
    rows, repeated = int(inside.sum()), int((sizes > 1).sum())
    if repeated < MIN_VALUES or rows < MIN_COVERED_SHARE * len(values) or rows > MAX_ROWS_PER_VALUE * repeated:
        return None
    num_classes = int(classes.max()) + 1
    pairs, counts = np.unique(values[inside] * num_classes + classes[inside], return_counts=True)
    # For each row, the share of the value's other rows that have its label
    agreement = float((counts * (counts - 1) / (sizes[pairs // num_classes] - 1)).sum() / rows)
    # By chance, two rows have one label with the sum of the squared shares of the labels, as in Cohen's kappa
    shares = np.bincount(classes[inside]) / rows
    chance = float((shares**2).sum())
    kappa = (agreement - chance) / (1 - chance) if chance < 1 else 0.0
    # The deviation of a share of rows / 2 independent pairs, as if no row were in more than one pair
    deviation = np.sqrt(2 * chance * (1 - chance) / rows)
    clear = kappa >= MIN_KAPPA and agreement - chance >= MIN_DEVIATIONS * deviation
    return (repeated, round(rows / repeated, 1), round(agreement, 4), round(chance, 4)) if clear else None
