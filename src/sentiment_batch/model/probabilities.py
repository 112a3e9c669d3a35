"""From logits to probabilities: the softmax, and the mean over the segments of one text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def softmax(logits: Floats) -> Floats:
    """Probabilities (N, K) of logits (N, K), computed in float64; a row with NaN or +infinity becomes NaN."""
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True, initial=-np.inf)
    powers = np.exp(shifted)
    result: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


def average_segments(logits: Floats, owners: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Floats:
    """One row of logits per text: the mean over its segments, weighted by their tokens.

    Args:
        logits: (S, K) of each segment.
        owners: (S,) the text of each segment, in rising order, every text at least once.
        lengths: (S,) tokens of each segment.

    Returns:
        (N, K) in float32. A text of one segment keeps its logits exactly, because float64 holds their product with
        the length exactly.
    """
    texts, first = np.unique(owners, return_index=True)
    if len(texts) == len(owners):
        return logits
    weighted = np.add.reduceat(logits.astype(np.float64) * lengths[:, None], first, axis=0)
    result: Floats = (weighted / np.add.reduceat(lengths, first)[:, None]).astype(np.float32)
    return result
