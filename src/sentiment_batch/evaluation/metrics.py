"""What is measured of a classifier: probabilities and true classes in, accuracy, F1, loss and tables out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.evaluation import terminal

Floats = npt.NDArray[np.floating[Any]]
Codes = npt.NDArray[np.int64]

BINS = 15
"""Of the probability of the likeliest label, of equal width, as Guo et al. 2017 have them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassMetrics:
    """One class of a per-class table; of one without rows nothing is measured."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    rows: int
    """Rows that truly have the label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """How well a classifier does on some rows."""

    rows: int
    accuracy: float
    macro_f1: float
    """The mean of the classes' F1, so that a rare class counts as much as a frequent one; of classes in the data."""
    loss: float
    """Mean cross-entropy, in nats."""
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    """(K, K): rows of class i that were taken for class j."""
    labels: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.4f}, macro F1 {self.macro_f1:.4f}, loss {self.loss:.4f} on {self.rows:,} rows"

    def table(self) -> str:
        """The per-class table and the confusion matrix, as text."""
        return f"{terminal.classes(self)}\n\n{terminal.confusion(self)}"


def measure(probabilities: Floats, codes: Codes, labels: Sequence[str]) -> Metrics:
    """Measure predictions.

    Args:
        probabilities: (n, K), n at least 1.
        codes: (n,) the true class numbers.
        labels: the K names.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    numbers = list(range(len(labels)))
    best = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(codes, best, labels=numbers, zero_division=0.0)
    present = support > 0
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


def row_losses(probabilities_NK: Floats, codes_N: Codes) -> npt.NDArray[np.float64]:
    """(N,) the cross-entropy of each row, in nats; finite, also where a probability is 0."""
    chosen_N = probabilities_NK[np.arange(len(codes_N)), codes_N].astype(np.float64)
    losses_N: npt.NDArray[np.float64] = -np.log(np.maximum(chosen_N, np.finfo(np.float32).tiny))
    return losses_N


def calibration_error(probabilities_NK: Floats, codes_N: Codes) -> float:
    """The expected calibration error: how far accuracy is from the probability of the likeliest label, by bins."""
    bins = reliability(probabilities_NK, codes_N)
    return float(sum(abs(one["confidence"] - one["accuracy"]) * one["rows"] for one in bins)) / len(codes_N)


def reliability(probabilities_NK: Floats, codes_N: Codes) -> list[dict[str, Any]]:
    """Of each of the `BINS` that holds rows: `low`, `high`, `rows`, mean `confidence` and `accuracy`."""
    top_N, bin_N = probabilities_NK.max(axis=1).astype(np.float64), bins_of(probabilities_NK)
    right_N = (probabilities_NK.argmax(axis=1) == codes_N).astype(np.float64)
    rows, confidence, right = (np.bincount(bin_N, weights, BINS) for weights in (None, top_N, right_N))
    return [
        {
            "low": k / BINS,
            "high": (k + 1) / BINS,
            "rows": int(rows[k]),
            "confidence": float(confidence[k] / rows[k]),
            "accuracy": float(right[k] / rows[k]),
        }
        for k in np.flatnonzero(rows).tolist()
    ]


def bins_of(probabilities_NK: Floats) -> Codes:
    """(N,) the number of the bin that the probability of each row's likeliest label is in; that of NaN is the first."""
    bin_N: Codes = (np.nan_to_num(probabilities_NK.max(axis=1).astype(np.float64)) * BINS).astype(np.int64)
    return np.minimum(bin_N, BINS - 1, out=bin_N)
