"""Runs the model over the segments of a window: ragged tokens in, logits out, in batches of little padding."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from sentiment_batch.batching import Rows, pad, plan
from sentiment_batch.errors import DeviceError

if TYPE_CHECKING:
    from sentiment_batch.assemble import Floats
    from sentiment_batch.tokenise import Tokens

logger = logging.getLogger("sentiment_batch")


class Model(Protocol):
    """What gives logits: `model.Loaded` when scoring, the classifier under way when training."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The K labels."""
        ...

    @property
    def pad_id(self) -> int:
        """What fills up the shorter segments of a batch."""
        ...

    def logits(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
        """Logits (B, K) in float32; the mask is true where a token is, None where all are."""
        ...


def forward(
    model: Model, tokens: Tokens, device: str, budget: int, on_tokens: Callable[[int], object] | None = None
) -> Floats:
    """Logits (S, K) of the S segments of `tokens`.

    Args:
        model: on `device`.
        tokens: the segments.
        device: where the model is.
        budget: tokens per batch, padding included.
        on_tokens: told after each batch how many tokens it held.

    Raises:
        DeviceError: one text alone does not fit into the device's memory.
    """
    logits_SK = np.empty((len(tokens.offsets) - 1, len(model.labels)), dtype=np.float32)
    for rows in plan(tokens.lengths, budget):
        logits_SK[rows] = _batch(model, tokens, rows, device)
        if on_tokens is not None:
            on_tokens(int(tokens.lengths[rows].sum()))
    return logits_SK


def _batch(model: Model, tokens: Tokens, rows: Rows, device: str) -> Floats:
    """Logits (B, K) of one batch; out of memory, it is halved and redone, and nothing else changes."""
    try:
        ids, mask = pad(tokens, rows, model.pad_id)
        ids_BT = torch.from_numpy(ids).to(device)
        mask_BT = None if mask.all() else torch.from_numpy(mask).to(device)
        result: Floats = model.logits(ids_BT, mask_BT).cpu().numpy()  # the one copy back of this batch
        return result
    except torch.OutOfMemoryError as error:
        if len(rows) == 1:
            raise DeviceError(
                f"the memory of {device} does not hold one text of {tokens.lengths[rows[0]]:,} tokens. "
                "Take a smaller --max-length, or --device cpu."
            ) from error
    torch.cuda.empty_cache()
    half = len(rows) // 2
    logger.warning("out of memory: a batch of %s texts is redone in halves, with the same result", len(rows))
    return np.concatenate([_batch(model, tokens, rows[:half], device), _batch(model, tokens, rows[half:], device)])
