"""Linear layers of inference: weights laid out once for the CPU's own library, which fuses the activation too."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F

Activation = Callable[[torch.Tensor], torch.Tensor]

GELU: Activation = torch.ops.aten.gelu_
"""In place: its input is the largest tensor there is, and nobody needs it again."""
ROWS = 2_048
"""Rows that the layout of the weights is chosen for; it serves other numbers as well."""


class Product(NamedTuple):
    """A linear layer's weight (out, in) and bias (out,)."""

    weight: torch.Tensor
    bias: torch.Tensor
    laid_out: torch.Tensor | None
    """The weight in oneDNN's layout, None where there is no such library. With it a product took 0.55 of its time in
    float32 and 0.9 in bfloat16 (AMD EPYC, two cores); torch itself would give the former to MKL."""

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor) -> Product:
        """Lay out `weight` where that is possible: on a CPU, by an operator of torch's own compiler."""
        laid_out = None
        if weight.device.type == "cpu" and _has_operators():
            laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS)
        return cls(weight, bias, laid_out)


def linear(x: torch.Tensor, product: Product, activation: Activation | None = None) -> torch.Tensor:
    """The rows `x` (rows, in) times the weight, plus the bias, through the activation: (rows, out), in new memory."""
    if product.laid_out is None:
        result = F.linear(x, product.weight, product.bias)
        return result if activation is None else activation(result)
    fused, algorithm = ("gelu", "none") if activation is GELU else ("none", "")
    result = torch.ops.mkldnn._linear_pointwise(x, product.laid_out, product.bias, fused, [], algorithm)
    return result if activation is None or activation is GELU else activation(result)


def _has_operators() -> bool:
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and all(hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight"))
