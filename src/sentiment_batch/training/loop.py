"""The training loop: batches and a classifier in, the history of its losses out; the best state goes to a callback."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from tqdm import tqdm

from sentiment_batch import metrics
from sentiment_batch.assemble import softmax
from sentiment_batch.device import batch_tokens
from sentiment_batch.errors import DeviceError
from sentiment_batch.scoring.forward import Budget, forward
from sentiment_batch.scoring.roads import PaddedRoad
from sentiment_batch.training.data import Batch, LengthGroupedBatches, Texts, loader

if TYPE_CHECKING:
    from sentiment_batch.model import SentimentClassifier
    from sentiment_batch.settings import TrainSettings

logger = logging.getLogger("sentiment_batch")

CLIP_NORM = 1.0
"""The gradient's norm is cut to this, as in BERT's own fine-tuning."""
STEPS_PER_VALIDATION = 1_000
"""An epoch of more steps than this is validated within, up to `MOST_VALIDATIONS` times."""
MOST_VALIDATIONS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One validation: a row of training_log.csv."""

    epoch: float
    """Epochs done, in fractions where an epoch is validated within."""
    step: int
    """Optimiser steps done."""
    training_loss: float
    """Mean over the steps since the row before."""
    validation_loss: float
    accuracy: float
    macro_f1: float
    learning_rate: float
    """Of the last step."""
    seconds: float
    """Since training began."""
    best: bool
    """Whether no validation before had so low a loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What the loop needs beside the data."""

    settings: TrainSettings
    learning_rate: float
    device: str
    dtype: str
    labels: tuple[str, ...]
    class_weights: torch.Tensor | None
    """(K,) on the device, or None."""
    quiet: bool = False


def fit(
    classifier: SentimentClassifier,
    training: Texts,
    validation: Texts,
    run: Run,
    on_best: Callable[[Progress], None],
) -> list[Progress]:
    """Train `classifier` in place.

    Args:
        classifier: on `run.device`, in float32.
        training: the texts to learn from.
        validation: the texts that decide which state is best.
        run: settings and device.
        on_best: called at once whenever the validation loss is the lowest so far, to save the state.

    Returns:
        One entry per validation, in order.
    """
    settings = run.settings
    sampler = LengthGroupedBatches(training.tokens.lengths, settings.batch_size, settings.seed)
    batches = loader(training, sampler, run.device)
    steps = settings.epochs * len(sampler)
    optimiser = adamw(classifier, run.learning_rate, settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warmup_then_decay(steps, settings.warmup))
    validate_at = validation_steps(len(sampler))
    micro = MicroBatches(classifier, run)
    history: list[Progress] = []
    losses: list[torch.Tensor] = []
    start, step = time.perf_counter(), 0
    with _bar(steps, run.quiet) as bar:
        for epoch in range(settings.epochs):
            sampler.epoch = epoch
            for within, batch in enumerate(batches, start=1):
                losses.append(micro.backward(batch))
                rate = _step(classifier, optimiser, schedule)
                step += 1
                bar.update()
                if within not in validate_at:
                    continue
                bar.set_postfix_str("validating")
                measured = validate(classifier, validation, run)
                entry = Progress(
                    epoch=round(epoch + within / len(sampler), 3),
                    step=step,
                    training_loss=float(torch.stack(losses).mean()),  # the only wait for the device between validations
                    validation_loss=measured.loss,
                    accuracy=measured.accuracy,
                    macro_f1=measured.macro_f1,
                    learning_rate=rate,
                    seconds=round(time.perf_counter() - start, 1),
                    best=is_best(measured.loss, history),
                )
                losses.clear()
                history.append(entry)
                _tell(bar, entry)
                if entry.best:
                    on_best(entry)
                if _stops(history, settings.patience):
                    return history
    return history


