"""The DataLoader of the training loop: batches of texts of similar length, in a repeatable order."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from sentiment_batch.tokenization.packing import Pack, build_pack, gather_runs

if TYPE_CHECKING:
    from sentiment_batch.tokenization.packing import SegmentNumbers, Tokens

BATCHES_PER_SORT = 32
"""Number of batches whose texts are sorted together by length. A batch then needs little padding, and every epoch still
mixes the texts in another way."""
MIN_CROP_TOKENS = 48
"""Least number of tokens of a crop, special ones included. Shorter texts are never cropped."""


class Batch(NamedTuple):
    """B texts with their labels, on the CPU."""

    pack: Pack
    """The token ids of the texts, end to end."""
    labels_B: torch.Tensor
    """(B,) class numbers; or (B, K) soft labels, see `TokenizedTexts`."""

    def parts(self, budget: int) -> Iterator[Batch]:
        """The texts in their order, in as few parts as possible of at most `budget` tokens; no text is divided."""
        offsets, start = self.pack.offsets, 0
        # Texts before `start` are in earlier parts. Each part takes all further texts that fit, but at least one.
        while start < len(self.labels_B):
            stop = int(np.searchsorted(offsets, offsets[start] + budget, side="right")) - 1
            stop = max(start + 1, stop)
            ids = self.pack.ids[offsets[start] : offsets[stop]]
            yield Batch(Pack(ids=ids, offsets=offsets[start : stop + 1] - offsets[start]), self.labels_B[start:stop])
            start = stop


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomCrops:
    """Random parts of long texts, to learn from in place of the whole texts: the crops of one epoch.

    A crop has at least `MIN_CROP_TOKENS` tokens. Each length from there to the whole text is equally likely, and so is
    each place. The special tokens of the text stay at its ends. Seed, epoch and the rows of a batch alone decide its
    crops, so a resumed run has the same.
    """

    share: float
    """The probability that a text is cropped when it is drawn."""
    special_tokens: tuple[int, int]
    """The numbers of special tokens before and after each text."""
    seed: int
    """The seed of the run."""
    epoch: int
    """The number of the epoch, from 0."""

    def build_pack(self, tokens: Tokens, rows: SegmentNumbers) -> Pack:
        """Lay the texts `rows` end to end, each of them a crop or whole.

        Args:
            tokens: the texts.
            rows: (B,) which of them.
        """
        # Three random numbers for each text decide whether it is cropped, how much is removed, and where
        chance_B, size_B, place_B = np.random.default_rng([self.seed, self.epoch, *rows]).random((3, len(rows)))
        whole_B = tokens.lengths[rows]
        num_lengths_B = np.maximum(0, whole_B - MIN_CROP_TOKENS) + 1
        removed_B = np.where(chance_B < self.share, np.floor(size_B * num_lengths_B), 0).astype(np.int64)
        skipped_B = np.floor(place_B * (removed_B + 1)).astype(np.int64)
        # Each text is three runs of its tokens: the special ones before it, the crop, the special ones after it
        before, after = self.special_tokens
        starts_B, ends_B = tokens.offsets[rows], tokens.offsets[rows + 1]
        runs = [starts_B, starts_B + before + skipped_B, ends_B - after]
        lengths = [np.full_like(whole_B, before), whole_B - removed_B - before - after, np.full_like(whole_B, after)]
        return Pack(
            ids=gather_runs(tokens.ids, np.stack(runs, axis=1).ravel(), np.stack(lengths, axis=1).ravel()),
            offsets=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(whole_B - removed_B)]),
        )


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

    def collate(self, rows: list[int], crops: RandomCrops | None = None) -> Batch:
        """The texts `rows` as one batch, cut out of the flat arrays in one step; whole if there are no `crops`."""
        places = np.array(rows, dtype=np.int64)
        labels = self.codes if self.soft_labels is None else self.soft_labels
        pack = build_pack(self.tokens, places) if crops is None else crops.build_pack(self.tokens, places)
        return Batch(pack, torch.from_numpy(labels[places]))


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
        # A generator of its own, so that neither dropout nor a resumed run changes the batches
        generator = np.random.default_rng([self._seed, self.epoch])
        order = generator.permutation(len(self._lengths))
        batches: list[list[int]] = []
        size = self._batch_size * BATCHES_PER_SORT
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            # A stable sort gives texts of one length the same order on every CPU
            rows = rows[np.argsort(-self._lengths[rows], kind="stable")]
            batches += [rows[at : at + self._batch_size].tolist() for at in range(0, len(rows), self._batch_size)]
        yield from (batches[place] for place in generator.permutation(len(batches))[self.done :])


def make_loader(
    texts: TokenizedTexts, sampler: Sampler[list[int]], crops: RandomCrops | None = None
) -> DataLoader[Any]:
    """A DataLoader over `texts`, without worker processes, because collating takes microseconds."""
    collate = functools.partial(texts.collate, crops=crops)
    return DataLoader(texts, batch_sampler=sampler, collate_fn=collate, num_workers=0)
