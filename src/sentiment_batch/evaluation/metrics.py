"""Accuracy, F1, loss and calibration error of a classifier, from probabilities and true classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.report.formatting import format_quantity

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats

Codes = npt.NDArray[np.int64]
"""Class numbers of rows."""

CALIBRATION_BINS = 15
"""Number of bins of equal width for the probability of the likeliest label, as in Guo et al. 2017."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassMetrics:
    """Figures of one class, which are None for a class without rows."""

    label: str
    precision: float | None
    """Share of the rows predicted as this label that have it; 0 if none is predicted."""
    recall: float | None
    """Share of the rows with this label that are predicted as it."""
    f1: float | None
    """Harmonic mean of precision and recall."""
    rows: int
    """Number of rows with this label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """Figures of a classifier on some rows."""

    rows: int
    """Number of rows."""
    accuracy: float
    """Share of the rows whose label is predicted."""
    macro_f1: float
    """Mean of F1 over the classes that have rows, so that a rare class counts as much as a frequent one."""
    loss: float
    """Mean cross-entropy, in nats."""
    classes: tuple[ClassMetrics, ...]
    """The figures of each of the K classes."""
    confusion: tuple[tuple[int, ...], ...]
    """(K, K) rows of class i that were predicted as class j."""
    labels: tuple[str, ...]
    """The K labels, by class number."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Metrics:
        """Restore the figures from what `to_json` returned.

        Raises:
            KeyError, TypeError: the values are no such figures.
        """
        classes = tuple(ClassMetrics(**one) for one in values["classes"])
        confusion = tuple(tuple(row) for row in values["confusion"])
        return cls(**{**values, "classes": classes, "confusion": confusion, "labels": tuple(values["labels"])})

    def __str__(self) -> str:
        figures = f"accuracy {self.accuracy:.4f}, macro F1 {self.macro_f1:.4f}, loss {self.loss:.4f}"
        return f"{figures} on {format_quantity(self.rows, 'row')}"


def measure(probabilities: Floats, codes: Codes, labels: Sequence[str]) -> Metrics:
    """Measure predictions.

    Args:
        probabilities: (N, K) the predicted probabilities; N is at least 1.
        codes: (N,) the true classes.
        labels: the K labels.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    numbers = list(range(len(labels)))
    best = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(codes, best, labels=numbers, zero_division=0.0)
    present = support > 0  # scikit-learn gives 0 for a class without rows, which has no figures
    classes = tuple(
        ClassMetrics(
            label=label,
            precision=float(precision[k]) if present[k] else None,
            recall=float(recall[k]) if present[k] else None,
            f1=float(f1[k]) if present[k] else None,
            rows=int(support[k]),
        )
        for k, label in enumerate(labels)
    )
    return Metrics(
        rows=len(codes),
        accuracy=float((best == codes).mean()),
        macro_f1=float(f1[present].mean()),
        loss=float(row_losses(probabilities, codes).mean()),
        classes=classes,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion_matrix(codes, best, labels=numbers)),
        labels=tuple(labels),
    )


def list_ranked_classes(num_classes: int) -> range:
    """The classes that have a ROC, each against the rest: all of them, but only the second of two.

    The ROC of the first would be its mirror image.
    """
    return range(1, 2) if num_classes == 2 else range(num_classes)


def row_losses(probabilities_NK: Floats, codes_N: Codes) -> npt.NDArray[np.float64]:
    """(N,) the cross-entropy of each row in nats, which is finite for a probability of 0, too."""
    chosen_N = probabilities_NK[np.arange(len(codes_N)), codes_N].astype(np.float64)
    # The smallest normal float32 instead of 0: a loss of 87 nats, where infinity would hide all other rows
    losses_N: npt.NDArray[np.float64] = -np.log(np.maximum(chosen_N, np.finfo(np.float32).tiny))
    return losses_N


def calibration_error(probabilities_NK: Floats, codes_N: Codes) -> float:
    """The expected calibration error: the distance of accuracy from the likeliest label's probability, by bins."""
    bins = reliability(probabilities_NK, codes_N)
    return float(sum(abs(one["confidence"] - one["accuracy"]) * one["rows"] for one in bins)) / len(codes_N)


def reliability(probabilities_NK: Floats, codes_N: Codes) -> list[dict[str, Any]]:
    """For each bin with rows: its ends `low` and `high`, its `rows`, their mean `confidence` and their `accuracy`."""
    top_N, bin_N = probabilities_NK.max(axis=1).astype(np.float64), assign_bins(probabilities_NK)
    right_N = (probabilities_NK.argmax(axis=1) == codes_N).astype(np.float64)
    rows, confidence, right = (np.bincount(bin_N, weights, CALIBRATION_BINS) for weights in (None, top_N, right_N))
    return [
        {
            "low": k / CALIBRATION_BINS,
            "high": (k + 1) / CALIBRATION_BINS,
            "rows": int(rows[k]),
            "confidence": float(confidence[k] / rows[k]),
            "accuracy": float(right[k] / rows[k]),
        }
        for k in np.flatnonzero(rows).tolist()
    ]


def assign_bins(probabilities_NK: Floats) -> Codes:
    """(N,) the bin of the probability of each row's likeliest label; NaN is in the first bin."""
    # A probability of 1 would be in a bin of its own, above the last one
    bin_N: Codes = (np.nan_to_num(probabilities_NK.max(axis=1).astype(np.float64)) * CALIBRATION_BINS).astype(np.int64)
    return np.minimum(bin_N, CALIBRATION_BINS - 1, out=bin_N)
