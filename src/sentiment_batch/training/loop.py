"""The training loop: from tokenized texts and a classifier to the history of its validations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch

from sentiment_batch.evaluation.calibration import MIN_CALIBRATION_ROWS, calibrate
from sentiment_batch.evaluation.metrics import Metrics, measure
from sentiment_batch.model.device import choose_batch_tokens
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits
from sentiment_batch.model.forward.packed_training import choose_training_pass
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.progress import show_progress
from sentiment_batch.tokenization.packing import build_pack, plan_packs
from sentiment_batch.training.batches import Batch, LengthGroupedBatches, RandomCrops, TokenizedTexts, make_loader
from sentiment_batch.training.checkpoint.history import HistoryEntry, is_best, should_stop
from sentiment_batch.training.checkpoint.state import Snapshot, StateSaver, TrainState, restore_random
from sentiment_batch.training.optimizer import (
    MicroBatches,
    RunConfig,
    autocast,
    make_optimizer,
    make_rate_schedule,
    take_step,
)
from sentiment_batch.training.weight_average import WeightAverage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sentiment_batch.model.classifier import EncoderClassifier
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.tokenization.packing import SegmentNumbers, Tokens
    from sentiment_batch.training.schedule import Schedule


def fit(
    classifier: EncoderClassifier,
    training: TokenizedTexts,
    validation: TokenizedTexts | None,
    config: RunConfig,
    schedule: Schedule,
    on_candidate: Callable[[HistoryEntry | None], None],
    saver: StateSaver | None = None,
    task: str = "training",
) -> list[HistoryEntry]:
    """Train `classifier` in place.

    Args:
        classifier: the classifier in float32, on the device of the run.
        training: the texts to learn from.
        validation: the texts that decide which state is best; None if nothing decides, so that the last one is.
        config: the settings and the device of the run.
        schedule: the steps of the run.
        on_candidate: called while the classifier has weights to keep: after each validation, with its entry; without
            validation, after the last step.
        saver: loads the state to resume from, if there is one, and saves states on the way.
        task: the name of the progress bar.

    Returns:
        One entry for each validation, in order.
    """
    patience = None if schedule.keeps_last else config.settings.patience
    sampler = LengthGroupedBatches(training.tokens.lengths, config.batch_size, config.settings.seed)
    state = make_initial_state(classifier, schedule, config)
    snapshot = saver.load() if saver else None
    if snapshot:
        state.restore(snapshot)
        # The run had stopped early, and was interrupted later, while the model was measured
        if should_stop(state.history, patience):
            return state.history
    with show_progress(schedule.steps, done=state.step, quiet=config.quiet, task=task, unit="step") as bar:
        for batch in _remaining_batches(state, training, sampler, config, snapshot):
            # The losses stay on the device: to read one here would wait for the GPU at each step
            state.losses.append(state.micro_batches.backward(batch))
            rate = take_step(classifier, state.optimizer, state.schedule)
            state.count_step()
            bar.update()
            is_validated = validation is not None and state.step in schedule.validations
            is_last = state.step == schedule.steps
            if is_validated or (is_last and validation is None):
                bar.set_postfix_str("validating")
                # The averaged weights are validated and kept. Training goes on from the weights of the last step.
                with state.averaged():
                    entry = None
                    if validation is not None:
                        measured = validate(classifier, validation, config)
                        entry = _add_entry(state, measured, schedule, len(sampler), rate)
                        losses = f"loss {entry.training_loss:.3f}, validation {entry.validation_loss:.3f}"
                        bar.set_postfix_str(losses, refresh=False)
                    on_candidate(entry)
            # After `on_candidate`, because the state names the best model. A save changes no weight and draws no random
            # number, so a run that saves more often ends with the same weights.
            if saver and (is_validated or is_last or saver.is_due()):
                saver.save(state)
            if is_last or (is_validated and should_stop(state.history, patience)):
                break
    return state.history


def _remaining_batches(
    state: TrainState,
    training: TokenizedTexts,
    sampler: LengthGroupedBatches,
    config: RunConfig,
    snapshot: Snapshot | None,
) -> Iterator[Batch]:
    """The batches that `state` has not seen; counts them in `state`."""
    while state.step < state.steps:
        # Seed and epoch give the order of the batches. A resumed run leaves out those that are done.
        sampler.epoch, sampler.done = state.epoch, state.batches_done
        # `iter` draws a seed from torch's generator, so the generators are restored after it
        batches = iter(make_loader(training, sampler, _make_crops(config, state.epoch)))
        if snapshot:
            restore_random(snapshot, config.device)
            snapshot = None
        for batch in batches:
            # Counted before the step, because states are saved between this step and the next batch
            state.batches_done += 1
            yield batch
        state.epoch, state.batches_done = state.epoch + 1, 0


def _make_crops(config: RunConfig, epoch: int) -> RandomCrops | None:
    """The random crops of an epoch; None if the run has none."""
    if not config.random_crops:
        return None
    return RandomCrops(
        share=config.random_crops, special_tokens=config.special_tokens, seed=config.settings.seed, epoch=epoch
    )


def make_initial_state(classifier: EncoderClassifier, schedule: Schedule, config: RunConfig) -> TrainState:
    """The state before the first optimizer step."""
    settings = config.settings
    optimizer = make_optimizer(classifier, config.learning_rate, settings.weight_decay, settings.layer_decay)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, make_rate_schedule(schedule.steps, settings.warmup))
    return TrainState(
        classifier=classifier,
        optimizer=optimizer,
        schedule=rates,
        micro_batches=MicroBatches(classifier, config),
        average=WeightAverage(classifier, config.weight_average) if config.weight_average else None,
        device=config.device,
        steps=schedule.steps,
    )


def _add_entry(
    state: TrainState, validation: Validation, schedule: Schedule, steps_per_epoch: int, rate: float
) -> HistoryEntry:
    """Add a validation to the history of `state`."""
    metrics, calibrated_loss = validation
    # The calibrated loss selects the state, because calibration undoes too much certainty, which later states have
    loss = metrics.loss if calibrated_loss is None else calibrated_loss
    is_last = state.step == schedule.steps
    is_kept = is_last and math.isfinite(loss) if schedule.keeps_last else is_best(loss, state.history)
    entry = HistoryEntry(
        epoch=round(state.epoch + state.batches_done / steps_per_epoch, 3),
        step=state.step,
        # The only wait for the device between two validations
        training_loss=float(torch.stack(state.losses).mean()),
        validation_loss=metrics.loss,
        accuracy=metrics.accuracy,
        macro_f1=metrics.macro_f1,
        learning_rate=rate,
        seconds=round(state.seconds, 1),
        best=is_kept,
        calibrated_loss=calibrated_loss,
    )
    state.losses.clear()
    state.history.append(entry)
    return entry


class Validation(NamedTuple):
    """What a validation measures."""

    metrics: Metrics
    calibrated_loss: float | None
    """Loss after calibration, where the other rows calibrate each row; None if the run does not calibrate, or if the
    rows are too few for that."""


def validate(classifier: EncoderClassifier, texts: TokenizedTexts, config: RunConfig) -> Validation:
    """Measure the classifier on `texts`. Each row counts the same, whatever the class weights.

    Raises:
        DeviceError: one text alone does not fit into the device's memory.
    """
    logits_NK = compute_logits(classifier, texts, config)
    metrics = measure(softmax(logits_NK), texts.codes, config.labels)
    few = len(texts.codes) < MIN_CALIBRATION_ROWS
    if few or not config.settings.calibrate or not math.isfinite(metrics.loss):
        return Validation(metrics, None)
    return Validation(metrics, calibrate(logits_NK, texts.codes).after["loss"])


def compute_logits(classifier: EncoderClassifier, texts: TokenizedTexts, config: RunConfig) -> Floats:
    """Logits (N, K) of the classifier for `texts`, without dropout, in batches as scoring makes them.

    Raises:
        DeviceError: one text alone does not fit into the device's memory.
    """
    classifier.eval()  # without dropout; `MicroBatches` turns it on again for each step
    budget = choose_batch_tokens(config.device, classifier.encoder.config.dim)
    return compute_segment_logits(_TrainingStrategy(classifier, config), texts.tokens, Budget(budget))


class _TrainingStrategy:
    """A classifier in training as a forward strategy for `forward`."""

    shape = None

    def __init__(self, classifier: EncoderClassifier, config: RunConfig) -> None:
        self.device = config.device
        self.classes = len(config.labels)
        self._training_pass = choose_training_pass(classifier, config.device, config.dtype)
        self._config = config

    def plan(self, lengths: npt.NDArray[np.int64], budget: int, threads: int = 1) -> list[SegmentNumbers]:
        return plan_packs(lengths, budget, threads=threads)

    def logits(self, tokens: Tokens, rows: SegmentNumbers) -> torch.Tensor:
        with torch.inference_mode(), autocast(self._config):
            logits_BK = self._training_pass(build_pack(tokens, rows))
        return logits_BK.float()
