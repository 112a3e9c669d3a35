"""Cross-validation: trains a model for each fold, then one on all rows for as many epochs.

The predictions for the rows of a fold are those of the model that was not trained on them. They measure and calibrate
the last model, because it is trained on all rows and none is left to validate it. So all these models have to be alike:
each is the last state of its training, after the same epochs. The best states of the folds come from different epochs.
Those of early epochs are less certain, so no single temperature would fit them all and the last model.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.training.checkpoint.history import HistoryEntry, from_rows, to_rows

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.training.checkpoint.state import Tensors
    from sentiment_batch.training.split import Folds


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedFold:
    """The results of a finished training of a fold."""

    history: Sequence[HistoryEntry]
    """Its validations, in order."""
    logits_NK: Floats
    """(N, K) the logits of its kept state for the N rows that validate in the fold; NaN if the training diverged."""
    unlabelled_MK: Floats | None = None
    """(M, K) its logits for the unlabelled texts; None if no student learns from these."""
    training_NK: Floats | None = None
    """(R, K) its logits for all R labelled rows to train on; None if no student learns from an ensemble."""


def average_histories(finished: Sequence[FinishedFold]) -> list[HistoryEntry]:
    """The mean of the folds' figures at each step, as the history of the last model.

    The last entry is the best one, because its state is kept. `seconds` are the sum of all folds.
    """
    # The folds have one schedule, so their validations are at the same steps
    entries = list(zip(*(one.history for one in finished), strict=True))
    return [_average(some, best=some is entries[-1]) for some in entries]


def join_logits(logits: Sequence[Floats], folds: Folds) -> Floats:
    """(M, K) the logits of all rows that validate, in their order, out of those of each fold."""
    logits_MK = np.empty((len(folds.validation_M), logits[0].shape[1]), dtype=np.float32)
    for fold, some in enumerate(logits):
        logits_MK[folds.validation_M == fold] = some
    return logits_MK


def store_folds(finished: Sequence[FinishedFold], name: str = "folds") -> tuple[list[dict[str, Any]], Tensors]:
    """Finished trainings as plain values and tensors, for the state of the run.

    Args:
        finished: the trainings.
        name: the first part of the names of the tensors.

    Returns:
        The history of each training, and its logits. A tensor of training 2 is called `{name}.2` for the rows that
        validate, `{name}.2.pool` for the unlabelled texts, and `{name}.2.training` for the rows to train on.
    """
    import torch

    tensors: Tensors = {}
    for number, one in enumerate(finished):
        for suffix, logits in (("", one.logits_NK), (".pool", one.unlabelled_MK), (".training", one.training_NK)):
            if logits is not None:
                tensors[f"{name}.{number}{suffix}"] = torch.from_numpy(logits)
    return [{"history": to_rows(one.history)} for one in finished], tensors


def restore_folds(values: Sequence[dict[str, Any]], tensors: Tensors, name: str = "folds") -> list[FinishedFold]:
    """The finished trainings out of what `store_folds` gave.

    Args:
        values: the history of each training.
        tensors: the tensors of all trainings; others may be among them.
        name: as for `store_folds`.
    """

    def find(key: str) -> Floats | None:
        return tensors[key].numpy() if key in tensors else None

    return [
        FinishedFold(
            history=from_rows(one["history"]),
            logits_NK=tensors[f"{name}.{number}"].numpy(),
            unlabelled_MK=find(f"{name}.{number}.pool"),
            training_NK=find(f"{name}.{number}.training"),
        )
        for number, one in enumerate(values)
    ]


def _average(entries: Sequence[HistoryEntry], *, best: bool) -> HistoryEntry:
    """The mean of the validations of all folds at one step."""
    # Some folds may have too few rows for a calibrated loss. A mean of the others would be of other rows.
    calibrated = [entry.calibrated_loss for entry in entries if entry.calibrated_loss is not None]

    def mean(name: str) -> float:
        return statistics.fmean(getattr(entry, name) for entry in entries)

    return HistoryEntry(
        epoch=round(mean("epoch"), 3),
        step=entries[0].step,
        training_loss=mean("training_loss"),
        validation_loss=mean("validation_loss"),
        accuracy=mean("accuracy"),
        macro_f1=mean("macro_f1"),
        learning_rate=mean("learning_rate"),
        seconds=round(sum(entry.seconds for entry in entries), 1),
        best=best,
        calibrated_loss=statistics.fmean(calibrated) if len(calibrated) == len(entries) else None,
    )
