"""The rows worth a look: probabilities and labels as written in, confident errors and likely wrong labels out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Codes = npt.NDArray[np.int64]


def errors(probabilities_NK: Floats, codes_N: Codes, most: int) -> Codes:
    """The rows that the model takes for another class than they are labelled, those it is surest of first."""
    top_N = probabilities_NK.max(axis=1)
    wrong = np.flatnonzero(probabilities_NK.argmax(axis=1) != codes_N)
    return wrong[np.argsort(-top_N[wrong], kind="stable")][:most]


def likely_wrong(probabilities_NK: Floats, codes_N: Codes, most: int) -> tuple[Codes, Codes]:
    """The rows whose label is likely wrong, and what they would be instead, the likeliest first.

    A row counts for a class that it is at least as probable for as the rows labelled so are on average, and more
    probable than for its own label; Northcutt et al. 2021, "Confident Learning". So a model that is seldom sure of a
    class suspects no fewer of its labels. It takes rows that the model was not trained on: others it may know by heart.
    """
    rows, classes = probabilities_NK.shape
    counts = np.bincount(codes_N, minlength=classes)
    own_N = probabilities_NK[np.arange(rows), codes_N].astype(np.float64)
    sums = np.bincount(codes_N, own_N, classes)
    usual_K = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0).astype(probabilities_NK.dtype)
    sure_NK = np.where(probabilities_NK >= usual_K, probabilities_NK, 0.0)
    sure_NK[np.arange(rows), codes_N] = 0.0
    other_N, sure_N = sure_NK.argmax(axis=1), sure_NK.max(axis=1)
    suspects = np.flatnonzero(sure_N > own_N)
    suspects = suspects[np.argsort(-sure_N[suspects], kind="stable")][:most]
    return suspects, other_N[suspects]
