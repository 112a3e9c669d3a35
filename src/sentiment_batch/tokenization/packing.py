"""Token ids of many texts, and how they are grouped into batches: packed end to end, or in padded rectangles.

A text is one segment, unless long texts are scored in several windows. Then each window is a segment. All functions
here are pure, and none needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

# N texts, S segments, B segments of a batch, T tokens.

Ids = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]
SegmentNumbers = npt.NDArray[np.int64]
"""(B,) the numbers of some segments of a `Tokens`."""
MIN_BATCH_TOKENS = 256
"""A batch of fewer tokens is not worth its calls."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """The token ids of N texts in S segments, in one flat array with offsets."""

    ids: Ids
    """All ids (sum of lengths,), the special ones included."""
    offsets: Integers
    """(S + 1,): segment s is `ids[offsets[s] : offsets[s + 1]]`."""
    owners: Integers
    """(S,): the text that each segment belongs to, in rising order."""
    cut: npt.NDArray[np.bool_]
    """(N,): True if the text was longer than the model takes."""
    uncut_lengths: Integers
    """(N,): tokens of the text before it was cut, the special ones included; an estimate for a very long text."""

    @property
    def lengths(self) -> Integers:
        """(S,): tokens per segment."""
        return np.diff(self.offsets)

    def replace_unknown(self, size: int) -> tuple[Tokens, dict[int, int]]:
        """The same tokens with 0 in place of all ids from `size` on, for which the model has no embedding.

        Returns:
            The tokens, and the first such id of each text that has one, by the number of the text.
        """
        if self.ids.max(initial=0) < size:
            return self, {}
        places = np.flatnonzero(self.ids >= size)
        owners = self.owners[np.searchsorted(self.offsets, places, side="right") - 1]
        texts, first = np.unique(owners, return_index=True)
        unknown = dict(zip(texts.tolist(), self.ids[places[first]].tolist(), strict=True))
        return replace(self, ids=np.where(self.ids < size, self.ids, 0)), unknown


def to_offsets(lengths: npt.ArrayLike) -> Integers:
    """Where each of R runs begins if they lie end to end, and where the last one ends: (R + 1,).

    Args:
        lengths: (R,) the length of each run.
    """
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def gather_runs(ids: Ids, starts: Integers, lengths: Integers) -> Ids:
    """The runs `ids[start : start + length]`, one after the other, without a Python loop over them.

    Args:
        ids: (T,) ids.
        starts: (R,) the place of the first id of each run.
        lengths: (R,) the number of ids of each run.

    Returns:
        (sum of lengths,) ids.
    """
    # Each place counts on from the one before it. At the start of a run, it jumps to `starts`.
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
    runs: Ids = ids[places]
    return runs


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchShape:
    """The size of every batch of a deterministic run, so that a text's score does not depend on its neighbours.

    On a CPU where a row's place in a matrix changes its bits, each text is computed by itself instead.
    """

    tokens: int
    """Tokens of a batch; a batch with fewer is filled up."""
    texts: int
    """Texts of a batch; a batch with fewer is filled up with empty ones."""
    one_by_one: bool = True
    """True if segments of one length are computed one by one, too."""
    longest: int = 0
    """Tokens of the longest text there can be. Kernels get this, whatever the longest text of a batch is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """Segments one after the other in one row of tokens; tokens after the last segment belong to none."""

    ids: Ids
    """(T,)"""
    offsets: npt.NDArray[np.int64]
    """(B + 1,): segment b is `ids[offsets[b] : offsets[b + 1]]`; empty ones may follow the others."""
    one_by_one: bool = False
    """True if segments of one length are computed one by one. Then each has the same shapes whatever its neighbours."""
    min_longest: int = 0
    """Kernels get at least this length as the longest segment."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(B,): tokens of each segment."""
        return np.diff(self.offsets)

    @property
    def longest(self) -> int:
        """Tokens of the longest segment, as kernels get it."""
        return max(self.min_longest, int(self.lengths.max(initial=1)))

    @property
    def first(self) -> npt.NDArray[np.int64]:
        """(B,): where each segment begins; for an empty one, any place in the pack."""
        return np.minimum(self.offsets[:-1], len(self.ids) - 1)

    def positions(self, position_padding_id: int | None) -> npt.NDArray[np.int64]:
        """(T,): the position of each token in its segment, from 0.

        Args:
            position_padding_id: the padding id if positions are counted from after it, as RoBERTa does. A token with
                this id has the id as its position.
        """
        # Tokens that fill the pack up have the position 0, which every model has.
        starts = np.repeat(self.offsets[:-1], self.lengths)
        tail = np.zeros(len(self.ids) - len(starts), dtype=np.int64)
        if position_padding_id is None:
            return np.concatenate([np.arange(len(starts)) - starts, tail])
        # As in `create_position_ids_from_input_ids` of Transformers: a token's place among those that are no padding,
        # from 1, plus the padding id.
        counted = self.ids[: len(starts)] != position_padding_id
        before = to_offsets(counted)
        return np.concatenate([(before[1:] - before[starts]) * counted + position_padding_id, tail])

    def runs(self, max_count: Callable[[int], int]) -> Iterator[tuple[int, int, int]]:
        """Runs of neighbours of one length, as (start, count, length); counts are powers of two.

        Args:
            max_count: gives the largest count for a length.
        """
        place, lengths = 0, self.lengths.tolist()
        while place < len(lengths) and lengths[place]:
            length, count = lengths[place], 1
            limit = 1 if self.one_by_one else max_count(length)
            # Doubled while the next texts have the same length. Powers of two keep the number of shapes low.
            while 2 * count <= limit and lengths[place : place + 2 * count] == [length] * (2 * count):
                count *= 2
            yield int(self.offsets[place]), count, length
            place += count


