"""Predicts the gain of each technique from the model's sizes and the rows' lengths, before anything is timed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import sentiment_batch.model.forward.attention as attention_module
from sentiment_batch.tokenization.packing import plan_packs

Integers = np.ndarray[Any, np.dtype[np.int64]]

# What the predictions assume of the machine, in round figures: an order of magnitude, set down before measuring.
CORE_SPEED = {"float32": 5e10, "bfloat16": 1e11, "float16": 1e11}
"""Operations a second of one core's products."""
CUDA_SPEED = {"float32": 4e13, "bfloat16": 4e14, "float16": 4e14}
"""Of a data centre's device: half of what it could."""
CUDA_BYTES = 3e12
"""A second, to and from its memory."""
CALL = 4e-6
"""Seconds of the host for one operator."""
CALLS = 12
"""Operators of a layer, attention as one of them."""
MIX_CALLS = 10
"""Operators of one run of the looped attention."""
WAIT = 5e-6
"""Seconds in which all cores come together after an operator that they share."""
COPY = 1e-3
"""Seconds of the host to make one pack."""
PLAIN_TIME = {"float32": 0.55, "bfloat16": 0.9, "float16": 1.0}
"""Of a product's time, what it takes with its weights laid out; measured alone, see `linear.Product`."""
SOFTMAX_SAVED = {"float32": 25, "bfloat16": 50, "float16": 50}
"""For one score, the operations of products in the time that exp2 with a late division saves: two of four passes, and
half of the exponential, some 0.4 cycles at 64 operations each (128 in bfloat16)."""
TOKENIZER = 1e6
"""Tokens a second of one core."""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The numbers that predictions are computed from."""

    layers: int
    width: int
    heads: int
    linear: int
    """Operations of the linear layers for a token."""
    last_kv: int
    """Of the last layer's keys and values."""
    lengths: Integers
    budget: int
    """Tokens per batch."""
    dtype: str
    cores: int
    """That work side by side; 1 on CUDA."""
    speed: float
    """Of one of them."""

    def operations(self, lengths: Integers) -> float:
        """The operations of whole layers over texts of these lengths."""
        return float(self.linear * lengths.sum() + 4 * self.width * self.layers * (lengths**2).sum())

    def padded(self, batches: list[Integers]) -> float:
        """The same in rectangles."""
        sizes = [np.full(len(rows), self.lengths[rows].max()) for rows in batches]
        return self.operations(np.concatenate(sizes))

    @property
    def short(self) -> float:
        """The operations of packs, whose last layer computes for the first tokens only, except for keys and values."""
        per_layer = self.linear // self.layers
        spared = (per_layer - self.last_kv) * (self.lengths - 1).sum()
        attention = 4 * self.width * (self.lengths**2 - self.lengths).sum()
        return self.operations(self.lengths) - float(spared + attention)

    @property
    def attention_share(self) -> float:
        """Of the operations."""
        return 1 - self.linear * float(self.lengths.sum()) / self.operations(self.lengths)

    @property
    def seconds(self) -> float:
        """The seconds that products take on one core."""
        return self.short / self.speed

    @property
    def packs(self) -> list[Integers]:
        return plan_packs(self.lengths, self.budget)

    @property
    def runs(self) -> int:
        """The runs of texts of one length that the attention on a CPU computes together, in all packs."""
        found = 0
        for rows in self.packs:
            for length, texts in zip(*np.unique(self.lengths[rows], return_counts=True), strict=True):
                found += -(-int(texts) // max(1, attention_module.MAX_CACHED_SCORES // (self.heads * int(length) ** 2)))
        return found

    @property
    def calls_share(self) -> float:
        """The time of the calls of operators, divided by the time of the products."""
        return len(self.packs) * self.layers * CALLS * CALL / self.seconds
