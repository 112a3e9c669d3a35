"""The packed road: a stock encoder walked layer by layer over texts laid end to end, so that no padding is computed.

The weights are the stock modules' own, and `Loaded.logits` of model.py is the reference that it equals. It needs no
mask, and no name among the library's attention functions that a padded call could pick up by mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from sentiment_batch.errors import first_line
from sentiment_batch.model.forward.attention import CpuTexts, CudaTexts, PackedTexts, Workspace
from sentiment_batch.model.forward.linear import (
    GELU,
    Activation,
    LayerWeights,
    LinearWeights,
    NormWeights,
    finish_layer,
    has_equal_row_bits,
    linear,
    normalise,
)

if TYPE_CHECKING:
    from sentiment_batch.tokenization.packing import Pack

# T tokens of a pack, B texts of it, D the encoder's width, K labels.

FROM_PADDING_ID = ("roberta", "xlm-roberta", "camembert")
"""Families that count positions from after the padding id."""
FAMILIES = ("distilbert", "bert", *FROM_PADDING_ID)
"""Encoders of one build: embeddings, then layers of attention and feed-forward, each normalised after its residual."""
VARLEN_HEAD = 8
"""CUDA's kernel takes heads whose width is a multiple of this."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PackedModel:
    """A stock classifier of one of `FAMILIES`, computed over packs."""

    words: torch.Tensor
    """(V, D) embeddings."""
    places: torch.Tensor
    """(P, D) embeddings of the positions."""
    kind: torch.Tensor | None
    """(D,) the embedding of the first token type, None for a family without types."""
    norm: NormWeights
    layers: tuple[LayerWeights, ...]
    last_query: LinearWeights
    """Of the last layer's queries (D, D), which the first tokens alone need."""
    last_kv: LinearWeights
    """Of the last layer's keys and values (2D, D)."""
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
    verdicts: dict[tuple[int, int, int], bool] = field(default_factory=dict)
    """What `steady` found out, by tokens, texts and threads."""

    def logits(self, pack: Pack) -> torch.Tensor:
        """Logits (B, K) in float32 on the model's device."""
        device = self.words.device
        with torch.inference_mode():
            if device.type != "cpu":
                return self._walk(CudaTexts(pack, self.heads, device, self.padding)).float()
            space = self.spaces.pop() if self.spaces else Workspace(self.words.dtype)
            logits_BK = self._walk(CpuTexts(pack, self.heads, space, self.padding)).float()
            self.spaces.append(space)  # not after an error: what failed in it may have left it half grown
            return logits_BK

    def steady(self, tokens: int, texts: int) -> bool:
        """Whether, on this CPU, a row has the same bits in every place of packs that measure so much.

        Found out once for each size and number of threads; workers that ask at the same time find the same.
        """
        key = tokens, texts, torch.get_num_threads()
        if key not in self.verdicts:
            first, last = self.layers[0], self.layers[-1]
            with torch.inference_mode():
                whole = has_equal_row_bits(first, (first.qkv, self.last_kv), self.activation, tokens)
                self.verdicts[key] = whole and has_equal_row_bits(last, (self.last_query,), self.activation, texts)
        return self.verdicts[key]

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations of the linear layers for one token, the short last layer not considered."""
        return sum(
            2 * product.weight.numel() for layer in self.layers for product in (layer.qkv, layer.out, *layer[3:5])
        )

    def _walk(self, texts: PackedTexts) -> torch.Tensor:
        x_TD = self._embed(texts)
        for layer in self.layers[:-1]:
            x_TD = self.rest(layer, self.activation, texts.attend(linear(x_TD, layer.qkv)), x_TD)
        # The head reads the first tokens alone: of the others, the last layer needs the keys and values and no more.
        first_BD = x_TD.index_select(0, texts.first)
        context_BD = texts.attend_first(linear(first_BD, self.last_query), linear(x_TD, self.last_kv))
        last_BD = finish_layer(self.layers[-1], self.activation, context_BD, first_BD)
        if not texts.alone:
            return self.head(last_BD)
        # For few labels MKL sums a row by its place among the others. A copy begins where a cache line does.
        return torch.cat([self.head(row.clone()) for row in torch.split(last_BD, 1)])

    def _embed(self, texts: PackedTexts) -> torch.Tensor:
        x_TD = F.embedding(texts.ids, self.words)
        if self.kind is not None:
            x_TD += self.kind
        x_TD += F.embedding(texts.positions, self.places)
        return normalise(x_TD, self.norm)


def compile_packed(model: PackedModel, tokens: int) -> PackedModel:
    """The same model with what follows a layer's attention fused, for packs of `tokens` and no others.

    One function, compiled once for one shape: the layers differ in their weights alone.
    """
    fused = torch.compile(finish_layer, dynamic=False)

    def rest(layer: LayerWeights, activation: Activation, context: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = (fused if len(context) == tokens else finish_layer)(layer, activation, context, before)
        return result

    return replace(model, rest=rest)


def build_packed(network: Any, device: str, dtype: str) -> tuple[PackedModel | None, str]:
    """The packed road of a stock classifier that is on its device and in its dtype, else None; and the reason.

    Args:
        network: the transformers model. Its queries', keys' and values' weights become views of the one product, so
            that nothing is held twice.
        device: where it is.
        dtype: what it is in.
    """
    refusal = _refusal(network.config, device, dtype)
    if refusal is not None:
        return None, f"padded batches, for {refusal}"
    try:
        model = _packed(network)
    except AttributeError as error:  # a later release may build its modules another way; its own code still computes
        return None, f"padded batches, for this release of transformers builds the model anew ({first_line(error)})"
    width = network.config.hidden_size
    if any(layer.qkv.weight.shape != (3 * width, width) for layer in model.layers):
        return None, "padded batches, for it has lost some of its attention heads"
    return model, "packed without padding"


def _refusal(config: Any, device: str, dtype: str) -> str | None:
    """Why a model cannot be packed, None if nothing speaks against it."""
    if config.model_type not in FAMILIES:
        return f"{config.model_type} models cannot be packed here"
    if getattr(config, "is_decoder", False) or getattr(config, "position_embedding_type", "absolute") != "absolute":
        return "its attention is not a plain encoder's"
    if device == "cpu":
        return None
    if dtype == "float32":
        return "CUDA packs in half precision only"
    width = config.hidden_size // config.num_attention_heads
    return f"CUDA packs no heads {width} wide" if width % VARLEN_HEAD else None


def _packed(network: Any) -> PackedModel:
    config, encoder = network.config, network.base_model
    embeddings = encoder.embeddings
    is_distilbert = config.model_type == "distilbert"
    blocks = encoder.transformer.layer if is_distilbert else encoder.encoder.layer
    layers = tuple(map(_distilbert_layer if is_distilbert else _bert_layer, blocks))
    last, width = layers[-1].qkv, config.hidden_size
    inner = blocks[0].ffn.activation if is_distilbert else blocks[0].intermediate.intermediate_act_fn
    return PackedModel(
        words=embeddings.word_embeddings.weight.detach(),
        places=embeddings.position_embeddings.weight.detach(),
        kind=None if is_distilbert else embeddings.token_type_embeddings.weight[0].detach(),
        norm=_norm(embeddings.LayerNorm),
        layers=layers,
        last_query=LinearWeights.of(last.weight[:width], last.bias[:width]),
        last_kv=LinearWeights.of(last.weight[width:], last.bias[width:]),
        activation=_activation(inner),
        head=_head(network, config.model_type),
        heads=config.num_attention_heads,
        padding=int(embeddings.padding_idx) if config.model_type in FROM_PADDING_ID else None,
        rest=finish_layer,
    )


def _distilbert_layer(block: Any) -> LayerWeights:
    attention = block.attention
    return LayerWeights(
        qkv=_joined(attention.q_lin, attention.k_lin, attention.v_lin),
        out=_product(attention.out_lin),
        attention_norm=_norm(block.sa_layer_norm),
        up=_product(block.ffn.lin1),
        down=_product(block.ffn.lin2),
        norm=_norm(block.output_layer_norm),
    )


def _bert_layer(block: Any) -> LayerWeights:
    inner, outer = block.attention.self, block.attention.output
    return LayerWeights(
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
    is_gelu = type(module).__name__ == "GELUActivation" or (
        isinstance(module, nn.GELU) and module.approximate == "none"
    )
    result: Activation = GELU if is_gelu or module is F.gelu else module
    return result


def _joined(*parts: nn.Linear) -> LinearWeights:
    weight = torch.cat([part.weight.detach() for part in parts])
    bias = torch.cat([part.bias.detach() for part in parts])
    for part, rows, values in zip(parts, weight.chunk(3), bias.chunk(3), strict=True):
        part.weight.data, part.bias.data = rows, values
    return LinearWeights.of(weight, bias)


def _product(layer: nn.Linear) -> LinearWeights:
    return LinearWeights.of(layer.weight.detach(), layer.bias.detach())


def _norm(norm: nn.LayerNorm) -> NormWeights:
    return NormWeights(norm.weight.detach(), norm.bias.detach(), norm.eps)
