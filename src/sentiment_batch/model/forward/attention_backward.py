"""Attention inside each text of a pack on a CPU, with gradients: matrix products, recomputed in the backward pass.

torch's own attention for a CPU takes 1.5 to 4 times as long in its backward pass, and even longer with a padding mask
(AMD EPYC with AVX-512 bfloat16, two cores, IMDb and SST-2 lengths).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.model.forward.attention import LENGTH_STEP, MAX_CACHED_SCORES, largest_divisor
from sentiment_batch.model.torch_operators import softmax_backward
from sentiment_batch.tokenization.packing import round_up

if TYPE_CHECKING:
    from sentiment_batch.tokenization.packing import Pack

FIRST_LENGTH_STEP = 64
"""`LENGTH_STEP` for the attention of the first tokens, whose products are small. Fewer shapes matter more than fewer
keys."""

# T tokens of a pack, B texts of it, D the encoder's width, H heads, E = D / H the width of one.
# In one run: N = texts * H, Q queries of each text, K the common length of its texts, rounded up.


@dataclass(frozen=True, slots=True)
class TextRun:
    """Neighbours in a pack whose rounded lengths are equal; they are computed together."""

    start: int
    """Place of the first token in the pack."""
    lengths: tuple[int, ...]
    """Tokens of each text."""
    rounded: int
    """K: the lengths rounded up to a multiple of a step. Few shapes, because each costs kernels."""

    @property
    def spans(self) -> Iterator[tuple[int, int, int]]:
        """For each text its number in the run, and where in the pack it starts and stops."""
        start = self.start
        for number, length in enumerate(self.lengths):
            yield number, start, start + length
            start += length


def group_runs(lengths: Sequence[int], step: int = LENGTH_STEP) -> list[TextRun]:
    """The texts of a pack in runs, each of as many texts as a power of two, so that few shapes occur.

    Args:
        lengths: (B,) tokens of each text in their order, each at least 1.
        step: lengths are rounded up to a multiple of this.
    """
    runs: list[TextRun] = []
    start = 0
    for rounded, group in itertools.groupby(lengths, lambda length: round_up(length, step)):
        left = tuple(group)
        while left:
            # The largest power of two that is left. 13 texts become runs of 8, 4 and 1.
            count = 1 << (len(left).bit_length() - 1)
            runs.append(TextRun(start, left[:count], rounded))
            start, left = start + sum(left[:count]), left[count:]
    return runs


class TrainingPackAttention:
    """`attention.PackAttention` on a CPU, with gradients through both kinds of attention."""

    def __init__(self, pack: Pack, heads: int) -> None:
        self.ids = torch.from_numpy(pack.ids)
        self.positions = torch.from_numpy(pack.positions(None))
        self.first = torch.from_numpy(pack.first)
        self.one_by_one = False
        self._runs = group_runs(pack.lengths.tolist())
        self._first_runs = group_runs(pack.lengths.tolist(), FIRST_LENGTH_STEP)
        self._heads = heads

    def attend(self, qkv: torch.Tensor) -> torch.Tensor:
        """Attention (T, D) of queries, keys and values (T, 3D)."""
        mixed: torch.Tensor = _Attention.apply(None, qkv, self._runs, self._heads)  # type: ignore[no-untyped-call]
        return mixed

    def attend_first(self, query: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        """Attention (B, D) of the first tokens' queries (B, D) to keys and values (T, 2D)."""
        mixed: torch.Tensor = _Attention.apply(query, kv, self._first_runs, self._heads)  # type: ignore[no-untyped-call]
        return mixed


