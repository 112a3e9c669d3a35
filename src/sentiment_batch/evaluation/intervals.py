"""How far chance reaches: measured rows in, intervals of what was measured of them out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.evaluation.metrics import BINS, bins_of, row_losses

Floats = npt.NDArray[np.floating[Any]]
Codes = npt.NDArray[np.int64]
Counts = npt.NDArray[np.float64]
"""(n,) how often each row was drawn."""

RESAMPLES = 1_000
FEWEST_RESAMPLES = 200
FEWEST_ROWS = 10
"""Of fewer, resamples say little of what other rows would give."""
MOST_DRAWS = 200_000_000
"""Rows drawn in all, times the classes: beyond, there are fewer resamples, for of many rows chance takes little."""
ALIKE = 1e-9
"""Resamples that differ by less, by rounding, do not differ."""
SEED = 0
TAILS = (2.5, 97.5)
"""Percentiles: the intervals hold 95 %."""
Z = 1.959964
"""Standard deviations to each side that hold 95 % of a normal distribution."""


def bootstrap(probabilities_NK: Floats, codes_N: Codes) -> dict[str, list[float] | None]:
    """95 % intervals of the figures of a classifier: percentiles over resamples of the rows, drawn with replacement.

    The rows are drawn with a fixed seed, so that the same rows have the same intervals. Efron 1979, "Bootstrap
    methods: another look at the jackknife". The interval of the calibration error is corrected, see `_corrected`; that
    of accuracy is `of_share`, which also holds where no row is an error, and resamples are all alike.

    Args:
        probabilities_NK: N at least 1.
        codes_N: the true classes.

    Returns:
        For `accuracy`, `macro_f1`, `loss`, `roc_auc` and `calibration_error` the low and high end; None for all but
        accuracy where there are fewer than `FEWEST_ROWS` rows or resamples do not differ, and for ROC AUC where a class
        has no rows.
    """
    rows, classes = probabilities_NK.shape
    right = int((probabilities_NK.argmax(axis=1) == codes_N).sum())
    accuracy = {"accuracy": of_share(right, rows)}
    if rows < FEWEST_ROWS:
        return accuracy | dict.fromkeys(("macro_f1", "loss", "roc_auc", "calibration_error"))
    resamples = int(np.clip(MOST_DRAWS // (rows * classes), FEWEST_RESAMPLES, RESAMPLES))
    figures = _figures(probabilities_NK, codes_N)
    drawn = {name: np.empty(resamples) for name in figures}
    generator = np.random.default_rng(SEED)
    for number in range(resamples):
        counts_N = np.bincount(generator.integers(rows, size=rows), minlength=rows).astype(np.float64)
        for name, figure in figures.items():
            drawn[name][number] = figure(counts_N)
    ends = {name: _ends(values) for name, values in drawn.items()}
    error = "calibration_error"
    if ends[error]:
        ends[error] = _corrected(drawn[error], figures[error](np.ones(rows)))
    return accuracy | ends


def of_share(hits: int, rows: int) -> list[float]:
    """The 95 % interval of a share, by Wilson 1927: good for few rows and for shares near 0 and 1 as well."""
    share, z2 = hits / rows, Z * Z
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows)) / (1 + z2 / rows)
    return [max(0.0, middle - half), min(1.0, middle + half)]


def _ends(values: npt.NDArray[np.float64]) -> list[float] | None:
    known = values[np.isfinite(values)]  # a resample may lack a class
    if len(known) < len(values) / 2 or np.ptp(known) < ALIKE:
        return None
    return [float(end) for end in np.percentile(known, TAILS)]


def _corrected(values: npt.NDArray[np.float64], figure: float) -> list[float]:
    """The interval of a mean of absolute differences, which noise can only raise.

    Drawing rows raises it above the figure of the rows by some bias, and those were drawn once, too, which raised
    theirs by about as much. So the high end loses the bias once, the low end twice. Of a model that is well calibrated
    the plain percentiles lie above the figure itself, and never held the true value in simulations.

    Args:
        values: of the resamples.
        figure: of the rows, which the interval always holds.
    """
    low, high = np.percentile(values, TAILS)
    bias = max(0.0, float(values.mean()) - figure)
    return [max(0.0, min(float(low) - 2 * bias, figure)), max(float(high) - bias, figure)]


def _figures(probabilities_NK: Floats, codes_N: Codes) -> dict[str, Callable[[Counts], float]]:
    """Each figure as a function of how often each row counts; what does not depend on that is computed once."""
    rows, classes = probabilities_NK.shape
    best_N = probabilities_NK.argmax(axis=1)
    right_N = (best_N == codes_N).astype(np.float64)
    loss_N = row_losses(probabilities_NK, codes_N)
    cell_N = codes_N * classes + best_N
    bin_N, gap_N = bins_of(probabilities_NK), probabilities_NK.max(axis=1).astype(np.float64) - right_N
    areas = [_area(probabilities_NK[:, k], codes_N == k) for k in (range(1, 2) if classes == 2 else range(classes))]

    def macro_f1(counts_N: Counts) -> float:
        confusion = np.bincount(cell_N, counts_N, classes * classes).reshape(classes, classes)
        true, taken = confusion.sum(axis=1), confusion.sum(axis=0)
        there = true > 0
        return float((2 * confusion.diagonal()[there] / (true + taken)[there]).mean())

    return {
        "macro_f1": macro_f1,
        "loss": lambda counts_N: _total(counts_N, loss_N) / rows,
        "roc_auc": lambda counts_N: sum(area(counts_N) for area in areas) / len(areas),
        "calibration_error": lambda counts_N: float(np.abs(np.bincount(bin_N, counts_N * gap_N, BINS)).sum()) / rows,
    }


def _total(counts_N: Counts, values_N: npt.NDArray[np.float64]) -> float:
    # Not counts @ values: BLAS shares so little work among threads, whose meeting costs more, much more beside others.
    return float(np.einsum("n,n->", counts_N, values_N))


def _area(score_N: Floats, truth_N: npt.NDArray[np.bool_]) -> Callable[[Counts], float]:
    """The area under the ROC: the chance that a row of the class scores above one of another, ties counting half."""
    positive, negative = (rows[np.argsort(score_N[rows])] for rows in map(np.flatnonzero, (truth_N, ~truth_N)))
    low, high = (np.searchsorted(score_N[negative], score_N[positive], side=side) for side in ("left", "right"))

    def area(counts_N: Counts) -> float:
        below = np.concatenate([[0.0], np.cumsum(counts_N[negative])])
        own = counts_N[positive]
        pairs = float(own.sum() * below[-1])
        return _total(own, below[low] + below[high]) / (2 * pairs) if pairs else math.nan

    return area
