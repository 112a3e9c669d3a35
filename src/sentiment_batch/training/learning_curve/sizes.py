"""Plans the trainings of a learning curve: a quarter and half of the training rows of each fold, or of the split."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.training.schedule import Schedule, plan_schedule

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.prepare import PreparedData

SHARES = (1 / 4, 1 / 2)
"""The shares of the training rows to train on, besides all of them. Each is twice the one before."""
MIN_ROWS = 8
"""Least number of training rows. Shares with fewer are left out."""


def plan_shares(setup: Setup) -> list[float]:
    """The shares of the training rows to train on; empty if the run wants no curve, or if its rows are too few."""
    if not setup.config.settings.learning_curve:
        return []
    return [share for share in SHARES if count_training_rows(setup.data, share) >= MIN_ROWS]


def choose_rows(data: PreparedData, part: int, share: float, seed: int) -> npt.NDArray[np.int64]:
    """The places of the training rows of a part that are in a share, in their order.

    A larger share holds the rows of a smaller one. Each class has about its share of the rows, and at least one row if
    there are as many rows as classes.

    Args:
        data: the data of the run.
        part: the fold; 0 without folds.
        share: the share of the training rows.
        seed: draws the rows.
    """
    rows_N = data.list_training_rows()[part]
    codes_N = data.training.codes[rows_N]
    drawn_N = np.random.default_rng(seed).permutation(len(rows_N))
    # Each row gets a place from 0 to 1 among the drawn rows of its class. The rows with the lowest places are taken, so
    # each share has about the class mix of all rows. The first row of each class has place 0.
    place_N = np.empty(len(rows_N))
    for code in np.unique(codes_N):
        of_class = drawn_N[codes_N[drawn_N] == code]  # in the drawn order
        place_N[of_class] = np.arange(len(of_class)) / len(of_class)
    first = np.argsort(place_N, kind="stable")[: round(share * len(rows_N))]
    return rows_N[np.sort(first)]


def count_training_rows(data: PreparedData, share: float) -> int:
    """The rows of a training on a share; with folds, the mean over the folds."""
    return round(statistics.fmean(round(share * len(rows_N)) for rows_N in data.list_training_rows()))


def with_share(setup: Setup, part: int, share: float) -> Setup:
    """The run on a share of its training rows.

    Args:
        setup: the run on the rows of the part.
        part: the fold; 0 without folds.
        share: the share of its training rows.
    """
    rows_N = choose_rows(setup.data, part, share, setup.config.settings.seed)
    training = setup.tokenize(setup.data.training.take(rows_N))
    return setup.with_texts(training, _plan_schedule(setup, len(rows_N)))


def describe_curve_cost(setup: Setup) -> str:
    """A sentence that says which trainings the curve takes, and how long they are."""
    if not (shares := plan_shares(setup)):
        return "the rows are too few for a learning curve, so it is left out"
    data = setup.data
    sizes, full = [count_training_rows(data, share) for share in shares], count_training_rows(data, 1.0)
    parts = len(data.list_training_rows())
    # Work is counted in rows times epochs, because trainings on few rows have more epochs
    work = parts * sum(size * _plan_schedule(setup, size).epochs for size in sizes) / (full * setup.schedule.epochs)
    rows = " and ".join(f"{size:,}" for size in sizes)
    return (
        f"learning curve: {parts * len(sizes)} more trainings, on {rows} rows, which take about as long as {work:.1f} "
        f"trainings on {full:,} rows"
    )


def _plan_schedule(setup: Setup, rows: int) -> Schedule:
    """The schedule that a run of so many training rows has."""
    steps_per_epoch = math.ceil(rows / setup.config.batch_size)
    return plan_schedule(steps_per_epoch, setup.config.settings.epochs, keeps_last=setup.schedule.keeps_last)
