"""What a device could do at best, and what a model asks of it: floating-point operations; it knows no table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sentiment_batch.model.forward.strategies import PackedStrategy

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.scoring.backends.local import LocalBackend

SIZES = {"cpu": (1_024, 2_048), "cuda": (4_096, 8_192)}
"""Rows and columns of the products that are tried."""
LEAST_SECONDS = 0.02
"""So long a clock runs at least, for several products if one is faster."""
SECONDS = 0.5
"""For each size; at least two readings are taken."""
GATED = ("modernbert",)
"""Families whose feed-forward has a third product, for its gate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operations:
    """Floating-point operations of an encoder; a multiplication and an addition are two.

    A token of a text of n tokens costs `linear + attention * n`. With L layers, the width D and the feed-forward's
    width I, linear = 2 L (4 D^2 + 2 D I) for queries, keys, values, output, up and down, and attention = 4 L D for the
    queries times the keys and the weights times the values.

    These are the operations of the model as it is defined. The packed strategy may compute less: it leaves
    out what no score needs of the last layer. Embeddings, norms, softmax and the head count as nothing.
    """

    linear: int
    """Of the linear layers, for each token."""
    attention: int
    """For each token and each token of its text."""

    def of(self, lengths: npt.NDArray[np.int64]) -> int:
        """For texts of these lengths (S,), each by its own: linear * sum(n) + attention * sum(n^2)."""
        return self.linear * int(lengths.sum()) + self.attention * int(np.square(lengths.astype(np.int64)).sum())


def operations_of_config(config: Any) -> Operations:
    """By a transformers configuration; for a family that is no plain encoder it is an estimate."""
    width, layers = int(config.hidden_size), int(config.num_hidden_layers)
    inner = getattr(config, "intermediate_size", None) or getattr(config, "hidden_dim", None) or 4 * width
    products = 3 if config.model_type in GATED else 2
    return Operations(linear=2 * layers * (4 * width**2 + products * width * int(inner)), attention=4 * layers * width)


def operations_of_engine(engine: LocalBackend) -> Operations:
    """By the packed model's own weights where there is one, else by the configuration."""
    strategy = engine.strategy
    if isinstance(strategy, PackedStrategy):
        model = strategy.model
        return Operations(linear=model.flops_per_token, attention=4 * len(model.layers) * model.words.shape[1])
    return operations_of_config(engine.loaded.network.config)


def device_limit(device: str, dtype: str) -> float:
    """The best speed of a large square matrix product in TFLOP/s, measured now; on a CPU with all threads.

    Args:
        device: `cpu` or `cuda:N`.
        dtype: the name of a torch dtype.
    """
    best = max(_product_speed(size, device, dtype) for size in SIZES[device.partition(":")[0]])
    return best / 1e12


def settle(device: str) -> None:
    """Wait until the device has done what was asked of it; to call before a clock is read."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def _product_speed(size: int, device: str, dtype: str) -> float:
    """FLOP/s of the fastest of several products of random matrices (size, size); the first is the warm-up."""
    source = torch.Generator(device).manual_seed(0)
    left, right = (torch.randn(size, size, device=device, generator=source).to(getattr(torch, dtype)) for _ in range(2))
    out = torch.empty_like(left)
    torch.mm(left, right, out=out)
    best, count, readings, began = 0.0, 1, 0, time.perf_counter()
    while readings < 2 or time.perf_counter() - began < SECONDS:
        settle(device)
        started = time.perf_counter()
        for _ in range(count):
            torch.mm(left, right, out=out)
        settle(device)
        seconds = time.perf_counter() - started
        if seconds < LEAST_SECONDS:
            count *= 2
            continue
        best = max(best, count * 2 * size**3 / seconds)
        readings += 1
    return best
