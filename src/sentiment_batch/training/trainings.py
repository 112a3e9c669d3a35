"""The trainings of a run: one that rows held back validate; or one for each fold, and a last one on all rows.

With a learning curve, models of fewer rows are trained before all these, and only their predictions are kept.

If the run learns from unlabelled texts or an ensemble, these models are teachers. For each fold, or for the split,
there are then one or more of them, and a student after them. The students show whether the last training is taught.

Each training saves its state in the same checkpoint, with what the finished ones have left. So a resumed run ends with
the weights of an uninterrupted one, wherever it was interrupted.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sentiment_batch.model.stock import load_classifier
from sentiment_batch.training.checkpoint.history import HistoryEntry, find_best, should_stop, to_rows
from sentiment_batch.training.checkpoint.state import Snapshot, StateSaver
from sentiment_batch.training.folds import (
    FinishedFold,
    average_histories,
    join_logits,
    restore_folds,
    store_folds,
)
from sentiment_batch.training.learning_curve.sizes import count_training_rows, plan_shares, take_share
from sentiment_batch.training.loop import compute_logits, fit
from sentiment_batch.training.messages import log_validation
from sentiment_batch.training.result import describe_model
from sentiment_batch.training.self_training.students import ALL_ROWS, Students
from sentiment_batch.training.self_training.teaching import label_texts, take_member

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.training.checkpoint.work_folder import Checkpoint
    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.schedule import Schedule
    from sentiment_batch.training.self_training.gain import SelfTraining
    from sentiment_batch.training.self_training.teaching import Teaching

logger = logging.getLogger("sentiment_batch")


class TrainedModel(NamedTuple):
    """What the trainings of a run end with."""

    history: Sequence[HistoryEntry]
    """The validations; no entry is best if the loss was never a number."""
    setup: Setup
    """The run with the classifier of the last training."""
    folder: Path
    """The model to publish, not calibrated."""
    out_of_fold_NK: Floats | None = None
    """With folds, the logits of the validation rows by models that were not trained on them."""
    self_training: SelfTraining | None = None
    """What unlabelled texts or an ensemble brought; None if the run has neither."""
    curve: Sequence[tuple[float, Floats]] = ()
    """With a learning curve, shares of the training rows, and the logits of the validation rows by models that learned
    from that share. The share 1 is missing if the published model is its only one."""


class Trainings:
    """Trains as often as the run needs.

    Args:
        setup: the run.
        checkpoint: where its states and its best model are kept.
        state: the values of the state to resume from; None to begin.
        kept: values that each state holds, such as the fingerprint of the run.
        teaching: who teaches the published model; None if nobody does.
    """

    def __init__(
        self,
        setup: Setup,
        checkpoint: Checkpoint,
        state: dict[str, Any] | None,
        kept: dict[str, Any],
        teaching: Teaching | None = None,
    ) -> None:
        self._setup, self._checkpoint, self._kept, self._teaching = setup, checkpoint, kept, teaching
        self._num_parts = setup.data.folds.number if setup.data.folds else 1
        self._members = teaching.members if teaching else 1
        self._snapshot = None if state is None else Snapshot(state, checkpoint.read_tensors(state))
        self._finished: list[FinishedFold] = []
        """The finished trainings of the folds, which are the teachers if there are students."""
        self._students: list[FinishedFold] = []
        self._has_students = teaching is not None
        self._shares = plan_shares(setup)
        self._of_fewer_rows: list[FinishedFold] = []
        """The finished trainings of the learning curve: those of the first share in all parts, then the next share."""
        if self._snapshot is not None:
            values, tensors = self._snapshot
            self._finished = restore_folds(values.get("folds", []), tensors)
            self._students = restore_folds(values.get("students", []), tensors, "students")
            self._of_fewer_rows = restore_folds(values.get("fewer_rows", []), tensors, "fewer_rows")

    def run(self) -> TrainedModel:
        """Train to the end. The model to publish is then in the checkpoint, not calibrated."""
        for place in range(len(self._of_fewer_rows), len(self._shares) * self._num_parts):
            self._train_share(place)
        return self._train_model()._replace(curve=self._join_curve())

    def _train_model(self) -> TrainedModel:
        """All trainings but those of the learning curve."""
        if self._setup.data.folds is None and self._teaching is None:
            setup = self._setup.begin_again() if self._shares else self._setup
            history = self._train(setup, setup.schedule)
            if should_stop(history, patience := setup.config.settings.patience):
                logger.info("stopped early: no better validation loss in the last %s validations", patience)
            return TrainedModel(history, setup, self._checkpoint.best)
        for place in range(len(self._finished), self._num_parts * self._members):
            history = self._train_fold(place)
            if find_best(history) is None:
                return TrainedModel(history, self._setup, self._checkpoint.best)
        return self._train_last(self._finished) if self._teaching is None else self._teach(self._teaching)

    def _train_share(self, place: int) -> None:
        """Train on a share of the rows, and keep what the model gives for the rows that validate, but not the model."""
        logger.info("%s", task := self._name_training() or "training")
        share, part = divmod(place, self._num_parts)
        setup = take_share(self._take_part(part), part, self._shares[share]).begin_again()
        logits_NK = np.full((len(setup.validation), len(setup.config.labels)), np.nan, dtype=np.float32)

        def keep_logits(entry: HistoryEntry | None) -> None:
            nonlocal logits_NK
            if entry is None or entry.best:
                logits_NK = compute_logits(setup.classifier, setup.validation, setup.config)

        history = fit(
            setup.classifier, setup.training, setup.validation, setup.config, setup.schedule, keep_logits, task=task
        )
        self._finish(self._of_fewer_rows, FinishedFold(history=history, logits_NK=logits_NK), setup.schedule)

    def _join_curve(self) -> list[tuple[float, Floats]]:
        """The shares of the rows with the logits of their models; see `TrainedModel.curve`."""
        trainings = [*self._of_fewer_rows, *self._finished[:: self._members]] if self._shares else []
        logits, folds, parts = [one.logits_NK for one in trainings], self._setup.data.folds, self._num_parts
        joined = (
            logits[start] if folds is None else join_logits(logits[start : start + parts], folds)
            for start in range(0, len(logits), parts)
        )
        return list(zip([*self._shares, 1.0], joined, strict=False))

    def _train_fold(self, place: int) -> list[HistoryEntry]:
        """Train without the rows of a fold, and keep what the saved state gives for them and for what it teaches."""
        part, member = divmod(place, self._members)
        logger.info("%s", self._name_training())
        setup = take_member(self._take_part(part), member)
        if place or setup.data.folds or self._shares:
            setup = setup.begin_again()
        history = self._train(setup, setup.schedule)
        if find_best(history) is not None:
            setup.classifier.take_stock(load_classifier(self._checkpoint.best).network)
            finished = FinishedFold(
                history=tuple(history), logits_NK=compute_logits(setup.classifier, setup.validation, setup.config)
            )
            if self._teaching is not None:
                finished = self._label(setup, finished, self._teaching)
                if setup.data.folds is None and place == 0:  # what is published if the student is no better
                    self._checkpoint.copy_best_to_teacher()
            self._finish(self._finished, finished, setup.schedule)
        return history

    def _label(self, setup: Setup, finished: FinishedFold, teaching: Teaching) -> FinishedFold:
        """Add what a teacher gives for the texts that it labels."""
        pool_MK = training_NK = None
        if teaching.unlabelled:
            pool_MK = label_texts(setup, teaching.unlabelled.texts, "labelling")
        if teaching.ensemble:
            training_NK = label_texts(setup, setup.data.training.texts, "labelling")
        return replace(finished, pool_MK=pool_MK, training_NK=training_NK)

    def _teach(self, teaching: Teaching) -> TrainedModel:
        """Train the students, and then the model to publish: taught if that gained anything, else as without."""
        students, folds = Students(self._setup, teaching, self._finished), self._setup.data.folds
        setup, self._has_students = self._setup, students.has_lessons
        if sure := students.describe():
            logger.info("%s", sure)
        for part in range(len(self._students), self._num_parts) if self._has_students else ():
            setup = self._train_student(students, part)
        found = students.measure(self._students)
        logger.info("%s", found.verdict)
        without = [self._finished[part * self._members] for part in range(self._num_parts)]
        if folds is None and found.kept:
            return TrainedModel(self._students[0].history, setup, self._checkpoint.best, self_training=found)
        if folds is None:
            return TrainedModel(without[0].history, self._setup, self._checkpoint.teacher, self_training=found)
        last = self._train_last(self._students, students) if found.kept else self._train_last(without)
        return last._replace(self_training=found)

    def _train_student(self, students: Students, part: int) -> Setup:
        """Train the student of a part, and keep what its saved state gives for the rows that validate."""
        logger.info("%s", self._name_training())
        setup = students.make(self._take_part(part).begin_again(), part)
        history = self._train(setup, setup.schedule)
        logits_NK = np.full((len(setup.validation), len(setup.config.labels)), np.nan, dtype=np.float32)
        if find_best(history) is not None:
            setup.classifier.take_stock(load_classifier(self._checkpoint.best).network)
            logits_NK = compute_logits(setup.classifier, setup.validation, setup.config)
        finished = FinishedFold(history=tuple(history), logits_NK=logits_NK)
        if setup.data.folds is None:
            # No state is saved, because nothing is trained after it: a resumed run comes back here in seconds.
            self._students.append(finished)
        else:
            self._finish(self._students, finished, setup.schedule)
        return setup

    def _train_last(self, finished: Sequence[FinishedFold], students: Students | None = None) -> TrainedModel:
        """Train on all rows for as many epochs as the models of the folds.

        Args:
            finished: these models.
            students: makes the student of all teachers; None trains on the labelled rows alone.
        """
        setup, folds = self._setup.begin_again(), self._setup.data.folds
        assert folds is not None
        if students is not None:
            setup = students.make(setup, ALL_ROWS)
        schedule = setup.schedule.without_validation(math.ceil(len(setup.training) / setup.config.batch_size))
        logger.info("training on all rows for %s steps, as many epochs as the folds", f"{schedule.steps:,}")
        history = average_histories(finished)
        self._train(setup, schedule, history)
        joined_NK = join_logits([one.logits_NK for one in finished], folds)
        return TrainedModel(history, setup, self._checkpoint.best, joined_NK)

    def _train(self, setup: Setup, schedule: Schedule, history: Sequence[HistoryEntry] = ()) -> list[HistoryEntry]:
        """Train from the beginning, or from the state to resume from if it is within this training.

        Args:
            setup: the run.
            schedule: its steps.
            history: what to store with the model if nothing validates this training.
        """

        unlogged: list[HistoryEntry] = []

        def on_candidate(entry: HistoryEntry | None) -> None:
            stored = [entry] if entry else history
            if entry is None or entry.best:
                self._checkpoint.save_best(setup.save, describe_model(setup, stored, {}), to_rows(stored))
            if entry:
                unlogged.append(entry)

        def save(snapshot: Snapshot) -> None:
            self._write(snapshot)
            while unlogged:  # only now, because without its state a saved model is of no use to a resumed run
                log_validation(unlogged.pop(), keeps_last=schedule.keeps_last)

        def load() -> Snapshot | None:
            snapshot, self._snapshot = self._snapshot, None
            return snapshot if snapshot and "epoch" in snapshot.values else None

        validation = setup.validation if schedule.validations else None
        saver = StateSaver(save, load)
        task = self._name_training() or "training"
        return fit(setup.classifier, setup.training, validation, setup.config, schedule, on_candidate, saver, task)

    def _take_part(self, part: int) -> Setup:
        """The run on the labelled rows of a part: of a fold, or of the split."""
        return self._setup if self._setup.data.folds is None else self._setup.take_fold(part)

    def _name_training(self) -> str | None:
        """Which of the trainings is next, such as `teacher 1 of 3 of fold 2 of 5`; None if there is only one."""
        folds = self._setup.data.folds
        if (done := len(self._of_fewer_rows)) < len(self._shares) * self._num_parts:
            share, part = divmod(done, self._num_parts)
            rows = f"{count_training_rows(self._setup.data, self._shares[share]):,} rows of the learning curve"
            return f"{rows}, fold {part + 1} of {self._num_parts}" if folds else rows
        if folds is None and self._teaching is None:
            return None
        part, member = divmod(len(self._finished), self._members)
        role = "" if folds else "the teacher"
        if self._members > 1:
            role = f"teacher {member + 1} of {self._members}"
        if part == self._num_parts:
            part, role = len(self._students), "the student"
            if part == self._num_parts or not self._has_students:
                return "all rows"
        fold = f"fold {part + 1} of {self._num_parts}" if folds else ""
        return " of ".join(word for word in (role, fold) if word)

    def _finish(self, finished: list[FinishedFold], one: FinishedFold, schedule: Schedule) -> None:
        """Add a finished training, and save what it leaves."""
        finished.append(one)
        self._write(Snapshot({"step": 0, "steps": schedule.steps}, {}))

    def _write(self, snapshot: Snapshot) -> None:
        values, tensors = store_folds(self._finished)
        progress = {"folds": values, "training": self._name_training()}
        for name, finished in (("students", self._students), ("fewer_rows", self._of_fewer_rows)):
            more, further = store_folds(finished, name)
            progress |= {name: more} if more else {}
            tensors |= further
        self._checkpoint.save_state(snapshot.values | progress | self._kept, snapshot.tensors | tensors)
