"""Linear layers with products of 8-bit integers; `int8` says how values are coded.

The steps of an input's channels follow their ranges to the power of `RANGE_POWER`, and their weights to the rest (Xiao
et al. 2023, "SmoothQuant").
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch

from sentiment_batch.model.forward.layers import PREPACKED_ROWS, LayerWeights, LinearWeights, linear
from sentiment_batch.model.torch_operators import gelu_in_place, int8_linear, int8_linear_add, prepack_int8_weight

# D the encoder's width, I inputs, O outputs.

RANGE_POWER = 0.85
RANGE_MARGIN = 1.3
"""Ranges are wider than what the calibration texts show, by this factor."""
HIDDEN_MARGIN = 1.2
"""The same for the hidden layer's one range."""
FLOAT_SHARE = 1 / 64
"""The share of the hidden channels that are computed in float32: those with the widest ranges."""
MIN_GELU = -0.17
"""GELU never goes below this."""
MAX_CODE = 255
"""The greatest code."""
EPSILON = 1e-12
"""Added to ranges and scales, which may be zero."""


class Range(NamedTuple):
    """The least and the greatest value of each channel of a product's input."""

    low: torch.Tensor
    """(I,)"""
    high: torch.Tensor
    """(I,)"""


def widen(known: Range | None, x: torch.Tensor) -> Range:
    """The range that holds `known` and the rows `x` (rows, I)."""
    low, high = torch.aminmax(x, dim=0)
    return Range(low, high) if known is None else Range(torch.minimum(known.low, low), torch.maximum(known.high, high))


@functools.cache
def casts_by_sign() -> bool:
    """True if floats from 0 to 255 get the right 8 bits on this machine when torch turns them into signed integers.

    Torch does that four times as fast as it turns them into unsigned ones. The bits are right wherever the CPU cuts off
    the upper ones. No standard promises that, so it is tried, for all codes and many lengths.
    """
    codes = torch.arange(float(MAX_CODE + 1)).repeat(4)
    tries = ((codes[start:] + part).contiguous() for start in range(MAX_CODE) for part in (0.0, 0.9))
    return all(torch.equal(x.to(torch.int8).view(torch.uint8), x.to(torch.uint8)) for x in tries)


class InputCode(NamedTuple):
    """How an input is coded: x * factor + shift, cut to an integer from 0 to 255."""

    factor: torch.Tensor
    """(I,) one through the step of each channel."""
    shift: torch.Tensor
    """(I,) the code of 0, plus one half."""

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """The codes (rows, I) of `x` (rows, I)."""
        # A cast to integers cuts the fraction off. The half in `shift` turns this into rounding.
        codes = torch.addcmul(self.shift, x.float(), self.factor).clamp_(0, MAX_CODE)
        return codes.to(torch.int8).view(torch.uint8) if casts_by_sign() else codes.to(torch.uint8)


