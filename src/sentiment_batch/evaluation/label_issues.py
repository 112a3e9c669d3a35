"""Finds the errors with the highest probability, and labels that are likely wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.model.probabilities import Floats

SUREST_SHARE = 1 / 4
"""Share of the rows with one answer that count as those that the model is most certain of."""
PRIOR_ROWS, PRIOR_WRONG_SHARE = 20, 0.02
"""Wrong labels are estimated as if each class had `PRIOR_ROWS` more rows with this share of wrong labels. So a few rows
do not move the estimate far from what is usual."""
MAX_WRONG_SHARE = 0.45
"""Largest estimate of the share of wrong labels in a class. It is below a half, so that the noise can be undone."""


def find_errors(probabilities_NK: Floats, codes_N: Codes, max_rows: int) -> Codes:
    """The rows whose predicted label is not their label, with the highest probability first.

    Args:
        probabilities_NK: the predicted probabilities.
        codes_N: the true classes.
        max_rows: how many rows to give at most.

    Returns:
        (E,) their row numbers; E is at most `max_rows`.
    """
    top_N = probabilities_NK.max(axis=1)
    wrong = np.flatnonzero(probabilities_NK.argmax(axis=1) != codes_N)
    # Stable, so that rows of one probability keep the order of the table
    return wrong[np.argsort(-top_N[wrong], kind="stable")][:max_rows]


def find_label_issues(probabilities_NK: Floats, codes_N: Codes, max_rows: int) -> tuple[Codes, Codes]:
    """The rows whose label is more likely wrong than right, and the likelier label of each, the surest ones first.

    Those to whose likelier label the model gives the highest probability come first. This probability is their score.

    Wrong labels are assumed to be spread by chance over the rows of a true class, see `estimate_label_noise`. A model
    that learned from such labels is never surer than they allow, so this is undone first. Then Bayes' rule gives the
    true class of a row by its text and its label. The model must not have been trained on the rows.

    Args:
        probabilities_NK: the predicted probabilities.
        codes_N: the classes as they are labelled.
        max_rows: how many rows to give at most.

    Returns:
        (E,) the row numbers and (E,) the likelier classes; E is at most `max_rows`.
    """
    # If rows of true class i have the label j in a share noise[i, j], a model that learned from the labels predicts
    # true @ noise. Its inverse gives the probabilities of the true classes. Rounding can make them negative.
    noise_KK = estimate_label_noise(probabilities_NK, codes_N)
    true_NK = (probabilities_NK @ np.linalg.inv(noise_KK)).clip(0.0)
    # Bayes' rule, without its common divisor: the text says i, and a row of i has the given label
    joint_NK = true_NK * noise_KK[:, codes_N].T
    rows = np.arange(len(codes_N))
    other_NK = joint_NK.copy()
    other_NK[rows, codes_N] = 0.0
    suspects = np.flatnonzero(other_NK.sum(axis=1) > joint_NK[rows, codes_N])
    instead = other_NK[suspects].argmax(axis=1)
    order = np.argsort(-probabilities_NK[suspects, instead], kind="stable")[:max_rows]
    return suspects[order], instead[order]


def estimate_label_noise(probabilities_NK: Floats, codes_N: Codes) -> npt.NDArray[np.float64]:
    """(K, K) for each true class, down, the shares of its rows with each label, across.

    It is estimated by the rows with the answer of that class that the model is most certain of. There a model is nearly
    always right, so labels that differ from its answer are wrong. Source: Patrini et al. 2017, "Making Deep Neural
    Networks Robust to Label Noise", which takes the surest row of each class.
    """
    classes = probabilities_NK.shape[1]
    noise_KK = np.eye(classes)
    answers_N = probabilities_NK.argmax(axis=1)
    for code in range(classes if classes > 1 else 0):
        # The rows with this answer that the model is most certain of, and what they are labelled as
        answered = np.flatnonzero(answers_N == code)
        num_surest = math.ceil(SUREST_SHARE * len(answered))
        surest = answered[np.argsort(-probabilities_NK[answered, code], kind="stable")[:num_surest]]
        wrong_K = np.bincount(codes_N[surest], minlength=classes) + PRIOR_ROWS * PRIOR_WRONG_SHARE / (classes - 1)
        wrong_K[code] = 0.0
        # The prior keeps this above 0, and divides its wrong labels evenly among the other classes
        share = min(MAX_WRONG_SHARE, wrong_K.sum() / (num_surest + PRIOR_ROWS))
        noise_KK[code] = share * wrong_K / wrong_K.sum()
        noise_KK[code, code] = 1.0 - share
    return noise_KK


def list_label_issues(
    probabilities_NK: Floats,
    codes_N: Codes,
    labels: Sequence[str],
    describe: Callable[[int], dict[str, Any]],
    max_rows: int,
) -> list[dict[str, Any]]:
    """The rows that `find_label_issues` finds, as plain values.

    Args:
        probabilities_NK: the predicted probabilities of a model that was not trained on the rows.
        codes_N: the classes as they are labelled.
        labels: the K labels.
        describe: gives what names one of the N rows; `suggested` and `score` are added.
        max_rows: how many to list.
    """
    suspects, instead = find_label_issues(probabilities_NK, codes_N, max_rows)
    return [
        describe(place) | {"suggested": labels[other], "score": float(probabilities_NK[place, other])}
        for place, other in zip(suspects.tolist(), instead.tolist(), strict=True)
    ]
