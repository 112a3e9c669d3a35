"""What a run learned: the record that callers get, and what sentiment_batch.json says of it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.settings import DETERMINISTIC_BATCH
from sentiment_batch.training.checkpoint.history import Progress, best_of

if TYPE_CHECKING:
    from sentiment_batch.evaluation import metrics
    from sentiment_batch.evaluation.calibration import Calibration
    from sentiment_batch.records import Choice
    from sentiment_batch.tokenization.tokenizer import TextPolicy
    from sentiment_batch.training.optimizer import Run
    from sentiment_batch.training.prepare import Prepared


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What a training run learned, and where it lies."""

    path: str
    """The model folder."""
    labels: tuple[str, ...]
    best: Progress
    """The validation whose state was kept."""
    history: tuple[Progress, ...]
    validation: metrics.Metrics
    """Of the model as it is published, calibrated; the history has the losses from before."""
    test: metrics.Metrics | None
    """On the test file, if one was given."""
    calibration: Calibration | None
    """None where none was wanted."""
    device: Choice
    dtype: Choice

    def to_json(self) -> dict[str, Any]:
        """Plain values; a loss of the history that is no number is None, for JSON has none such."""
        values = dataclasses.asdict(self)
        values["history"] = [
            {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in entry.items()}
            for entry in values["history"]
        ]
        return values


def description(
    data: Prepared,
    run: Run,
    policy: TextPolicy,
    device: Choice,
    dtype: Choice,
    history: Sequence[Progress],
    results: dict[str, metrics.Metrics | None],
    calibration: Calibration | None = None,
) -> dict[str, Any]:
    """What sentiment_batch.json says."""
    best = best_of(history)
    assert best is not None
    return {
        "format": 1,
        "version": importlib.metadata.version("sentiment-batch"),
        "base": run.settings.base,
        "labels": data.mapping.to_json(),
        "text": {"max_length": policy.max_length, "long_text": policy.long_text, "special_tokens_as_text": True},
        "batch": DETERMINISTIC_BATCH,
        "settings": dataclasses.asdict(run.settings)
        | {name: getattr(run, name) for name in ("learning_rate", "batch_size", "weight_average")}
        | {"max_length": policy.max_length},
        "data": data.summary,
        "best": dataclasses.asdict(best),
        "calibration": calibration.to_json() if calibration else None,
        "metrics": {what: one.to_json() if one else None for what, one in results.items()},
        "device": dataclasses.asdict(device),
        "dtype": dataclasses.asdict(dtype),
        "versions": {"python": platform.python_version(), "torch": torch.__version__}
        | {name: importlib.metadata.version(name) for name in ("transformers", "tokenizers")},
    }
