"""One training run from labelled reviews to a published model folder: wires split, data, model, loop and checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import logging
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sentiment_batch import bases, metrics, model
from sentiment_batch.device import choose_device, repeatable, training_dtype
from sentiment_batch.errors import DeviceError, UsageError
from sentiment_batch.report import history_table
from sentiment_batch.settings import DETERMINISTIC_BATCH
from sentiment_batch.tokenise import TextPolicy, Tokeniser
from sentiment_batch.training.checkpoint import Checkpoint
from sentiment_batch.training.data import Texts
from sentiment_batch.training.loop import Progress, Run, fit, validate
from sentiment_batch.training.prepare import Prepared, Rows, prepare

if TYPE_CHECKING:
    from sentiment_batch.inputs import Labelled
    from sentiment_batch.records import Choice
    from sentiment_batch.settings import TrainSettings

logger = logging.getLogger("sentiment_batch")

RATE_TIMES_WIDTH = 0.0384
"""The default learning rate is this over the encoder's width: 1e-4 for 384, 5e-5 for 768, which both train well."""
HIGHEST_RATE = 1e-3


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
    """Of the state that was kept."""
    test: metrics.Metrics | None
    """On the test file, if one was given."""
    device: Choice
    dtype: Choice

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)


def train_labelled(
    reviews: Sequence[Labelled],
    output: str | Path,
    settings: TrainSettings,
    *,
    val: Labelled | None = None,
    test: Labelled | None = None,
    stars: str | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> Trained:
    """Train on labelled reviews and publish the model folder.

    Args:
        reviews: one or more tables; their rows are pooled.
        output: the model folder to make.
        settings: see `TrainSettings`.
        val: rows to validate on, instead of a share of the reviews.
        test: rows to measure the final model on.
        stars: what `--stars` says.
        overwrite: replace a model at `output`.
        quiet: show no progress bar.

    Raises:
        InputError: there is nothing to learn from.
        ModelError: the base cannot be used.
        OutputError: something is at `output`, or it cannot be written.
        DeviceError: the device is not there.
    """
    data = prepare(reviews, settings, val=val, test=test, stars=stars)
    device = choose_device(settings.device)
    dtype = training_dtype(settings.dtype, device.value)
    logger.info("device: %s; dtype: %s", device, dtype)
    folder = bases.resolve(settings.base)
    checkpoint = Checkpoint(output, overwrite=overwrite)
    try:
        with repeatable(settings.seed, device.value), _memory_named(device.value):
            return _train(data, folder, checkpoint, settings, device, dtype, quiet)
    except BaseException:
        checkpoint.discard()
        if checkpoint.best.exists():
            logger.warning("the best state so far is kept in %s; it can be scored with", checkpoint.best)
        raise


@contextlib.contextmanager
def _memory_named(device: str) -> Iterator[None]:
    """Smaller batches cannot help where the weights, their gradients and the optimiser's state do not fit."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"the memory of {device} does not hold the model and the optimiser's state. Take a smaller --base, or "
            "--device cpu."
        ) from error


def _train(
    data: Prepared,
    folder: Path,
    checkpoint: Checkpoint,
    settings: TrainSettings,
    device: Choice,
    dtype: Choice,
    quiet: bool,
) -> Trained:
    encoder, tokenizer = model.load_base(folder)
    classifier = model.SentimentClassifier(encoder, len(data.mapping.labels), settings.dropout).to(device.value)
    policy = _policy(settings, encoder.config.max_position_embeddings)
    tokeniser = Tokeniser(tokenizer.backend_tokenizer, policy, special_as_text=True)
    rate = settings.learning_rate or min(HIGHEST_RATE, RATE_TIMES_WIDTH / encoder.config.dim)
    logger.info(
        "learning rate %.3g%s", rate, "" if settings.learning_rate else f", for a {encoder.config.dim}-wide encoder"
    )
    training, validation = (_texts(rows, tokeniser, tokenizer) for rows in (data.training, data.validation))
    _tell_lengths(training, policy)
    run = Run(
        settings=settings,
        learning_rate=rate,
        device=device.value,
        dtype=dtype.value,
        labels=data.mapping.labels,
        class_weights=_class_weights(data, settings.class_weights, device.value),
        quiet=quiet,
    )

    def description(history: Sequence[Progress], results: dict[str, metrics.Metrics | None]) -> tuple[Any, Any]:
        meta = _description(data, run, policy, device, dtype, history, results)
        return meta, [dataclasses.asdict(entry) for entry in history]

    def on_best(entry: Progress) -> None:
        def fill(new: Path) -> None:
            model.save_classifier(new, classifier, tokenizer, data.mapping.labels, policy.max_length)

        checkpoint.save(fill, *description([entry], {}))

    history = fit(classifier, training, validation, run, on_best)
    best = next((entry for entry in reversed(history) if entry.best), None)
    if best is None:
        raise UsageError("the loss is not a number: training diverged. Take a smaller --learning-rate.")
    kept = _restore(classifier, checkpoint.best)
    measured = validate(kept, validation, run)
    tested = validate(kept, _texts(data.test, tokeniser, tokenizer), run) if data.test else None
    logger.info("%s", history_table([dataclasses.asdict(entry) for entry in history]))
    checkpoint.describe(*description(history, {"validation": measured, "test": tested}))
    return Trained(
        path=str(checkpoint.publish()),
        labels=data.mapping.labels,
        best=best,
        history=tuple(history),
        validation=measured,
        test=tested,
        device=device,
        dtype=dtype,
    )


def _policy(settings: TrainSettings, positions: int) -> TextPolicy:
    if settings.max_length is not None and settings.max_length > positions:
        raise UsageError(
            f"--max-length is {settings.max_length}, but the encoder has {positions} positions. Take fewer."
        )
    return TextPolicy(max_length=settings.max_length or positions, long_text=settings.long_text)


def _texts(rows: Rows, tokeniser: Tokeniser, tokenizer: Any) -> Texts:
    return Texts(tokeniser(rows.texts), rows.codes, tokenizer.pad_token_id or 0)


def _tell_lengths(texts: Texts, policy: TextPolicy) -> None:
    lengths, cut = texts.tokens.lengths, int(texts.tokens.cut.sum())
    logger.info(
        "tokens per text: mean %.0f, longest %s; %s texts are longer than %s and keep their %s",
        lengths.mean(),
        f"{lengths.max():,}",
        f"{cut:,}",
        policy.max_length,
        policy.long_text.replace("-", " and "),
    )


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


def _restore(classifier: model.SentimentClassifier, best: Path) -> model.SentimentClassifier:
    """The state that was saved as best, read back from disk, so that what is measured is what users will load."""
    stock = model.load_classifier(best).network
    classes = classifier.linear.out_features
    with torch.no_grad():
        classifier.encoder.load_state_dict(stock.distilbert.state_dict())
        classifier.linear.weight.copy_(stock.pre_classifier.weight[:classes])
        classifier.linear.bias.copy_(stock.pre_classifier.bias[:classes])
    return classifier


def _description(
    data: Prepared,
    run: Run,
    policy: TextPolicy,
    device: Choice,
    dtype: Choice,
    history: Sequence[Progress],
    results: dict[str, metrics.Metrics | None],
) -> dict[str, Any]:
    """What sentiment_batch.json says."""
    best = [entry for entry in history if entry.best][-1]
    return {
        "format": 1,
        "version": importlib.metadata.version("sentiment-batch"),
        "base": run.settings.base,
        "labels": data.mapping.to_json(),
        "text": {"max_length": policy.max_length, "long_text": policy.long_text, "special_tokens_as_text": True},
        "batch": DETERMINISTIC_BATCH,
        "settings": dataclasses.asdict(run.settings)
        | {"learning_rate": run.learning_rate, "max_length": policy.max_length},
        "data": data.summary,
        "best": dataclasses.asdict(best),
        "metrics": {what: one.to_json() if one else None for what, one in results.items()},
        "device": dataclasses.asdict(device),
        "dtype": dataclasses.asdict(dtype),
        "versions": {"python": platform.python_version(), "torch": torch.__version__}
        | {name: importlib.metadata.version(name) for name in ("transformers", "tokenizers")},
    }
