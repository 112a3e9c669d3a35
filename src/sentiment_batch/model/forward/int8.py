"""The forward pass with products of 8-bit integers: layers of an encoder for CPUs that have instructions for them.

An input x of a product is coded as an unsigned integer c of 8 bits, x = low + step * c. The ranges are fixed for each
channel before the first text is scored (`int8_calibration`), so a row's result does not depend on its neighbours. A
weight is a signed integer of 8 bits times a scale for each output. Sums, norms and what stands between the products
stay in float32. A few hidden channels have by far the widest ranges, and are computed in float32, too (Dettmers et al.
2022, "LLM.int8()"). Attention has the dtype that is fastest on the CPU. What the last layer computes for the first
tokens only is in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sentiment_batch.model.forward.int8_products import FeedForward, Int8Product, Range, widen
from sentiment_batch.model.forward.layers import (
    GELU,
    Encoder,
    LayerWeights,
    NormWeights,
    embed,
    finish_layer,
    linear,
    normalize,
)

if TYPE_CHECKING:
    import torch

    from sentiment_batch.model.forward.attention import PackAttention

# T tokens of a pack, B texts of it, D the encoder's width.


class LayerPass(Protocol):
    """What a layer computes before and after its attention."""

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Queries, keys and values (T, 3D) of the vectors `x` (T, D), in the dtype of the attention."""
        ...

    def finish(self, context: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """The layer's result (T, D) in float32, from the attention's and from what the layer was given (T, D)."""
        ...


def walk_layers(
    encoder: Encoder,
    layers: Sequence[LayerPass],
    project_last: Callable[[torch.Tensor], torch.Tensor],
    pack: PackAttention,
) -> torch.Tensor:
    """What `encode_first_tokens` computes, with other layers.

    Args:
        encoder: the weights in float32.
        layers: all but the last.
        project_last: the last layer's keys and values (T, 2D) of its input (T, D), in the dtype of the attention.
        pack: the attention of the pack.

    Returns:
        The last vectors (B, D) of each text's first token, in float32.
    """
    x_TD = embed(encoder, pack)
    for layer in layers:
        x_TD = layer.finish(pack.attend(layer.project(x_TD)), x_TD)
    first_BD, keys = x_TD.index_select(0, pack.first), project_last(x_TD)
    context_BD = pack.attend_first(linear(first_BD, encoder.last_query).to(keys.dtype), keys)
    return finish_layer(encoder.layers[-1], encoder.activation, context_BD.float(), first_BD)


class Int8Layer(NamedTuple):
    """A `LayerPass` in 8-bit integers."""

    qkv: Int8Product
    attention_output: Int8Product
    attention_norm: NormWeights
    feed_forward: FeedForward
    norm: NormWeights
    attention_dtype: torch.dtype
    """The dtype of queries, keys and values."""

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Queries, keys and values (T, 3D) in the dtype of the attention."""
        return self.qkv(x, self.attention_dtype)

    def finish(self, context: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """The layer's result (T, D) in float32."""
        # The residual sum is a part of the product, so the product's result is written once.
        output = self.attention_output
        x = normalize(output.weights.multiply_add(output.code.encode(context), before), self.attention_norm)
        return normalize(self.feed_forward(x), self.norm)


class LayerRanges(NamedTuple):
    """The ranges of the inputs of a layer's products. The names are those of `LayerWeights`."""

    qkv: Range
    attention_output: Range
    up: Range
    down: Range


class ObservedLayer:
    """A `LayerPass` in float32 that keeps the ranges of what it is given."""

    def __init__(self, layer: LayerWeights) -> None:
        self._layer = layer
        self._ranges: dict[str, Range] = {}

    @property
    def ranges(self) -> LayerRanges:
        """The ranges of all inputs so far."""
        return LayerRanges(**self._ranges)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Queries, keys and values (T, 3D)."""
        return linear(self._see("qkv", x), self._layer.qkv)

    def finish(self, context: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """What `finish_layer` gives."""
        layer = self._layer
        x = normalize(
            linear(self._see("attention_output", context), layer.attention_output) + before, layer.attention_norm
        )
        hidden = self._see("down", linear(self._see("up", x), layer.up, GELU))
        return normalize(linear(hidden, layer.down) + x, layer.norm)

    def _see(self, name: str, x: torch.Tensor) -> torch.Tensor:
        self._ranges[name] = widen(self._ranges.get(name), x)
        return x


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Int8Encoder:
    """The 8-bit layers of an encoder."""

    layers: Sequence[Int8Layer]
    """All but the last."""
    last_key_value: Int8Product
    """The last layer's keys and values."""
    attention_dtype: torch.dtype
    """The dtype of queries, keys and values."""

    def encode_first_tokens(self, encoder: Encoder, pack: PackAttention) -> torch.Tensor:
        """The last vectors (B, D) of each text's first token, in float32; `encoder` has the weights in float32."""
        return walk_layers(encoder, self.layers, self.project_last, pack)

    def project_last(self, x: torch.Tensor) -> torch.Tensor:
        """The last layer's keys and values (T, 2D)."""
        return self.last_key_value(x, self.attention_dtype)

    def list_functions(self) -> list[Callable[[torch.Tensor], torch.Tensor]]:
        """What is computed for each token by itself, for `has_equal_row_bits`."""
        functions: list[Callable[[torch.Tensor], torch.Tensor]] = [self.project_last]
        if self.layers:  # none in an encoder of one layer
            layer = self.layers[0]
            functions += [layer.project, lambda x: layer.finish(x, x)]
        return functions
