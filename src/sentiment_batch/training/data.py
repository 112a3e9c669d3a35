"""Feeds the training loop: token ids and labels in, padded batches of similar length out, in a repeatable order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from sentiment_batch.batching import pad

if TYPE_CHECKING:
    from sentiment_batch.tokens import Tokens

POOL_BATCHES = 32
"""Texts are sorted by length within so many batches: little padding, yet every epoch mixes anew."""


class Batch(NamedTuple):
    """B texts, padded to the longest."""

    ids_BT: torch.Tensor
    mask_BT: torch.Tensor | None
    """True where a token is; None where no text is shorter than the longest."""
    labels_B: torch.Tensor

    def part(self, start: int, stop: int) -> Batch:
        """The texts from `start` to `stop`."""
        mask = None if self.mask_BT is None else self.mask_BT[start:stop]
        return Batch(self.ids_BT[start:stop], mask, self.labels_B[start:stop])

    def to(self, device: str) -> Batch:
        """The same on another device."""
        mask = None if self.mask_BT is None else self.mask_BT.to(device, non_blocking=True)
        return Batch(self.ids_BT.to(device, non_blocking=True), mask, self.labels_B.to(device, non_blocking=True))


class Texts(Dataset[int]):
    """Texts tokenised once and kept flat. Its items are row numbers; `collate` cuts the rows out in one step."""

    def __init__(self, tokens: Tokens, codes: npt.NDArray[np.int64], pad_id: int) -> None:
        self.tokens = tokens
        self.codes = codes
        self.pad_id = pad_id

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> int:
        return row

    def collate(self, rows: list[int]) -> Batch:
        """The texts `rows` as one padded batch, cut out of the flat arrays in one step."""
        places = np.array(rows, dtype=np.int64)
        ids, mask = pad(self.tokens, places, self.pad_id)
        return Batch(
            torch.from_numpy(ids),
            None if mask.all() else torch.from_numpy(mask),
            torch.from_numpy(self.codes[places]),
        )


class LengthGroupedBatches(Sampler[list[int]]):
    """Batches of texts of similar length in random order: a pure function of the seed and the epoch.

    Args:
        lengths: (n,) tokens per text.
        batch_size: texts per batch.
        seed: of the whole run.
    """

    def __init__(self, lengths: npt.NDArray[np.int64], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self.epoch = 0
        self.done = 0
        """Batches of this epoch to leave out, because an interrupted run did them."""

    def __len__(self) -> int:
        return -(-len(self._lengths) // self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self._seed, self.epoch])
        order = generator.permutation(len(self._lengths))
        batches: list[list[int]] = []
        pool = self._batch_size * POOL_BATCHES
        for start in range(0, len(order), pool):
            rows = order[start : start + pool]
            rows = rows[np.argsort(-self._lengths[rows], kind="stable")]
            batches += [rows[at : at + self._batch_size].tolist() for at in range(0, len(rows), self._batch_size)]
        yield from (batches[place] for place in generator.permutation(len(batches))[self.done :])


def loader(texts: Texts, batches: Sampler[list[int]], device: str) -> DataLoader[Any]:
    """A DataLoader over `texts`; collating takes microseconds, so that no worker process is worth its start."""
    return DataLoader(
        texts, batch_sampler=batches, collate_fn=texts.collate, num_workers=0, pin_memory=device.startswith("cuda")
    )
