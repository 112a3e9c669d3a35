"""Attention inside each text of a pack, never across texts: on a CPU text by text, on CUDA in one kernel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from sentiment_batch.model.torch_operators import variable_length_attention
from sentiment_batch.tokenization.packing import round_up

if TYPE_CHECKING:
    from sentiment_batch.tokenization.packing import Pack

# T tokens of a pack, B texts of it, D the encoder's width, H heads, E = D / H the width of one.

LOG2_E = math.log2(math.e)
SAFE_SUMS = (2.0**-90, 2.0**100)
"""If a sum of unshifted exponentials lies between these, none of them over- or underflowed."""
LENGTH_STEP = 16
"""On a CPU, attention computes lengths that are multiples of this."""
MAX_CACHED_SCORES = 2**19
"""Attention scores held at a time on a CPU, so that they stay in the core's cache."""
WORKSPACE_ROW_STEP = 256
"""Scratch memory grows in steps of this many rows."""
CUDA_HEAD_STEP = 8
"""CUDA's kernel takes heads whose width is a multiple of this."""
MAX_CUDA_HEAD_WIDTH = 256
"""CUDA's kernel takes heads up to this width."""
MIN_CUDA_CAPABILITY = (8, 0)
"""CUDA's kernel needs at least this compute capability."""
CUDA_LENGTH_STEP = 64
"""CUDA's kernel gets the longest length rounded up to a multiple of this. So it sees few values, and torch does not
compile anew for each."""


