"""CUDA graphs of a training step: its passes are recorded once for each size of pack, then replayed in one call.

The device finishes a small pack's hundreds of kernels sooner than the host launches them. A graph is one launch.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional as F

from sentiment_batch.errors import first_line
from sentiment_batch.model.forward.attention import CudaPackAttention, copy_to_device, move_to_device
from sentiment_batch.tokenization.packing import append_filler_segment

if TYPE_CHECKING:
    from sentiment_batch.training.batches import Batch

logger = logging.getLogger("sentiment_batch")

SIZES_PER_DOUBLING = 8
"""Sizes of packs between a power of 2 and the next. Each size is recorded by itself."""
MAX_GRAPH_TOKENS = 16_384
"""In a larger pack the launches take a smaller part of the time, and its graph holds more memory."""
MAX_GRAPHS = 128
"""Each graph holds memory of the driver. Packs of further sizes are launched kernel by kernel."""
NO_LABEL = -100
"""The label that torch's cross entropy leaves out."""

Passes = Callable[[CudaPackAttention, torch.Tensor, torch.Tensor], torch.Tensor]
"""The forward and backward pass of a pack. It takes the pack, the labels of its B texts, (B,) or (B, K), and the
divisor of the loss, a scalar. It adds the gradients and returns the loss, a scalar."""
Work = Callable[[], torch.Tensor]
"""Computes a result on the device."""
Record = Callable[[Work], tuple[Callable[[], Any], torch.Tensor]]
"""Records work without doing it. Returns a function that does it, and the tensor that will hold its result."""


class GraphInputs(NamedTuple):
    """The memory that a graph reads."""

    pack: CudaPackAttention
    labels_B: torch.Tensor
    """(B,) class numbers, or (B, K) soft labels."""
    total: torch.Tensor
    """A scalar: the loss is the sum over the texts divided by this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Graph:
    inputs: GraphInputs
    replay: Callable[[], Any]
    loss: torch.Tensor
    """Holds the loss after a replay."""


class CudaGraphs:
    """The passes of small packs, by graphs for sizes that were met before.

    The first pack of a size is computed by ordinary launches of the same kernels in the same shapes, so that replaying
    changes no bit. Each pack is filled up by one more text, which has no label.

    Args:
        passes: what is recorded.
        heads: heads of the encoder's attention.
        max_text_tokens: most tokens of a text.
        device: a CUDA device.
        recorder: makes the function that records; by default it records CUDA graphs.
    """

    def __init__(
        self,
        passes: Passes,
        heads: int,
        max_text_tokens: int,
        device: str,
        recorder: Callable[[torch.device], Record] | None = None,
    ) -> None:
        self._passes = passes
        self._heads = heads
        self._max_text_tokens = max_text_tokens
        self._device = torch.device(device)
        self._recorder = recorder or _Recorder
        self._record: Record | None = self._recorder(self._device)
        self._graphs: dict[tuple[int, int], _Graph] = {}

    def accepts(self, batch: Batch) -> bool:
        """True if the batch is small enough to gain from a graph."""
        return len(batch.pack.ids) < MAX_GRAPH_TOKENS

    def __call__(self, batch: Batch, total: torch.Tensor) -> torch.Tensor:
        """Add the gradients of the loss of `batch`, divided by `total`.

        Args:
            batch: B texts with their labels.
            total: a scalar on the device.

        Returns:
            That loss, detached, on the device. The next call may overwrite it.
        """
        # A graph holds for one number of tokens and of texts.
        pack = append_filler_segment(batch.pack, SIZES_PER_DOUBLING, self._max_text_tokens)
        labels_B = _pad_labels(batch.labels_B)
        size = len(pack.ids), len(labels_B)
        graph = self._graphs.get(size)
        if graph is None:
            attention = CudaPackAttention(pack, self._heads, self._device, None)
            inputs = GraphInputs(attention, move_to_device(labels_B, self._device), total)
            loss = self._passes(*inputs)
            # Recording computes nothing. So the gradients of this pack were added above, and are not added twice.
            if self._record and len(self._graphs) < MAX_GRAPHS:
                self._add_graph(size, inputs, self._record)
            return loss
        # The graph reads the memory that it was recorded with, so the new values are copied there.
        graph.inputs.pack.replace(pack)
        copy_to_device(graph.inputs.labels_B, labels_B)
        graph.inputs.total.copy_(total)
        graph.replay()
        return graph.loss

    def clear(self) -> None:
        """Drop all graphs, which write into the gradients that were there when they were recorded."""
        self._graphs.clear()
        if self._record:
            self._record = self._recorder(self._device)  # the memory that the last one had is gone

    def _add_graph(self, size: tuple[int, int], inputs: GraphInputs, record: Record) -> None:
        """Record the passes over the memory of `inputs`. If the device refuses, nothing is recorded from then on."""
        # The caller owns `total`. The graph needs memory that only this object writes to.
        inputs = inputs._replace(total=inputs.total.clone())
        try:
            replay, loss = record(lambda: self._passes(*inputs))
        except RuntimeError as error:  # the errors of torch and CUDA have no other class in common
            logger.warning("kernels are launched one by one, which is slower: %s", first_line(error))
            self._record = None
        else:
            self._graphs[size] = _Graph(inputs=inputs, replay=replay, loss=loss)


def _pad_labels(labels_B: torch.Tensor) -> torch.Tensor:
    """Labels (B + 1,), or soft labels (B + 1, K), of which the last adds nothing to the loss."""
    if labels_B.ndim > 1:
        return F.pad(labels_B, (0, 0, 0, 1))
    return F.pad(labels_B, (0, 1), value=NO_LABEL)


class _Recorder:
    """Records CUDA graphs. They share the memory of intermediate results, because only one is replayed at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None

    def __call__(self, work: Work) -> tuple[Callable[[], Any], torch.Tensor]:
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph, stream = torch.cuda.CUDAGraph(), _recording_stream(self._device)
        with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool, stream=stream):
            loss = work()
        return graph.replay, loss


@functools.cache
def _recording_stream(device: torch.device) -> Any:
    """The stream to record on. By default torch would take one of the current device, which may be another.

    There is one for the process, because the library keeps scratch memory for each stream.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
