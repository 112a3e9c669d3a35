"""A finished run: its result, and how a later run reads it back from the published model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sentiment_batch.errors import OutputError, UsageError, first_line
from sentiment_batch.evaluation.calibration import Calibration
from sentiment_batch.evaluation.metrics import Metrics
from sentiment_batch.model.folder import read_meta
from sentiment_batch.training.baseline import Baseline
from sentiment_batch.training.checkpoint.fingerprint import hash_rows
from sentiment_batch.training.checkpoint.history import HistoryEntry, parse_training_log
from sentiment_batch.training.learning_curve.curve import LearningCurve
from sentiment_batch.training.self_training.gain import SelfTraining

if TYPE_CHECKING:
    from sentiment_batch.training.dataset import ReviewSet


class RunResult(NamedTuple):
    """What a finished training has measured."""

    history: Sequence[HistoryEntry]
    """All validations, in order."""
    metrics: Mapping[str, Metrics] = {}
    """By what was measured: `validation`, and `test` if there is a test file."""
    calibration: Calibration | None = None
    """How the model was calibrated; None if it was not."""
    baseline: Baseline | None = None
    """How a bag of words does on the same rows; None if it was not measured."""
    likely_wrong_labels: Sequence[Mapping[str, Any]] | None = None
    """The validation rows whose label is likely wrong. None if the result was read from disk: no file stores texts."""
    self_training: SelfTraining | None = None
    """What unlabelled texts or an ensemble gained; None if the run has neither."""
    learning_curve: LearningCurve | None = None
    """Accuracy by number of labelled rows; None if it was not measured."""


def refuse_other_test_rows(folder: Path, test: ReviewSet | None) -> None:
    """Refuse test rows on which the finished model in `folder` was not measured.

    The test rows are not in the fingerprint of a run, because they do not decide its weights. So without this check, a
    resumed run would print the figures of the earlier test rows as those of the new ones.

    Raises:
        UsageError: the model was measured on other test rows, or on none.
    """
    if test is None:
        return
    measured = (read_meta(folder) or {}).get("test_rows")
    if measured != hash_rows(test):
        raise UsageError(
            f"{folder} was finished {'with other' if measured else 'without'} test rows, so these would be ignored. "
            "Measure the model on these rows with sentiment-batch evaluate, or train again with `overwrite=True`."
        )


def read_result(folder: Path) -> RunResult:
    """The result of the finished model in `folder`.

    Raises:
        OutputError: its files are damaged.
    """
    log = folder / "training_log.csv"
    try:
        meta = read_meta(folder) or {}
        self_training, curve = meta.get("self_training"), meta.get("learning_curve")
        return RunResult(
            history=parse_training_log(log.read_text(encoding="utf-8")),
            metrics={name: Metrics.from_json(one) for name, one in meta["metrics"].items() if one},
            calibration=Calibration.from_json(meta["calibration"]) if meta["calibration"] else None,
            baseline=Baseline.from_json(meta["baseline"]) if meta["baseline"] else None,
            self_training=SelfTraining.from_json(self_training) if self_training else None,
            learning_curve=LearningCurve.from_json(curve) if curve else None,
        )
    # The folder may hold anything: a file may be missing, and a value may be missing or have another type.
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{folder} cannot be read: {first_line(error)}. Train again with `overwrite=True`."
        ) from error
