"""What inference does with each row by itself: linear layers, laid out once for the CPU's own library, and their norms.

The library fuses the activation too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch.nn import functional as F

Activation = Callable[[torch.Tensor], torch.Tensor]

GELU: Activation = torch.ops.aten.gelu_
"""In place: its input is the largest tensor there is, and nobody needs it again."""
PREPACKED_ROWS = 2_048
"""Rows that the layout of the weights is chosen for; it serves other numbers as well."""
MAX_DRAWN_ROWS = 4
"""Rows drawn to find out whether a row's place counts: each gives thousands of sums, of which one must tell."""


class LinearWeights(NamedTuple):
    """A linear layer's weight (out, in) and bias (out,)."""

    weight: torch.Tensor
    bias: torch.Tensor
    laid_out: torch.Tensor | None
    """The weight in oneDNN's layout, None where there is no such library. With it a product took 0.55 of its time in
    float32 and 0.9 in bfloat16 (AMD EPYC, two cores); torch itself would give the former to MKL."""

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor) -> LinearWeights:
        """Lay out `weight` where that is possible: on a CPU, by an operator of torch's own compiler."""
        laid_out = None
        if weight.device.type == "cpu" and _has_operators():
            with contextlib.suppress(RuntimeError):  # it refuses bfloat16 where the processor has no AVX-512
                laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PREPACKED_ROWS)
        return cls(weight, bias, laid_out)


class NormWeights(NamedTuple):
    """A layer norm's weight (D,), bias (D,) and epsilon."""

    weight: torch.Tensor
    bias: torch.Tensor
    epsilon: float


class LayerWeights(NamedTuple):
    """One layer of an encoder; plain tensors, so that one compiled function serves all layers."""

    qkv: LinearWeights
    """Queries, keys and values as one product (3D, D)."""
    out: LinearWeights
    attention_norm: NormWeights
    up: LinearWeights
    down: LinearWeights
    norm: NormWeights


def linear(x: torch.Tensor, product: LinearWeights, activation: Activation | None = None) -> torch.Tensor:
    """The rows `x` (rows, in) times the weight, plus the bias, through the activation: (rows, out), in new memory."""
    if product.laid_out is None:
        result = F.linear(x, product.weight, product.bias)
        return result if activation is None else activation(result)
    fused, algorithm = ("gelu", "none") if activation is GELU else ("none", "")
    result = torch.ops.mkldnn._linear_pointwise(x, product.laid_out, product.bias, fused, [], algorithm)
    return result if activation is None or activation is GELU else activation(result)


def normalise(x: torch.Tensor, norm: NormWeights) -> torch.Tensor:
    """The layer norm of each row (rows, D)."""
    return F.layer_norm(x, x.shape[-1:], *norm)


def finish_layer(
    layer: LayerWeights, activation: Activation, context: torch.Tensor, before: torch.Tensor
) -> torch.Tensor:
    """A layer from its attention's outcome on, each row by itself: (rows, D) to (rows, D)."""
    x = normalise(linear(context, layer.out).add_(before), layer.attention_norm)
    wide = linear(x, layer.up, activation)
    return normalise(linear(wide, layer.down).add_(x), layer.norm)


def has_equal_row_bits(
    layer: LayerWeights, products: Iterable[LinearWeights], activation: Activation, rows: int
) -> bool:
    """Whether a row has the same bits in every one of so many places.

    No library promises it: near an edge of the matrix it may sum in another order. So it is asked, on this machine.

    Args:
        layer: whose `layer_rest` is tried.
        products: and these, of rows as wide.
        activation: the layer's.
        rows: of every matrix.
    """
    weight = layer.out.weight
    generator = torch.Generator().manual_seed(0)
    for _ in range(MAX_DRAWN_ROWS):
        row = torch.randn((1, weight.shape[0]), generator=generator).to(weight)
        x = row.expand(rows, -1).contiguous()
        found = [*(linear(x, product) for product in products), finish_layer(layer, activation, x, x)]
        if not all(torch.equal(y, y[:1].expand_as(y)) for y in found):
            return False
    return True


def _has_operators() -> bool:
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and all(hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight"))
