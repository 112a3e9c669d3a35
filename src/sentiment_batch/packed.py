"""The packed road: a stock encoder walked layer by layer over texts laid end to end, so that no padding is computed.

The weights are the stock modules' own, and `model.Loaded.logits` is the reference that it equals. It needs no mask, and
no name among the library's attention functions that a padded call could pick up by mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from sentiment_batch.attention import Looped, Texts, Varlen, Workspace

if TYPE_CHECKING:
    from sentiment_batch.batching import Pack

# T tokens of a pack, B texts of it, D the encoder's width, K labels.

FROM_PADDING_ID = ("roberta", "xlm-roberta", "camembert")
"""Families that count positions from after the padding id."""
FAMILIES = ("distilbert", "bert", *FROM_PADDING_ID)
"""Encoders of one build: embeddings, then layers of attention and feed-forward, each normalised after its residual."""
VARLEN_HEAD = 8
"""CUDA's kernel takes heads whose width is a multiple of this."""

Activation = Callable[[torch.Tensor], torch.Tensor]


class Product(NamedTuple):
    """A linear layer's weight (out, in) and bias (out,)."""

    weight: torch.Tensor
    bias: torch.Tensor


class Norm(NamedTuple):
    """A layer norm's weight (D,), bias (D,) and epsilon."""

    weight: torch.Tensor
    bias: torch.Tensor
    epsilon: float


class Layer(NamedTuple):
    """One layer; plain tensors, so that one compiled function serves all layers."""

    qkv: Product
    """Queries, keys and values as one product (3D, D)."""
    out: Product
    attention_norm: Norm
    up: Product
    down: Product
    norm: Norm


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Packed:
    """A stock classifier of one of `FAMILIES`, computed over packs."""

    words: torch.Tensor
    """(V, D) embeddings."""
    places: torch.Tensor
    """(P, D) embeddings of the positions."""
    kind: torch.Tensor | None
    """(D,) the embedding of the first token type, None for a family without types."""
    norm: Norm
    layers: tuple[Layer, ...]
    activation: Activation
    head: Activation
    """Vectors of the first tokens (B, D) to logits (B, K)."""
    heads: int
    padding: int | None
    """The padding id, where positions are counted from after it; such a token takes no position."""
    rest: Callable[..., torch.Tensor]
    """What a layer does after its attention; `layer_rest`, or that compiled."""
    spaces: list[Workspace] = field(default_factory=list)
    """Scratch memory of the CPU's worker threads, lent and given back."""

    def logits(self, pack: Pack) -> torch.Tensor:
        """Logits (B, K) in float32 on the model's device."""
        device = self.words.device
        with torch.inference_mode():
            if device.type != "cpu":
                return self._walk(Varlen(pack, self.heads, device, self.padding)).float()
            space = self.spaces.pop() if self.spaces else Workspace(self.words.dtype)
            logits_BK = self._walk(Looped(pack, self.heads, space, self.padding)).float()
            self.spaces.append(space)  # not after an error: what failed in it may have left it half grown
            return logits_BK

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations of the linear layers for one token, the short last layer not considered."""
        return sum(
            2 * product.weight.numel() for layer in self.layers for product in (layer.qkv, layer.out, *layer[3:5])
        )

    def _walk(self, texts: Texts) -> torch.Tensor:
        x_TD = self._embed(texts)
        for layer in self.layers[:-1]:
            context_TD = texts.attend(texts.linear("qkv", x_TD, *layer.qkv))
            x_TD = self.rest(layer, self.activation, texts.linear, context_TD, x_TD)
        # The head reads the first tokens alone: of the others, the last layer needs the keys and values and no more.
        last, width = self.layers[-1], x_TD.shape[1]
        weight, bias = last.qkv
        first_BD = x_TD.index_select(0, texts.first)
        query_BD = F.linear(first_BD, weight[:width], bias[:width])
        context_BD = texts.attend_first(query_BD, texts.linear("qkv", x_TD, weight[width:], bias[width:]))
        return self.head(layer_rest(last, self.activation, texts.linear, context_BD, first_BD))

    def _embed(self, texts: Texts) -> torch.Tensor:
        x_TD = F.embedding(texts.ids, self.words)
        if self.kind is not None:
            x_TD += self.kind
        x_TD += F.embedding(texts.positions, self.places)
        return _normalise(x_TD, self.norm)


def layer_rest(
    layer: Layer,
    activation: Activation,
    linear: Callable[..., torch.Tensor],
    context: torch.Tensor,
    before: torch.Tensor,
) -> torch.Tensor:
    """A layer from its attention's outcome on, each row by itself: (rows, D) to (rows, D)."""
    x = _normalise(linear("narrow", context, *layer.out).add_(before), layer.attention_norm)
    wide = activation(linear("wide", x, *layer.up))
    return _normalise(linear("narrow", wide, *layer.down).add_(x), layer.norm)


