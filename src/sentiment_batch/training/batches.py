"""The DataLoader of the training loop: batches of texts of similar length, in a repeatable order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from sentiment_batch.tokenization.packing import Pack, build_pack

if TYPE_CHECKING:
    from sentiment_batch.tokenization.packing import Tokens

POOL_BATCHES = 32
"""Number of batches within which texts are sorted by length. A batch then needs little padding, and every epoch still
mixes the texts in another way."""


class Batch(NamedTuple):
    """B texts with their labels, on the CPU."""

    pack: Pack
    """The token ids of the texts, end to end."""
    labels_B: torch.Tensor
    """(B,) class numbers; or (B, K) soft labels, see `TokenizedTexts`."""

    def parts(self, budget: int) -> Iterator[Batch]:
        """The texts in their order, in as few parts as possible of at most `budget` tokens; no text is divided."""
        offsets, start = self.pack.offsets, 0
        while start < len(self.labels_B):
            stop = int(np.searchsorted(offsets, offsets[start] + budget, side="right")) - 1
            stop = max(start + 1, stop)
            ids = self.pack.ids[offsets[start] : offsets[stop]]
            yield Batch(Pack(ids=ids, offsets=offsets[start : stop + 1] - offsets[start]), self.labels_B[start:stop])
            start = stop


class TokenizedTexts(Dataset[int]):
    """Tokenized texts with their classes. Its items are row numbers, and `collate` makes a batch of them.

    Args:
        tokens: the tokens of N texts.
        codes: (N,) class numbers.
        pad_id: the id of the padding token.
        soft_labels: (N, K) what to learn in place of the classes: the probability of each class times the weight of
            the text. None learns the classes.
    """

    def __init__(
        self,
        tokens: Tokens,
        codes: npt.NDArray[np.int64],
        pad_id: int,
        soft_labels: npt.NDArray[np.float32] | None = None,
    ) -> None:
        self.tokens = tokens
        self.codes = codes
        self.pad_id = pad_id
        self.soft_labels = soft_labels

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> int:
        return row

    def collate(self, rows: list[int]) -> Batch:
        """The texts `rows` as one batch, cut out of the flat arrays in one step."""
        places = np.array(rows, dtype=np.int64)
        labels = self.codes if self.soft_labels is None else self.soft_labels
        return Batch(build_pack(self.tokens, places), torch.from_numpy(labels[places]))


class LengthGroupedBatches(Sampler[list[int]]):
    """Batches of texts of similar length in random order. Seed and epoch alone decide them.

    Args:
        lengths: (N,) tokens per text.
        batch_size: texts per batch.
        seed: the seed of the run.
    """

    def __init__(self, lengths: npt.NDArray[np.int64], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self.epoch = 0
        self.done = 0
        """Number of batches of this epoch to leave out, because the interrupted run did them."""

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


def make_loader(texts: TokenizedTexts, sampler: Sampler[list[int]]) -> DataLoader[Any]:
    """A DataLoader over `texts`. Collating takes microseconds, so worker processes would not pay."""
    return DataLoader(texts, batch_sampler=sampler, collate_fn=texts.collate, num_workers=0)
