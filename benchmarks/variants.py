"""The scoring engine with one technique switched off: variants that give the same results in the slow way."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

import sentiment_batch.model.forward.attention as attention_module
import sentiment_batch.scoring.backends.local as local_module
from sentiment_batch.model.forward.attention import CpuPackAttention
from sentiment_batch.model.forward.layers import LayerWeights, LinearWeights, embed, finish_layer, linear
from sentiment_batch.model.forward.packed import PackedModel
from sentiment_batch.model.forward.strategies import PaddedStrategy
from sentiment_batch.scoring.backends.prefetch import Stages

Integers = np.ndarray[Any, np.dtype[np.int64]]


class AsTheyCome(PaddedStrategy):
    """Batches of neighbouring texts, whatever their lengths."""

    def plan(self, lengths: Integers, budget: int, threads: int = 1) -> list[Integers]:
        batches, start, longest = [], 0, 0
        for row, length in enumerate(lengths.tolist()):
            longest = max(longest, length)
            if row > start and longest * (row + 1 - start) > budget:
                batches.append(np.arange(start, row))
                start, longest = row, length
        return [*batches, np.arange(start, len(lengths))] if len(lengths) else []


class WholeLast(PackedModel):
    """Computes the last layer for all tokens, too, and then takes the first of each text."""

    def compute(self, pack: attention_module.PackAttention) -> torch.Tensor:
        encoder = self.encoder
        x_TD = embed(encoder, pack)
        for layer in encoder.layers:
            x_TD = encoder.finish(layer, encoder.activation, pack.attend(linear(x_TD, layer.qkv)), x_TD)
        return self.head(x_TD.index_select(0, pack.first))


class Apart:
    """Queries, keys and values that were computed separately, for code that takes slices of one tensor."""

    def __init__(self, parts: list[torch.Tensor]) -> None:
        self.parts = parts
        self.shape = (len(parts[0]), sum(part.shape[1] for part in parts))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Apart:
        return Apart([part[rows] for part in self.parts])

    def view(self, rows: int, parts: int, heads: int, width: int) -> Apart:
        return Apart([part.view(rows, heads, width) for part in self.parts])

    def unbind(self, dim: int) -> list[torch.Tensor]:
        return self.parts


class FromApart(CpuPackAttention):
    """Attention that gets queries, keys and values as separate tensors."""

    def _by_head(self, x: Any, parts: int, texts: int, length: int) -> Any:
        return [super(FromApart, self)._by_head(part, 1, texts, length)[0].clone() for part in x.parts]


class Separate(PackedModel):
    """One product each for queries, keys and values; `qkv` and `last_key_value` are tuples of them."""

    def compute(self, pack: attention_module.PackAttention) -> torch.Tensor:
        encoder = self.encoder
        x_TD = embed(encoder, pack)
        for layer in encoder.layers[:-1]:
            x_TD = encoder.finish(layer, encoder.activation, pack.attend(self._apart(x_TD, layer.qkv)), x_TD)
        first_BD = x_TD.index_select(0, pack.first)
        key_value = self._apart(x_TD, encoder.last_key_value)
        context_BD = pack.attend_first(linear(first_BD, encoder.last_query), key_value)
        return self.head(finish_layer(encoder.layers[-1], encoder.activation, context_BD, first_BD))

    @staticmethod
    def _apart(x: torch.Tensor, products: Any) -> Any:
        return Apart([linear(x, product) for product in products])


class Softmax(CpuPackAttention):
    """Attention with the usual softmax, in the same memory."""

    def _mix(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length: int, mixed: torch.Tensor
    ) -> None:
        queries, keys = query.shape[1], key.shape[1]
        outcome = torch.empty_like(query)
        step = max(1, attention_module.MAX_CACHED_SCORES // (queries * keys))
        for start in range(0, len(query), step):
            some = slice(start, start + step)
            scores = self._workspace.take("scores", len(query[some]) * queries, keys).view(-1, queries, keys)
            scale = query.shape[2] ** -0.5
            torch.baddbmm(scores, query[some], key[some].transpose(1, 2), beta=0, alpha=scale, out=scores)
            scores[..., length:] = -torch.inf
            torch.softmax(scores, -1, out=scores)
            torch.bmm(scores, value[some], out=outcome[some])
        texts, heads, wanted, _ = mixed.shape
        mixed.copy_(outcome.view(texts, heads, queries, -1)[:, :, :wanted])


class Fused(CpuPackAttention):
    """Attention by torch's own function, for each run of texts."""

    def _mix(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length: int, mixed: torch.Tensor
    ) -> None:
        whole = (part.view(*mixed.shape[:2], *part.shape[1:]) for part in (query, key, value))
        query, key, value = (part[:, :, :length] for part in whole)
        mixed.copy_(F.scaled_dot_product_attention(query, key, value))


class OneByOne(CpuPackAttention):
    """Each text by itself, even beside others of its length."""

    def __init__(self, pack: Any, *others: Any) -> None:
        super().__init__(pack, *others)
        self._runs = list(pack.runs(lambda length: 1))


class InLine(Stages):
    """One stage after the other, in one thread."""

    def run_ahead(self, items: Iterable[Any], name: str, depth: int = 1) -> Iterator[Any]:
        yield from items


def every_row(self: Any, block: Any, check: Any) -> Any:
    """Tokenize as `LocalBackend._tokenize` does, but with a text of its own for each row."""
    texts = list(itertools.chain.from_iterable(part.to_pylist() for part in block.texts))
    tokens = self.tokenizer(texts, check)
    return local_module._Tokenized(block=block, rows=np.arange(len(texts)), tokens=tokens, sample=Counter())


def without_pinning(tensor: torch.Tensor, device: Any) -> torch.Tensor:
    """A copy that the host waits for."""
    return tensor.to(device)


def as_kind(kind: type[PackedModel], model: PackedModel, **changes: Any) -> PackedModel:
    """The same weights in another class, with changes to the encoder."""
    kept = {field.name: getattr(model, field.name) for field in dataclasses.fields(PackedModel)}
    return kind(**kept | {"workspaces": [], "encoder": dataclasses.replace(model.encoder, **changes)})


def separate(model: PackedModel) -> PackedModel:
    """A product for each of queries, keys and values."""

    def cut(product: LinearWeights, parts: int) -> Any:
        weights, biases = product.weight.chunk(parts), product.bias.chunk(parts)
        pairs = zip(weights, biases, strict=True)
        return tuple(LinearWeights.prepack(weight.contiguous(), bias) for weight, bias in pairs)

    encoder = model.encoder
    layers = tuple(layer._replace(qkv=cut(layer.qkv, 3)) for layer in encoder.layers)
    return as_kind(Separate, model, layers=layers, last_key_value=cut(encoder.last_key_value, 2))


def plainly_multiplied(model: PackedModel, kind: type[PackedModel] = PackedModel) -> PackedModel:
    """Plain `F.linear`, with the activation after it."""

    def plain(layer: LayerWeights) -> LayerWeights:
        parts = (part._replace(prepacked=None) if isinstance(part, LinearWeights) else part for part in layer)
        return LayerWeights(*parts)

    encoder = model.encoder
    last = {name: getattr(encoder, name)._replace(prepacked=None) for name in ("last_query", "last_key_value")}
    return as_kind(kind, model, layers=tuple(map(plain, encoder.layers)), **last)


@contextlib.contextmanager
def swapped(*places: tuple[Any, str, Any]) -> Iterator[None]:
    """Put other values in the place of names in modules, and restore them afterwards."""
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    try:
        for module, name, value in places:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
