"""Cuts segments into batches, packed end to end or padded: lengths in, rows of each batch out; pure, no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sentiment_batch.tokenization.ragged import Ids, Tokens, gather_runs

Rows = npt.NDArray[np.int64]
MIN_BATCH_TOKENS = 256
"""Tokens below which a batch is not worth its calls."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchShape:
    """What every batch of a deterministic run measures, so that a text's score does not depend on its neighbours.

    A CPU whose library feels a row's place in a matrix computes each text by itself instead.
    """

    tokens: int
    """Tokens of a batch, filled up where there are fewer."""
    texts: int
    """Most texts of a batch; likewise."""
    alone: bool = True
    """Whether segments of one length are kept apart, too."""
    longest: int = 0
    """Tokens of the longest text there can be: what a kernel is told, whatever the longest of a batch is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """Segments one after the other in one row of tokens; what is left at the end belongs to none."""

    ids: Ids
    """(T,)"""
    offsets: npt.NDArray[np.int64]
    """(B + 1,): segment b is `ids[offsets[b] : offsets[b + 1]]`; empty ones may follow the others."""
    alone: bool = False
    """Keep segments of one length apart, so that each is computed in the same shapes whatever stands beside it."""
    least: int = 0
    """What the longest segment counts as at least."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(B,): tokens of each segment."""
        return np.diff(self.offsets)

    @property
    def longest(self) -> int:
        """Tokens of the longest segment, as kernels are told."""
        return max(self.least, int(self.lengths.max(initial=1)))

    @property
    def first(self) -> npt.NDArray[np.int64]:
        """(B,): where each segment begins; somewhere in the pack for an empty one."""
        return np.minimum(self.offsets[:-1], len(self.ids) - 1)

    def positions(self, padding: int | None) -> npt.NDArray[np.int64]:
        """(T,): the place of each token in its segment, from 0.

        Args:
            padding: where given, places count from after this id, and a token of this id has the place `padding`.
        """
        starts = np.repeat(self.offsets[:-1], self.lengths)
        tail = np.zeros(len(self.ids) - len(starts), dtype=np.int64)
        if padding is None:
            return np.concatenate([np.arange(len(starts)) - starts, tail])
        counted = self.ids[: len(starts)] != padding
        before = np.concatenate([[0], np.cumsum(counted)])
        return np.concatenate([(before[1:] - before[starts]) * counted + padding, tail])

    def runs(self, most: Callable[[int], int]) -> Iterator[tuple[int, int, int]]:
        """Neighbours of one length: (start, how many, their length); a power of two, at most `most(length)` of them."""
        place, lengths = 0, self.lengths.tolist()
        while place < len(lengths) and lengths[place]:
            length, count = lengths[place], 1
            limit = 1 if self.alone else most(length)
            while 2 * count <= limit and lengths[place : place + 2 * count] == [length] * (2 * count):
                count *= 2
            yield int(self.offsets[place]), count, length
            place += count


def plan_packs(
    lengths: npt.NDArray[np.int64], budget: int, most_texts: int | None = None, workers: int = 1
) -> list[Rows]:
    """Packs of segments of similar length, longest first, so that running out of memory shows at once.

    Args:
        lengths: (S,) tokens per segment.
        budget: most tokens of a pack; a longer segment makes a pack of its own.
        most_texts: most segments of a pack.
        workers: how many will share the packs; towards the end packs shrink, so that all end together.

    Returns:
        The segments of each pack, every segment once. Depends on nothing but the arguments.
    """
    order = np.argsort(-lengths, kind="stable")
    ends = np.concatenate([[0], np.cumsum(lengths[order])])
    packs: list[Rows] = []
    start = 0
    while start < len(order):
        room = next_batch_tokens(int(ends[-1] - ends[start]), budget, workers)
        stop = int(np.searchsorted(ends, ends[start] + room, side="right")) - 1
        stop = max(start + 1, stop if most_texts is None else min(stop, start + most_texts))
        packs.append(order[start:stop])
        start = stop
    return packs


