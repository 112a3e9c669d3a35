"""The optimizer step: computes gradients in parts that fit the device's memory, and moves the weights."""

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
from sentiment_batch.memory import advise
from sentiment_batch.model.device import choose_step_tokens
from sentiment_batch.model.forward.attention import CudaPackAttention, move_to_device
from sentiment_batch.model.forward.cuda_graphs import CudaGraphs
from sentiment_batch.model.forward.packed_training import (
    choose_training_pass,
    compute_training_logits,
    uses_cuda_kernel,
)
from sentiment_batch.model.memory import unify_memory_errors

if TYPE_CHECKING:
    from sentiment_batch.model.classifier import EncoderClassifier
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.batches import Batch

logger = logging.getLogger("sentiment_batch")

MAX_GRADIENT_NORM = 1.0
"""Gradients are clipped to this norm, as in the fine-tuning of BERT."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """What the training loop needs besides the data: the settings, with the values that depend on data and device."""

    settings: TrainSettings
    """The settings as the user gave them."""
    learning_rate: float
    """Peak of the schedule."""
    batch_size: int
    """Texts per optimizer step."""
    weight_average: float
    """Decay of the moving average of the weights; 0 for no average."""
    device: str
    """The name of the device, such as `cpu` or `cuda:0`."""
    dtype: str
    """The name of the dtype of matrix products."""
    labels: tuple[str, ...]
    """The K labels, by class number."""
    class_weights: torch.Tensor | None
    """(K,) weights of the classes in the training loss, on the device; None if all count the same."""
    random_crops: float = 0.0
    """Probability with which a text is cropped when it is drawn."""
    special_tokens: tuple[int, int] = (1, 1)
    """The numbers of special tokens before and after each text, which crops keep."""
    quiet: bool = False
    """Show no progress bar."""


class MicroBatches:
    """The forward and backward pass of a batch, in as many parts as the device's memory needs.

    The gradients of the parts add up to those of the whole batch, because the loss of each part is a sum divided by the
    weight of the whole batch.
    """

    def __init__(self, classifier: EncoderClassifier, config: RunConfig) -> None:
        self._classifier = classifier
        self._training_pass = choose_training_pass(classifier, config.device, config.dtype)
        self._config = config
        self._graphs = None
        if uses_cuda_kernel(classifier, config.device, config.dtype):
            encoder = classifier.encoder.config
            self._graphs = CudaGraphs(
                self._walk_and_backward, encoder.n_heads, encoder.max_position_embeddings, config.device
            )
        self.max_tokens = choose_step_tokens(config.device, classifier.encoder.config.dim)
        """Largest number of tokens of a part, except for a single text that is longer."""

    def backward(self, batch: Batch) -> torch.Tensor:
        """Add the gradients of the mean loss of `batch`.

        Returns:
            The mean loss, a detached scalar on the device.

        Raises:
            DeviceError: the device's memory does not hold a single text.
        """
        # Each failure halves the parts, so this ends when the batch fits, or when each part is a single text. The
        # gradients of a failed try are dropped, because some of its parts may have added theirs.
        while True:
            parts = list(batch.parts(self.max_tokens))
            try:
                with unify_memory_errors():
                    return self._compute_parts(parts, batch.labels_B)
            except torch.OutOfMemoryError as error:
                if len(parts) == len(batch.labels_B):
                    raise DeviceError(
                        "the device's memory does not hold a single text. "
                        + advise("a smaller `max_length`", self._config.device)
                    ) from error
            # Outside the handler, because its traceback would keep the tensors of the failed pass alive
            self.max_tokens = max(1, max(len(part.pack.ids) for part in parts) // 2)
            self._classifier.zero_grad(set_to_none=True)
            if self._graphs:
                self._graphs.clear()  # recorded passes hold memory of their own
            torch.cuda.empty_cache()
            logger.warning(
                "out of memory: batches are now computed in parts of %s tokens. Dropout draws other random numbers for "
                "these, so the model may differ from that of a run with enough memory, as with another `seed`",
                f"{self.max_tokens:,}",
            )

    def _compute_parts(self, parts: list[Batch], labels_B: torch.Tensor) -> torch.Tensor:
        """Add the gradients of all parts; returns the mean loss, a detached scalar.

        Args:
            parts: the parts of the batch.
            labels_B: the labels of the whole batch, (B,) or (B, K).
        """
        self._classifier.train()
        weights, device = self._config.class_weights, self._config.device
        # The weight of the whole batch, by which the loss of each part is divided
        if weights is None or labels_B.ndim > 1:  # soft labels hold all weights, which are 1 in the mean over the rows
            total = torch.full((), float(len(labels_B)), device=device)
        else:
            total = weights[move_to_device(labels_B, device)].sum()
        loss = torch.zeros((), device=device)
        for part in parts:
            # A recorded pass saves the hundreds of kernel launches of a step, which take longer than the kernels
            if self._graphs and self._graphs.accepts(part):
                loss += self._graphs(part, total)
            else:
                logits = functools.partial(self._training_pass, part.pack)
                loss += self._forward_backward(logits, move_to_device(part.labels_B, device), total)
        return loss

    def _walk_and_backward(self, pack: CudaPackAttention, labels_B: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        """`_forward_backward` of a pack on the GPU, in the form that `CudaGraphs` records."""
        return self._forward_backward(
            functools.partial(compute_training_logits, self._classifier, pack), labels_B, total
        )

    def _forward_backward(
        self, compute_logits: Callable[[], torch.Tensor], labels_B: torch.Tensor, total: torch.Tensor
    ) -> torch.Tensor:
        """Add the gradients of one part; returns its loss, a detached scalar.

        Args:
            compute_logits: gives the logits (B, K) of its texts.
            labels_B: their labels, (B,) or (B, K).
            total: a scalar, the weight of the whole batch, by which the loss is divided.
        """
        with autocast(self._config):
            logits_BK = compute_logits()
        # Losses and sums are float32 in any dtype. Class weights and smoothing are in the soft labels already.
        if labels_B.ndim > 1:
            summed = functional.cross_entropy(logits_BK.float(), labels_B, reduction="sum")
        else:
            summed = functional.cross_entropy(
                logits_BK.float(),
                labels_B,
                weight=self._config.class_weights,
                reduction="sum",
                label_smoothing=self._config.settings.label_smoothing,
            )
        loss = summed / total
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def take_step(
    classifier: EncoderClassifier, optimizer: torch.optim.AdamW, schedule: torch.optim.lr_scheduler.LambdaLR
) -> float:
    """Move the weights along the gradients, and clear the gradients.

    On CUDA the gradients keep their memory, because recorded passes add to it.

    Returns:
        The learning rate of the step.
    """
    torch.nn.utils.clip_grad_norm_(classifier.parameters(), MAX_GRADIENT_NORM)
    # Read before `schedule.step`, which sets the rate of the next step
    rate = float(schedule.get_last_lr()[0])
    optimizer.step()
    schedule.step()
    optimizer.zero_grad(set_to_none=not classifier.linear.weight.is_cuda)
    return rate


def make_optimizer(
    classifier: EncoderClassifier, learning_rate: float, weight_decay: float, layer_decay: float = 1.0
) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only: biases and norms, which are vectors, do not decay.

    Args:
        classifier: the classifier to train.
        learning_rate: the learning rate of the head.
        weight_decay: the decay of matrices.
        layer_decay: the learning rate of each layer is that of the layer above times this. Below 1, what the base
            knows of language changes less than what it knows of the task.
    """
    # Parameters with equal rate and decay share a group, because each group costs a kernel launch
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    encoder = classifier.encoder
    from_head_down = [classifier.linear, *reversed(encoder.transformer.layer), encoder.embeddings]
    for depth, module in enumerate(from_head_down):
        for parameter in module.parameters():
            key = learning_rate * layer_decay**depth, weight_decay if parameter.ndim >= 2 else 0.0
            groups.setdefault(key, []).append(parameter)
    parameters = [{"params": some, "lr": rate, "weight_decay": decay} for (rate, decay), some in groups.items()]
    return torch.optim.AdamW(parameters, lr=learning_rate, fused=True)


def make_rate_schedule(steps: int, warmup: float) -> Callable[[int], float]:
    """A function from step to factor on the learning rate: a linear rise to 1, then a linear fall to 0 at the end.

    Args:
        steps: optimizer steps of the run.
        warmup: the share of the steps in which the rate rises.
    """
    rising = round(steps * warmup)

    # Step 0 is the first one. It has a rate above 0, and only the step after the last one would have 0.
    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return (steps - step) / max(1, steps - rising)

    return factor


def autocast(config: RunConfig) -> contextlib.AbstractContextManager[Any]:
    """In the block, matrix products use the dtype of the run; the weights stay float32."""
    if config.dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(config.device).type, dtype=getattr(torch, config.dtype))
