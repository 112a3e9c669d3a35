"""The forward pass through an encoder's layers, over texts that lie end to end: one walk for scoring and for training.

Scoring gives the walk weights in the CPU library's own layout and may fuse what follows a layer's attention
(`packed.py`). Training gives it the modules' parameters, dropout, and attention with gradients (`packed_training.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from sentiment_batch.model.torch_operators import gelu_in_place, has_onednn, linear_pointwise, reorder_linear_weight

if TYPE_CHECKING:
    from sentiment_batch.model.families import LayerModules
    from sentiment_batch.model.forward.attention import PackAttention

# V word ids, P positions, T tokens of a pack, B texts of it, D the encoder's width.

Activation = Callable[[torch.Tensor], torch.Tensor]

GELU: Activation = gelu_in_place
"""In place, because its input is the largest tensor of the pass and nothing reads it again."""
PREPACKED_ROWS = 2_048
"""The number of rows that the layout of a weight is chosen for; it works for other numbers of rows too."""
MAX_DRAWN_ROWS = 4
"""Rows drawn to find out if a row's place changes its bits. Each gives thousands of sums; one difference is enough."""


class LinearWeights(NamedTuple):
    """A linear layer's weight (out, in) and bias (out,)."""

    weight: torch.Tensor
    bias: torch.Tensor
    prepacked: torch.Tensor | None = None
    """The weight in oneDNN's layout, None if there is no such library. With it a product took 0.55 of its time in
    float32 and 0.9 in bfloat16 (AMD EPYC, two cores), because torch itself would use MKL for float32."""

    @classmethod
    def prepack(cls, weight: torch.Tensor, bias: torch.Tensor) -> LinearWeights:
        """The weights for inference: in oneDNN's layout too, if they are on a CPU that has it.

        Args:
            weight: (out, in)
            bias: (out,)
        """
        prepacked = None
        if weight.device.type == "cpu" and has_onednn():
            with contextlib.suppress(RuntimeError):  # oneDNN refuses bfloat16 on a processor without AVX-512
                prepacked = reorder_linear_weight(weight.contiguous(), PREPACKED_ROWS)
        return cls(weight, bias, prepacked)


class NormWeights(NamedTuple):
    """A layer norm's weight (D,), bias (D,) and epsilon."""

    weight: torch.Tensor
    bias: torch.Tensor
    epsilon: float


class LayerWeights(NamedTuple):
    """The weights of one encoder layer; plain tensors, so that one compiled function serves all layers."""

    qkv: LinearWeights
    """Queries, keys and values as one product (3D, D)."""
    attention_output: LinearWeights
    """What follows the attention (D, D)."""
    attention_norm: NormWeights
    """The norm after the attention's residual sum."""
    up: LinearWeights
    """The first product of the feed-forward part (hidden, D)."""
    down: LinearWeights
    """The second product of the feed-forward part (D, hidden)."""
    norm: NormWeights
    """The norm after the feed-forward part's residual sum."""
    drop: Activation | None = None
    """The dropout of what `down` gives, in training; None at inference."""


def finish_layer(
    layer: LayerWeights, activation: Activation, context: torch.Tensor, before: torch.Tensor
) -> torch.Tensor:
    """What a layer does after its attention, for each row by itself.

    At inference, sums are made in place. In training they get new memory, because their terms may have other dtypes and
    the gradients need them.

    Args:
        layer: the weights.
        activation: the function between the two products of the feed-forward part.
        context: (rows, D) what the attention gave.
        before: (rows, D) what the layer was given.

    Returns:
        (rows, D).
    """
    drop = layer.drop
    x = linear(context, layer.attention_output)
    x = normalize(x.add_(before) if drop is None else x + before, layer.attention_norm)
    y = linear(linear(x, layer.up, activation), layer.down)
    return normalize(y.add_(x) if drop is None else drop(y) + x, layer.norm)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Encoder:
    """The weights of an encoder, as the walk through its layers needs them."""

    word_embeddings: torch.Tensor
    """(V, D)"""
    position_embeddings: torch.Tensor
    """(P, D)"""
    type_embedding: torch.Tensor | None = None
    """(D,) the embedding of the first token type, None for a family without types."""
    norm: NormWeights
    """The norm of the embeddings."""
    layers: Sequence[LayerWeights]
    last_query: LinearWeights
    """The last layer's queries (D, D), which only the first tokens need."""
    last_key_value: LinearWeights
    """The last layer's keys and values (2D, D)."""
    activation: Activation
    """The function between `up` and `down` of each layer."""
    drop: Activation | None = None
    """The dropout of the embeddings, in training; None at inference."""
    finish: Callable[..., torch.Tensor] = finish_layer
    """The function `finish_layer`, or its compiled form."""


