"""How long a run trains, and when it validates."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

USUAL_EPOCHS = 3
"""Epochs of a run by default, if they have at least `MIN_STEPS` steps."""
MIN_STEPS = 100
"""Least number of optimizer steps of a run by default. Fewer did not suffice for every seed. More made models hardly
better and too sure of their answers; see "Steps for few rows" in benchmarks/README.md."""
STEPS_PER_VALIDATION = 1_000
"""A long epoch is also validated within, about once in this many steps."""
MAX_VALIDATIONS_PER_EPOCH = 4
VALIDATIONS_OF_FEW_ROWS = 5
"""Validations of a run whose epochs are many by default. After each epoch of a few steps, they would take longer than
the training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """The steps of one training."""

    epochs: int
    """How often the rows are gone through in `steps`."""
    steps: int
    """Optimizer steps. After the last one the learning rate is 0."""
    validations: frozenset[int]
    """The steps, counted from 1, after which to validate."""
    keeps_last: bool = False
    """True keeps the last state. False keeps that with the lowest validation loss, and training may stop early."""

    def without_validation(self, steps_per_epoch: int) -> Schedule:
        """The schedule of a training on other rows for the same number of epochs, without validations.

        Args:
            steps_per_epoch: optimizer steps of an epoch of these rows.
        """
        return replace(self, steps=self.epochs * steps_per_epoch, validations=frozenset())


def plan_schedule(steps_per_epoch: int, epochs: int | None, *, keeps_last: bool = False) -> Schedule:
    """The schedule of a training that validates.

    Args:
        steps_per_epoch: optimizer steps of an epoch.
        epochs: the epochs that the user asks for; None chooses them.
        keeps_last: keep the last state instead of the best one.
    """
    # Few rows are gone through more often, until there are `MIN_STEPS` steps
    chosen = epochs or max(USUAL_EPOCHS, math.ceil(MIN_STEPS / steps_per_epoch))
    steps = chosen * steps_per_epoch
    if epochs is None and chosen > USUAL_EPOCHS:
        parts = range(1, VALIDATIONS_OF_FEW_ROWS + 1)
        validations = frozenset(round(steps * part / VALIDATIONS_OF_FEW_ROWS) for part in parts)
    else:
        within = choose_validation_steps(steps_per_epoch)
        validations = frozenset(epoch * steps_per_epoch + step for epoch in range(chosen) for step in within)
    return Schedule(epochs=chosen, steps=steps, validations=validations, keeps_last=keeps_last)


def choose_validation_steps(steps_per_epoch: int) -> set[int]:
    """The steps of an epoch, counted from 1, after which to validate: the last one, and some within a long epoch."""
    times = min(MAX_VALIDATIONS_PER_EPOCH, max(1, steps_per_epoch // STEPS_PER_VALIDATION))
    return {round(steps_per_epoch * part / times) for part in range(1, times + 1)}
