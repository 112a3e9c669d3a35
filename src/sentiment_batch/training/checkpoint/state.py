"""The state of a run between two steps: captures all that decides how the run continues, and restores it.

It knows no files; `state_file` does.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from sentiment_batch.training.checkpoint.history import HistoryEntry, from_rows, to_rows

if TYPE_CHECKING:
    from sentiment_batch.model.classifier import EncoderClassifier
    from sentiment_batch.training.optimizer import MicroBatches
    from sentiment_batch.training.weight_average import WeightAverage

MIN_SECONDS_BETWEEN_SAVES = 60.0
"""Age of the last state from which on another one is saved between validations. A crash may cost this much work."""
MAX_SAVING_SHARE = 1 / 20
"""Share of the time since the last save that saving it may have taken. A slow disk is used less often."""

Tensors = dict[str, torch.Tensor]


class Snapshot(NamedTuple):
    """A state as plain values and tensors."""

    values: dict[str, Any]
    """Values that JSON can hold."""
    tensors: Tensors
    """Tensors on the CPU, by name."""


@dataclass(kw_only=True, slots=True)
class TrainState:
    """Everything that changes while a run trains, except for the random generators of the process."""

    classifier: EncoderClassifier
    optimizer: torch.optim.AdamW
    schedule: torch.optim.lr_scheduler.LambdaLR
    micro_batches: MicroBatches
    """Computes the gradients of a batch. Its largest number of tokens is a part of the state."""
    average: WeightAverage | None
    """Moving average of the weights, if the run has one. The average is what is validated and saved."""
    device: str
    """The name of the device, such as `cpu` or `cuda:0`."""
    steps: int
    """Optimizer steps of the whole run, unless it stops early."""
    started: float = field(default_factory=time.perf_counter)
    """The time at which the run would have begun without interruptions, by `time.perf_counter`."""
    epoch: int = 0
    """Epochs that are done, which is also the number of the present one, from 0."""
    batches_done: int = 0
    """Batches of the present epoch that are done."""
    step: int = 0
    """Optimizer steps that are done."""
    losses: list[torch.Tensor] = field(default_factory=list)
    """Losses of the steps since the last validation, each a scalar on the device."""
    history: list[HistoryEntry] = field(default_factory=list)
    """The validations so far, in order."""

    @property
    def seconds(self) -> float:
        """Seconds of training, without interruptions."""
        return time.perf_counter() - self.started

    def count_step(self) -> None:
        """Count an optimizer step, and add its weights to the average."""
        self.step += 1
        if self.average:
            self.average.update(self.step)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Within the block the classifier has the weights that are validated and saved."""
        return self.average.in_place() if self.average else contextlib.nullcontext()

    def capture(self) -> Snapshot:
        """The whole state with the random generators. It draws no number and changes no weight."""
        tensors = {f"weights.{name}": one for name, one in self.classifier.state_dict().items()}
        # AdamW numbers the parameters, and keeps two moments and the step of each
        for number, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adamw.{number}.{name}": one for name, one in moments.items()}
        if self.average:
            tensors |= {f"average.{name}": one for name, one in self.average.capture().items()}
        tensors["losses"] = torch.stack(self.losses) if self.losses else torch.zeros(0)
        random_values, random_tensors = capture_random(self.device)
        tensors |= random_tensors
        values = {
            "epoch": self.epoch,
            "within": self.batches_done,
            "step": self.step,
            "steps": self.steps,
            "seconds": self.seconds,
            "part_tokens": self.micro_batches.max_tokens,
            "history": to_rows(self.history),
            "schedule": self.schedule.state_dict(),
            "rates": [float(group["lr"]) for group in self.optimizer.param_groups],
            "random": random_values,
        }
        return Snapshot(values, {name: one.detach().cpu().contiguous() for name, one in tensors.items()})

    def restore(self, snapshot: Snapshot) -> None:
        """Become what `capture` saw.

        The random generators are left to `restore_random`: an iterator of the DataLoader draws a number when it is
        made, so they are restored after that.
        """
        values, tensors = snapshot
        self.classifier.load_state_dict(_without_prefix("weights.", tensors))
        self.optimizer.load_state_dict(self._optimizer_state(tensors, values["rates"]))
        self.schedule.load_state_dict(values["schedule"])
        self.micro_batches.max_tokens = values["part_tokens"]
        if self.average:
            self.average.restore(_without_prefix("average.", tensors))
        # On the device, where the mean of these and of later ones is computed: its last bits depend on the device
        self.losses = list(tensors["losses"].to(self.device).unbind())
        self.history = from_rows(values["history"])
        self.epoch, self.batches_done, self.step = values["epoch"], values["within"], values["step"]
        # As if the run had begun that long ago, so that the interruption is not counted
        self.started = time.perf_counter() - values["seconds"]

    def _optimizer_state(self, tensors: Tensors, rates: list[float]) -> dict[str, Any]:
        """The state of AdamW. Only the learning rates of its groups do not follow from the settings."""
        state: dict[int, Tensors] = {}
        for name, one in _without_prefix("adamw.", tensors).items():
            number, _, moment = name.partition(".")
            state.setdefault(int(number), {})[moment] = one
        groups = self.optimizer.state_dict()["param_groups"]
        return {"state": state, "param_groups": [group | {"lr": lr} for group, lr in zip(groups, rates, strict=True)]}