class Int8Weights(NamedTuple):
    """A linear layer in 8-bit integers."""

    weight: torch.Tensor
    """(I, O) in oneDNN's layout."""
    scales: torch.Tensor
    """(O,) the scale of each output."""
    zeros: torch.Tensor
    """(O,) zeros, because the weights are symmetric."""
    bias: torch.Tensor
    """(O,) in float32."""
    input_scale: float = 1.0
    """The step of the input codes, if all channels have one range."""
    input_zero: int = 0
    """The input code of 0, if all channels have one range."""

    @classmethod
    def quantize(
        cls,
        weight: torch.Tensor,
        bias: torch.Tensor,
        low: torch.Tensor | None = None,
        input_scale: float = 1.0,
        input_zero: int = 0,
    ) -> Int8Weights:
        """Round a layer that multiplies codes.

        Args:
            weight: (O, I)
            bias: (O,)
            low: (I,) what the code 0 stands for, in steps of its channel; its product becomes a part of the bias. It
                is the product with the rounded weight, else the errors of the weights would count for all codes.
            input_scale: the step of the codes, if all channels have one range.
            input_zero: the code of 0, if all channels have one range.
        """
        # Symmetric: the largest weight of each output becomes 127 or -127.
        scales = weight.abs().amax(1).clamp_min(EPSILON) / 127
        integers = (weight / scales[:, None]).round()
        if low is not None:
            bias = bias.double() + scales.double() * (integers.double() @ low.double())
        prepacked = prepack_int8_weight(integers.to(torch.int8).contiguous(), [PREPACKED_ROWS, weight.shape[1]])
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        return cls(prepacked, scales, zeros, bias.float(), input_scale, input_zero)

    def multiply(
        self, codes: torch.Tensor, dtype: torch.dtype, activation: str = "none", scale: float = 1.0, zero: int = 0
    ) -> torch.Tensor:
        """The product (rows, O) with codes (rows, I), through the activation.

        Args:
            codes: the input.
            dtype: of the result.
            activation: `gelu` or `none`.
            scale: the step of the result, if that is coded.
            zero: the code of 0 in the result.
        """
        algorithm = "none" if activation == "gelu" else ""
        result: torch.Tensor = int8_linear(
            codes,
            self.input_scale,
            self.input_zero,
            *self[:4],
            scale,
            zero,
            dtype,
            activation,
            [],
            algorithm,
        )
        return result

    def multiply_add(self, codes: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The product plus `other` (rows, O), in float32."""
        # The scales of 1 and zeros of 0 after the bias say that neither the result nor `other` is coded.
        result: torch.Tensor = int8_linear_add(
            codes,
            self.input_scale,
            self.input_zero,
            *self[:3],
            other,
            self.bias,
            1.0,
            0,
            torch.float32,
            1.0,
            0,
            "add",
            1.0,
            "none",
            [],
            "",
        )
        return result


class Int8Product(NamedTuple):
    """A linear layer of an input that is coded channel by channel."""

    code: InputCode
    weights: Int8Weights

    @classmethod
    def build(cls, linear: LinearWeights, found: Range) -> Int8Product:
        """The 8-bit form of a layer, for inputs in a range."""
        # A channel with range [middle - half, middle + half] and weights w. With step s, its codes multiply w * s.
        weight = linear.weight
        middle = (found.high + found.low) / 2
        half = (found.high - found.low) / 2 * RANGE_MARGIN + EPSILON
        # SmoothQuant, equation 4: a wide range gets large steps, and large weights get small ones.
        step = half**RANGE_POWER / (weight.abs().amax(0) + EPSILON) ** (1 - RANGE_POWER)
        step = step / (step / half).min() / (MAX_CODE / 2)  # the widest channel just fits
        low = middle / step - MAX_CODE / 2
        return cls(InputCode(1 / step, 0.5 - low), Int8Weights.quantize(weight * step, linear.bias, low))

    def __call__(self, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The product (rows, O) of `x` (rows, I)."""
        return self.weights.multiply(self.code.encode(x), dtype)


class FeedForward(NamedTuple):
    """The two products of a layer's feed-forward part; between them, codes of 8 bits with one range."""

    up: Int8Product
    """From the layer's vectors (rows, D) to all hidden channels."""
    down: Int8Weights
    """From the codes of the hidden channels to vectors. Its weights are 0 for the channels in float32."""
    float_up: LinearWeights
    """(C, D) for the C hidden channels that are computed in float32."""
    float_down: torch.Tensor
    """(C, D)"""
    scale: float
    """The step of the codes between the products."""
    zero: int
    """The code of 0 between the products."""

    @classmethod
    def build(cls, layer: LayerWeights, found: Range, hidden: Range) -> FeedForward:
        """The 8-bit form of a layer's two products.

        Args:
            layer: the weights in float32.
            found: the range of the first product's input.
            hidden: the range of the second product's input.
        """
        # GELU's least value is known. So only the greatest values decide which channels are too wide for one range.
        channels = torch.argsort(hidden.high, descending=True)
        count = round(len(channels) * FLOAT_SHARE)
        wide, others = channels[:count], channels[count:]
        greatest = float(hidden.high[others].max()) * HIDDEN_MARGIN
        scale = (max(greatest, 0.0) - MIN_GELU) / MAX_CODE
        zero = round(-MIN_GELU / scale)
        # The wide channels get codes, too, which are cut off at 255. With a weight of 0 they add nothing.
        rest = layer.down.weight.index_fill(1, wide, 0.0)
        return cls(
            up=Int8Product.build(layer.up, found),
            down=Int8Weights.quantize(rest, layer.down.bias, None, scale, zero),
            float_up=LinearWeights.prepack(layer.up.weight[wide], layer.up.bias[wide]),
            float_down=layer.down.weight[:, wide].t().contiguous(),
            scale=scale,
            zero=zero,
        )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """What the part gives for `x` (rows, D), plus `x`: (rows, D)."""
        # The wide channels in float32 on top of the residual, then all others in 8 bits.
        exact = torch.addmm(x, gelu_in_place(linear(x, self.float_up)), self.float_down)
        codes = self.up.weights.multiply(self.up.code.encode(x), torch.uint8, "gelu", self.scale, self.zero)
        return self.down.multiply_add(codes, exact)
