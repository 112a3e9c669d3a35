"""The int8 strategy: fast logits in 8-bit integers, and float32's labels.

A text whose two likeliest labels lie closer together than the error band is scored again in float32. The band is fixed
before the first text (`int8_calibration`). A small share of all texts, chosen by their tokens, is scored in both ways,
whatever their margin. If one of them lies outside the band and gets another label, the band is too narrow for these
texts, and the run ends before anything is published.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from sentiment_batch.errors import ModelError
from sentiment_batch.model.forward.batches import Budget, LaunchedBatches, ThreadPool, launch_batches
from sentiment_batch.model.probabilities import average_segments
from sentiment_batch.tokenization.packing import Tokens, gather_runs, to_offsets

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.model.forward.packed import PackedStrategy
    from sentiment_batch.model.forward.strategies import ForwardStrategy
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.tokenization.packing import BatchShape, SegmentNumbers

# N texts, S segments, B of them in a batch, K labels.

TEXTS_PER_AUDIT = 256
"""One text in this many is scored in both ways."""


class Int8LabelError(ModelError):
    """An audited text outside the error band has another label in int8 than in float32."""

    is_final = False
    """True if the run cannot start over, because what it read or wrote cannot be had again."""

    def __init__(self, margin: float, band: float) -> None:
        super().__init__(
            f"int8 gives an audited text another label than float32, although its logits differ by {margin:.2f}, more "
            f'than the error band of {band:.2f}. Score with `dtype="float32"`.'
        )
        self.margin, self.band = margin, band

    def __reduce__(self) -> tuple[type[Int8LabelError], tuple[float, float]]:
        """Pickle the figures, because an engine's worker may raise it."""
        return type(self), (self.margin, self.band)


@dataclass(frozen=True, kw_only=True, slots=True)
class Int8Strategy:
    """Packs in 8-bit integers, beside the same packs in float32."""

    fast: PackedStrategy
    exact: PackedStrategy
    band: float
    """Texts whose two greatest logits differ by less are scored again in float32."""

    @property
    def device(self) -> str:
        """Where the model is."""
        return self.exact.device

    @property
    def shape(self) -> BatchShape | None:
        """The shape of every batch of a deterministic run, None in other runs."""
        return self.exact.shape

    @property
    def classes(self) -> int:
        """K."""
        return self.exact.classes

    def plan(self, lengths: npt.NDArray[np.int64], budget: int, threads: int = 1) -> list[SegmentNumbers]:
        """The segments of each pack."""
        return self.fast.plan(lengths, budget, threads)

    def logits(self, tokens: Tokens, rows: SegmentNumbers) -> torch.Tensor:
        """Logits (B, K) of one pack in 8-bit integers; `launch_with_exact_labels` corrects them."""
        return self.fast.logits(tokens, rows)


def launch_with_exact_labels(
    strategy: ForwardStrategy,
    tokens: Tokens,
    budget: Budget,
    pool: ThreadPool | None = None,
    on_tokens: Callable[[int], object] | None = None,
) -> LaunchedBatches:
    """What `launch_batches` gives; for an int8 strategy, with the logits of float32 where the labels could differ.

    Raises:
        Int8LabelError: an audited text outside the band has another label.
        DeviceError: as `launch_batches` raises it.
    """
    launched = launch_batches(strategy, tokens, budget, pool, on_tokens)
    if not isinstance(strategy, Int8Strategy) or not launched.order:
        return launched
    # The copy keeps the logits of int8. Without windows, the mean is `logits_SK` itself, which is overwritten below.
    logits_SK = launched.logits()
    fast = average_segments(logits_SK, tokens.owners, tokens.lengths).copy()
    near = find_margins(fast) < strategy.band
    audited = find_audited(tokens)
    again = np.flatnonzero((near | audited)[tokens.owners])  # segments
    if len(again):
        # A text is scored again as a whole, with all of its windows, because its label is that of their mean.
        chosen = take_segments(tokens, again)
        second = launch_batches(strategy.exact, chosen, budget, pool)
        logits_SK[again] = second.logits()
        # float32 takes more memory, so it may not hold a text that int8 has scored.
        launched.refused.update({int(again[row]): why for row, why in second.refused.items()})
        # Inside the band other labels are expected, and float32 has just corrected them.
        compared = audited & ~near
        compared[tokens.owners[list(launched.refused)]] = False
        exact = average_segments(logits_SK, tokens.owners, tokens.lengths)
        flips = np.flatnonzero(compared & (fast.argmax(axis=1) != exact.argmax(axis=1)))
        if len(flips):
            raise Int8LabelError(float(find_margins(fast)[flips].max()), strategy.band)
    return replace(
        launched,
        order=[np.arange(len(logits_SK))],
        result=torch.from_numpy(logits_SK),
        scored_twice=int((near | audited).sum()),
    )


def find_margins(logits: Floats) -> Floats:
    """How far the greatest of the logits (N, K) lies above the second, for each text (N,); NaN if a logit is."""
    greatest = np.partition(logits, -2, axis=1)
    margins: Floats = greatest[:, -1] - greatest[:, -2]
    return margins


def find_audited(tokens: Tokens) -> npt.NDArray[np.bool_]:
    """(N,): True for the texts that are scored in both ways; an equal text is always chosen alike."""
    first = np.searchsorted(tokens.owners, np.arange(len(tokens.cut)))
    bounds = np.append(tokens.offsets[first], tokens.offsets[-1]).tolist()
    # Little-endian bytes and CRC-32 choose the same texts on every machine, and a text's neighbours do not matter.
    ids = tokens.ids.astype("<i4", copy=False).tobytes()
    spans = itertools.pairwise(bounds)
    return np.array([zlib.crc32(ids[4 * start : 4 * stop]) % TEXTS_PER_AUDIT == 0 for start, stop in spans], np.bool_)


def take_segments(tokens: Tokens, rows: SegmentNumbers) -> Tokens:
    """The segments `rows` (B,) of `tokens`, each as a text of its own."""
    lengths = tokens.lengths[rows]
    return Tokens(
        ids=gather_runs(tokens.ids, tokens.offsets[rows], lengths),
        offsets=to_offsets(lengths),
        owners=np.arange(len(rows)),
        cut=np.zeros(len(rows), dtype=np.bool_),
        uncut_lengths=lengths,
    )
