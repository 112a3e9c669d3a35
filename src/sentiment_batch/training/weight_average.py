"""A moving average of the weights while they are trained: steadier than their last values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from sentiment_batch.model.classifier import SentimentClassifier


RISE = 1
"""Until the decay is reached, the weights of a step count by its number to this power: the later, the more."""


class Average:
    """The moving average of a classifier's weights: over a growing part of the run, then an exponential one.

    Source: polynomial-decay averaging of Shamir and Zhang 2013, "Stochastic Gradient Descent for Non-smooth
    Optimization".

    Args:
        classifier: whose weights.
        decay: most that is kept of the average at a step; `1 / (1 - decay)` steps are what it then remembers.
    """

    def __init__(self, classifier: SentimentClassifier, decay: float) -> None:
        self._decay = decay
        self._weights = dict(classifier.named_parameters())
        self._average = {name: one.detach().clone() for name, one in self._weights.items()}

    def update(self, step: int) -> None:
        """Take the weights in as they are after so many steps, 1 or more."""
        kept = min(self._decay, (step - 1) / (step + RISE))
        weights = [one.detach() for one in self._weights.values()]
        torch._foreach_lerp_(list(self._average.values()), weights, 1.0 - kept)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The classifier has the average for its weights while the block runs, and its own again afterwards."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def capture(self) -> dict[str, torch.Tensor]:
        """The average of each weight, by its name."""
        return dict(self._average)

    def restore(self, captured: Mapping[str, torch.Tensor]) -> None:
        """Become what `capture` saw.

        Raises:
            KeyError: a weight is not there.
        """
        for name, one in self._average.items():
            one.copy_(captured[name])

    def _exchange(self) -> None:
        for name, weight in self._weights.items():
            weight.data, self._average[name] = self._average[name], weight.data
