"""The settings of `sentiment_batch.settings` as typed keyword arguments, for editors and type checkers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from sentiment_batch.settings import LongText


class TrainKeywords(TypedDict, total=False):
    """The settings of training as keyword arguments. `TrainSettings` says what each means."""

    base: str | os.PathLike[str]
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    weight_decay: float
    warmup: float
    layer_decay: float
    label_smoothing: float
    random_crops: float | None
    weight_average: float | None
    dropout: float
    max_length: int | None
    long_text: LongText
    patience: int | None
    class_weights: str
    calibrate: bool
    val_size: float | None
    folds: int | None
    seed: int
    device: str
    dtype: str
    limit: int | None
    learning_curve: bool
    ensemble: int | None
    unlabelled_limit: int | None
    unlabelled_confidence: float | None
    unlabelled_weight: float | None


class ScoreKeywords(TypedDict, total=False):
    """The settings of scoring as keyword arguments. `ScoreSettings` says what each means."""

    device: str
    dtype: str
    batch_tokens: int | None
    deterministic: bool
    compile: bool | None
    max_length: int | None
    long_text: LongText | None
    labels: Sequence[str] | None
    probabilities: bool
    prefix: str
    decimals: int
    neutral_band: float | None
    engine: str
    engine_options: Mapping[str, str] | Sequence[tuple[str, str]]
