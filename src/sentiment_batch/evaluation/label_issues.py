"""Finds the errors with the highest probability, and labels that are likely wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.model.probabilities import Floats


def find_errors(probabilities_NK: Floats, codes_N: Codes, max_rows: int) -> Codes:
    """The rows whose predicted label is not their label, with the highest probability first."""
    top_N = probabilities_NK.max(axis=1)
    wrong = np.flatnonzero(probabilities_NK.argmax(axis=1) != codes_N)
    return wrong[np.argsort(-top_N[wrong], kind="stable")][:max_rows]


def find_likely_wrong_labels(probabilities_NK: Floats, codes_N: Codes, max_rows: int) -> tuple[Codes, Codes]:
    """The rows whose label is likely wrong, and the likelier label of each, the likeliest first.

    A row is suspect if its probability for another class is at least the mean one of the rows with that label, and
    higher than for its own label. So rows of a class with low probabilities are suspected as well. The model must not
    have been trained on the rows. Source: Northcutt et al. 2021, "Confident Learning".
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
    suspects = suspects[np.argsort(-sure_N[suspects], kind="stable")][:max_rows]
    return suspects, other_N[suspects]


def list_likely_wrong_labels(
    probabilities_NK: Floats,
    codes_N: Codes,
    labels: Sequence[str],
    describe: Callable[[int], dict[str, Any]],
    max_rows: int,
) -> list[dict[str, Any]]:
    """The rows that `find_likely_wrong_labels` finds, as plain values.

    Args:
        probabilities_NK: the predicted probabilities of a model that was not trained on the rows.
        codes_N: the classes as they are labelled.
        labels: the K labels.
        describe: gives what names one of the N rows; `suggested` and `score` are added.
        max_rows: how many to list.
    """
    suspects, instead = find_likely_wrong_labels(probabilities_NK, codes_N, max_rows)
    return [
        describe(place) | {"suggested": labels[other], "score": float(probabilities_NK[place, other])}
        for place, other in zip(suspects.tolist(), instead.tolist(), strict=True)
    ]
