"""Runs the model over the segments of a window: ragged tokens in, logits out, in batches of little padding."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from sentiment_batch.batching import Rows, pad, plan
from sentiment_batch.errors import DeviceError

if TYPE_CHECKING:
    from sentiment_batch.assemble import Floats
    from sentiment_batch.model import Loaded
    from sentiment_batch.tokenise import Tokens

logger = logging.getLogger("sentiment_batch")


def forward(
    loaded: Loaded, tokens: Tokens, device: str, budget: int, on_tokens: Callable[[int], object] | None = None
) -> Floats:
    """Logits (S, K) of the S segments of `tokens`.

    Args:
        loaded: the model, on `device`.
        tokens: the segments.
        device: where the model is.
        budget: tokens per batch, padding included.
        on_tokens: told after each batch how many tokens it held.

    Raises:
        DeviceError: one text alone does not fit into the device's memory.
    """
    logits_SK = np.empty((len(tokens.offsets) - 1, len(loaded.labels)), dtype=np.float32)
    for rows in plan(tokens.lengths, budget):
        logits_SK[rows] = _batch(loaded, tokens, rows, device)
        if on_tokens is not None:
            on_tokens(int(tokens.lengths[rows].sum()))
    return logits_SK


def _batch(loaded: Loaded, tokens: Tokens, rows: Rows, device: str) -> Floats:
    """Logits (B, K) of one batch; out of memory, it is halved and redone, and nothing else changes."""
    try:
        ids, mask = pad(tokens, rows, loaded.pad_id)
        ids_BT = torch.from_numpy(ids).to(device, non_blocking=True)
        mask_BT = None if mask.all() else torch.from_numpy(mask).to(device, non_blocking=True)
        result: Floats = loaded.logits(ids_BT, mask_BT).cpu().numpy()  # the one copy back of this batch
        return result
    except torch.OutOfMemoryError as error:
        if len(rows) == 1:
            raise DeviceError(
                f"the memory of {device} does not hold one text of {tokens.lengths[rows[0]]:,} tokens. "
                "Take a smaller --max-length, or --device cpu."
            ) from error
    torch.cuda.empty_cache()
    half = len(rows) // 2
    logger.warning("out of memory: a batch of %s texts is redone in halves; --batch-tokens can be smaller", len(rows))
    return np.concatenate([_batch(loaded, tokens, rows[:half], device), _batch(loaded, tokens, rows[half:], device)])