class StateSaver:
    """Decides when the state of a run is written.

    Args:
        write: writes a snapshot to disk.
        load: reads the snapshot to resume from; gives None at the beginning of a run.
    """

    def __init__(self, write: Callable[[Snapshot], None], load: Callable[[], Snapshot | None] = lambda: None) -> None:
        self.load = load
        self._write = write
        self._last_save = time.perf_counter()
        self._save_seconds = 0.0

    def is_due(self) -> bool:
        """True if a state is due between two validations. Only the clock decides. It does not affect the weights."""
        # Two limits: a crash should cost little work, and saving should cost little time on a slow disk
        since = time.perf_counter() - self._last_save
        return since >= MIN_SECONDS_BETWEEN_SAVES and self._save_seconds <= MAX_SAVING_SHARE * since

    def save(self, state: TrainState) -> None:
        """Write the state now."""
        begun = time.perf_counter()
        self._write(state.capture())
        self._last_save = time.perf_counter()
        self._save_seconds = self._last_save - begun


def describe_progress(values: Mapping[str, Any]) -> str:
    """How far a state is, such as `step 40 of 200` or `step 40 of 200 of the training for fold 2 of 5`."""
    training = values.get("training")
    return f"step {values['step']:,} of {values['steps']:,}" + (f" of the training for {training}" if training else "")


def capture_random(device: str) -> tuple[dict[str, Any], Tensors]:
    """The states of all random generators of a run on `device`: of torch, the device, numpy and Python.

    Other CUDA devices are left out: the run draws nothing from their generators, and must not change them.
    """
    # Plain numbers instead of pickles, which would run code when they are read
    _, words, place, has_gauss, gauss = np.random.get_state(legacy=True)
    version, numbers, next_gauss = random.getstate()
    tensors = {
        "random.torch": torch.get_rng_state(),
        "random.numpy": torch.from_numpy(np.array(words, dtype=np.int64)),
        "random.python": torch.tensor(numbers, dtype=torch.int64),
    }
    if device.startswith("cuda"):
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    values = {"numpy": [int(place), int(has_gauss), float(gauss)], "python": [version, next_gauss]}
    return values, tensors


def restore_random(snapshot: Snapshot, device: str) -> None:
    """Give the random generators the states that `capture_random` found."""
    values, tensors = snapshot.values["random"], snapshot.tensors
    torch.set_rng_state(tensors["random.torch"])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(tensors["random.cuda"], device)
    np.random.set_state(("MT19937", tensors["random.numpy"].numpy().astype(np.uint32), *values["numpy"]))
    version, next_gauss = values["python"]
    random.setstate((version, tuple(tensors["random.python"].tolist()), next_gauss))


def _without_prefix(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
