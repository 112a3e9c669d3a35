"""The training loop: batches and a classifier in, the history of its losses out; callbacks save model and state."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from tqdm import tqdm

from sentiment_batch.evaluation import metrics
from sentiment_batch.evaluation.calibration import calibrate
from sentiment_batch.model.device import batch_tokens
from sentiment_batch.model.forward.batches import Budget, forward
from sentiment_batch.model.forward.packed_training import road
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.tokenization.packing import pack, plan_packs
from sentiment_batch.training.batches import Batch, LengthGroupedBatches, Texts, loader
from sentiment_batch.training.checkpoint.history import Progress, is_best, stops
from sentiment_batch.training.checkpoint.state import Keeper, Snapshot, TrainState, restore_random
from sentiment_batch.training.optimizer import MicroBatches, Run, adamw, move, precision, warmup_then_decay
from sentiment_batch.training.weight_average import Average

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch.utils.data import DataLoader

    from sentiment_batch.model.classifier import SentimentClassifier
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.tokenization.packing import Rows
    from sentiment_batch.tokenization.ragged import Tokens

logger = logging.getLogger("sentiment_batch")

STEPS_PER_VALIDATION = 1_000
"""An epoch of more steps than this is validated within, up to `MOST_VALIDATIONS` times."""
MOST_VALIDATIONS = 4


def fit(
    classifier: SentimentClassifier,
    training: Texts,
    validation: Texts,
    run: Run,
    on_best: Callable[[Progress], None],
    keeper: Keeper | None = None,
) -> list[Progress]:
    """Train `classifier` in place.

    Args:
        classifier: on `run.device`, in float32.
        training: the texts to learn from.
        validation: the texts that decide which state is best.
        run: settings and device.
        on_best: called at once whenever the validation loss is the lowest so far, to save the model.
        keeper: has the state to go on from, if there is one, and saves it on the way.

    Returns:
        One entry per validation, in order.
    """
    sampler = LengthGroupedBatches(training.tokens.lengths, run.batch_size, run.settings.seed)
    steps = run.settings.epochs * len(sampler)
    validate_at = validation_steps(len(sampler))
    state = begin(classifier, steps, run)
    found = keeper.found() if keeper else None
    if found:
        state.restore(found)
        if stops(state.history, run.settings.patience):
            return state.history
    with _bar(steps, run.quiet, state.step) as bar:
        for batch in _batches_left(state, sampler, loader(training, sampler), run, found):
            state.losses.append(state.micro.backward(batch))
            rate = move(classifier, state.optimiser, state.schedule)
            state.moved()
            bar.update()
            if state.within in validate_at:
                bar.set_postfix_str("validating")
                with state.averaged():
                    entry = _validated(state, validate(classifier, validation, run), len(sampler), rate)
                    _tell(bar, entry)
                    if entry.best:
                        on_best(entry)
            if keeper and (state.within in validate_at or keeper.is_due()):
                keeper.save(state)
            if state.within in validate_at and stops(state.history, run.settings.patience):
                break
    return state.history


def _batches_left(
    state: TrainState, sampler: LengthGroupedBatches, batches: DataLoader[Any], run: Run, found: Snapshot | None
) -> Iterator[Batch]:
    """The batches of all epochs from where `state` is; it counts them there."""
    while state.epoch < run.settings.epochs:
        sampler.epoch, sampler.done = state.epoch, state.within
        left = iter(batches)  # draws a seed from the process's generator, so generators are restored after it
        if found:
            restore_random(found, run.device)
            found = None
        for batch in left:
            state.within += 1
            yield batch
        state.epoch, state.within = state.epoch + 1, 0


def begin(classifier: SentimentClassifier, steps: int, run: Run) -> TrainState:
    """The state before the first of so many steps."""
    chosen = run.settings
    optimiser = adamw(classifier, run.learning_rate, chosen.weight_decay, chosen.layer_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, warmup_then_decay(steps, chosen.warmup))
    micro = MicroBatches(classifier, run)
    return TrainState(
        classifier=classifier,
        optimiser=optimiser,
        schedule=schedule,
        micro=micro,
        average=Average(classifier, run.weight_average) if run.weight_average else None,
        device=run.device,
        steps=steps,
    )


def _validated(state: TrainState, validation: Validation, steps_per_epoch: int, rate: float) -> Progress:
    """Add a validation to the history."""
    measured, calibrated = validation
    entry = Progress(
        epoch=round(state.epoch + state.within / steps_per_epoch, 3),
        step=state.step,
        training_loss=float(torch.stack(state.losses).mean()),  # the only wait for the device between validations
        validation_loss=measured.loss,
        accuracy=measured.accuracy,
        macro_f1=measured.macro_f1,
        learning_rate=rate,
        seconds=round(state.seconds, 1),
        best=is_best(measured.loss if calibrated is None else calibrated, state.history),
        calibrated_loss=calibrated,
    )
    state.losses.clear()
    state.history.append(entry)
    return entry


def validation_steps(steps_per_epoch: int) -> set[int]:
    """The steps of an epoch, counted from 1, after which to validate: the last, and some within a long epoch."""
    times = min(MOST_VALIDATIONS, max(1, steps_per_epoch // STEPS_PER_VALIDATION))
    return {round(steps_per_epoch * part / times) for part in range(1, times + 1)}


class Validation(NamedTuple):
    """What is measured of a state."""

    metrics: metrics.Metrics
    calibrated_loss: float | None
    """Its loss once it is calibrated, of each row by the others; None where it is not to be."""


def validate(classifier: SentimentClassifier, texts: Texts, run: Run) -> Validation:
    """Measure the classifier on `texts`; each row counts the same, whatever the class weights.

    Raises:
        DeviceError: one text alone does not fit into the device's memory.
    """
    logits_NK = logits(classifier, texts, run)
    measured = metrics.measure(softmax(logits_NK), texts.codes, run.labels)
    if not run.settings.calibrate or not math.isfinite(measured.loss):
        return Validation(measured, None)
    return Validation(measured, calibrate(logits_NK, texts.codes).after["loss"])


def logits(classifier: SentimentClassifier, texts: Texts, run: Run) -> Floats:
    """Logits (N, K) of the classifier for `texts`, with dropout off, in batches as they are scored later.

    Raises:
        DeviceError: one text alone does not fit into the device's memory.
    """
    classifier.eval()
    budget = batch_tokens(run.device, classifier.encoder.config.dim)
    return forward(_UnderWay(classifier, run), texts.tokens, Budget(budget))


class _UnderWay:
    """A classifier that is being trained, as `forward` wants a road."""

    shape = None

    def __init__(self, classifier: SentimentClassifier, run: Run) -> None:
        self.device = run.device
        self.classes = len(run.labels)
        self._road, _ = road(classifier, run.device, run.dtype)
        self._run = run

    def plan(self, lengths: npt.NDArray[np.int64], budget: int, workers: int = 1) -> list[Rows]:
        return plan_packs(lengths, budget, workers=workers)

    def logits(self, tokens: Tokens, rows: Rows) -> torch.Tensor:
        with torch.inference_mode(), precision(self._run):
            logits_BK = self._road(pack(tokens, rows))
        return logits_BK.float()


def _bar(steps: int, quiet: bool, done: int) -> Any:
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(total=steps, initial=done, desc="training", unit="step", disable=quiet, mininterval=interval)


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
