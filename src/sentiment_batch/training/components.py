"""Everything a run needs before its first step: model, tokenised texts, class weights and learning rate."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sentiment_batch.errors import UsageError
from sentiment_batch.model.classifier import SentimentClassifier, load_base, save_classifier
from sentiment_batch.tokenization.tokenizer import TextPolicy, Tokeniser
from sentiment_batch.training.batches import Texts
from sentiment_batch.training.data_check import check
from sentiment_batch.training.optimizer import Run

if TYPE_CHECKING:
    from sentiment_batch.records import Choice
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.prepare import Prepared, Rows

logger = logging.getLogger("sentiment_batch")

SHORT = 64
"""Texts of at most so many tokens, on average, are short: a batch of 16 would be mostly the optimiser's own work."""
BATCH_SIZE = 16
BATCH_SIZE_SHORT = 32
WEIGHT_AVERAGE = 0.999
"""Where texts are long: of IMDb reviews, the average had the lower loss and was right more often; see benchmarks/."""
RATE_TIMES_WIDTH = 0.0384
"""The default learning rate is this over the encoder's width: 1e-4 for 384, 5e-5 for 768, which both train well."""
HIGHEST_RATE = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """A run that is ready to begin."""

    data: Prepared
    run: Run
    classifier: SentimentClassifier
    """On the device."""
    tokenizer: Any
    tokeniser: Tokeniser
    policy: TextPolicy
    training: Texts
    validation: Texts

    def texts(self, rows: Rows) -> Texts:
        """Rows as the classifier takes them."""
        return _texts(rows, self.tokeniser, self.tokenizer)

    def save(self, folder: Path) -> None:
        """Write the classifier, as it is now, as a stock model."""
        save_classifier(folder, self.classifier, self.tokenizer, self.run.labels, self.policy.max_length)


def set_up(
    data: Prepared, folder: Path, settings: TrainSettings, device: Choice, dtype: Choice, *, quiet: bool
) -> Setup:
    """Load the base in `folder`, and tokenise the texts.

    Raises:
        ModelError: the base cannot be used.
        UsageError: `--max-length` is more than the base takes.
    """
    encoder, tokenizer = load_base(folder)
    classifier = SentimentClassifier(encoder, len(data.mapping.labels), settings.dropout).to(device.value)
    policy = _policy(settings, encoder.config.max_position_embeddings)
    tokeniser = Tokeniser(tokenizer.backend_tokenizer, policy, special_as_text=True)
    rate = settings.learning_rate or min(HIGHEST_RATE, RATE_TIMES_WIDTH / encoder.config.dim)
    logger.info(
        "learning rate %.3g%s", rate, "" if settings.learning_rate else f", for a {encoder.config.dim}-wide encoder"
    )
    training, validation = (_texts(rows, tokeniser, tokenizer) for rows in (data.training, data.validation))
    summary = check.with_lengths(data.summary, training.tokens, policy, encoder.config.max_position_embeddings)
    run = Run(
        settings=settings,
        learning_rate=rate,
        batch_size=_batch_size(settings, training),
        weight_average=_weight_average(settings, training),
        device=device.value,
        dtype=dtype.value,
        labels=data.mapping.labels,
        class_weights=_class_weights(data, settings.class_weights, device.value),
        quiet=quiet,
    )
    return Setup(
        data=replace(data, summary=summary),
        run=run,
        classifier=classifier,
        tokenizer=tokenizer,
        tokeniser=tokeniser,
        policy=policy,
        training=training,
        validation=validation,
    )


def _batch_size(settings: TrainSettings, training: Texts) -> int:
    if settings.batch_size is not None:
        return settings.batch_size
    mean = training.tokens.lengths.mean()
    size = BATCH_SIZE_SHORT if mean <= SHORT else BATCH_SIZE
    logger.info("batch size %s, for texts of %.0f tokens on average", size, mean)
    return size


def _weight_average(settings: TrainSettings, training: Texts) -> float:
    if settings.weight_average is not None:
        return settings.weight_average
    if training.tokens.lengths.mean() <= SHORT:
        return 0.0
    logger.info("the weights of the run's steps are averaged, with a decay of %g at most", WEIGHT_AVERAGE)
    return WEIGHT_AVERAGE


def _texts(rows: Rows, tokeniser: Tokeniser, tokenizer: Any) -> Texts:
    return Texts(tokeniser(rows.texts), rows.codes, tokenizer.pad_token_id or 0)


def _policy(settings: TrainSettings, positions: int) -> TextPolicy:
    if settings.max_length is not None and settings.max_length > positions:
        raise UsageError(
            f"--max-length is {settings.max_length}, but the encoder has {positions} positions. Take fewer."
        )
    return TextPolicy(max_length=settings.max_length or positions, long_text=settings.long_text)


def _class_weights(data: Prepared, choice: str, device: str) -> torch.Tensor | None:
    if choice == "none":
        return None
    counts = np.bincount(data.training.codes, minlength=len(data.mapping.labels))
    weights = len(data.training.codes) / (len(counts) * counts)
    logger.info(
        "class weights: %s",
        ", ".join(f"{weight:.2f} {label}" for weight, label in zip(weights, data.mapping.labels, strict=True)),
    )
    return torch.tensor(weights, dtype=torch.float32, device=device)
