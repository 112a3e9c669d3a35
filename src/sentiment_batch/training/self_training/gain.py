"""Measures what a student gains over its teacher on the validation rows, and decides whether to publish it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.evaluation.calibration import calibrate
from sentiment_batch.evaluation.intervals import difference_interval

if TYPE_CHECKING:
    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.model.probabilities import Floats

MIN_SHOWN_GAIN = 0.0005
"""Smaller gains in accuracy are 0.000 with three decimals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfTraining:
    """What the unlabelled texts, or an ensemble, gained on the validation rows."""

    unlabelled: Mapping[str, Any] | None
    """The numbers of rows and texts, see `UnlabelledTexts.count`; None if there are no unlabelled texts."""
    ensemble: int | None
    """Number of models in the ensemble; None if there is no ensemble."""
    confidence: float
    """The student learns from texts whose likeliest label has at least this calibrated probability."""
    weight: float
    """Weight of an unlabelled text, where a labelled row has 1."""
    sure: Mapping[str, int]
    """Number of unlabelled texts to learn from, by likeliest label; with folds, the mean over the folds."""
    rows: int
    """Number of validation rows."""
    accuracy_without: float
    """Accuracy of the model that is trained on the labelled rows alone."""
    loss_without: float
    """Log loss of that model after calibration, in nats."""
    accuracy_of_teachers: float
    """Accuracy of the teachers, which label the texts by their mean probabilities."""
    accuracy: float | None = None
    """Accuracy of the student; None if it was not trained, or its training diverged."""
    loss: float | None = None
    """Log loss of the student after calibration, in nats; None as for `accuracy`."""
    gain_interval: tuple[float, float] | None = None
    """The low and the high end of the 95 % interval of `gain`; None if there is no gain."""

    @property
    def gain(self) -> float | None:
        """The accuracy of the student minus `accuracy_without`; None if there is no student."""
        return None if self.accuracy is None else self.accuracy - self.accuracy_without

    @property
    def kept(self) -> bool:
        """True if the student is published: its loss is lower, and its accuracy is not clearly lower.

        Few validation rows tell little about accuracy. The loss counts how certain each prediction is, too, so chance
        moves it less (see "Unlabelled texts" in benchmarks/README.md).
        """
        if self.gain is None or self.loss is None:
            return False
        # Not clearly lower: the interval of the gain holds 0 or a gain
        largest_gain = self.gain if self.gain_interval is None else self.gain_interval[1]
        return self.loss < self.loss_without and largest_gain >= 0

    @property
    def verdict(self) -> str:
        """A sentence that says what was gained, and whether the student is kept."""
        sources = ["unlabelled texts"] if self.unlabelled else []
        sources += [f"the ensemble of {self.ensemble}"] if self.ensemble else []
        what = " and ".join(sources)
        # No student, or one whose training diverged
        if self.unlabelled and not sum(self.sure.values()) and self.accuracy is None and not self.ensemble:
            return f"{what}: no label of any text has a probability of {self.confidence:g} or more, left out"
        if self.accuracy is None or self.loss is None or self.gain is None:
            return f"{what}: the training on them diverged, left out"
        figures = (
            f"accuracy {self.accuracy:.4f} with, {self.accuracy_without:.4f} without; calibrated loss {self.loss:.4f} "
            f"with, {self.loss_without:.4f} without; on {self.rows:,} validation rows"
        )
        # A student that was measured. Its gain may be one of loss alone, and may be chance.
        if not self.kept:
            return f"{what}: gained nothing, left out ({figures})"
        gained = f"gained {self.gain:.3f} accuracy" if self.gain >= MIN_SHOWN_GAIN else "gained a lower loss"
        if self.gain_interval is not None:
            low, high = self.gain_interval
            change = "loss of accuracy" if self.gain <= -MIN_SHOWN_GAIN else "gain"
            chance = f", so the {change} may be chance" if low <= 0 else ""
            figures += f"; 95 % interval of the gain in accuracy {low:+.3f} to {high:+.3f}{chance}"
        return f"{what}: {gained}, kept ({figures})"

    def to_json(self) -> dict[str, Any]:
        """The fields and properties as plain values, for JSON."""
        return dataclasses.asdict(self) | {"gain": self.gain, "kept": self.kept, "verdict": self.verdict}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SelfTraining:
        """Make a record of the values that `to_json` returned.

        Raises:
            KeyError, TypeError: a value is missing or has a wrong type.
        """
        given = {field.name: values[field.name] for field in dataclasses.fields(cls)}
        interval = given["gain_interval"]
        return cls(**given | {"gain_interval": None if interval is None else tuple(interval)})


def measure_loss(logits_NK: Floats, codes_N: Codes) -> float:
    """The log loss after calibration, in nats. The temperature of each row is fitted on other rows."""
    return float(calibrate(logits_NK, codes_N).after["loss"])


def find_right(logits_NK: Floats, codes_N: Codes) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(N,) True where the likeliest class is the right one."""
    right_N: np.ndarray[Any, np.dtype[np.bool_]] = np.equal(logits_NK.argmax(axis=1), codes_N)
    return right_N


def measure_student(
    record: SelfTraining, student_NK: Floats | None, without_NK: Floats, codes_N: Codes
) -> SelfTraining:
    """The record with what the student gains.

    Args:
        record: the record without the student.
        student_NK: the logits of the student for the validation rows; None if there is no student.
        without_NK: the logits of the model without unlabelled texts and ensemble.
        codes_N: the true classes of the rows.
    """
    if student_NK is None or not np.isfinite(student_NK).all():  # not trained, or its training diverged
        return record
    right_N = find_right(student_NK, codes_N)
    return dataclasses.replace(
        record,
        accuracy=float(right_N.mean()),
        loss=measure_loss(student_NK, codes_N),
        gain_interval=difference_interval(right_N, find_right(without_NK, codes_N)),
    )