class PackAttention(Protocol):
    """The attention inside each text of one pack, and what else a forward pass needs of the pack."""

    ids: torch.Tensor
    """(T,) token ids."""
    positions: torch.Tensor
    """(T,) the position of each token in its text, as the model counts."""
    first: torch.Tensor
    """(B,) where each text begins."""
    one_by_one: bool
    """True if texts are computed one by one. Then the bits of a text do not depend on its neighbours."""

    def attend(self, qkv: torch.Tensor) -> torch.Tensor:
        """Attention (T, D) of queries, keys and values (T, 3D)."""
        ...

    def attend_first(self, query: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        """Attention (B, D) of the first tokens' queries (B, D) to keys and values (T, 2D)."""
        ...


class Workspace:
    """Memory that one thread uses again for every pack, because the system is slow to hand out fresh pages."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._buffers: dict[str, torch.Tensor] = {}

    def take(self, name: str, rows: int, width: int) -> torch.Tensor:
        """A tensor (rows, width) with arbitrary content. It is overwritten after the next call with this name.

        Args:
            name: what the memory is for. Each name has memory of its own.
            rows: the number of rows.
            width: the number of columns.
        """
        size = round_up(rows, WORKSPACE_ROW_STEP) * width
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = torch.empty(size, dtype=self._dtype)
        return self._buffers[name][: rows * width].view(rows, width)


class CpuPackAttention:
    """`PackAttention` on a CPU, computed in runs: neighbours of one length together, as many as fit the cache.

    oneDNN makes a kernel for every new shape, which costs as much as some tokens. So there are few shapes: lengths are
    rounded up to multiples of `LENGTH_STEP`, and a run has as many texts as a power of two.
    """

    def __init__(self, pack: Pack, heads: int, workspace: Workspace, position_padding_id: int | None) -> None:
        self.ids = torch.from_numpy(pack.ids)
        self.positions = torch.from_numpy(pack.positions(position_padding_id))
        self.first = torch.from_numpy(pack.first)
        self._runs = list(pack.runs(lambda length: MAX_CACHED_SCORES // (heads * length * length)))
        self.one_by_one = pack.one_by_one
        self._heads = heads
        self._workspace = workspace

    def attend(self, qkv: torch.Tensor) -> torch.Tensor:
        """Attention (T, D) of queries, keys and values (T, 3D), in memory that the next call overwrites."""
        context_TD = self._workspace.take("context", len(qkv), qkv.shape[1] // 3)
        stop = 0
        for start, texts, length in self._runs:
            stop = start + texts * length
            query, key, value = self._by_head(qkv[start:stop], 3, texts, length)
            mixed = context_TD[start:stop].view(texts, length, self._heads, -1).transpose(1, 2)
            self._mix(query, key, value, length, mixed)
        # The tokens that fill the pack up. Their memory still holds what an earlier pack left there.
        context_TD[stop:] = 0
        return context_TD

    def attend_first(self, query: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        """Attention (B, D) of the first tokens' queries (B, D) to keys and values (T, 2D)."""
        context_BD = torch.zeros_like(query)  # the empty texts that fill the pack up are in no run
        done = 0
        for start, texts, length in self._runs:
            key, value = self._by_head(kv[start : start + texts * length], 2, texts, length)
            some = slice(done, done + texts)
            mixed = context_BD[some].view(texts, self._heads, 1, -1)
            # Where in a cache line a text's query begins depends on its neighbours. Where a copy begins does not.
            wanted = query[some].clone() if self.one_by_one else query[some]
            self._mix(wanted.view(texts * self._heads, 1, -1), key, value, length, mixed)
            done += texts
        return context_BD

    def _by_head(self, x: torch.Tensor, parts: int, texts: int, length: int) -> torch.Tensor:
        """(texts * length, parts * D) as (parts, texts * H, K, E), where K is the rounded length, filled with zeros."""
        rounded = round_up(length, LENGTH_STEP)
        split = x.view(texts, length, parts, self._heads, -1).permute(2, 0, 3, 1, 4)
        rows = parts * texts * self._heads * rounded
        by_head = self._workspace.take("heads", rows, split.shape[-1]).view(*split.shape[:3], rounded, -1)
        by_head[..., :length, :] = split
        by_head[..., length:, :] = 0
        return by_head.view(parts, texts * self._heads, rounded, -1)

    def _mix(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length: int, mixed: torch.Tensor
    ) -> None:
        """Mix the values by the softmax of queries times keys.

        The softmax is exp2 without the usual shift by the maximum. The division by its sums comes after the product
        with the values, on far fewer numbers. If the sums show that a number may have left float's range, the softmax
        is computed again in the usual way.

        Args:
            query: (N, Q, E).
            key: (N, K, E), of which the first `length` of each K count.
            value: (N, K, E), zero after the first `length` of each K.
            length: tokens of each text.
            mixed: (texts, H, Q', E) of N = texts * H and Q' <= Q; the result is written there.
        """
        scale = query.shape[2] ** -0.5  # 1 / sqrt(E), from Vaswani et al. 2017, "Attention Is All You Need"
        outcome = torch.empty_like(query)
        sums = query.new_empty((*query.shape[:2], 1))
        queries, keys = query.shape[1], key.shape[1]
        # A divisor gives every slice the same shape, so that oneDNN needs one kernel for all of them.
        step = largest_divisor(len(query), MAX_CACHED_SCORES // (queries * keys))
        for start in range(0, len(query), step):
            some = slice(start, start + step)
            scores = self._workspace.take("scores", step * queries, keys).view(step, queries, keys)
            # With beta=0, torch ignores what the scratch memory holds, even NaN. exp2(x * log2(e)) is exp(x).
            torch.baddbmm(scores, query[some], key[some].transpose(1, 2), beta=0, alpha=scale * LOG2_E, out=scores)
            # The sums leave out the keys that fill up `length`. Those have zero values, so the product ignores them.
            torch.sum(scores.exp2_()[..., :length], -1, keepdim=True, out=sums[some])
            low, high = torch.aminmax(sums[some])
            # The condition is negated, so that a sum of NaN is recomputed too. In a real model, 4 % of the runs are.
            if not (SAFE_SUMS[0] < low.item() and high.item() < SAFE_SUMS[1]):
                torch.baddbmm(scores, query[some], key[some].transpose(1, 2), beta=0, alpha=scale, out=scores)
                scores[..., length:] = -torch.inf
                torch.softmax(scores, -1, out=scores)
                sums[some] = 1.0  # torch's softmax has divided already
            torch.bmm(scores, value[some], out=outcome[some])
        texts, heads, wanted, _ = mixed.shape
        outcome, sums = (x.view(texts, heads, queries, -1)[:, :, :wanted] for x in (outcome, sums))
        torch.div(outcome, sums, out=mixed)


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of `number` that is at most `limit`, and at least 1."""
    return next(one for one in range(max(1, min(number, limit)), 0, -1) if number % one == 0)


class CudaPackAttention:
    """`PackAttention` on CUDA: one kernel for the whole pack, which gets the places where texts end."""

    def __init__(self, pack: Pack, heads: int, device: torch.device, position_padding_id: int | None) -> None:
        tokens, texts = len(pack.ids), len(pack.lengths)
        self._position_padding_id = position_padding_id
        # The five arrays travel as one, because each copy to a device has a fixed cost.
        self._packet = move_to_device(_build_packet(pack, position_padding_id), device)
        sizes = [tokens, tokens, texts + 1, texts + 1, texts]
        self.ids, self.positions, self._offsets, self._counts, self.first = torch.split(self._packet, sizes)
        self.one_by_one = False  # a kernel of one shape gives each text the same bits
        self._longest = round_up(pack.longest, CUDA_LENGTH_STEP)
        self._heads = heads

    def replace(self, pack: Pack) -> None:
        """Hold the texts of another pack, of the same size and longest text, in the same memory.

        A CUDA graph reads the addresses that it was recorded with, so new texts must come to these addresses.
        """
        copy_to_device(self._packet, _build_packet(pack, self._position_padding_id))

    def attend(self, qkv: torch.Tensor) -> torch.Tensor:
        """Attention (T, D) of queries, keys and values (T, 3D)."""
        query, key, value = qkv.view(len(qkv), 3, self._heads, -1).unbind(1)
        mixed = variable_length_attention(query, key, value, self._offsets, self._offsets, self._longest, self._longest)
        return mixed.reshape(len(qkv), -1)

    def attend_first(self, query: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        """Attention (B, D) of the first tokens' queries (B, D) to keys and values (T, 2D)."""
        key, value = kv.view(len(kv), 2, self._heads, -1).unbind(1)
        by_head = query.view(len(query), self._heads, -1)
        # Each text has one query, so the offsets of the queries are 0, 1, 2 and so on.
        mixed = variable_length_attention(by_head, key, value, self._counts, self._offsets, 1, self._longest)
        return mixed.reshape(len(query), -1)


def find_kernel_refusal(width: int, device: str, dtype: str) -> str | None:
    """Why CUDA's kernel cannot compute the attention of packs; None if it can.

    Args:
        width: the width of a head.
        device: a CUDA device.
        dtype: the name of the dtype of queries, keys and values.
    """
    if dtype == "float32":  # FlashAttention has no kernel for it
        return "packs on CUDA need half precision"
    if width % CUDA_HEAD_STEP:
        return f"packs on CUDA need heads as wide as a multiple of {CUDA_HEAD_STEP}, and its heads are {width} wide"
    if width > MAX_CUDA_HEAD_WIDTH:
        return f"packs on CUDA need heads at most {MAX_CUDA_HEAD_WIDTH} wide, and its heads are {width} wide"
    if not torch.backends.cuda.is_flash_attention_available():
        return "this build of torch lacks FlashAttention, the kernel for packs on CUDA"
    found = torch.cuda.get_device_capability(device)
    if found < MIN_CUDA_CAPABILITY:
        needed, has = (".".join(map(str, numbers)) for numbers in (MIN_CUDA_CAPABILITY, found))
        return f"packs on CUDA need compute capability {needed}, and this device has {has}"
    return None


def _build_packet(pack: Pack, position_padding_id: int | None) -> torch.Tensor:
    """All that the kernels need to know of a pack, one after the other: ids, positions, offsets, counts, first."""
    counts = np.arange(len(pack.offsets))  # the offsets of one query for each text
    parts = (pack.ids, pack.positions(position_padding_id), pack.offsets, counts, pack.first)
    return torch.from_numpy(np.concatenate(parts).astype(np.int32))


def move_to_device(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """A host tensor on the device. For CUDA the memory is pinned, so the host need not wait for the copy."""
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def copy_to_device(target: torch.Tensor, tensor: torch.Tensor) -> None:
    """Copy a host tensor into existing memory on a device, without waiting for it.

    Args:
        target: where the values go.
        tensor: on the host, in the shape of `target`.
    """
    target.copy_(tensor.pin_memory() if target.is_cuda else tensor, non_blocking=True)
