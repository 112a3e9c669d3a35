"""A training step's passes on CUDA, recorded once for each size of pack and replayed in one call.

The device is done with a small pack's hundreds of kernels sooner than the host launches them; a graph is one launch.
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
from sentiment_batch.model.forward.attention import CudaTexts, copy_to_device, move_to_device
from sentiment_batch.tokenization.packing import close_pack

if TYPE_CHECKING:
    from sentiment_batch.training.batches import Batch

logger = logging.getLogger("sentiment_batch")

SIZES_PER_DOUBLING = 8
"""Packs have so many sizes between a power of 2 and the next, each of which is recorded by itself."""
MAX_GRAPH_TOKENS = 16_384
"""Of a larger pack the launches are a smaller part of the time, and a recording holds more memory."""
MAX_GRAPHS = 128
"""Each holds memory of the driver; packs of further sizes are launched kernel by kernel."""
NO_LABEL = -100
"""What the loss leaves out."""

Passes = Callable[[CudaTexts, torch.Tensor, torch.Tensor], torch.Tensor]
"""Texts, their labels (B,) and what to divide the loss by; adds to the gradients and gives the loss."""
Work = Callable[[], torch.Tensor]
Record = Callable[[Work], tuple[Callable[[], Any], torch.Tensor]]
"""Work in; what does it again and the tensor that its outcome is in each time out. It is not done meanwhile."""


class Given(NamedTuple):
    """The memory that recorded passes read."""

    texts: CudaTexts
    labels_B: torch.Tensor
    total: torch.Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recording:
    given: Given
    again: Callable[[], Any]
    loss: torch.Tensor


class CudaGraphs:
    """The passes of packs that are small enough, by graphs where a size has been seen before.

    The first pack of a size is computed by ordinary launches, of the same kernels in the same shapes, so that whether a
    pack is replayed changes no bit. Each ends in a text that fills it up and has no label.

    Args:
        passes: what is recorded.
        heads: of the encoder's attention.
        positions: most tokens of a text.
        device: a CUDA device.
        recorder: makes what records; by default CUDA graphs.
    """

    def __init__(
        self,
        passes: Passes,
        heads: int,
        positions: int,
        device: str,
        recorder: Callable[[torch.device], Record] | None = None,
    ) -> None:
        self._passes = passes
        self._heads = heads
        self._positions = positions
        self._device = torch.device(device)
        self._recorder = recorder or _Graphs
        self._record: Record | None = self._recorder(self._device)
        self._recordings: dict[tuple[int, int], _Recording] = {}

    def takes(self, batch: Batch) -> bool:
        """Whether the batch is small enough to gain."""
        return len(batch.pack.ids) < MAX_GRAPH_TOKENS

    def __call__(self, batch: Batch, total: torch.Tensor) -> torch.Tensor:
        """Add the gradients of the loss of `batch`, divided by `total`; returns that loss, detached, on the device.

        The next call may overwrite it.
        """
        pack = close_pack(batch.pack, SIZES_PER_DOUBLING, self._positions)
        labels_B = F.pad(batch.labels_B, (0, 1), value=NO_LABEL)
        size = len(pack.ids), len(labels_B)
        recording = self._recordings.get(size)
        if recording is None:
            given = Given(
                CudaTexts(pack, self._heads, self._device, None), move_to_device(labels_B, self._device), total
            )
            loss = self._passes(*given)
            if self._record and len(self._recordings) < MAX_GRAPHS:
                self._note(size, given, self._record)
            return loss
        recording.given.texts.take(pack)
        copy_to_device(recording.given.labels_B, labels_B)
        recording.given.total.copy_(total)
        recording.again()
        return recording.loss

    def forget(self) -> None:
        """Drop all recordings, which write into the gradients there were."""
        self._recordings.clear()
        if self._record:
            self._record = self._recorder(self._device)  # what the last one had memory of is gone

    def _note(self, size: tuple[int, int], given: Given, record: Record) -> None:
        """Record the passes, to read the memory of `given` from now on; or never again, where the device refuses."""
        given = given._replace(total=given.total.clone())
        try:
            again, loss = record(lambda: self._passes(*given))
        except RuntimeError as error:  # torch's and CUDA's errors have no other class in common
            logger.warning("kernels are launched one by one, which is slower: %s", first_line(error))
            self._record = None
        else:
            self._recordings[size] = _Recording(given=given, again=again, loss=loss)


class _Graphs:
    """Records CUDA graphs, which share the memory of what lies between: one is replayed at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None

    def __call__(self, work: Work) -> tuple[Callable[[], Any], torch.Tensor]:
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph, stream = torch.cuda.CUDAGraph(), _stream(self._device)
        with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool, stream=stream):
            loss = work()
        return graph.replay, loss


@functools.cache
def _stream(device: torch.device) -> Any:
    """What is recorded on; torch would take one of the device that happens to be the current one.

    One for the process: with each stream the library keeps scratch memory.
    """
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
