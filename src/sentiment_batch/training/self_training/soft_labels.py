"""Makes soft labels: the predictions of teachers, calibrated, balanced between the classes and weighted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sentiment_batch.model.probabilities import softmax

if TYPE_CHECKING:
    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.model.probabilities import Floats

DEFAULT_CONFIDENCE = 0.8
"""Default confidence. More than a fifth of the texts with a lower calibrated probability have a wrong label."""
DEFAULT_WEIGHT = 0.5
"""Default weight. If one label in nine is wrong, a label carries half the information of a correct one (capacity of a
binary symmetric channel)."""
MAX_BALANCE = 3.0
"""No text counts more than this many times for the balance between the classes, however few texts its class has."""
ENSEMBLE_SHARE = 0.5
"""The share of the ensemble in the soft label of a labelled row. The other half is the label of the row."""
MIN_PROBABILITY = 1e-7
"""Smallest probability whose logarithm is taken."""


class PseudoLabels(NamedTuple):
    """The unlabelled texts to learn from, with their soft labels."""

    indices_S: npt.NDArray[np.int64]
    """(S,) the positions of these texts in the list of all unlabelled texts, in rising order."""
    soft_SK: Floats
    """(S, K) the probability of each class times the weight of the text."""


def average_logits(logits: Sequence[Floats]) -> Floats:
    """(N, K) the logarithm of the mean probability that several models give, each (N, K)."""
    if len(logits) == 1:  # exact, where the logarithm of a rounded probability would not be
        return logits[0]
    mean_NK = np.mean([softmax(one) for one in logits], axis=0)
    result: Floats = np.log(np.maximum(mean_NK, MIN_PROBABILITY)).astype(np.float32)
    return result


def choose_pseudo_labels(
    logits_MK: Floats, shares_K: npt.NDArray[np.float64], *, temperature: float, confidence: float, weight: float
) -> PseudoLabels:
    """Choose the texts that teachers are sure of, and weigh them.

    All texts with one likeliest class weigh together in proportion to the share of this class among the labelled rows.
    So the student does not lean further to the classes that its teachers are sure of more often.

    Args:
        logits_MK: the logits of the teachers for all unlabelled texts.
        shares_K: the share of each class among the labelled rows.
        temperature: the temperature of the teachers.
        confidence: the lowest probability of the likeliest class.
        weight: the mean weight of a text.
    """
    # Keep the texts that the calibrated teachers are sure of
    probabilities_MK = softmax(logits_MK / np.float32(temperature))
    indices_S = np.flatnonzero(probabilities_MK.max(axis=1) >= confidence)
    chosen_SK = probabilities_MK[indices_S]
    likeliest_S = chosen_SK.argmax(axis=1)
    # A class that has more of these texts than its share of the labelled rows weighs less for each of them
    counts_K = np.bincount(likeliest_S, minlength=len(shares_K))
    balance_K = np.minimum(MAX_BALANCE, shares_K * len(indices_S) / np.maximum(counts_K, 1))
    soft_SK: Floats = (chosen_SK * (weight * balance_K[likeliest_S])[:, None]).astype(np.float32)
    return PseudoLabels(indices_S, soft_SK)


def soften_labels(codes_N: Codes, classes: int, taught_NK: Floats | None) -> Floats:
    """(N, K) the soft labels of labelled rows: their classes, mixed with what an ensemble gives if there is one.

    Args:
        codes_N: the classes of the rows.
        classes: K.
        taught_NK: the calibrated probabilities of the ensemble; None without one.
    """
    labels_NK = np.eye(classes, dtype=np.float32)[codes_N]
    if taught_NK is None:
        return labels_NK
    mixed: Floats = ((1 - ENSEMBLE_SHARE) * labels_NK + ENSEMBLE_SHARE * taught_NK).astype(np.float32)
    return mixed


def finish_soft_labels(soft_NK: Floats, class_weights: Sequence[float] | None, smoothing: float) -> Floats:
    """Soft labels with label smoothing and class weights, scaled so that the mean weight of a row is 1.

    Args:
        soft_NK: the probability of each class times the weight of the row.
        class_weights: (K,) the weights of the classes in the loss; None if all count the same.
        smoothing: the share of each label to spread over all classes.
    """
    # The weight of a row, spread evenly over the classes: smoothing moves a share of it there
    spread_N1 = soft_NK.sum(axis=1, keepdims=True) / soft_NK.shape[1]
    smooth_NK = (1 - smoothing) * soft_NK + smoothing * spread_N1
    if class_weights is not None:
        smooth_NK = smooth_NK * np.array(class_weights)
    # A mean weight of 1 keeps the size of a step. The learning rate is chosen for rows that weigh 1.
    result: Floats = (smooth_NK * (len(smooth_NK) / smooth_NK.sum())).astype(np.float32)
    return result
