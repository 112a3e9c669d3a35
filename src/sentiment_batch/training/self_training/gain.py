"""What a student gains over its teacher on the rows that validate, and whether it is published."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfTraining:
    """What the unlabelled texts, or an ensemble, brought on the rows that validate."""

    unlabelled: Mapping[str, Any] | None
    """The numbers of rows and texts, see `UnlabelledTexts.count`; None without unlabelled texts."""
    ensemble: int | None
    """Models of the ensemble; None without one."""
    confidence: float
    """Lowest calibrated probability of a text to learn from."""
    weight: float
    """Weight of an unlabelled text, where a labelled row has 1."""
    sure: Mapping[str, int]
    """Unlabelled texts to learn from by their likeliest label; with folds, the mean over the folds."""
    rows: int
    """Rows that validate."""
    accuracy_without: float
    """Accuracy of the model without all this."""
    loss_without: float
    """Its log loss once calibrated."""
    accuracy_of_teachers: float
    """Accuracy of the mean of the models that label the texts."""
    accuracy: float | None = None
    """Accuracy of the student; None if it was not trained, or its training diverged."""
    loss: float | None = None
    """Its log loss once calibrated."""
    gain_interval: tuple[float, float] | None = None
    """The 95 % interval of `gain`."""

    @property
    def gain(self) -> float | None:
        """Accuracy of the student less that of the model without."""
        return None if self.accuracy is None else self.accuracy - self.accuracy_without

    @property
    def kept(self) -> bool:
        """True if the student is published: its loss is lower, and its accuracy is no lower."""
        if self.accuracy is None or self.loss is None:
            return False
        return self.loss < self.loss_without and self.accuracy >= self.accuracy_without

    @property
    def verdict(self) -> str:
        """What was gained and what was decided, in a sentence."""
        sources = ["unlabelled texts"] if self.unlabelled else []
        sources += [f"the ensemble of {self.ensemble}"] if self.ensemble else []
        what = " and ".join(sources)
        if self.unlabelled and not sum(self.sure.values()) and self.accuracy is None and not self.ensemble:
            return f"{what}: no label of any text has a probability of {self.confidence:g} or more, left out"
        if self.accuracy is None or self.loss is None or self.gain is None:
            return f"{what}: the training on them diverged, left out"
        figures = (
            f"accuracy {self.accuracy:.4f} with, {self.accuracy_without:.4f} without; calibrated loss {self.loss:.4f} "
            f"with, {self.loss_without:.4f} without; on {self.rows:,} validation rows"
        )
        if not self.kept:
            return f"{what}: gained nothing, left out ({figures})"
        gained = f"gained {self.gain:.3f} accuracy" if self.gain >= 0.0005 else "gained a lower loss"
        return f"{what}: {gained}, kept ({figures})"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self) | {"gain": self.gain, "kept": self.kept, "verdict": self.verdict}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SelfTraining:
        """The record out of what `to_json` gave.

        Raises:
            KeyError, TypeError: the values are no such record.
        """
        given = {field.name: values[field.name] for field in dataclasses.fields(cls)}
        interval = given["gain_interval"]
        return cls(**given | {"gain_interval": None if interval is None else tuple(interval)})


def measure_loss(logits_NK: Floats, codes_N: Codes) -> float:
    """The log loss that a model has once calibrated, where the other rows calibrate each row."""
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
        student_NK: the logits of the student for the rows that validate; None if there is none.
        without_NK: the logits of the model without unlabelled texts and ensemble.
        codes_N: the classes of the rows.
    """
    if student_NK is None or not np.isfinite(student_NK).all():
        return record
    right_N = find_right(student_NK, codes_N)
    return dataclasses.replace(
        record,
        accuracy=float(right_N.mean()),
        loss=measure_loss(student_NK, codes_N),
        gain_interval=difference_interval(right_N, find_right(without_NK, codes_N)),
    )
