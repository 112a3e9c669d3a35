"""A moving average of the weights during training, which is steadier than their last values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sentiment_batch.model.torch_operators import interpolate_in_place

if TYPE_CHECKING:
    import torch

    from sentiment_batch.model.classifier import EncoderClassifier

GROWTH_POWER = 1
"""Until the decay is reached, the weights of step n count in proportion to n to this power."""


class WeightAverage:
    """The moving average of a classifier's weights: first over a growing part of the run, then exponential.

    Source: polynomial-decay averaging of Shamir and Zhang 2013, "Stochastic Gradient Descent for Non-smooth
    Optimization".

    Args:
        classifier: the classifier whose weights are averaged.
        decay: the largest share of the average that a step keeps. The average covers about `1 / (1 - decay)` steps.
    """

    def __init__(self, classifier: EncoderClassifier, decay: float) -> None:
        self._decay = decay
        self._weights = dict(classifier.named_parameters())
        self._average = {name: one.detach().clone() for name, one in self._weights.items()}

    def update(self, step: int) -> None:
        """Add the weights after optimizer step `step`, which counts from 1."""
        # At step 1 the average becomes the weights. Then it keeps a rising share of itself, up to the decay.
        decay = min(self._decay, (step - 1) / (step + GROWTH_POWER))
        weights = [one.detach() for one in self._weights.values()]
        interpolate_in_place(list(self._average.values()), weights, 1.0 - decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The classifier has the average as its weights while the block runs, and its own weights afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def capture(self) -> dict[str, torch.Tensor]:
        """The average of each weight, by the name of the parameter in the classifier, such as `linear.weight`."""
        return dict(self._average)

    def restore(self, captured: Mapping[str, torch.Tensor]) -> None:
        """Become what `capture` gave.

        Args:
            captured: the average of each weight, by the name of the parameter.

        Raises:
            KeyError: a weight is missing.
        """
        # Copied in place, because the average is on the device of the run, and captured tensors are on the CPU
        for name, one in self._average.items():
            one.copy_(captured[name])

    def _swap(self) -> None:
        # Only references are exchanged, so a validation copies no weights
        for name, weight in self._weights.items():
            weight.data, self._average[name] = self._average[name], weight.data