class MicroBatches:
    """The forward and backward pass of a batch, in as many parts as the device's memory needs.

    The gradients of the parts add up to those of the whole: each part's loss is a sum, divided by the whole's weight.
    """

    def __init__(self, classifier: SentimentClassifier, run: Run) -> None:
        self._classifier = classifier
        self._run = run
        self.rows = run.settings.batch_size

    def backward(self, batch: Batch) -> torch.Tensor:
        """Add the gradients of the mean loss of `batch`; returns that loss, detached, on the device.

        Raises:
            DeviceError: not even one text at a time fits.
        """
        while True:
            try:
                return self._attempt(batch)
            except torch.OutOfMemoryError as error:
                if self.rows == 1:
                    raise DeviceError(
                        "the device's memory does not hold one text. Take a smaller --max-length, or --device cpu."
                    ) from error
            # Outside the handler: its traceback would keep the failed pass's tensors alive.
            self.rows = max(1, min(self.rows, len(batch.labels_B)) // 2)
            self._classifier.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            logger.warning(
                "out of memory: batches are now computed in parts of %s texts, with the same result", self.rows
            )

    def _attempt(self, batch: Batch) -> torch.Tensor:
        self._classifier.train()
        weights = self._run.class_weights
        batch = batch.to(self._run.device)
        total = len(batch.labels_B) if weights is None else weights[batch.labels_B].sum()
        loss = torch.zeros((), device=self._run.device)
        for at in range(0, len(batch.labels_B), self.rows):
            part = batch.part(at, at + self.rows)
            with precision(self._run):
                logits_BK = self._classifier(part.ids_BT, part.mask_BT)
            summed = functional.cross_entropy(logits_BK.float(), part.labels_B, weight=weights, reduction="sum")
            part_loss = summed / total
            part_loss.backward()  # type: ignore[no-untyped-call]
            loss += part_loss.detach()
        return loss


def adamw(classifier: SentimentClassifier, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW with decay on matrices only: biases and norms, which are vectors, are not shrunk."""
    parameters = list(classifier.parameters())
    groups = [
        {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": weight_decay},
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def _step(
    classifier: SentimentClassifier, optimiser: torch.optim.AdamW, schedule: torch.optim.lr_scheduler.LambdaLR
) -> float:
    """Move the weights along the gradients, and clear these; returns the learning rate that was used."""
    torch.nn.utils.clip_grad_norm_(classifier.parameters(), CLIP_NORM)
    rate = float(schedule.get_last_lr()[0])
    optimiser.step()
    schedule.step()
    optimiser.zero_grad(set_to_none=True)
    return rate


def warmup_then_decay(steps: int, warmup: float) -> Callable[[int], float]:
    """The factor on the learning rate at each step: a straight rise to 1, then a straight fall to 0 at the end."""
    rising = round(steps * warmup)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return (steps - step) / max(1, steps - rising)

    return factor


def validation_steps(steps_per_epoch: int) -> set[int]:
    """The steps of an epoch, counted from 1, after which to validate: the last, and some within a long epoch."""
    times = min(MOST_VALIDATIONS, max(1, steps_per_epoch // STEPS_PER_VALIDATION))
    return {round(steps_per_epoch * part / times) for part in range(1, times + 1)}


def validate(classifier: SentimentClassifier, texts: Texts, run: Run) -> metrics.Metrics:
    """Measure the classifier on `texts`, with dropout off, in batches as they are scored later.

    Raises:
        DeviceError: one text alone does not fit into the device's memory.
    """
    classifier.eval()
    budget = batch_tokens(run.device, classifier.encoder.config.dim)
    road = PaddedRoad(model=_UnderWay(classifier, run, texts.pad_id), device=run.device)
    logits_NK = forward(road, texts.tokens, Budget(budget))
    return metrics.measure(softmax(logits_NK), texts.codes, run.labels)


class _UnderWay:
    """A classifier that is being trained, as `forward` wants a model."""

    def __init__(self, classifier: SentimentClassifier, run: Run, pad_id: int) -> None:
        self._classifier = classifier
        self._run = run
        self.labels = run.labels
        self.pad_id = pad_id

    def logits(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
        with torch.inference_mode(), precision(self._run):
            logits: torch.Tensor = self._classifier(ids_BT, mask_BT)
        return logits.float()


def precision(run: Run) -> contextlib.AbstractContextManager[Any]:
    """Matrix products in the run's dtype; the weights themselves stay float32."""
    if run.dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(run.device).type, dtype=getattr(torch, run.dtype))


def is_best(loss: float, history: list[Progress]) -> bool:
    """Whether `loss` is a number, and lower than any before; a loss that is no number is never the best."""
    return math.isfinite(loss) and not any(before.validation_loss <= loss for before in history)


def _stops(history: list[Progress], patience: int | None) -> bool:
    since_best = next((n for n, entry in enumerate(reversed(history)) if entry.best), len(history))
    if patience is None or since_best < patience:
        return False
    logger.info("stopped early: no better validation loss in the last %s validations", patience)
    return True


def _bar(steps: int, quiet: bool) -> Any:
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(total=steps, desc="training", unit="step", disable=quiet, mininterval=interval)


def _tell(bar: Any, entry: Progress) -> None:
    bar.set_postfix_str(f"loss {entry.training_loss:.3f}, validation {entry.validation_loss:.3f}", refresh=False)
    with tqdm.external_write_mode(file=sys.stderr):
        logger.info(
            "epoch %g: training loss %.4f, validation loss %.4f, accuracy %.4f, macro F1 %.4f%s",
            entry.epoch,
            entry.training_loss,
            entry.validation_loss,
            entry.accuracy,
            entry.macro_f1,
            " (best so far, saved)" if entry.best else "",
        )
