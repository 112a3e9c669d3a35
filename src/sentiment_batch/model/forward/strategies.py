"""Strategies for the forward pass: what each of them does, and the one for all models, which pads rectangles.

`PackedStrategy` (`packed.py`) lays texts end to end instead. A text is one segment, unless long texts are scored in
several windows. Then each window is a segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from sentiment_batch.model.forward.attention import move_to_device
from sentiment_batch.tokenization.packing import pad_segments, plan_rectangles

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.tokenization.packing import BatchShape, SegmentNumbers, Tokens

# S segments, B of them in a batch, T tokens of the longest, K labels.

RECTANGLE_LENGTH_STEP = 32
"""In a deterministic run, the lengths of rectangles are multiples of this."""


class Model(Protocol):
    """What gives logits for rectangles: `LoadedModel` (`model/stock.py`) in scoring."""

    @property
    def pad_id(self) -> int:
        """The token id that fills up the shorter segments of a batch."""
        ...

    def logits(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
        """Logits (B, K) in float32. The mask is true at tokens and false at padding; None if there is no padding."""
        ...


class ForwardStrategy(Protocol):
    """How segments are grouped into batches and computed."""

    @property
    def device(self) -> str:
        """Where the model is."""
        ...

    @property
    def shape(self) -> BatchShape | None:
        """The shape of every batch of a deterministic run, None in other runs."""
        ...

    @property
    def classes(self) -> int:
        """K."""
        ...

    def plan(self, lengths: npt.NDArray[np.int64], budget: int, threads: int = 1) -> list[SegmentNumbers]:
        """The segments of each batch.

        Args:
            lengths: (S,) tokens of each segment.
            budget: most tokens of a batch.
            threads: how many threads share the batches.
        """
        ...

    def logits(self, tokens: Tokens, rows: SegmentNumbers) -> torch.Tensor:
        """Logits (B, K) of the segments `rows` (B,), in float32 on the device."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PaddedStrategy:
    """Segments of similar length form padded rectangles, which the stock model computes by its own code.

    This works for models of every family.
    """

    model: Model
    device: str
    classes: int
    """K."""
    shape: BatchShape | None = None
    equal_lengths: bool = False
    """True if only segments of equal length share a batch, because padding changes this model's scores."""

    def plan(self, lengths: npt.NDArray[np.int64], budget: int, threads: int = 1) -> list[SegmentNumbers]:
        """The segments of each rectangle.

        In a deterministic run, lengths are rounded up, and segments of different rounded lengths never share a batch.
        """
        if self.shape is not None:
            budget, threads = self.shape.tokens, 1
        elif not self.equal_lengths:
            return plan_rectangles(lengths, budget, threads)
        # Each group has one rounded length, so the shape of a rectangle depends on its own texts alone.
        rounded = self._round_lengths(lengths)
        groups = (np.flatnonzero(rounded == length) for length in np.unique(rounded)[::-1])
        return [rows[some] for rows in groups for some in plan_rectangles(rounded[rows], budget, threads)]

    def logits(self, tokens: Tokens, rows: SegmentNumbers) -> torch.Tensor:
        """Logits (B, K) of one rectangle; in a deterministic run on a CPU, each segment is a rectangle of its own.

        There MKL computes the stock model's products, and it may sum a row by its place among the others.
        """
        if self.shape is None:
            ids, mask = pad_segments(tokens, rows, self.model.pad_id)
        elif self.device == "cpu" and len(rows) > 1:
            return torch.cat([self.logits(tokens, row) for row in rows.reshape(-1, 1)])
        else:
            length = int(self._round_lengths(tokens.lengths[rows]).max())
            # All rectangles of one length have the same height. On a CPU, each text is alone here already.
            height = 1 if self.device == "cpu" else max(1, self.shape.tokens // length)
            ids, mask = pad_segments(tokens, rows, self.model.pad_id, (height, length))
        ids_BT = move_to_device(torch.from_numpy(ids), self.device)
        # A mask makes attention slower, so it is left out if nothing is masked. In a deterministic run every rectangle
        # has one, so that a text is always computed by the same code.
        has_padding = self.shape is not None or not mask.all()
        mask_BT = move_to_device(torch.from_numpy(mask), self.device) if has_padding else None
        try:
            return self.model.logits(ids_BT, mask_BT)[: len(rows)]
        except ValueError:  # some families refuse a batch in which texts hold unequal numbers of a literal "</s>"
            if len(rows) == 1:
                raise
        return torch.cat([self.logits(tokens, row) for row in rows.reshape(-1, 1)])

    def _round_lengths(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        # The last expression rounds up to a multiple of the step, because // rounds down.
        return lengths if self.equal_lengths else -(-lengths // RECTANGLE_LENGTH_STEP) * RECTANGLE_LENGTH_STEP
