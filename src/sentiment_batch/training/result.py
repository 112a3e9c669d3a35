"""The result of a run: the record that callers get, and the content of sentiment_batch.json."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.settings import DETERMINISTIC_BATCH, META_FORMAT
from sentiment_batch.training.checkpoint.history import HistoryEntry, find_best

if TYPE_CHECKING:
    from sentiment_batch.data.input_description import InputDescription
    from sentiment_batch.evaluation.calibration import Calibration
    from sentiment_batch.evaluation.metrics import Metrics
    from sentiment_batch.records import Choice
    from sentiment_batch.training.baseline import Baseline
    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.finished import RunResult
    from sentiment_batch.training.learning_curve.curve import LearningCurve
    from sentiment_batch.training.self_training.gain import SelfTraining

REPORT_FILE = "report.html"
"""Name of the report in the model folder. It shows texts, unlike sentiment_batch.json."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Trained:
    """The result of a training run. It can be given wherever the path of a model is asked for."""

    path: str
    """The model folder."""
    labels: tuple[str, ...]
    """The K labels, by class number."""
    best: HistoryEntry
    """The validation whose state was saved."""
    history: tuple[HistoryEntry, ...]
    """All validations, in order."""
    validation: Metrics
    """Metrics of the published, calibrated model on the validation rows; the losses in `history` are uncalibrated."""
    test: Metrics | None
    """Metrics on the test file; None if there is none."""
    calibration: Calibration | None
    """How the model was calibrated; None with `calibrate=False`."""
    device: Choice
    """Where it was trained, and why."""
    dtype: Choice
    """The dtype of matrix products, and why."""
    folds: int | None = None
    """The number of folds that validated in turn; None if other rows than those of the training did."""
    baseline: Baseline | None = None
    """How a bag of words does on the same rows; None with `baseline=False`."""
    input: InputDescription | None = None
    """How the first table was read; None if it was not read here."""
    likely_wrong_labels: Sequence[Mapping[str, Any]] | None = None
    """The validation rows whose label is likely wrong, as `Evaluation` lists them. With folds nearly all rows validate.
    They are in no JSON, because they hold texts. None if the run was finished before."""
    self_training: SelfTraining | None = None
    """What unlabelled texts or an ensemble gained; None if the run has neither."""
    learning_curve: LearningCurve | None = None
    """Accuracy by number of labelled rows; None without `learning_curve=True`, or if the rows are too few."""

    def __fspath__(self) -> str:
        """The model folder."""
        return self.path

    def __repr__(self) -> str:
        """The model, its labels and its figures in a line, because the generated text would fill screens."""
        return f"Trained(path={self.path!r}, labels={self.labels!r}, accuracy={self.validation.accuracy:.4f})"

    def _repr_html_(self) -> str | None:
        """The report, for notebooks; None without one that can be read, so that they show the line of `repr`."""
        from sentiment_batch.report.notebook import frame_page

        try:
            page = (Path(self.path) / REPORT_FILE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):  # such as a deleted folder, or a file that something else has damaged
            return None
        return frame_page(page, "Report")

    def to_json(self) -> dict[str, Any]:
        """Plain values. A loss that is not finite becomes None, because JSON has no such number."""
        # Emptied first, because `asdict` would copy the texts of all these rows
        values = dataclasses.asdict(dataclasses.replace(self, likely_wrong_labels=None))
        del values["likely_wrong_labels"]
        for name in ("input", "baseline", "self_training", "learning_curve"):
            one = getattr(self, name)
            values[name] = None if one is None else one.to_json()
        values["history"] = [
            {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in entry.items()}
            for entry in values["history"]
        ]
        return values


def describe_model(setup: Setup, result: RunResult, confidence: float | None = None) -> dict[str, Any]:
    """The content of sentiment_batch.json.

    Args:
        setup: the run.
        result: what was measured. A model that is saved during the training has a history only, of which one is best.
        confidence: the mean probability of the likeliest label on the validation rows.
    """
    best = find_best(result.history)
    assert best is not None
    measured = ("validation", "test") if result.metrics else ()
    metrics = {name: result.metrics[name].to_json() if name in result.metrics else None for name in measured}
    config, policy = setup.config, setup.policy
    return {
        "format": META_FORMAT,
        "version": importlib.metadata.version("sentiment-batch"),
        "base": config.settings.base,
        "labels": setup.data.mapping.to_json(),
        "input": next((one.to_json() for _, one in setup.data.inputs), None),
        "text": {"max_length": policy.max_length, "long_text": policy.long_text, "special_tokens_as_text": True},
        "batch": DETERMINISTIC_BATCH,
        # The settings of the user, with the values that were chosen where the user left them open
        "settings": dataclasses.asdict(config.settings)
        | {name: getattr(config, name) for name in ("learning_rate", "batch_size", "random_crops", "weight_average")}
        | {"epochs": setup.schedule.epochs, "max_length": policy.max_length},
        "data": setup.data.summary,
        "texts": setup.texts | {"confidence": confidence},
        "validation": _describe_validation(setup),
        "best": dataclasses.asdict(best),
        "calibration": result.calibration.to_json() if result.calibration else None,
        "metrics": metrics,
        "baseline": result.baseline.to_json() if result.baseline else None,
        "self_training": result.self_training.to_json() if result.self_training else None,
        "learning_curve": result.learning_curve.to_json() if result.learning_curve else None,
        "device": dataclasses.asdict(setup.device),
        "dtype": dataclasses.asdict(setup.dtype),
        "versions": {"python": platform.python_version(), "torch": torch.__version__}
        | {name: importlib.metadata.version(name) for name in ("transformers", "tokenizers")},
    }


def _describe_validation(setup: Setup) -> dict[str, Any]:
    """How the run is validated: by `folds`, by a `file`, or by a `split` of the rows."""
    folds, rows = setup.data.folds, len(setup.data.validation)
    if folds is not None:
        return {"kind": "folds", "folds": folds.number, "rows": rows}
    return {"kind": "file" if setup.data.validation_file else "split", "rows": rows}
