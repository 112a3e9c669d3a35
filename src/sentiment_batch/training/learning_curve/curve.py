"""Measures the models of a learning curve, and says whether more labelled rows are likely to help."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.evaluation.intervals import difference_interval, share_interval
from sentiment_batch.evaluation.metrics import measure
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.training.baseline import predict_validation
from sentiment_batch.training.learning_curve.sizes import choose_rows, count_training_rows

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.training.baseline import Baseline
    from sentiment_batch.training.components import Setup

SMALL_GAIN = 0.01
"""If the whole interval of the gain from twice the rows is below this, more rows are unlikely to help."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """What models of one number of training rows reach."""

    rows: int
    """Training rows; with folds, the mean over the folds."""
    accuracy: float
    """Accuracy on the validation rows."""
    accuracy_interval: tuple[float, float]
    """Its 95 % interval: how far other validation rows would move it. Other training rows would move it, too."""
    macro_f1: float
    """Mean of F1 over the classes that have validation rows."""
    baseline_accuracy: float | None
    """Accuracy of a bag of words that learned from the same rows; None without a baseline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningCurve:
    """Accuracy by number of training rows."""

    validation_rows: int
    """Number of rows that each point is measured on."""
    points: Sequence[CurvePoint]
    """The points, those of few training rows first. The last one is that of all of them."""
    gain: float
    """Accuracy of the last point minus that of the point before."""
    gain_interval: tuple[float, float]
    """The 95 % interval of `gain`."""

    @property
    def verdict(self) -> str:
        """What more training rows brought, and whether further ones are likely to help."""
        few, many = self.points[-2:]
        low, high = self.gain_interval
        found = (
            f"from {few.rows:,} to {many.rows:,} labelled rows, accuracy changed by {self.gain:+.3f} (95 % interval "
            f"{low:+.3f} to {high:+.3f})"
        )
        if low > 0:
            return f"{found}. More rows are likely to help"
        if high < SMALL_GAIN:
            return f"{found}. More rows of the same kind are unlikely to help"
        return f"{found}. That may be chance, so it is not known whether more rows help"

    def to_json(self) -> dict[str, Any]:
        """The fields and the verdict as plain values, for JSON."""
        return dataclasses.asdict(self) | {"verdict": self.verdict}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LearningCurve:
        """Restore the curve from what `to_json` returned.

        Raises:
            KeyError, TypeError: the values are no learning curve.
        """
        points = [
            CurvePoint(**one | {"accuracy_interval": tuple(one["accuracy_interval"])}) for one in values["points"]
        ]
        return cls(
            validation_rows=values["validation_rows"],
            points=points,
            gain=values["gain"],
            gain_interval=tuple(values["gain_interval"]),
        )


def format_learning_curve(curve: LearningCurve) -> str:
    """The points as a table of at most 62 columns, and the verdict."""
    head = ("trained on", "accuracy", "95 % interval", "macro F1", "bag of words")
    rows = [
        (
            f"{one.rows:,}",
            f"{one.accuracy:.4f}",
            "[{:.4f}, {:.4f}]".format(*one.accuracy_interval),
            f"{one.macro_f1:.4f}",
            "-" if one.baseline_accuracy is None else f"{one.baseline_accuracy:.4f}",
        )
        for one in curve.points
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join([f"learning curve, on {curve.validation_rows:,} validation rows:", *lines, f"{curve.verdict}."])


def measure_curve(
    setup: Setup, models: Sequence[tuple[float, Floats]], validation_NK: Floats, baseline: Baseline | None
) -> LearningCurve | None:
    """Measure the models of a learning curve on the validation rows.

    Args:
        setup: the run.
        models: shares of the training rows, and the (N, K) logits of the validation rows by models that learned from
            that share; see `TrainedModel.curve`.
        validation_NK: the logits by the published model, for the share 1 if it is missing.
        baseline: the bag of words of all training rows. None measures none of fewer rows either.

    Returns:
        The curve; None if fewer than two shares have logits that are numbers.
    """
    if models[-1][0] < 1:
        models = [*models, (1.0, validation_NK)]
    # A share whose training diverged has no point
    known = [(share, logits_NK) for share, logits_NK in models if np.isfinite(logits_NK).all()]
    if len(known) < 2:
        return None
    codes_N = setup.data.validation.codes
    # The verdict compares the two largest shares: what did twice the rows bring?
    few_N, many_N = (np.equal(logits_NK.argmax(axis=1), codes_N) for _, logits_NK in known[-2:])
    points = [_measure_point(setup, share, logits_NK, baseline) for share, logits_NK in known]
    return LearningCurve(
        validation_rows=len(codes_N),
        points=points,
        gain=points[-1].accuracy - points[-2].accuracy,
        gain_interval=difference_interval(many_N, few_N),
    )


def _measure_point(setup: Setup, share: float, logits_NK: Floats, baseline: Baseline | None) -> CurvePoint:
    """The figures of the models of one share, on the validation rows; arguments as for `measure_curve`."""
    codes_N = setup.data.validation.codes
    metrics = measure(softmax(logits_NK), codes_N, setup.config.labels)
    low, high = share_interval(round(metrics.accuracy * len(codes_N)), len(codes_N))  # of the number of right rows
    return CurvePoint(
        rows=count_training_rows(setup.data, share),
        accuracy=metrics.accuracy,
        accuracy_interval=(low, high),
        macro_f1=metrics.macro_f1,
        baseline_accuracy=None if baseline is None else _measure_baseline(setup, share, baseline),
    )


def _measure_baseline(setup: Setup, share: float, whole: Baseline) -> float:
    """The accuracy of a bag of words that learns from a share of the training rows; `whole` learns from all."""
    if share == 1:  # measured before
        return whole.comparisons["validation"].accuracy
    data, seed = setup.data, setup.config.settings.seed
    predicted_N = predict_validation(
        [data.training.take(choose_rows(data, part, share, seed)) for part in range(len(data.list_training_rows()))],
        data.validation,
        data.folds,
        balanced=setup.config.class_weights is not None,
        seed=seed,
    )
    return float(np.equal(predicted_N, data.validation.codes).mean())
