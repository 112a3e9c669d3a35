"""Which model scores when none is named, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sentiment_batch.settings import DEFAULT_HUB_MODEL, DEFAULT_MODEL_FOLDER

MODEL_VARIABLE = "SENTIMENT_BATCH_MODEL"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelChoice:
    """A model's name, and where it was found."""

    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.value} ({self.reason})"


def choose_model(named: str | None) -> ModelChoice:
    """The model that was named, else `$SENTIMENT_BATCH_MODEL`, else ./sentiment-model, else the Hub's SST-2 model."""
    if named:
        return ModelChoice(value=named, reason="as named")
    from_environment = os.environ.get(MODEL_VARIABLE)
    if from_environment:
        return ModelChoice(value=from_environment, reason=f"${MODEL_VARIABLE}")
    if Path(DEFAULT_MODEL_FOLDER).is_dir():
        return ModelChoice(value=DEFAULT_MODEL_FOLDER, reason="a folder of that name is here")
    return ModelChoice(value=DEFAULT_HUB_MODEL, reason="the Hub's default, for no model was named or trained here")
