"""The lengths of texts in tokens, and how much of them is cut off: figures for sentiment_batch.json, and findings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.training.data_check.findings import Finding, format_share

if TYPE_CHECKING:
    from sentiment_batch.tokenization.packing import Tokens
    from sentiment_batch.tokenization.tokenizer import TextPolicy

MAX_HISTOGRAM_BINS = 25
MIN_CUT_SHARE = 0.3
"""Share of texts that are cut from which on this is a finding."""


def add_lengths(summary: dict[str, Any], tokens: Tokens, policy: TextPolicy, positions: int) -> dict[str, Any]:
    """The summary of a data check with the lengths of the training texts.

    Args:
        summary: the summary that `check_data` gave.
        tokens: the tokens of the training texts, cut by the policy.
        policy: how many tokens of a text are used, and which.
        positions: the largest number of tokens that the encoder takes.
    """
    lengths = measure_lengths(tokens, policy)
    findings = [finding.to_json() for finding in check_lengths(lengths, positions)]
    return summary | {"lengths": lengths, "findings": summary["findings"] + findings}


def measure_lengths(tokens: Tokens, policy: TextPolicy) -> dict[str, Any]:
    """The lengths of one or more texts in tokens with the special ones, and what the policy cuts off."""
    # Trainings have no windows, so each text is one segment
    used, whole = tokens.lengths, tokens.uncut_lengths
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
        "tokens_lost_share": float((whole - used).sum() / whole.sum()),
        "histogram": _histogram(whole, int(p95)),
    }


def check_lengths(lengths: Mapping[str, Any], positions: int) -> Iterator[Finding]:
    """Find that many texts are cut.

    Args:
        lengths: the figures that `measure_lengths` gave.
        positions: the largest number of tokens that the encoder takes.
    """
    if lengths["cut_share"] < MIN_CUT_SHARE:
        return
    longer = lengths["max_length"] < positions
    yield Finding(
        text=f"{format_share(lengths['cut_share'])} of the texts are longer than {lengths['max_length']} tokens, so "
        f"{format_share(lengths['tokens_lost_share'])} of all tokens are not used. "
        + (f"Raise `max_length`, up to {positions}." if longer else "The encoder takes no more."),
        weight=lengths["tokens_lost_share"],
    )


def _histogram(whole: npt.NDArray[np.int64], p95: int) -> dict[str, list[int]]:
    """The number of texts in bins of one width, up to twice the 95th percentile; the last bin has longer texts, too."""
    # Bins of a round width, because people read their edges. One very long text must not make all bins wide.
    top = min(int(whole.max()), 2 * p95)
    width = max(1, math.ceil((top + 1) / MAX_HISTOGRAM_BINS))
    step = next(size for size in (1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 64, 80, 100, width) if size >= width)
    edges = np.arange(0, top + step + 1, step)
    counts = np.histogram(np.minimum(whole, edges[-1]), edges)[0]
    return {"edges": edges.tolist(), "rows": counts.tolist()}
