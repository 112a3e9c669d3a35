"""Cuts segments into batches of little padding: lengths in, rows of each batch out; a pure function, no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sentiment_batch.tokenise import Ids, Tokens

Rows = npt.NDArray[np.int64]


def plan(lengths: npt.NDArray[np.int64], budget: int) -> list[Rows]:
    """Batches of segments of similar length, longest first, so that running out of memory shows at once.

    Args:
        lengths: (S,) tokens per segment.
        budget: most tokens of a batch, padding included; a longer segment makes a batch of its own.

    Returns:
        The segments of each batch, every segment once. Depends on nothing but the arguments.
    """
    order = np.argsort(-lengths, kind="stable")
    batches: list[Rows] = []
    start = 0
    while start < len(order):
        # The first is the longest, so the padded size of the batch is its length times the rows.
        rows = max(1, budget // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + rows])
        start += rows
    return batches


def pad(tokens: Tokens, rows: Rows, pad_id: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The segments `rows` as one rectangle.

    Args:
        tokens: the segments.
        rows: (B,) which of them.
        pad_id: fills up the shorter ones at the right.

    Returns:
        ids (B, T) and the mask (B, T), true where a token is.
    """
    lengths = tokens.lengths[rows]
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = ragged(tokens.ids, tokens.offsets[rows], lengths)
    return ids, mask


def ragged(ids: Ids, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Ids:
    """The runs `ids[start : start + length]`, one after the other, without a Python loop over them."""
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    runs: Ids = ids[places]
    return runs
