"""The products of int8 on a CPU without fast instructions for them: the same integers, multiplied as floats.

So the labels of int8 can be measured on any CPU. Sums of products are rounded as float32 rounds them, which is far less
than what the codes of 8 bits lose. Its times say nothing about int8.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch.nn import functional as F

from sentiment_batch.model.forward import int8_products, int8_setup
from sentiment_batch.model.forward.layers import LinearWeights, linear


@contextlib.contextmanager
def emulate_int8() -> Iterator[None]:
    """While this context is open, models can be made ready for int8, and computed in it."""
    with (
        mock.patch.object(int8_setup, "has_fast_int8", return_value=True),
        mock.patch.object(int8_products, "prepack_int8_weight", _prepack),
        mock.patch.object(int8_products, "int8_linear", _multiply),
        mock.patch.object(int8_products, "int8_linear_add", _multiply_add),
    ):
        yield


def _prepack(integers: torch.Tensor, shape: list[int]) -> LinearWeights:
    return LinearWeights.prepack(integers.float(), torch.zeros(len(integers)))


def _multiply(
    codes: torch.Tensor,
    step: float,
    zero: int,
    weight: LinearWeights,
    scales: torch.Tensor,
    zeros: torch.Tensor,
    bias: torch.Tensor,
    result_step: float,
    result_zero: int,
    dtype: torch.dtype,
    activation: str,
    *others: Any,
) -> torch.Tensor:
    result = linear(codes.float() - zero, weight).mul_(scales * step).add_(bias)
    if activation == "gelu":
        result = F.gelu(result)
    if dtype is torch.uint8:
        result = (result / result_step).round_().add_(result_zero).clamp_(0, int8_products.MAX_CODE)
    return result.to(dtype)


def _multiply_add(
    codes: torch.Tensor,
    step: float,
    zero: int,
    weight: LinearWeights,
    scales: torch.Tensor,
    zeros: torch.Tensor,
    other: torch.Tensor,
    bias: torch.Tensor,
    *others: Any,
) -> torch.Tensor:
    return linear(codes.float() - zero, weight).mul_(scales * step).add_(bias).add_(other)
