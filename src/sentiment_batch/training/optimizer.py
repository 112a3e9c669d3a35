"""One optimiser step: a batch in, moved weights out, in as many parts as the device's memory needs."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from sentiment_batch.errors import DeviceError
from sentiment_batch.model.device import step_tokens
from sentiment_batch.model.forward.attention import Varlen, on_device
from sentiment_batch.model.forward.cuda_graphs import Replays
from sentiment_batch.model.forward.packed_training import in_one_kernel, road, walk

if TYPE_CHECKING:
    from sentiment_batch.model.classifier import SentimentClassifier
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.batches import Batch

logger = logging.getLogger("sentiment_batch")

CLIP_NORM = 1.0
"""The gradient's norm is cut to this, as in BERT's own fine-tuning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What the loop needs beside the data."""

    settings: TrainSettings
    learning_rate: float
    batch_size: int
    weight_average: float
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
        self._road, _ = road(classifier, run.device, run.dtype)
        self._run = run
        self._replays = None
        if in_one_kernel(classifier, run.device, run.dtype):
            config = classifier.encoder.config
            self._replays = Replays(self._walked, config.n_heads, config.max_position_embeddings, run.device)
        self.tokens = step_tokens(run.device, classifier.encoder.config.dim)
        """Most tokens of a part, but for one text that is longer."""

    def backward(self, batch: Batch) -> torch.Tensor:
        """Add the gradients of the mean loss of `batch`; returns that loss, detached, on the device.

        Raises:
            DeviceError: not even one text at a time fits.
        """
        while True:
            parts = list(batch.parts(self.tokens))
            try:
                return self._attempt(parts, batch.labels_B)
            except torch.OutOfMemoryError as error:
                if len(parts) == len(batch.labels_B):
                    raise DeviceError(
                        "the device's memory does not hold one text. Take a smaller --max-length, or --device cpu."
                    ) from error
            # Outside the handler: its traceback would keep the failed pass's tensors alive.
            self.tokens = max(1, max(len(part.pack.ids) for part in parts) // 2)
            self._classifier.zero_grad(set_to_none=True)
            if self._replays:
                self._replays.forget()
            torch.cuda.empty_cache()
            logger.warning(
                "out of memory: batches are now computed in parts of %s tokens, with the same result",
                f"{self.tokens:,}",
            )

    def _attempt(self, parts: list[Batch], labels_B: torch.Tensor) -> torch.Tensor:
        self._classifier.train()
        weights, device = self._run.class_weights, self._run.device
        if weights is None:
            total = torch.full((), float(len(labels_B)), device=device)
        else:
            total = weights[on_device(labels_B, device)].sum()
        loss = torch.zeros((), device=device)
        for part in parts:
            if self._replays and self._replays.takes(part):
                loss += self._replays(part, total)
            else:
                logits = functools.partial(self._road, part.pack)
                loss += self._passes(logits, on_device(part.labels_B, device), total)
        return loss

    def _walked(self, texts: Varlen, labels_B: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        return self._passes(functools.partial(walk, self._classifier, texts), labels_B, total)

    def _passes(self, logits: Callable[[], torch.Tensor], labels_B: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        with precision(self._run):
            logits_BK = logits()
        summed = functional.cross_entropy(
            logits_BK.float(),
            labels_B,
            weight=self._run.class_weights,
            reduction="sum",
            label_smoothing=self._run.settings.label_smoothing,
        )
        loss = summed / total
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def move(
    classifier: SentimentClassifier, optimiser: torch.optim.AdamW, schedule: torch.optim.lr_scheduler.LambdaLR
) -> float:
    """Move the weights along the gradients, and clear these; returns the learning rate that was used.

    On CUDA the gradients keep their memory, to which recorded passes add.
    """
    torch.nn.utils.clip_grad_norm_(classifier.parameters(), CLIP_NORM)
    rate = float(schedule.get_last_lr()[0])
    optimiser.step()
    schedule.step()
    optimiser.zero_grad(set_to_none=not classifier.linear.weight.is_cuda)
    return rate


def adamw(
    classifier: SentimentClassifier, learning_rate: float, weight_decay: float, layer_decay: float = 1.0
) -> torch.optim.AdamW:
    """AdamW with decay on matrices only: biases and norms, which are vectors, are not shrunk.

    Args:
        classifier: what it moves.
        learning_rate: of the head.
        weight_decay: of matrices.
        layer_decay: the learning rate of each layer is that of the one above it times this. Below 1, what the base
            knows of language changes less than what it knows of the task.
    """
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}  # few ones, for each costs a launch
    for depth, module in enumerate(_from_the_head_down(classifier)):
        for one in module.parameters():
            key = learning_rate * layer_decay**depth, weight_decay if one.ndim >= 2 else 0.0
            groups.setdefault(key, []).append(one)
    wanted = [{"params": some, "lr": rate, "weight_decay": decay} for (rate, decay), some in groups.items()]
    return torch.optim.AdamW(wanted, lr=learning_rate, fused=True)


def _from_the_head_down(classifier: SentimentClassifier) -> list[torch.nn.Module]:
    encoder = classifier.encoder
    return [classifier.linear, *reversed(encoder.transformer.layer), encoder.embeddings]


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