def encode_first_tokens(encoder: Encoder, pack: PackAttention) -> torch.Tensor:
    """Walk the layers; returns the last vectors (B, D) of each text's first token, which the head reads."""
    x_TD = embed(encoder, pack)
    for layer in encoder.layers[:-1]:
        context_TD = pack.attend(linear(x_TD, layer.qkv))
        x_TD = encoder.finish(layer, encoder.activation, context_TD, x_TD)
    # The last layer is short: of the tokens that the head does not read, it needs the keys and values only.
    first_BD = x_TD.index_select(0, pack.first)
    context_BD = pack.attend_first(linear(first_BD, encoder.last_query), linear(x_TD, encoder.last_key_value))
    return finish_layer(encoder.layers[-1], encoder.activation, context_BD, first_BD)


def embed(encoder: Encoder, pack: PackAttention) -> torch.Tensor:
    """The sum of each token's embeddings, normalized (T, D)."""
    x_TD = F.embedding(pack.ids, encoder.word_embeddings)
    if encoder.type_embedding is not None:
        x_TD += encoder.type_embedding
    x_TD += F.embedding(pack.positions, encoder.position_embeddings)
    x_TD = normalize(x_TD, encoder.norm)
    return x_TD if encoder.drop is None else encoder.drop(x_TD)


def gather_layer(
    modules: LayerModules, join: Callable[..., LinearWeights], drop: Activation | None = None
) -> LayerWeights:
    """The weights of a layer's modules; `join` makes the weights of one or several linear layers of one input."""
    return LayerWeights(
        qkv=join(modules.query, modules.key, modules.value),
        attention_output=join(modules.attention_output),
        attention_norm=gather_norm(modules.attention_norm),
        up=join(modules.up),
        down=join(modules.down),
        norm=gather_norm(modules.norm),
        drop=drop,
    )


def gather_norm(module: nn.LayerNorm) -> NormWeights:
    """The weights of a layer norm."""
    return NormWeights(module.weight, module.bias, module.eps)


def linear(x: torch.Tensor, weights: LinearWeights, activation: Activation | None = None) -> torch.Tensor:
    """The rows `x` (rows, in) times the weight, plus the bias, through the activation: (rows, out), in new memory."""
    if weights.prepacked is None:  # on CUDA, in training, and in dtypes that oneDNN lacks
        result = F.linear(x, weights.weight, weights.bias)
        return result if activation is None else activation(result)
    # oneDNN applies GELU while it writes the product. "none" is torch's name for the exact GELU, without the tanh.
    fused, algorithm = ("gelu", "none") if activation is GELU else ("none", "")
    result = linear_pointwise(x, weights.prepacked, weights.bias, fused, [], algorithm)
    return result if activation is None or activation is GELU else activation(result)


def normalize(x: torch.Tensor, norm: NormWeights) -> torch.Tensor:
    """The layer norm of each row (rows, D)."""
    return F.layer_norm(x, x.shape[-1:], *norm)


def has_equal_row_bits(functions: Iterable[Activation], like: torch.Tensor, rows: int) -> bool:
    """True if a row gets the same bits in each place of a matrix of `rows` rows.

    No library promises this: near an edge of the matrix it may sum in another order. So it is tried on this machine.

    Args:
        functions: what to try. Each takes a matrix (rows, D), and computes each of its rows by itself.
        like: a tensor (..., D) of the dtype of the matrix.
        rows: rows of each matrix.
    """
    functions, generator = tuple(functions), torch.Generator().manual_seed(0)
    for _ in range(MAX_DRAWN_ROWS):
        # A matrix whose rows are all equal must give equal rows.
        row = torch.randn((1, like.shape[-1]), generator=generator).to(like)
        x = row.expand(rows, -1).contiguous()
        if not all(torch.equal(y, y[:1].expand_as(y)) for y in (function(x) for function in functions)):
            return False
    return True
