"""What a student gains, when it is kept, and the sentence about that."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment_batch.training.self_training.gain import SelfTraining, measure_student

CODES = np.arange(100) % 2
COUNTS = {"name": "pool.csv", "rows": 9, "blank": 1, "labelled": 2, "limit": 50, "texts": 6}


def logits(wrong: int, strength: float = 2.0) -> np.ndarray:
    """Logits with so many wrong predictions."""
    signs = np.where(np.arange(100) < wrong, -1, 1) * np.where(CODES == 1, 1, -1)
    return np.stack([-strength * signs, strength * signs], axis=1).astype(np.float32)


def record(**chosen) -> SelfTraining:
    usual = {"unlabelled": COUNTS, "ensemble": None, "confidence": 0.8, "weight": 0.5, "rows": 100}
    usual |= {"sure": {"negative": 3, "positive": 2}, "accuracy_without": 0.8, "loss_without": 0.5}
    return SelfTraining(**usual | {"accuracy_of_teachers": 0.8} | chosen)


def test_a_student_with_fewer_errors_is_kept():
    found = measure_student(record(), logits(10), logits(20), CODES)
    assert found.kept
    assert found.gain == pytest.approx(0.1)
    assert found.gain_interval[0] > 0
    assert found.verdict.startswith("unlabelled texts: gained 0.100 accuracy, kept (accuracy 0.9000 with, 0.8000 ")
    low, high = found.gain_interval
    assert found.verdict.endswith(f"95 % interval of the gain in accuracy {low:+.3f} to {high:+.3f})")


def test_a_gain_that_may_be_chance_is_said_to_be_so():
    found = measure_student(record(), logits(18), logits(20), CODES)
    assert found.kept
    assert found.gain_interval[0] <= 0
    assert "so the gain may be chance)" in found.verdict


def test_a_student_with_more_errors_is_left_out():
    found = measure_student(record(), logits(30), logits(20), CODES)
    assert not found.kept
    assert found.verdict.startswith("unlabelled texts: gained nothing, left out (accuracy 0.7000 with, 0.8000 without;")


@pytest.mark.parametrize(
    ("accuracy", "interval", "loss", "kept"),
    [
        (0.8, (-0.05, 0.05), 0.4, True),
        (0.78, (-0.07, 0.03), 0.4, True),  # fewer are right, but that may be chance
        (0.7, (-0.17, -0.03), 0.4, False),
        (0.79, None, 0.4, False),
        (0.9, (0.05, 0.15), 0.5, False),
    ],
)
def test_the_loss_must_fall_and_accuracy_not_clearly(accuracy, interval, loss, kept):
    found = record(accuracy=accuracy, gain_interval=interval, loss=loss)
    assert found.kept is kept
    assert ("gained a lower loss, kept" in found.verdict) is kept


def test_a_loss_of_accuracy_that_may_be_chance_is_said():
    found = record(accuracy=0.78, gain_interval=(-0.07, 0.03), loss=0.4)
    assert found.verdict.endswith("-0.070 to +0.030, so the loss of accuracy may be chance)")


def test_a_student_that_diverged_is_left_out():
    broken = logits(10)
    broken[3] = np.nan
    found = measure_student(record(), broken, logits(20), CODES)
    assert (found.kept, found.accuracy, found.verdict) == (
        False,
        None,
        "unlabelled texts: the training on them diverged, left out",
    )


def test_no_sure_text_is_named_as_the_reason():
    found = measure_student(record(sure={"negative": 0, "positive": 0}), None, logits(20), CODES)
    assert found.verdict == "unlabelled texts: no label of any text has a probability of 0.8 or more, left out"


def test_the_ensemble_is_named():
    assert record(unlabelled=None, ensemble=3, accuracy=0.9, loss=0.1).verdict.startswith("the ensemble of 3: gained")
    assert record(ensemble=3, accuracy=0.9, loss=0.1).verdict.startswith("unlabelled texts and the ensemble of 3: ga")


def test_the_record_survives_json():
    found = measure_student(record(), logits(10), logits(20), CODES)
    assert SelfTraining.from_json(found.to_json()) == found
    assert SelfTraining.from_json(record().to_json()) == record()
