"""How long texts are in tokens, and what a cut takes off: tokens in, figures for sentiment_batch.json out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.training.data_check.findings import Finding, percent

if TYPE_CHECKING:
    from sentiment_batch.tokenization.ragged import Tokens
    from sentiment_batch.tokenization.tokenizer import TextPolicy

BINS = 25
"""Of the histogram, at most."""
MUCH_CUT = 0.3
"""Of the texts, from which on a cut is a finding."""


def lengths(tokens: Tokens, policy: TextPolicy) -> dict[str, Any]:
    """How long N texts (one or more) are in tokens, special ones included, and what the policy cuts off."""
    kept = np.bincount(tokens.owners, tokens.lengths, minlength=len(tokens.cut)).astype(np.int64)
    whole = kept if tokens.whole is None else np.maximum(tokens.whole, kept)
    cut = int(tokens.cut.sum())
    median, p95 = np.percentile(whole, [50, 95], method="inverted_cdf")
    return {
        "mean": round(float(whole.mean()), 1),
        "median": int(median),
        "p95": int(p95),
        "longest": int(whole.max()),
        "max_length": policy.max_length,
        "cut": cut,
        "cut_share": cut / len(whole),
        "tokens_lost_share": float((whole - kept).sum() / whole.sum()),
        "histogram": _histogram(whole, int(p95)),
    }


def of_lengths(found: dict[str, Any], positions: int) -> Iterator[Finding]:
    """Whether many texts are cut.

    Args:
        found: of `lengths`.
        positions: tokens that the encoder takes at most.
    """
    if found["cut_share"] >= MUCH_CUT:
        room = found["max_length"] < positions
        yield Finding(
            text=f"{percent(found['cut_share'])} of the texts are longer than {found['max_length']} tokens, and "
            f"{percent(found['tokens_lost_share'])} of all tokens are not seen"
            + (f": --max-length takes up to {positions}." if room else "; the encoder takes no more."),
            weight=found["tokens_lost_share"],
        )


def _histogram(whole: npt.NDArray[np.int64], p95: int) -> dict[str, list[int]]:
    """Texts by length in bins of one width, up to twice what 95 % stay below; the last bin holds longer ones, too."""
    top = min(int(whole.max()), 2 * p95)
    width = max(1, math.ceil((top + 1) / BINS))
    step = next(size for size in (1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 64, 80, 100, width) if size >= width)
    edges = np.arange(0, top + step + 1, step)
    counts = np.histogram(np.minimum(whole, edges[-1]), edges)[0]
    return {"edges": edges.tolist(), "rows": counts.tolist()}
