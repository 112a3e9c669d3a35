"""Trains students. A student learns from its labelled rows, and from texts of which its teachers are sure.

With folds, the teachers of a student have never seen the rows that validate it. So what the students gain on these rows
is what unlabelled texts, or an ensemble, gain on new rows.
"""

from __future__ import annotations

import collections
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.evaluation.calibration import calibrate
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.training.batches import TokenizedTexts
from sentiment_batch.training.folds import FinishedFold, join_logits
from sentiment_batch.training.schedule import Schedule, plan_schedule
from sentiment_batch.training.self_training.distillation import STUDENT_CROPS
from sentiment_batch.training.self_training.gain import SelfTraining, find_right, measure_loss, measure_student
from sentiment_batch.training.self_training.soft_labels import (
    PseudoLabels,
    average_logits,
    choose_pseudo_labels,
    finish_soft_labels,
    soften_labels,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.self_training.distillation import DistillationPlan

ALL_ROWS = -1
"""The number of the part that leaves out no row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _StudentRows:
    """What the teachers of a part give for the rows that the student of this part learns from."""

    pseudo_labels: PseudoLabels
    """The unlabelled texts to learn from."""
    taught_NK: Floats | None
    """The calibrated probabilities of an ensemble for all labelled rows; None without an ensemble."""


class Students:
    """The students of a run whose teachers are trained.

    A part of the run is a fold; without folds there is one, 0. The part `ALL_ROWS` has the teachers of all parts.

    Args:
        setup: the run.
        plan: how many teachers there are, and what they label.
        teachers: the finished teachers, those of the first part first.
    """

    def __init__(self, setup: Setup, plan: DistillationPlan, teachers: Sequence[FinishedFold]) -> None:
        self._setup, self._plan, self._teachers = setup, plan, teachers
        self._num_parts = len(teachers) // plan.members
        # The logits of the teachers for all validation rows, each by teachers that were not trained on the row
        self._validated_NK = self._join([average_logits([one.logits_NK for one in some]) for some in self._by_part()])
        self._student_rows = [self._prepare(part) for part in range(self._num_parts)]
        self.schedule = self._plan_schedule()
        """The schedule of each student."""

    @property
    def can_learn(self) -> bool:
        """True if there is anything to learn from the teachers."""
        return self._plan.members > 1 or any(len(one.pseudo_labels.indices_S) for one in self._student_rows)

    def describe(self) -> str | None:
        """A sentence about the unlabelled texts to learn from; None if there are no unlabelled texts."""
        if self._plan.unlabelled is None:
            return None
        counts = self._count_sure()
        words = ", ".join(f"{count:,} {label}" for label, count in counts.items())
        mean = " in the mean over the folds" if self._setup.data.folds else ""
        return f"of {self._plan.num_texts:,} unlabelled texts {sum(counts.values()):,} are sure{mean}: {words}"

    def make(self, setup: Setup, part: int) -> Setup:
        """The run that trains a student.

        Args:
            setup: the run on the labelled rows of the part, with a new classifier.
            part: the part.
        """
        student = self._prepare(ALL_ROWS) if part == ALL_ROWS else self._student_rows[part]
        # The labelled rows of the part
        rows_N, data = self._find_rows(part), self._setup.data.training
        pseudo_labels, taught = student.pseudo_labels, student.taught_NK
        codes_N, unlabelled = data.codes[rows_N], self._plan.unlabelled
        soft_NK = soften_labels(codes_N, len(setup.config.labels), None if taught is None else taught[rows_N])
        # The unlabelled texts after them, in the same two arrays
        texts = [data.texts[row] for row in rows_N.tolist()]
        if unlabelled is not None:
            texts += [unlabelled.texts[place] for place in pseudo_labels.indices_S.tolist()]
        weights = setup.config.class_weights
        soft_labels = finish_soft_labels(
            np.concatenate([soft_NK, pseudo_labels.soft_SK]),
            None if weights is None else weights.tolist(),
            setup.config.settings.label_smoothing,
        )
        # The training reads the soft labels only. The classes complete the record of the texts.
        codes = np.concatenate([codes_N, pseudo_labels.soft_SK.argmax(axis=1)])
        training = TokenizedTexts(setup.tokenizer(texts), codes, setup.training.pad_id, soft_labels)
        return setup.with_texts(training, self.schedule, crops_of_many=STUDENT_CROPS if unlabelled else 0.0)

    def measure(self, students: Sequence[FinishedFold]) -> SelfTraining:
        """Measure the gain over the first teacher of each part; `students` is empty if there was nothing to learn."""
        codes_N = self._setup.data.validation.codes
        without_NK = self._join([some[0].logits_NK for some in self._by_part()])
        record = SelfTraining(
            unlabelled=self._plan.unlabelled.count() if self._plan.unlabelled else None,
            ensemble=self._plan.ensemble,
            confidence=self._plan.confidence,
            weight=self._plan.weight,
            sure=self._count_sure(),
            rows=len(codes_N),
            accuracy_without=float(find_right(without_NK, codes_N).mean()),
            loss_without=measure_loss(without_NK, codes_N),
            accuracy_of_teachers=float(find_right(self._validated_NK, codes_N).mean()),
        )
        student_NK = self._join([one.logits_NK for one in students]) if students else None
        return measure_student(record, student_NK, without_NK, codes_N)

    def _by_part(self) -> list[Sequence[FinishedFold]]:
        """The teachers of each part."""
        members = self._plan.members
        return [self._teachers[start : start + members] for start in range(0, len(self._teachers), members)]

    def _join(self, logits: Sequence[Floats]) -> Floats:
        """(N, K) the logits of all validation rows, collected from the parts."""
        folds = self._setup.data.folds
        return logits[0] if folds is None else join_logits(logits, folds)

    def _find_rows(self, part: int) -> npt.NDArray[np.int64]:
        """(N,) the row numbers of the labelled rows that the student of the part learns from."""
        data = self._setup.data
        return np.arange(len(data.training)) if part == ALL_ROWS else data.list_training_rows()[part]

    def _prepare(self, part: int) -> _StudentRows:
        """Average what the teachers of a part give, and choose the unlabelled texts to learn from."""
        plan = self._plan
        teachers = self._teachers if part == ALL_ROWS else self._by_part()[part]
        temperature = self._fit_temperature(part)
        labels = len(self._setup.config.labels)
        unlabelled_MK = np.empty((0, labels), dtype=np.float32)
        if predictions := [one.unlabelled_MK for one in teachers if one.unlabelled_MK is not None]:
            unlabelled_MK = average_logits(predictions)
        codes_N = self._setup.data.training.codes[self._find_rows(part)]
        shares_K = np.bincount(codes_N, minlength=labels) / len(codes_N)
        pseudo_labels = choose_pseudo_labels(
            unlabelled_MK, shares_K, temperature=temperature, confidence=plan.confidence, weight=plan.weight
        )
        taught = [one.training_NK for one in teachers if one.training_NK is not None]
        taught_NK = softmax(average_logits(taught) / np.float32(temperature)) if taught else None
        return _StudentRows(pseudo_labels=pseudo_labels, taught_NK=taught_NK)

    def _fit_temperature(self, part: int) -> float:
        """The temperature of the teachers of a part. With folds, it is fitted on the rows of the other parts."""
        folds, codes_N = self._setup.data.folds, self._setup.data.validation.codes
        others_N = np.ones(len(codes_N), dtype=np.bool_)
        # The rows of the part validate its student, so they must not decide what it learns from
        if folds is not None and part != ALL_ROWS:
            others_N = folds.validation_M != part
        if not others_N.any() or not self._setup.config.settings.calibrate:
            return 1.0
        return calibrate(self._validated_NK[others_N], codes_N[others_N]).temperature

    def _plan_schedule(self) -> Schedule:
        """The schedule of all students that validate. With folds, the last student learns for as many epochs."""
        sizes = [
            len(self._find_rows(part)) + len(one.pseudo_labels.indices_S) for part, one in enumerate(self._student_rows)
        ]
        # One schedule for all parts, so that the histories of their students can be averaged
        config, folds = self._setup.config, self._setup.data.folds
        steps_per_epoch = math.ceil(statistics.median_low(sizes) / config.batch_size)
        return plan_schedule(steps_per_epoch, config.settings.epochs, keeps_last=folds is not None)

    def _count_sure(self) -> dict[str, int]:
        """The unlabelled texts to learn from by their likeliest label, in the mean over the parts."""
        total: collections.Counter[str] = collections.Counter()
        labels = self._setup.config.labels
        for student in self._student_rows:
            total.update(labels[code] for code in student.pseudo_labels.soft_SK.argmax(axis=1).tolist())
        return {label: round(total[label] / self._num_parts) for label in labels}
