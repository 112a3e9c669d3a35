"""The two contestants in training, sentiment-batch and the reference, with one plan and the same rows."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import common, rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from benchmarks.rows import Rows

OURS, REFERENCE = "sentiment-batch", "transformers Trainer"
Steps = Callable[[int], tuple[float, int]]
"""Takes so many optimizer steps; gives their seconds and real tokens."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings that both train with."""

    base: str
    """A folder."""
    names: tuple[str, ...]
    """Of the labels."""
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup: float
    max_length: int
    seed: int
    device: str
    dtype: str
    """`bfloat16` by autocast, or `float32`."""
    long_text: str
    reference_long_text: str


@dataclass(frozen=True, kw_only=True)
class Data:
    """The rows of a comparison."""

    training: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one run went."""

    contestant: str
    seed: int
    seconds: float
    """From labelled rows to a model folder, loading the base, tokenizing, validating and saving included."""
    steps: int
    counted_steps: int
    training_seconds: float
    """Of the counted steps alone."""
    peak_bytes: int
    """Of the process, on CUDA of the device's memory."""
    predicted: npt.NDArray[np.int64]
    """(n,) the class of each test row."""


def run(contestant: str, plan: Plan, data: Data, folder: Path) -> Outcome:
    """Train one model and let it predict the test rows. Run it in a new process, so that its peak memory counts."""
    from benchmarks.stopwatch import Stopwatch

    per_epoch = -(-len(data.training) // plan.batch_size)
    validations = validations_of(plan, per_epoch)
    go = _ours if contestant == OURS else _reference
    with common.quietly():
        started = time.perf_counter()
        with Stopwatch(validations, plan.device) as watch:
            go(plan, data, folder, validations)
        seconds = time.perf_counter() - started
        if watch.steps != per_epoch * plan.epochs:
            raise RuntimeError(f"{contestant} took {watch.steps} steps, not {plan.epochs} times {per_epoch}")
        peak = peak_bytes(plan.device)
        long_text = plan.long_text if contestant == OURS else plan.reference_long_text
        how = {"device": plan.device, "max_length": plan.max_length, "long_text": long_text}
        scores = rows.predicted(str(folder), data.test, plan.names, **how)
    return Outcome(
        contestant=contestant,
        seed=plan.seed,
        seconds=seconds,
        steps=watch.steps,
        counted_steps=watch.counted,
        training_seconds=watch.seconds,
        peak_bytes=peak,
        predicted=scores.argmax(axis=1),
    )


def validations_of(plan: Plan, per_epoch: int) -> list[int]:
    """The steps after which both validate, counted from 1 over the whole run."""
    from sentiment_batch.training.schedule import plan_schedule

    return sorted(plan_schedule(per_epoch, plan.epochs).validations)


def _ours(plan: Plan, data: Data, folder: Path, validations: list[int]) -> None:
    from sentiment_batch import train

    frames = data.training.frame(), data.validation.frame()
    train(frames[0], folder, text_column="text", label_column="label", val=frames[1], quiet=True, **_settings(plan))


def _settings(plan: Plan) -> dict[str, Any]:
    return {
        "base": plan.base,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "weight_decay": plan.weight_decay,
        "warmup": plan.warmup,
        "max_length": plan.max_length,
        "long_text": plan.long_text,
        "patience": None,
        "seed": plan.seed,
        "device": plan.device,
        "dtype": plan.dtype,
    }


def _reference(plan: Plan, data: Data, folder: Path, validations: list[int]) -> None:
    from benchmarks import reference

    per_epoch = -(-len(data.training) // plan.batch_size)
    within = [step for step in validations if step % per_epoch]
    reference.train(plan, data.training, data.validation, folder, within)


def our_steps(plan: Plan, training: Rows, validation: Rows, in_all: int) -> Steps:
    """Optimizer steps as the training loop takes them, at most `in_all` of them.

    Only this function knows how the loop is built.
    """
    from sentiment_batch.evaluation.reviews import read_reviews
    from sentiment_batch.model import device
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.batches import LengthGroupedBatches, make_loader
    from sentiment_batch.training.components import set_up
    from sentiment_batch.training.loop import make_initial_state
    from sentiment_batch.training.optimizer import take_step
    from sentiment_batch.training.prepare import prepare

    settings = TrainSettings(**_settings(plan))
    tables = [read_reviews(one.frame(), text_columns=["text"], label_column="label") for one in (training, validation)]
    prepared = prepare(tables[:1], settings, val=tables[1])
    chosen = device.choose_device(plan.device), device.choose_training_dtype(plan.dtype, plan.device)
    setup = set_up(prepared, Path(plan.base), settings, *chosen, quiet=True)
    schedule = dataclasses.replace(setup.schedule, steps=in_all)
    state = make_initial_state(setup.classifier, schedule, setup.config)

    sampler = LengthGroupedBatches(setup.training.tokens.lengths, plan.batch_size, plan.seed)
    epochs = itertools.count()

    def endless() -> Iterator[Any]:
        for sampler.epoch in epochs:
            yield from make_loader(setup.training, sampler)

    def block(steps: int) -> tuple[float, int]:
        from benchmarks.stopwatch import now

        tokens = 0
        with device.make_repeatable(plan.seed, plan.device):
            started = now(plan.device)
            for batch in itertools.islice(endless(), steps):  # from the beginning of an epoch, as the reference
                state.micro_batches.backward(batch)
                take_step(setup.classifier, state.optimizer, state.schedule)
                tokens += int(batch.pack.lengths.sum())
            return now(plan.device) - started, tokens

    return block


def peak_bytes(device: str) -> int:
    """The peak memory of this process; on CUDA, that of the device."""
    if device != "cpu":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if status.exists():  # unlike what the system counts for the process, nothing of the one that started it
        (line,) = (line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1_024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
