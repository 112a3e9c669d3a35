"""The curves and the histogram of a classifier, as points and counts to be drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.evaluation.metrics import list_ranked_classes

if TYPE_CHECKING:
    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.model.probabilities import Floats

MAX_CURVE_POINTS = 200
"""Points of a curve. More cannot be seen on a page."""
SCORE_BINS = 20
"""Bins of the histogram, each 0.05 wide."""


def roc_curves(probabilities_NK: Floats, codes_N: Codes, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The receiver operating characteristic of each label that has rows with and without it.

    Args:
        probabilities_NK: the predicted probabilities.
        codes_N: the true classes.
        labels: the K labels; see `list_ranked_classes`.

    Returns:
        For each label its `label`, its `area`, and P points of its curve: `x` (P,), the false positive rates, and `y`
        (P,), the true positive rates. P is at most `MAX_CURVE_POINTS`.
    """
    from sklearn.metrics import auc, roc_curve

    found = []
    for label, truth_N, score_N in _one_against_the_rest(probabilities_NK, codes_N, labels):
        x, y, _ = roc_curve(truth_N, score_N)
        found.append({"label": label, **_thin_out(x, y), "area": float(auc(x, y))})
    return found


def precision_recall_curves(probabilities_NK: Floats, codes_N: Codes, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Precision by recall, in the form of `roc_curves`: `x` is recall, `y` precision, `area` the average precision."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    found = []
    for label, truth_N, score_N in _one_against_the_rest(probabilities_NK, codes_N, labels):
        precision, recall, _ = precision_recall_curve(truth_N, score_N)
        area = float(average_precision_score(truth_N, score_N))
        found.append({"label": label, **_thin_out(recall[::-1], precision[::-1]), "area": area})
    return found


def roc_auc(curves: Sequence[dict[str, Any]], classes: int) -> float | None:
    """The area under the curves of `roc_curves`: their mean, None where a class has none."""
    if len(curves) < len(list_ranked_classes(classes)):  # a class without rows, or with all of them, has no curve
        return None
    return float(np.mean([curve["area"] for curve in curves]))


def score_histogram(probabilities_NK: Floats, codes_N: Codes) -> dict[str, Any]:
    """The rows by the probability of their likeliest label.

    Args:
        probabilities_NK: the predicted probabilities.
        codes_N: the true classes.

    Returns:
        `edges` (`SCORE_BINS` + 1,), the bounds of the bins, and the numbers of `correct` and `wrong` rows in each bin.
    """
    edges = np.linspace(0.0, 1.0, SCORE_BINS + 1)
    top_N, right_N = probabilities_NK.max(axis=1).clip(0.0, 1.0), probabilities_NK.argmax(axis=1) == codes_N
    correct, wrong = (np.histogram(top_N[which], edges)[0].tolist() for which in (right_N, ~right_N))
    return {"edges": edges.round(6).tolist(), "correct": correct, "wrong": wrong}


def _one_against_the_rest(
    probabilities_NK: Floats, codes_N: Codes, labels: Sequence[str]
) -> Iterator[tuple[str, npt.NDArray[np.bool_], Floats]]:
    """For each class with a curve: its label, (N,) true for its rows, and (N,) their probability of this class."""
    for k in list_ranked_classes(len(labels)):
        truth_N = codes_N == k
        if truth_N.any() and not truth_N.all():
            yield labels[k], truth_N, probabilities_NK[:, k].astype(np.float64)


def _thin_out(x: Floats, y: Floats) -> dict[str, list[float]]:
    """At most `MAX_CURVE_POINTS` of the points (P,) with both ends, evenly spread along the curve."""
    if len(x) > MAX_CURVE_POINTS:
        # Spread by the length of the curve, because steep parts have few points by x alone
        way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        some = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], MAX_CURVE_POINTS)).clip(0, len(x) - 1))
        x, y = x[some], y[some]
    return {"x": x.round(6).tolist(), "y": y.round(6).tolist()}
