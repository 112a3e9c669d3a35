"""What a learning curve says about more rows."""

from __future__ import annotations

import json

import pytest

from sentiment_batch.training.learning_curve.curve import CurvePoint, LearningCurve, format_learning_curve


def curve(gain: float, low: float, high: float, *, baseline: float | None = 0.6) -> LearningCurve:
    points = [
        CurvePoint(
            rows=rows, accuracy=accuracy, accuracy_interval=(0.5, 0.9), macro_f1=accuracy, baseline_accuracy=baseline
        )
        for rows, accuracy in ((300, 0.7), (600, 0.75), (1_200, 0.75 + gain))
    ]
    return LearningCurve(validation_rows=1_500, points=points, gain=gain, gain_interval=(low, high))


@pytest.mark.parametrize(
    ("gain", "low", "high", "verdict"),
    [
        (0.05, 0.01, 0.09, "More rows are likely to help"),
        (0.002, 0.001, 0.003, "More rows are likely to help"),
        (0.001, -0.004, 0.006, "More rows of the same kind are unlikely to help"),
        (-0.03, -0.05, -0.01, "More rows of the same kind are unlikely to help"),
        (0.02, -0.01, 0.05, "That may be chance, so it is not known whether more rows help"),
    ],
)
def test_the_interval_of_the_gain_decides_the_verdict(gain, low, high, verdict):
    assert curve(gain, low, high).verdict == (
        f"from 600 to 1,200 labelled rows, accuracy changed by {gain:+.3f} (95 % interval {low:+.3f} to {high:+.3f}). "
        + verdict
    )


@pytest.mark.parametrize("baseline", [0.6, None])
def test_a_curve_survives_json(baseline):
    one = curve(0.05, 0.01, 0.09, baseline=baseline)
    values = json.loads(json.dumps(one.to_json()))
    assert LearningCurve.from_json(values) == one
    assert values["verdict"] == one.verdict


def test_the_table_fits_a_terminal():
    assert format_learning_curve(curve(0.05, 0.01, 0.09)).splitlines() == [
        "learning curve, on 1,500 validation rows:",
        "trained on  accuracy     95 % interval  macro F1  bag of words",
        "       300    0.7000  [0.5000, 0.9000]    0.7000        0.6000",
        "       600    0.7500  [0.5000, 0.9000]    0.7500        0.6000",
        "     1,200    0.8000  [0.5000, 0.9000]    0.8000        0.6000",
        "from 600 to 1,200 labelled rows, accuracy changed by +0.050 (95 % interval +0.010 to +0.090). "
        "More rows are likely to help.",
    ]
    assert format_learning_curve(curve(0.05, 0.01, 0.09, baseline=None)).splitlines()[2].endswith("-")
