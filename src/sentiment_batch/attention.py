"""Attention inside each text of a pack, never across: on a CPU text by text in reused memory, on CUDA in one kernel."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from sentiment_batch.batching import Pack

# T tokens of a pack, B texts of it, D the encoder's width, H heads, E = D / H the width of one.

KEYS = 32
"""On a CPU, keys are read in multiples of this, for a softmax over an odd number of them leaves the vector unit."""
SCORES = 2**19
"""Attention scores held at a time on a CPU: they should not leave the core's cache."""
ROWS = 256
"""Scratch memory grows in steps of so many rows."""
VARLEN_STEP = 64
"""The longest length that CUDA's kernel is told is a multiple of this: few values, so that nothing compiles anew."""


class Texts(Protocol):
    """The texts of one pack, and what the walk through a model needs to know of them."""

    ids: torch.Tensor
    """(T,) token ids."""
    positions: torch.Tensor
    """(T,) the place of each token in its text, as the model counts."""
    first: torch.Tensor
    """(B,) where each text begins."""

    def linear(self, name: str, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """A linear layer (rows, in) to (rows, out); valid until the next one of that name."""
        ...

    def attend(self, qkv: torch.Tensor) -> torch.Tensor:
        """Attention (T, D) of queries, keys and values (T, 3D)."""
        ...

    def attend_first(self, query: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        """Attention (B, D) of the first tokens' queries (B, D) to keys and values (T, 2D)."""
        ...


class Workspace:
    """Memory that one thread uses again for every pack: fresh pages cost a CPU a sixth of its time (measured)."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._buffers: dict[str, torch.Tensor] = {}

    def take(self, name: str, rows: int, width: int, spare: int = 0) -> torch.Tensor:
        """A tensor (rows, width) of what was there before, which is always finite; `spare` rows of memory follow it."""
        size = -(-(rows + spare) // ROWS) * ROWS * width
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = torch.zeros(size, dtype=self._dtype)
        return self._buffers[name][: rows * width].view(rows, width)


class Looped:
    """On a CPU: texts one after the other, those of one length together while they fit the cache."""

    def __init__(self, pack: Pack, heads: int, space: Workspace, padding: int | None) -> None:
        self.ids = torch.from_numpy(pack.ids)
        self.positions = torch.from_numpy(pack.positions(padding))
        self.first = torch.from_numpy(pack.first)
        self._runs = list(pack.runs(lambda length: SCORES // (heads * length * length)))
        self._heads = heads
        self._space = space

    def linear(self, name: str, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Into memory that the next call of that name overwrites."""
        out = self._space.take(name, len(x), len(weight), spare=KEYS)
        return torch.addmm(bias, x, weight.t(), out=out)

    def attend(self, qkv: torch.Tensor) -> torch.Tensor:
        """A run of texts at a time; the outcome is overwritten by the next call."""
        heads, width = self._heads, qkv.shape[1] // 3
        context_TD = self._space.take("context", len(qkv), width)
        for start, texts, length in self._runs:
            query = _windows(qkv, start, texts, length, length, heads, 0, width)
            key, value = (
                _windows(qkv, start, texts, length, _padded(length), heads, column, width)
                for column in (width, 2 * width)
            )
            mixed = self._mix(query, key, value, length).view(texts, heads, length, -1)
            rows_ND = context_TD[start : start + texts * length]
            rows_ND.view(texts, length, heads, -1).copy_(mixed.transpose(1, 2))
        return context_TD

    def attend_first(self, query: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        """A run of texts at a time."""
        heads, width = self._heads, query.shape[1]
        context_BD = torch.empty_like(query)
        done = 0
        for start, texts, length in self._runs:
            key, value = (
                _windows(kv, start, texts, length, _padded(length), heads, column, width) for column in (0, width)
            )
            one_query = query[done : done + texts].view(texts * heads, 1, -1)
            context_BD[done : done + texts] = self._mix(one_query, key, value, length).view(texts, width)
            done += texts
        return context_BD

    def _mix(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length: int) -> torch.Tensor:
        """Values (N, Q, E) mixed by the softmax of queries (N, Q, E) times keys (N, K, E), of which `length` count."""
        mixed = torch.empty_like(query)
        scale = query.shape[2] ** -0.5
        step = max(1, SCORES // (query.shape[1] * key.shape[1]))
        for start in range(0, len(query), step):
            some = slice(start, start + step)
            rows, width = query[some].shape[:2].numel(), key.shape[1]
            scores = self._space.take("scores", rows, width).view(-1, query.shape[1], width)
            torch.baddbmm(scores, query[some], key[some].transpose(1, 2), beta=0, alpha=scale, out=scores)
            scores[:, :, length:] = -torch.inf
            torch.softmax(scores, -1, out=scores)
            torch.bmm(scores, value[some], out=mixed[some])
        return mixed


def _padded(length: int) -> int:
    return -(-length // KEYS) * KEYS


def _windows(
    x: torch.Tensor, start: int, texts: int, length: int, rows: int, heads: int, column: int, width: int
) -> torch.Tensor:
    """`rows` rows from the beginning of each of some texts of one length, by head: (texts * H, rows, E).

    Rows past a text's end are those of the next; that they are not counted is up to the caller. A view of one text, a
    copy of several.
    """
    stride, head = x.stride(0), width // heads
    offset = x.storage_offset() + start * stride + column
    view = x.as_strided((texts, heads, rows, head), (length * stride, head, stride, 1), offset)
    return view.reshape(texts * heads, rows, head)


class Varlen:
    """On CUDA: the whole pack in one kernel, which is told where the texts end."""

    def __init__(self, pack: Pack, heads: int, device: torch.device, padding: int | None) -> None:
        one_each = np.arange(len(pack.offsets))
        parts = (pack.ids, pack.positions(padding), pack.offsets, one_each, pack.first)
        packet = torch.from_numpy(np.concatenate(parts).astype(np.int32))
        packet = on_device(packet, device)  # one copy for all of them
        places = np.cumsum([0, *(len(part) for part in parts)]).tolist()
        self.ids, self.positions, self._ends, self._ones, self.first = (
            packet[start:stop] for start, stop in itertools.pairwise(places)
        )
        self._longest = -(-int(pack.lengths.max()) // VARLEN_STEP) * VARLEN_STEP
        self._heads = heads

    def linear(self, name: str, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """In new memory, which CUDA's allocator hands out for nothing."""
        return F.linear(x, weight, bias)

    def attend(self, qkv: torch.Tensor) -> torch.Tensor:
        """One kernel for all texts."""
        query, key, value = qkv.view(len(qkv), 3, self._heads, -1).unbind(1)
        mixed = varlen(query, key, value, self._ends, self._ends, self._longest, self._longest)
        return mixed.reshape(len(qkv), -1)

    def attend_first(self, query: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
        """One kernel for all texts, a query each."""
        key, value = kv.view(len(kv), 2, self._heads, -1).unbind(1)
        by_head = query.view(len(query), self._heads, -1)
        mixed = varlen(by_head, key, value, self._ones, self._ends, 1, self._longest)
        return mixed.reshape(len(query), -1)


def varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    query_ends: torch.Tensor,
    key_ends: torch.Tensor,
    most_queries: int,
    most_keys: int,
) -> torch.Tensor:
    """torch's own kernel; by position only, for its further arguments differ from release to release."""
    from torch.nn.attention.varlen import varlen_attn

    mixed = varlen_attn(query, key, value, query_ends, key_ends, most_queries, most_keys)
    assert isinstance(mixed, torch.Tensor)  # a pair only where the log-sum-exp is asked for
    return mixed


def on_device(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """A host tensor on the device; the copy runs while the host goes on, which pinned memory allows."""
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
