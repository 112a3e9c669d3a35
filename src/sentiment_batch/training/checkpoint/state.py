"""The state of a run between two steps, all that decides how it goes on: live objects in, plain values and tensors out.

And back. It knows no files; `statefile` does.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from sentiment_batch.training.checkpoint.history import Progress, from_rows, to_rows

if TYPE_CHECKING:
    from sentiment_batch.model.classifier import SentimentClassifier
    from sentiment_batch.training.optimizer import MicroBatches
    from sentiment_batch.training.weight_average import Average

SECONDS_BETWEEN = 60.0
"""Between validations, a state is saved when the last one is at least this old: so much work a crash may cost."""
MOST_SHARE = 1 / 20
"""And when saving the last one took no more than this share of the time since: a slow disk is asked less often."""

Tensors = dict[str, torch.Tensor]


class Snapshot(NamedTuple):
    """A state at rest."""

    values: dict[str, Any]
    """What JSON can hold."""
    tensors: Tensors
    """On the CPU."""


@dataclass(kw_only=True, slots=True)
class TrainState:
    """Everything that changes while a run trains, but for the random generators, which are the process's."""

    classifier: SentimentClassifier
    optimiser: torch.optim.AdamW
    schedule: torch.optim.lr_scheduler.LambdaLR
    micro: MicroBatches
    average: Average | None
    """Of the weights, where the run wants one; it is what is validated and saved."""
    device: str
    steps: int
    """Of the whole run, should nothing end it earlier."""
    started: float = field(default_factory=time.perf_counter)
    """When it would have begun, had it never been interrupted."""
    epoch: int = 0
    within: int = 0
    """Batches done of this epoch."""
    step: int = 0
    losses: list[torch.Tensor] = field(default_factory=list)
    """Of the steps since the last validation, each a number on the device."""
    history: list[Progress] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Spent training, interruptions left out."""
        return time.perf_counter() - self.started

    def moved(self) -> None:
        """Count a step, after which the weights are other ones."""
        self.step += 1
        if self.average:
            self.average.update(self.step)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """The classifier as it is validated and saved, while the block runs."""
        return self.average.in_place() if self.average else contextlib.nullcontext()

    def capture(self) -> Snapshot:
        """All of it, generators included; draws nothing from them and moves no weight."""
        tensors = {f"weights.{name}": one for name, one in self.classifier.state_dict().items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adamw.{number}.{name}": one for name, one in moments.items()}
        if self.average:
            tensors |= {f"average.{name}": one for name, one in self.average.capture().items()}
        tensors["losses"] = torch.stack(self.losses) if self.losses else torch.zeros(0)
        generators, drawn = capture_random(self.device)
        values = {
            "epoch": self.epoch,
            "within": self.within,
            "step": self.step,
            "steps": self.steps,
            "seconds": self.seconds,
            "part_tokens": self.micro.tokens,
            "history": to_rows(self.history),
            "schedule": self.schedule.state_dict(),
            "rates": [float(group["lr"]) for group in self.optimiser.param_groups],
            "random": generators,
        }
        return Snapshot(values, {name: one.detach().cpu().contiguous() for name, one in (tensors | drawn).items()})

    def restore(self, snapshot: Snapshot) -> None:
        """Become what `capture` saw; the generators follow by `restore_random`, when the loader's iterator is made."""
        values, tensors = snapshot
        self.classifier.load_state_dict(_below("weights.", tensors))
        self.optimiser.load_state_dict(self._moments(tensors, values["rates"]))
        self.schedule.load_state_dict(values["schedule"])
        self.micro.tokens = values["part_tokens"]
        if self.average:
            self.average.restore(_below("average.", tensors))
        self.losses = list(tensors["losses"].to(self.device).unbind())
        self.history = from_rows(values["history"])
        self.epoch, self.within, self.step = values["epoch"], values["within"], values["step"]
        self.started = time.perf_counter() - values["seconds"]

    def _moments(self, tensors: Tensors, rates: list[float]) -> dict[str, Any]:
        """What AdamW takes as its own state; all but the rates of its groups follows from the settings."""
        state: dict[int, Tensors] = {}
        for name, one in _below("adamw.", tensors).items():
            number, _, what = name.partition(".")
            state.setdefault(int(number), {})[what] = one
        groups = self.optimiser.state_dict()["param_groups"]
        return {"state": state, "param_groups": [group | {"lr": lr} for group, lr in zip(groups, rates, strict=True)]}


class Keeper:
    """Decides when a run's state is written.

    Args:
        write: puts a snapshot on disk.
        found: reads the state to go on from; None at the beginning of a run.
    """

    def __init__(self, write: Callable[[Snapshot], None], found: Callable[[], Snapshot | None] = lambda: None) -> None:
        self.found = found
        self._write = write
        self._last = time.perf_counter()
        self._cost = 0.0

    def is_due(self) -> bool:
        """Whether to save between two validations; it looks at the clock only, which decides nothing of the weights."""
        since = time.perf_counter() - self._last
        return since >= SECONDS_BETWEEN and self._cost <= MOST_SHARE * since

    def save(self, state: TrainState) -> None:
        """Write the state now."""
        begun = time.perf_counter()
        self._write(state.capture())
        self._last = time.perf_counter()
        self._cost = self._last - begun


def capture_random(device: str) -> tuple[dict[str, Any], Tensors]:
    """The states of all generators that a run on `device` can draw from: torch's, the device's, numpy's and Python's.

    Other CUDA devices are left alone: the run draws nothing from theirs, and may not change it.
    """
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
    """Put the generators where `capture_random` found them."""
    values, tensors = snapshot.values["random"], snapshot.tensors
    torch.set_rng_state(tensors["random.torch"])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(tensors["random.cuda"], device)
    np.random.set_state(("MT19937", tensors["random.numpy"].numpy().astype(np.uint32), *values["numpy"]))
    version, next_gauss = values["python"]
    random.setstate((version, tuple(tensors["random.python"].tolist()), next_gauss))


def _below(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