def compiled(model: Packed, tokens: int) -> Packed:
    """The same model with what follows a layer's attention fused, for packs of `tokens` and no others.

    One function, compiled once for one shape: the layers differ in their weights alone.
    """
    fused = torch.compile(_fresh_rest, dynamic=False)

    def rest(
        layer: Layer,
        activation: Activation,
        linear: Callable[..., torch.Tensor],
        context: torch.Tensor,
        before: torch.Tensor,
    ) -> torch.Tensor:
        if len(context) != tokens:
            return layer_rest(layer, activation, linear, context, before)
        result: torch.Tensor = fused(layer, activation, context, before)
        return result

    return replace(model, rest=rest)


def _fresh_rest(layer: Layer, activation: Activation, context: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    return layer_rest(layer, activation, lambda name, x, weight, bias: F.linear(x, weight, bias), context, before)


def packed(network: Any, device: str, dtype: str) -> tuple[Packed | None, str]:
    """The packed road of a stock classifier that is on its device and in its dtype, else None; and the reason.

    Args:
        network: the transformers model. Its queries', keys' and values' weights become views of the one product, so
            that nothing is held twice.
        device: where it is.
        dtype: what it is in.
    """
    config = network.config
    family = config.model_type
    if family not in FAMILIES:
        return None, f"padded batches, for {family} models cannot be packed here"
    if getattr(config, "is_decoder", False) or getattr(config, "position_embedding_type", "absolute") != "absolute":
        return None, "padded batches, for its attention is not a plain encoder's"
    if device != "cpu" and dtype == "float32":
        return None, "padded batches, for CUDA packs in half precision only"
    heads = config.num_attention_heads
    if device != "cpu" and config.hidden_size // heads % VARLEN_HEAD:
        return None, f"padded batches, for CUDA packs no heads {config.hidden_size // heads} wide"
    encoder = network.base_model
    embeddings = encoder.embeddings
    is_distilbert = family == "distilbert"
    blocks = encoder.transformer.layer if is_distilbert else encoder.encoder.layer
    road = Packed(
        words=embeddings.word_embeddings.weight,
        places=embeddings.position_embeddings.weight,
        kind=None if is_distilbert else embeddings.token_type_embeddings.weight[0],
        norm=_norm(embeddings.LayerNorm),
        layers=tuple(map(_distilbert_layer if is_distilbert else _bert_layer, blocks)),
        activation=_activation(
            blocks[0].ffn.activation if is_distilbert else blocks[0].intermediate.intermediate_act_fn
        ),
        head=_head(network, family),
        heads=heads,
        padding=int(embeddings.padding_idx) if family in FROM_PADDING_ID else None,
        rest=layer_rest,
    )
    return road, "packed without padding"


def _distilbert_layer(block: Any) -> Layer:
    attention = block.attention
    return Layer(
        qkv=_joined(attention.q_lin, attention.k_lin, attention.v_lin),
        out=_product(attention.out_lin),
        attention_norm=_norm(block.sa_layer_norm),
        up=_product(block.ffn.lin1),
        down=_product(block.ffn.lin2),
        norm=_norm(block.output_layer_norm),
    )


def _bert_layer(block: Any) -> Layer:
    inner, outer = block.attention.self, block.attention.output
    return Layer(
        qkv=_joined(inner.query, inner.key, inner.value),
        out=_product(outer.dense),
        attention_norm=_norm(outer.LayerNorm),
        up=_product(block.intermediate.dense),
        down=_product(block.output.dense),
        norm=_norm(block.output.LayerNorm),
    )


def _head(network: Any, family: str) -> Activation:
    if family == "distilbert":
        return lambda first_BD: network.classifier(F.relu(network.pre_classifier(first_BD)))
    if family == "bert":
        return lambda first_BD: network.classifier(network.base_model.pooler(first_BD[:, None]))
    return lambda first_BD: network.classifier(first_BD[:, None])


def _activation(module: Any) -> Activation:
    """In place where it is the usual one: its input is the largest tensor there is, and is not needed again."""
    if (
        module is F.gelu
        or type(module).__name__ == "GELUActivation"
        or (isinstance(module, nn.GELU) and module.approximate == "none")
    ):
        return torch.ops.aten.gelu_
    result: Activation = module
    return result


def _joined(*linears: nn.Linear) -> Product:
    weight = torch.cat([linear.weight.detach() for linear in linears])
    bias = torch.cat([linear.bias.detach() for linear in linears])
    for linear, rows, values in zip(linears, weight.chunk(3), bias.chunk(3), strict=True):
        linear.weight.data, linear.bias.data = rows, values
    return Product(weight, bias)


def _product(linear: nn.Linear) -> Product:
    return Product(linear.weight.detach(), linear.bias.detach())


def _norm(norm: nn.LayerNorm) -> Norm:
    return Norm(norm.weight.detach(), norm.bias.detach(), norm.eps)


def _normalise(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], *norm)
