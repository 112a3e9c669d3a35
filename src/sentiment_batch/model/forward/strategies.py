"""The two ways through a model: segments laid end to end without padding, or in padded rectangles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from sentiment_batch.model.forward.attention import move_to_device
from sentiment_batch.model.forward.packed import PackedModel, compile_packed
from sentiment_batch.tokenization.packing import BatchShape, build_pack, pad_segments, plan_packs, plan_rectangles

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.tokenization.packing import Rows
    from sentiment_batch.tokenization.ragged import Tokens

RECTANGLE_LENGTH_STEP = 32
"""Lengths of a deterministic run's rectangles are multiples of this."""
CPU_TOKEN_STEP = 64
"""On a CPU, packs are filled up to a multiple of this, for each new size costs its library a new kernel."""
CPU_TEXT_STEP = 8
"""Likewise their texts."""
MIN_FILLED_SHARE = 0.9
"""A pack less full than this is not worth filling up for a compiled model."""


class Model(Protocol):
    """What gives logits: `Loaded` of model.py when scoring, the classifier under way when training."""

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


class ForwardStrategy(Protocol):
    """A way through a model; `shape` is that of every batch of a deterministic run, None otherwise."""

    @property
    def device(self) -> str:
        """Where the model is."""
        ...

    @property
    def shape(self) -> BatchShape | None:
        """That of every batch."""
        ...

    @property
    def classes(self) -> int:
        """K."""
        ...

    def plan(self, lengths: npt.NDArray[np.int64], budget: int, workers: int = 1) -> list[Rows]:
        """Which segments of `lengths` (S,) go together, at most `budget` tokens of them, for so many workers."""
        ...

    def logits(self, tokens: Tokens, rows: Rows) -> torch.Tensor:
        """Logits (B, K) of the segments `rows` (B,), in float32 on the device."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedStrategy:
    """Segments end to end: nothing is computed but their tokens."""

    model: PackedModel
    device: str
    classes: int
    shape: BatchShape | None = None
    fill: int | None = None
    """Tokens that a nearly full pack is filled up to, which is the one shape that a compiled model knows."""

    def compiled(self, tokens: int) -> PackedStrategy:
        """The same road with a model compiled for packs of `tokens`."""
        return replace(self, model=compile_packed(self.model, tokens), fill=tokens)

    def plan(self, lengths: npt.NDArray[np.int64], budget: int, workers: int = 1) -> list[Rows]:
        """Packs; of a deterministic run, those that fit its shape."""
        if self.shape is None:
            return plan_packs(lengths, budget, workers=workers)
        return plan_packs(lengths, self.shape.tokens, self.shape.texts)

    def logits(self, tokens: Tokens, rows: Rows) -> torch.Tensor:
        """One pack; of a deterministic run, one for each text on a CPU that feels a text's place in a larger one."""
        if self._one_by_one():
            few = [-(-int(length) // CPU_TOKEN_STEP) * CPU_TOKEN_STEP for length in tokens.lengths[rows]]
            alone = [BatchShape(tokens=size, texts=1) for size in few]
            packs = (build_pack(tokens, row, shape) for row, shape in zip(rows.reshape(-1, 1), alone, strict=True))
            return torch.cat([self.model.logits(one) for one in packs])
        shape = self._shape(int(tokens.lengths[rows].sum()), len(rows))
        return self.model.logits(build_pack(tokens, rows, shape))[: len(rows)]

    def _one_by_one(self) -> bool:
        shape = self.shape
        return shape is not None and self.device == "cpu" and not self.model.steady(shape.tokens, shape.texts)

    def _shape(self, tokens: int, texts: int) -> BatchShape | None:
        """What a pack of so many tokens and texts is filled up to."""
        if self.shape is not None:
            return self.shape
        if self.device == "cpu":
            few = -(-tokens // CPU_TOKEN_STEP) * CPU_TOKEN_STEP
            return BatchShape(tokens=few, texts=-(-texts // CPU_TEXT_STEP) * CPU_TEXT_STEP, alone=False)
        if self.fill and MIN_FILLED_SHARE * self.fill <= tokens <= self.fill:
            return BatchShape(tokens=self.fill, texts=texts, alone=False)
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class PaddedStrategy:
    """Segments of similar length as rectangles, for models that cannot be packed; the stock model, untouched."""

    model: Model
    device: str
    shape: BatchShape | None = None
    bare: bool = False
    """Whether nothing is filled up, for a model that feels padding: segments of one length alone go together."""

    @property
    def classes(self) -> int:
        """The number of the model's labels."""
        return len(self.model.labels)

    def plan(self, lengths: npt.NDArray[np.int64], budget: int, workers: int = 1) -> list[Rows]:
        """Rectangles; of a deterministic run, of lengths rounded up, and each by its own length alone."""
        if self.shape is not None:
            budget, workers = self.shape.tokens, 1
        elif not self.bare:
            return plan_rectangles(lengths, budget, workers)
        rounded = self._rounded(lengths)
        alike = (np.flatnonzero(rounded == length) for length in np.unique(rounded)[::-1])
        return [rows[some] for rows in alike for some in plan_rectangles(rounded[rows], budget, workers)]

    def logits(self, tokens: Tokens, rows: Rows) -> torch.Tensor:
        """One rectangle; of a deterministic run on a CPU, one for each text.

        There the stock model's products go to MKL, which may sum a row by its place among the others.
        """
        if self.shape is None:
            ids, mask = pad_segments(tokens, rows, self.model.pad_id)
        elif self.device == "cpu" and len(rows) > 1:
            return torch.cat([self.logits(tokens, row) for row in rows.reshape(-1, 1)])
        else:
            length = int(self._rounded(tokens.lengths[rows]).max())
            height = 1 if self.device == "cpu" else max(1, self.shape.tokens // length)
            ids, mask = pad_segments(tokens, rows, self.model.pad_id, (height, length))
        ids_BT = move_to_device(torch.from_numpy(ids), self.device)
        whole = self.shape is None and mask.all()
        mask_BT = None if whole else move_to_device(torch.from_numpy(mask), self.device)
        try:
            return self.model.logits(ids_BT, mask_BT)[: len(rows)]
        except ValueError:  # some families refuse a batch in which one text holds a literal "</s>" more than the others
            if len(rows) == 1:
                raise
        return torch.cat([self.logits(tokens, row) for row in rows.reshape(-1, 1)])

    def _rounded(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return lengths if self.bare else -(-lengths // RECTANGLE_LENGTH_STEP) * RECTANGLE_LENGTH_STEP
