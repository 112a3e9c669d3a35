"""One optimiser step: a batch in, moved weights out, in as many parts as the device's memory needs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from sentiment_batch.errors import DeviceError

if TYPE_CHECKING:
    from sentiment_batch.model import SentimentClassifier
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.data import Batch

logger = logging.getLogger("sentiment_batch")

CLIP_NORM = 1.0
"""The gradient's norm is cut to this, as in BERT's own fine-tuning."""


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


def move(
    classifier: SentimentClassifier, optimiser: torch.optim.AdamW, schedule: torch.optim.lr_scheduler.LambdaLR
) -> float:
    """Move the weights along the gradients, and clear these; returns the learning rate that was used."""
    torch.nn.utils.clip_grad_norm_(classifier.parameters(), CLIP_NORM)
    rate = float(schedule.get_last_lr()[0])
    optimiser.step()
    schedule.step()
    optimiser.zero_grad(set_to_none=True)
    return rate


def adamw(classifier: SentimentClassifier, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW with decay on matrices only: biases and norms, which are vectors, are not shrunk."""
    parameters = list(classifier.parameters())
    groups = [
        {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": weight_decay},
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def warmup_then_decay(steps: int, warmup: float) -> Callable[[int], float]:
    """The factor on the learning rate at each step: a straight rise to 1, then a straight fall to 0 at the end."""
    rising = round(steps * warmup)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return (steps - step) / max(1, steps - rising)

    return factor


def precision(run: Run) -> contextlib.AbstractContextManager[Any]:
    """Matrix products in the run's dtype; the weights themselves stay float32."""
    if run.dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(run.device).type, dtype=getattr(torch, run.dtype))
