"""The trainings of a run: one that rows held back validate; or one for each fold, and a last one on all rows.

Each saves its state in the same checkpoint, with what the finished folds have left. So a resumed run ends with the
weights of an uninterrupted one, wherever it was interrupted.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sentiment_batch.model.stock import load_classifier
from sentiment_batch.training.checkpoint.history import HistoryEntry, find_best, should_stop, to_rows
from sentiment_batch.training.checkpoint.state import Snapshot, StateSaver
from sentiment_batch.training.folds import (
    FinishedFold,
    average_histories,
    join_logits,
    plan_last_training,
    restore_folds,
    store_folds,
)
from sentiment_batch.training.loop import compute_logits, fit
from sentiment_batch.training.messages import log_validation
from sentiment_batch.training.result import describe_model

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.training.checkpoint.work_folder import Checkpoint
    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.schedule import Schedule

logger = logging.getLogger("sentiment_batch")


class Trainings:
    """Trains as often as the run needs.

    Args:
        setup: the run.
        checkpoint: where its states and its best model are kept.
        state: the values of the state to resume from; None to begin.
        kept: values that each state holds, such as the fingerprint of the run.
    """

    def __init__(
        self, setup: Setup, checkpoint: Checkpoint, state: dict[str, Any] | None, kept: dict[str, Any]
    ) -> None:
        self._setup, self._checkpoint, self._kept = setup, checkpoint, kept
        self._snapshot = None if state is None else Snapshot(state, checkpoint.read_tensors(state))
        self._finished: list[FinishedFold] = []
        if self._snapshot is not None:
            self._finished = restore_folds(self._snapshot.values.get("folds", []), self._snapshot.tensors)

    def run(self) -> tuple[list[HistoryEntry], Setup, Floats | None]:
        """Train to the end. The model to publish is then in the checkpoint, not calibrated.

        Returns:
            The history, in which no entry is best if the loss was never a number; the setup with the last classifier;
            and with folds the logits of the validation rows by the models of their folds.
        """
        setup, folds = self._setup, self._setup.data.folds
        if folds is None:
            history = self._train(setup, setup.schedule)
            if should_stop(history, patience := setup.config.settings.patience):
                logger.info("stopped early: no better validation loss in the last %s validations", patience)
            return history, setup, None
        for fold in range(len(self._finished), folds.number):
            logger.info("%s", self._name_training())
            history = self._train_fold(setup.take_fold(fold).begin_again())
            if find_best(history) is None:
                return history, setup, None
        last = setup.begin_again()
        schedule = plan_last_training(setup.schedule, self._finished)
        logger.info("training on all rows for %s steps, the median of the folds' best", f"{schedule.stop:,}")
        self._train(last, schedule)
        return average_histories(self._finished), last, join_logits(self._finished, folds)

    def _train_fold(self, setup: Setup) -> list[HistoryEntry]:
        """Train without the rows of a fold, and keep what its best state gives for them."""
        history = self._train(setup, setup.schedule)
        if find_best(history) is not None:
            setup.classifier.take_stock(load_classifier(self._checkpoint.best).network)
            logits_NK = compute_logits(setup.classifier, setup.validation, setup.config)
            self._finished.append(FinishedFold(history=tuple(history), logits_NK=logits_NK))
            self._write(Snapshot({"step": 0, "steps": setup.schedule.stop}, {}))
        return history

    def _train(self, setup: Setup, schedule: Schedule) -> list[HistoryEntry]:
        """Train from the beginning, or from the state to resume from if it is within this training."""

        def on_candidate(entry: HistoryEntry | None) -> None:
            history = [entry] if entry else average_histories(self._finished)
            if entry:
                log_validation(entry)
            if entry is None or entry.best:
                self._checkpoint.save_best(setup.save, describe_model(setup, history, {}), to_rows(history))

        def load() -> Snapshot | None:
            snapshot, self._snapshot = self._snapshot, None
            return snapshot if snapshot and "epoch" in snapshot.values else None

        validation = setup.validation if schedule.validations else None
        saver = StateSaver(self._write, load)
        task = self._name_training() or "training"
        return fit(setup.classifier, setup.training, validation, setup.config, schedule, on_candidate, saver, task)

    def _name_training(self) -> str | None:
        """Which of the trainings is next; None if there is only one."""
        if (folds := self._setup.data.folds) is None:
            return None
        fold = len(self._finished) + 1
        return f"fold {fold} of {folds.number}" if fold <= folds.number else "all rows"

    def _write(self, snapshot: Snapshot) -> None:
        values, tensors = store_folds(self._finished)
        progress = {"folds": values, "training": self._name_training()}
        self._checkpoint.save_state(snapshot.values | progress | self._kept, snapshot.tensors | tensors)