def plan_packs(
    lengths: npt.NDArray[np.int64], budget: int, most_texts: int | None = None, threads: int = 1
) -> list[SegmentNumbers]:
    """Packs of segments of similar length, longest first, so that a lack of memory shows at once.

    Args:
        lengths: (S,) tokens per segment.
        budget: most tokens of a pack; a longer segment makes a pack of its own.
        most_texts: most segments of a pack.
        threads: how many threads share the packs. Towards the end packs shrink, so that all threads end together.

    Returns:
        The segments of each pack, every segment once. They depend on nothing but the arguments.
    """
    # A stable sort keeps segments of equal length in the order of the table.
    order = np.argsort(-lengths, kind="stable")
    ends = to_offsets(lengths[order])
    packs: list[SegmentNumbers] = []
    start = 0
    while start < len(order):
        room = next_batch_tokens(int(ends[-1] - ends[start]), budget, threads)
        # `ends` are sums of lengths, so a binary search finds how many segments fit.
        stop = int(np.searchsorted(ends, ends[start] + room, side="right")) - 1
        stop = max(start + 1, stop if most_texts is None else min(stop, start + most_texts))
        packs.append(order[start:stop])
        start = stop
    return packs


def next_batch_tokens(left: int, budget: int, threads: int) -> int:
    """Tokens of the next batch when `left` tokens are left: half of a thread's share of them, within bounds.

    This is guided self-scheduling (Polychronopoulos and Kuck 1987).
    """
    return budget if threads == 1 else min(budget, max(MIN_BATCH_TOKENS, left // (2 * threads)))


def build_pack(tokens: Tokens, rows: SegmentNumbers, shape: BatchShape | None = None) -> Pack:
    """Lay the segments `rows` end to end.

    Args:
        tokens: the segments.
        rows: (B,) which of them.
        shape: fill the pack up to this; None adds nothing.
    """
    lengths = tokens.lengths[rows]
    ids = gather_runs(tokens.ids, tokens.offsets[rows], lengths)
    offsets = to_offsets(lengths)
    if shape is None:
        return Pack(ids=ids, offsets=offsets)
    # Empty segments begin and end after the last token.
    filler = np.zeros(shape.tokens - len(ids), dtype=ids.dtype)
    empty = np.full(shape.texts - len(rows), len(ids))
    return Pack(
        ids=np.concatenate([ids, filler]),
        offsets=np.concatenate([offsets, empty]),
        one_by_one=shape.one_by_one,
        min_longest=shape.longest,
    )


def round_up_pack(pack: Pack, steps: int) -> Pack:
    """Add tokens of no text up to the next of few sizes: there are `steps` between a power of 2 and the next.

    At most a share of 1 / `steps` is added.
    """
    filler = np.zeros(-len(pack.ids) % _step(len(pack.ids), steps), dtype=pack.ids.dtype)
    return replace(pack, ids=np.concatenate([pack.ids, filler]))


def append_filler_segment(pack: Pack, steps: int, longest: int) -> Pack:
    """Add one more segment, of the id 0, up to the next of few sizes. The longest segment then counts as `longest`.

    This is for passes that read all tokens, because tokens of no segment may have any value, even NaN.

    Args:
        pack: a pack without tokens after its last segment.
        steps: sizes between a power of 2 and the next; there are more if one segment cannot fill up the rest.
        longest: most tokens of a segment.
    """
    step = min(_step(len(pack.ids) + 1, steps), longest)
    size = round_up(len(pack.ids) + 1, step)  # the new segment is never empty
    filler = np.zeros(size - len(pack.ids), dtype=pack.ids.dtype)
    return replace(
        pack, ids=np.concatenate([pack.ids, filler]), offsets=np.append(pack.offsets, size), min_longest=longest
    )


def _step(tokens: int, steps: int) -> int:
    """The distance of the sizes around `tokens`: the power of 2 at or below it, divided by `steps`, at least 1."""
    return max(1, (1 << (tokens.bit_length() - 1)) // steps)


def round_up(number: int, step: int) -> int:
    """The least multiple of `step` that is at least `number`."""
    return -(-number // step) * step


def plan_rectangles(lengths: npt.NDArray[np.int64], budget: int, threads: int = 1) -> list[SegmentNumbers]:
    """Rectangles of segments of similar length, longest first; see `plan_packs`. The budget counts padding."""
    order = np.argsort(-lengths, kind="stable")
    left = int(lengths.sum())
    batches: list[SegmentNumbers] = []
    start = 0
    while start < len(order):
        # The first is the longest, so the padded size of the batch is its length times the rows.
        rows = max(1, next_batch_tokens(left, budget, threads) // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + rows])
        left -= int(lengths[batches[-1]].sum())
        start += rows
    return batches


def pad_segments(
    tokens: Tokens, rows: SegmentNumbers, pad_id: int, size: tuple[int, int] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Put the segments `rows` into one rectangle.

    Args:
        tokens: the segments.
        rows: (B,) which of them.
        pad_id: the id that fills up the shorter ones at the right.
        size: (B, T) of the rectangle; by default what they need. Further rows hold one token.

    Returns:
        The ids (B, T) and the mask (B, T), true at tokens.
    """
    lengths = tokens.lengths[rows]
    return _rectangle(gather_runs(tokens.ids, tokens.offsets[rows], lengths), lengths, pad_id, size)


def to_rectangle(pack: Pack, pad_id: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The segments of a pack in one padded rectangle: the ids and the mask, as `pad_segments` returns them."""
    return _rectangle(pack.ids[: pack.offsets[-1]], pack.lengths, pad_id, None)


def _rectangle(
    flat: Ids, lengths: npt.NDArray[np.int64], pad_id: int, size: tuple[int, int] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    height, width = size or (len(lengths), int(lengths.max(initial=0)))
    mask = np.arange(width) < lengths[:, None]
    ids = np.full((height, width), pad_id, dtype=np.int64)
    ids[: len(lengths)][mask] = flat
    # Further rows have one token each. In a row without any, attention would divide 0 by 0.
    filler = np.broadcast_to(np.arange(width) < 1, (height - len(lengths), width))
    return ids, np.concatenate([mask, filler])
