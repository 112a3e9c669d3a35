"""The trainings of a run: one that rows held back validate; or one for each fold, and a last one on all rows.

With a learning curve, models of fewer rows are trained before all these, and only their predictions are kept.

If the run learns from unlabelled texts or an ensemble, these models are teachers. For each fold, or for the split,
there are then one or more of them, and a student after them. The students show whether the last training is taught.

Each training saves its state in the same work folder, with what the finished ones have left. So a resumed run ends with
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
from sentiment_batch.training.finished import RunResult
from sentiment_batch.training.folds import (
    FinishedFold,
    average_histories,
    join_logits,
    restore_folds,
    store_folds,
)
from sentiment_batch.training.learning_curve.sizes import count_training_rows, plan_shares, with_share
from sentiment_batch.training.loop import compute_logits, fit
from sentiment_batch.training.messages import log_validation
from sentiment_batch.training.result import describe_model
from sentiment_batch.training.self_training.distillation import label_texts, with_seed
from sentiment_batch.training.self_training.students import ALL_ROWS, Students

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.training.checkpoint.work_folder import WorkFolder
    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.schedule import Schedule
    from sentiment_batch.training.self_training.distillation import DistillationPlan
    from sentiment_batch.training.self_training.gain import SelfTraining

logger = logging.getLogger("sentiment_batch")


class TrainedModel(NamedTuple):
    """The result of all trainings of a run."""

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
        work_folder: where its states and its best model are kept.
        state: the values of the state to resume from; None to begin.
        constants: values that each state holds, such as the fingerprint of the run.
        plan: the teachers of the published model; None if it has none.
    """

    def __init__(
        self,
        setup: Setup,
        work_folder: WorkFolder,
        state: dict[str, Any] | None,
        constants: dict[str, Any],
        plan: DistillationPlan | None = None,
    ) -> None:
        self._setup, self._work_folder, self._constants, self._plan = setup, work_folder, constants, plan
        self._num_parts = setup.data.folds.number if setup.data.folds else 1
        self._members = plan.members if plan else 1
        self._snapshot = None if state is None else Snapshot(state, work_folder.read_tensors(state))
        self._has_students = plan is not None
        self._shares = plan_shares(setup)
        # A saved state also holds what each finished training has left, so none of these is trained again
        values, tensors = self._snapshot or ({}, {})
        self._finished = restore_folds(values.get("folds", []), tensors)
        """The finished trainings of the folds, which are the teachers if there are students."""
        self._students = restore_folds(values.get("students", []), tensors, "students")
        """The finished students, one for each part."""
        self._of_fewer_rows = restore_folds(values.get("fewer_rows", []), tensors, "fewer_rows")
        """The finished trainings of the learning curve: those of the first share in all parts, then the next share."""

    def run(self) -> TrainedModel:
        """Train to the end. The model to publish is then in the work folder, not calibrated."""
        for place in range(len(self._of_fewer_rows), len(self._shares) * self._num_parts):
            self._train_share(place)
        return self._train_model()._replace(curve=self._join_curve())

    def _train_model(self) -> TrainedModel:
        """All trainings but those of the learning curve."""
        if self._setup.data.folds is None and self._plan is None:
            # The trainings of a learning curve have changed the weights and the random generators
            setup = self._setup.reset() if self._shares else self._setup
            history = self._train(setup, setup.schedule)
            if should_stop(history, patience := setup.config.settings.patience):
                logger.info("stopped early: no better validation loss in the last %s validations", patience)
            return TrainedModel(history, setup, self._work_folder.best)
        # Without folds, there is one part. Each part has as many members as the ensemble, or one.
        for place in range(len(self._finished), self._num_parts * self._members):
            history = self._train_fold(place)
            if find_best(history) is None:
                return TrainedModel(history, self._setup, self._work_folder.best)
        return self._train_last(self._finished) if self._plan is None else self._teach(self._plan)

    def _train_share(self, place: int) -> None:
        """Train on a share of the rows, and keep what the model gives for the rows that validate, but not the model."""
        task = self._name_training() or "training"
        logger.info("%s", task)
        share, part = divmod(place, self._num_parts)
        setup = with_share(self._take_part(part), part, self._shares[share]).reset()
        logits_NK = _make_unknown_logits(setup)

        # The logits of the best state are computed while the classifier has it, so no model needs to be written
        def keep_logits(entry: HistoryEntry | None) -> None:
            nonlocal logits_NK
            if entry is None or entry.best:
                logits_NK = compute_logits(setup.classifier, setup.validation, setup.config)

        # No state is saved within this training of at most half of the rows. A resumed run repeats all of it.
        history = fit(
            setup.classifier, setup.training, setup.validation, setup.config, setup.schedule, keep_logits, task=task
        )
        self._finish(self._of_fewer_rows, FinishedFold(history=history, logits_NK=logits_NK), setup.schedule)

    def _join_curve(self) -> list[tuple[float, Floats]]:
        """The shares of the rows with the logits of their models; see `TrainedModel.curve`."""
        # With folds or teachers, the first member of each part learned from all rows of the part: the share 1
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
        setup = with_seed(self._take_part(part), member)
        # Only the first training of a run has the fresh weights and seeds that `set_up` gave
        if place or setup.data.folds or self._shares:
            setup = setup.reset()
        history = self._train(setup, setup.schedule)
        if find_best(history) is None:
            return history
        finished = self._measure_best(setup, history)
        if self._plan is not None:
            finished = self._label(setup, finished, self._plan)
            # The first teacher is published if the student is no better. Training the student replaces `best/`.
            if setup.data.folds is None and place == 0:
                self._work_folder.copy_best_to_teacher()
        self._finish(self._finished, finished, setup.schedule)
        return history

    def _measure_best(self, setup: Setup, history: Sequence[HistoryEntry]) -> FinishedFold:
        """What a training leaves: its history, and what its best state gives for the rows that validate."""
        logits_NK = _make_unknown_logits(setup)
        if find_best(history) is not None:
            # The classifier has its last weights. The best ones, which may be older or averaged, are on disk.
            setup.classifier.load_stock_weights(load_classifier(self._work_folder.best).network)
            logits_NK = compute_logits(setup.classifier, setup.validation, setup.config)
        return FinishedFold(history=tuple(history), logits_NK=logits_NK)

    def _label(self, setup: Setup, finished: FinishedFold, plan: DistillationPlan) -> FinishedFold:
        """Add what a teacher gives for the texts that it labels."""
        unlabelled_MK = training_NK = None
        if plan.unlabelled:
            unlabelled_MK = label_texts(setup, plan.unlabelled.texts, "labelling")
        if plan.ensemble:
            training_NK = label_texts(setup, setup.data.training.texts, "labelling")
        return replace(finished, unlabelled_MK=unlabelled_MK, training_NK=training_NK)

    def _teach(self, plan: DistillationPlan) -> TrainedModel:
        """Train the students, and then the model to publish: taught if that gained anything, else as without."""
        # Choose the texts to learn from, and train the student of each part
        students, folds = Students(self._setup, plan, self._finished), self._setup.data.folds
        setup, self._has_students = self._setup, students.can_learn
        if sure := students.describe():
            logger.info("%s", sure)
        for part in range(len(self._students), self._num_parts) if self._has_students else ():
            setup = self._train_student(students, part)
        # Compare the students with a model that learned from the labelled rows alone: the first teacher of each part
        found = students.measure(self._students)
        logger.info("%s", found.verdict)
        without = [self._finished[part * self._members] for part in range(self._num_parts)]
        # Without folds, the model to publish is trained already. With folds, one on all rows follows.
        if folds is None and found.kept:
            return TrainedModel(self._students[0].history, setup, self._work_folder.best, self_training=found)
        if folds is None:
            return TrainedModel(without[0].history, self._setup, self._work_folder.teacher, self_training=found)
        last = self._train_last(self._students, students) if found.kept else self._train_last(without)
        return last._replace(self_training=found)

    def _train_student(self, students: Students, part: int) -> Setup:
        """Train the student of a part, and keep what its saved state gives for the rows that validate."""
        logger.info("%s", self._name_training())
        setup = students.make(self._take_part(part).reset(), part)
        finished = self._measure_best(setup, self._train(setup, setup.schedule))
        if setup.data.folds is None:
            # No state is saved, because nothing is trained after it. A resumed run loads the last state of the student,
            # finds no step left, and is here again in seconds.
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
        setup, folds = self._setup.reset(), self._setup.data.folds
        assert folds is not None
        if students is not None:
            setup = students.make(setup, ALL_ROWS)
        # As many epochs, and not as many steps: all rows are more than those of a fold
        schedule = setup.schedule.without_validation(math.ceil(len(setup.training) / setup.config.batch_size))
        logger.info("training on all rows for %s steps, as many epochs as the folds", f"{schedule.steps:,}")
        history = average_histories(finished)
        self._train(setup, schedule, history)
        joined_NK = join_logits([one.logits_NK for one in finished], folds)
        return TrainedModel(history, setup, self._work_folder.best, joined_NK)

    def _train(self, setup: Setup, schedule: Schedule, history: Sequence[HistoryEntry] = ()) -> list[HistoryEntry]:
        """Train from the beginning, or from the state to resume from if it is within this training.

        Args:
            setup: the run.
            schedule: its steps.
            history: what to store with the model if nothing validates this training.
        """
        unlogged: list[HistoryEntry] = []

        # Three steps for each validation: the model is written, then the state that names it, then the log says so
        def on_candidate(entry: HistoryEntry | None) -> None:
            stored = [entry] if entry else history
            if entry is None or entry.best:
                meta = describe_model(setup, RunResult(history=stored))
                self._work_folder.save_best(setup.save, meta, to_rows(stored))
            if entry:
                unlogged.append(entry)

        def save(snapshot: Snapshot) -> None:
            self._write(snapshot)
            # Logged only now, because a resumed run drops a model that no state names
            while unlogged:
                log_validation(unlogged.pop(), keeps_last=schedule.keeps_last)

        def load() -> Snapshot | None:
            # The state belongs to one training only. It is of none if it was saved between two trainings: such a state
            # has no epoch, and the next training begins from the base.
            snapshot, self._snapshot = self._snapshot, None
            return snapshot if snapshot and "epoch" in snapshot.values else None

        validation = setup.validation if schedule.validations else None
        saver = StateSaver(save, load)
        task = self._name_training() or "training"
        return fit(setup.classifier, setup.training, validation, setup.config, schedule, on_candidate, saver, task)

    def _take_part(self, part: int) -> Setup:
        """The run on the labelled rows of a part: of a fold, or of the split."""
        return self._setup if self._setup.data.folds is None else self._setup.with_fold(part)

    def _name_training(self) -> str | None:
        """Which of the trainings is next, such as `teacher 1 of 3 of fold 2 of 5`; None if there is only one."""
        folds = self._setup.data.folds
        # 1. The learning curve: all parts of a share, then the next share
        done = len(self._of_fewer_rows)
        if done < len(self._shares) * self._num_parts:
            share, part = divmod(done, self._num_parts)
            rows = f"{count_training_rows(self._setup.data, self._shares[share]):,} rows of the learning curve"
            return f"{rows}, fold {part + 1} of {self._num_parts}" if folds else rows
        if folds is None and self._plan is None:
            return None
        # 2. The folds or the teachers: all members of a part, then the next part
        part, member = divmod(len(self._finished), self._members)
        role = "" if folds else "the teacher"
        if self._members > 1:
            role = f"teacher {member + 1} of {self._members}"
        # 3. The students, one for each part; then the last training on all rows
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
        """Save a state of the present training, with what all finished trainings have left."""
        values, tensors = store_folds(self._finished)
        progress = {"folds": values, "training": self._name_training()}
        for name, finished in (("students", self._students), ("fewer_rows", self._of_fewer_rows)):
            more, further = store_folds(finished, name)
            progress |= {name: more} if more else {}
            tensors |= further
        self._work_folder.save_state(snapshot.values | progress | self._constants, snapshot.tensors | tensors)


def _make_unknown_logits(setup: Setup) -> Floats:
    """(N, K) NaN for all rows that validate, as a training leaves that has diverged."""
    return np.full((len(setup.validation), len(setup.config.labels)), np.nan, dtype=np.float32)