def next_batch_tokens(left: int, budget: int, workers: int) -> int:
    """Tokens of the next batch when so many are left: half of a worker's part of them, within bounds.

    As in guided self-scheduling (Polychronopoulos and Kuck 1987).
    """
    return budget if workers == 1 else min(budget, max(MIN_BATCH_TOKENS, left // (2 * workers)))


def build_pack(tokens: Tokens, rows: Rows, shape: BatchShape | None = None) -> Pack:
    """The segments `rows` end to end.

    Args:
        tokens: the segments.
        rows: (B,) which of them.
        shape: fill the pack up to this.
    """
    lengths = tokens.lengths[rows]
    ids = gather_runs(tokens.ids, tokens.offsets[rows], lengths)
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    if shape is None:
        return Pack(ids=ids, offsets=offsets)
    filler = np.zeros(shape.tokens - len(ids), dtype=ids.dtype)
    empty = np.full(shape.texts - len(rows), len(ids))
    return Pack(
        ids=np.concatenate([ids, filler]),
        offsets=np.concatenate([offsets, empty]),
        alone=shape.alone,
        least=shape.longest,
    )


def fill_pack(pack: Pack, steps: int) -> Pack:
    """The pack filled up with tokens of no text to one of few sizes: `steps` between a power of 2 and the next.

    At most a share of 1 / `steps` is added.
    """
    filler = np.zeros(-len(pack.ids) % _step(len(pack.ids), steps), dtype=pack.ids.dtype)
    return replace(pack, ids=np.concatenate([pack.ids, filler]))


def close_pack(pack: Pack, steps: int, longest: int) -> Pack:
    """The pack filled up by one more segment, of the id 0, to one of few sizes; every one counts as the longest.

    For passes that look at all tokens: what belongs to no segment may be anything, also no number.

    Args:
        pack: segments that fill it.
        steps: sizes between a power of 2 and the next; more of them where a segment could not fill up the rest.
        longest: most tokens of a segment.
    """
    step = min(_step(len(pack.ids) + 1, steps), longest)
    size = -(-(len(pack.ids) + 1) // step) * step
    filler = np.zeros(size - len(pack.ids), dtype=pack.ids.dtype)
    return replace(pack, ids=np.concatenate([pack.ids, filler]), offsets=np.append(pack.offsets, size), least=longest)


def _step(tokens: int, steps: int) -> int:
    return max(1, (1 << (tokens.bit_length() - 1)) // steps)


def plan_rectangles(lengths: npt.NDArray[np.int64], budget: int, workers: int = 1) -> list[Rows]:
    """Batches of segments of similar length, longest first; arguments and outcome as `plan_packs` has them.

    The budget counts padding.
    """
    order = np.argsort(-lengths, kind="stable")
    left = int(lengths.sum())
    batches: list[Rows] = []
    start = 0
    while start < len(order):
        # The first is the longest, so the padded size of the batch is its length times the rows.
        rows = max(1, next_batch_tokens(left, budget, workers) // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + rows])
        left -= int(lengths[batches[-1]].sum())
        start += rows
    return batches


def pad_segments(
    tokens: Tokens, rows: Rows, pad_id: int, size: tuple[int, int] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The segments `rows` as one rectangle.

    Args:
        tokens: the segments.
        rows: (B,) which of them.
        pad_id: fills up the shorter ones at the right.
        size: (B, T) of the rectangle; by default what they need. Further rows hold one token.

    Returns:
        ids (B, T) and the mask (B, T), true where a token is.
    """
    return _rectangle(
        gather_runs(tokens.ids, tokens.offsets[rows], tokens.lengths[rows]), tokens.lengths[rows], pad_id, size
    )


def pad_pack(pack: Pack, pad_id: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The segments of a pack as one rectangle; outcome as `pad` has it."""
    return _rectangle(pack.ids[: pack.offsets[-1]], pack.lengths, pad_id, None)


def _rectangle(
    flat: Ids, lengths: npt.NDArray[np.int64], pad_id: int, size: tuple[int, int] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    height, width = size or (len(lengths), int(lengths.max(initial=0)))
    mask = np.arange(width) < lengths[:, None]
    ids = np.full((height, width), pad_id, dtype=np.int64)
    ids[: len(lengths)][mask] = flat
    filler = np.broadcast_to(np.arange(width) < 1, (height - len(lengths), width))
    return ids, np.concatenate([mask, filler])