class _Attention(torch.autograd.Function):
    """Saves its inputs for the backward pass, and not the scores, of which there are T times K for each head.

    The backward pass computes the scores again. Dao et al. 2022, "FlashAttention", recompute them in the same way.

    Its inputs are `query`, None or (B, D); and `packed`, which is queries, keys and values (T, 3D) if `query` is None,
    else keys and values (T, 2D).
    """

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor | None, packed: torch.Tensor, runs: list[TextRun], heads: int
    ) -> torch.Tensor:
        """Attention (T, D), or (B, D) if `query` is given."""
        ctx.save_for_backward(query, packed)
        ctx.runs, ctx.heads = runs, heads
        mixed = torch.empty_like(query) if query is not None else packed.new_empty(len(packed), packed.shape[1] // 3)
        if query is None:
            mixed[_find_end(runs) :] = 0  # the tokens that fill the pack up
        with torch.autocast("cpu", enabled=False):  # everything is in one dtype already, and stays in it
            for run, query_run in zip(runs, _query_runs(runs, query), strict=True):
                q, k, v = _split_by_head(query, packed, run, query_run, heads)
                outcome = torch.empty_like(q)
                for some, weights in _attention_weights(q, k, run, heads):
                    torch.bmm(weights, v[some], out=outcome[some])
                _put_back(outcome[None], mixed, query_run, heads)
        return mixed

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The gradients of `query` and `packed`."""
        query, packed = ctx.saved_tensors
        runs, heads = ctx.runs, ctx.heads
        d_query, d_packed = None if query is None else torch.empty_like(query), torch.empty_like(packed)
        d_packed[_find_end(runs) :] = 0
        for run, query_run in zip(runs, _query_runs(runs, query), strict=True):
            q, k, v = _split_by_head(query, packed, run, query_run, heads)
            d_mixed = _by_head(gradients[0], 1, query_run, heads)[0]
            d_q, d_kv = torch.empty_like(q), k.new_empty(2, *k.shape)
            scale = q.shape[-1] ** -0.5
            # With weights = softmax(scale * q k^T) and mixed = weights v, the chain rule gives:
            for some, weights in _attention_weights(q, k, run, heads):
                # d_v = weights^T d_mixed
                torch.bmm(weights.transpose(1, 2), d_mixed[some], out=d_kv[1, some])
                # d_weights = d_mixed v^T, then through the softmax to the scores
                d_weights = torch.bmm(d_mixed[some], v[some].transpose(1, 2))
                d_scores = softmax_backward(d_weights, weights, -1, weights.dtype)
                # d_q = scale * d_scores k, and d_k = scale * d_scores^T q
                _scaled_bmm(d_scores, k[some], scale, d_q[some])
                _scaled_bmm(d_scores.transpose(1, 2), q[some], scale, d_kv[0, some])
            if d_query is None:
                _put_back(torch.cat([d_q[None], d_kv]), d_packed, run, heads)
            else:
                _put_back(d_q[None], d_query, query_run, heads)
                _put_back(d_kv, d_packed, run, heads)
        return d_query, d_packed, None, None


def _find_end(runs: list[TextRun]) -> int:
    """The place of the first token after the texts."""
    return runs[-1].start + sum(runs[-1].lengths) if runs else 0


def _query_runs(runs: list[TextRun], query: torch.Tensor | None) -> list[TextRun]:
    """Where the queries of each run are: beside its keys if `query` is None, else one row of `query` for each text."""
    if query is None:
        return runs
    start, query_runs = 0, []
    for run in runs:
        query_runs.append(TextRun(start, (1,) * len(run.lengths), 1))
        start += len(run.lengths)
    return query_runs


def _split_by_head(
    query: torch.Tensor | None, packed: torch.Tensor, run: TextRun, query_run: TextRun, heads: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries (N, Q, E), keys (N, K, E) and values (N, K, E) of a run."""
    if query is None:
        q, k, v = _by_head(packed, 3, run, heads)
        return q, k, v
    k, v = _by_head(packed, 2, run, heads)
    return _by_head(query, 1, query_run, heads)[0], k, v


def _by_head(x: torch.Tensor, parts: int, run: TextRun, heads: int) -> torch.Tensor:
    """The rows of a run out of `x` (T, parts * D), as (parts, N, K, E); zeros fill the texts up."""
    width = x.shape[1] // parts // heads
    texts, stop = len(run.lengths), run.start + sum(run.lengths)
    # If all texts have the rounded length, one copy moves all of them, and nothing needs to be filled with zeros.
    is_full = run.lengths.count(run.rounded) == texts
    by_head = (x.new_empty if is_full else x.new_zeros)(parts, texts, heads, run.rounded, width)
    if is_full:
        by_head.copy_(x[run.start : stop].view(texts, run.rounded, parts, heads, width).permute(2, 0, 3, 1, 4))
    else:
        for number, start, end in run.spans:
            rows = x[start:end].view(end - start, parts, heads, width)
            by_head[:, number, :, : end - start] = rows.permute(1, 2, 0, 3)
    return by_head.view(parts, texts * heads, run.rounded, width)


def _put_back(by_head: torch.Tensor, x: torch.Tensor, run: TextRun, heads: int) -> None:
    """The reverse of `_by_head`: write (parts, N, K, E) into the rows of the run in `x` (T, parts * D)."""
    parts, width = len(by_head), by_head.shape[-1]
    by_text = by_head.view(parts, len(run.lengths), heads, run.rounded, width)
    for number, start, end in run.spans:
        rows = x[start:end].view(end - start, parts, heads, width)
        rows.copy_(by_text[:, number, :, : end - start].permute(2, 0, 1, 3))


def _attention_weights(
    q: torch.Tensor, k: torch.Tensor, run: TextRun, heads: int
) -> Iterator[tuple[slice, torch.Tensor]]:
    """The softmax of queries (N, Q, E) times keys (N, K, E), for as many of the N at a time as the cache holds."""
    queries, keys = q.shape[1], k.shape[1]
    step = largest_divisor(len(q), MAX_CACHED_SCORES // (queries * keys))
    for start in range(0, len(q), step):
        some = slice(start, start + step)
        scores = q.new_empty(step, queries, keys)
        _scaled_bmm(q[some], k[some].transpose(1, 2), q.shape[-1] ** -0.5, scores)
        # Keys that only fill up a text get no weight. A slice may begin or end between the heads of one text.
        for number, length in enumerate(run.lengths):
            of_text = slice(max(0, number * heads - start), max(0, (number + 1) * heads - start))
            if length < keys and of_text.start < of_text.stop:
                scores[of_text, :, length:] = -torch.inf
        yield some, torch.softmax(scores, -1)


def _scaled_bmm(a: torch.Tensor, b: torch.Tensor, scale: float, out: torch.Tensor) -> None:
    """Write scale * (a b) to `out`. With beta=0, torch ignores what `out` holds before, even NaN."""
    torch.baddbmm(out, a, b, beta=0, alpha=scale, out=out)
