"""The packed strategy: scores texts laid end to end with a stock encoder, without computing any padding.

The weights are those of the stock modules. `LoadedModel.logits` (`model/stock.py`) is the reference that this equals.
The walk needs no mask. It registers no attention function with Transformers that a padded call could use by mistake.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sentiment_batch.errors import DeviceError, first_line, reason
from sentiment_batch.model.families import FAMILIES, ModelFamily
from sentiment_batch.model.forward.attention import (
    CpuPackAttention,
    CudaPackAttention,
    PackAttention,
    Workspace,
    find_kernel_refusal,
)
from sentiment_batch.model.forward.layers import (
    GELU,
    Activation,
    Encoder,
    LayerWeights,
    LinearWeights,
    encode_first_tokens,
    finish_layer,
    gather_layer,
    gather_norm,
    has_equal_row_bits,
    linear,
)
from sentiment_batch.model.memory import unify_memory_errors
from sentiment_batch.tokenization.packing import BatchShape, Pack, build_pack, plan_packs, round_up

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.model.forward.int8 import Int8Encoder
    from sentiment_batch.tokenization.packing import SegmentNumbers, Tokens

# S segments, B texts of a pack, D the encoder's width, K labels.

CPU_TOKEN_STEP = 64
"""On a CPU, packs are filled up to a multiple of this, because oneDNN makes a kernel for each new size."""
CPU_TEXT_STEP = 8
"""The same for the number of texts of a pack."""
MIN_FILLED_SHARE = 0.9
"""A pack less full than this is not filled up for a compiled model, because the filling costs more than it saves."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PackedModel:
    """A stock classifier of one of the families in `model/families.py`, computed over packs."""

    encoder: Encoder
    """The weights of the layers."""
    head: Activation
    """The last vectors of the first tokens (B, D) to logits (B, K)."""
    heads: int
    """Heads of the attention."""
    position_padding_id: int | None
    """The padding id if positions are counted from after it, else None; see `ModelFamily.counts_from_padding`."""
    int8: Int8Encoder | None = None
    """The encoder's layers in 8-bit integers; None computes in the dtype of the weights."""
    workspaces: list[Workspace] = field(default_factory=list)
    """Scratch memory that no CPU thread uses at the moment."""
    equal_bits: dict[tuple[int, int, int], bool] = field(default_factory=dict)
    """The answers of `has_equal_bits` by tokens, texts and threads."""

    def logits(self, pack: Pack) -> torch.Tensor:
        """Logits (B, K) in float32 on the model's device."""
        device = self.encoder.word_embeddings.device
        dtype = self.int8.attention_dtype if self.int8 else self.encoder.word_embeddings.dtype
        with torch.inference_mode():
            if device.type != "cpu":
                return self.compute(CudaPackAttention(pack, self.heads, device, self.position_padding_id)).float()
            # Each thread takes a workspace for one pack. To ask first whether one is free would leave a gap, in which
            # another thread could take the last one.
            try:
                workspace = self.workspaces.pop()
            except IndexError:
                workspace = Workspace(dtype)
            logits_BK = self.compute(CpuPackAttention(pack, self.heads, workspace, self.position_padding_id)).float()
            self.workspaces.append(workspace)  # not after an error, which may leave it half grown
            return logits_BK

    def compute(self, pack: PackAttention) -> torch.Tensor:
        """Logits (B, K) in the model's dtype."""
        encode = self.int8.encode_first_tokens if self.int8 else encode_first_tokens
        last_BD = encode(self.encoder, pack)
        if not pack.one_by_one:
            return self.head(last_BD)
        # With few labels, MKL sums a row by its place among the others. A copy begins at the start of a cache line.
        return torch.cat([self.head(row.clone()) for row in torch.split(last_BD, 1)])

    def has_equal_bits(self, tokens: int, texts: int) -> bool:
        """True if, on this CPU, a row gets the same bits in each place of a pack of `tokens` and `texts`.

        This is tried once for each size and number of threads. Threads that try at the same time find the same.
        """
        key = tokens, texts, torch.get_num_threads()
        if key not in self.equal_bits:
            with torch.inference_mode():
                # Each kind of function is tried with the number of rows that it gets in such a pack.
                self.equal_bits[key] = all(
                    has_equal_row_bits(functions, self.encoder.word_embeddings, rows)
                    for functions, rows in zip(self._list_functions(), (tokens, texts), strict=True)
                )
        return self.equal_bits[key]

    def _list_functions(self) -> tuple[list[Activation], list[Activation]]:
        """What is computed for each token, and what for each first token, apart from attention and head."""
        encoder = self.encoder
        first, last, activation = encoder.layers[0], encoder.layers[-1], encoder.activation
        for_firsts: list[Activation] = [
            partial(linear, weights=encoder.last_query),
            _finish_one_by_one(last, activation),
        ]
        if self.int8 is not None:
            return self.int8.list_functions(), for_firsts
        products = [first.qkv, encoder.last_key_value]
        return [*(partial(linear, weights=one) for one in products), _finish_one_by_one(first, activation)], for_firsts

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations of the linear layers for one token, as if the last layer were not short."""
        return sum(
            2 * product.weight.numel()
            for layer in self.encoder.layers
            for product in (layer.qkv, layer.attention_output, layer.up, layer.down)
        )


def _finish_one_by_one(layer: LayerWeights, activation: Activation) -> Activation:
    """`finish_layer` as a function of one matrix, which is both of its inputs."""
    return lambda x: finish_layer(layer, activation, x, x)


def compile_packed(model: PackedModel, tokens: int) -> PackedModel:
    """The same model with fused kernels after a layer's attention, for packs of exactly `tokens` tokens.

    It is one function, compiled once for one shape, because the layers differ in their weights only.
    """
    fused = torch.compile(finish_layer, dynamic=False)

    def finish(
        layer: LayerWeights, activation: Activation, context: torch.Tensor, before: torch.Tensor
    ) -> torch.Tensor:
        # Another shape would make torch compile again, which takes far longer than to compute a smaller pack plainly.
        function: Callable[..., torch.Tensor] = fused if len(context) == tokens else finish_layer
        return function(layer, activation, context, before)

    return replace(model, encoder=replace(model.encoder, finish=finish))


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedStrategy:
    """Segments lie end to end, so that nothing is computed but their tokens."""

    model: PackedModel
    device: str
    classes: int
    """K."""
    shape: BatchShape | None = None
    """The shape of every batch of a deterministic run, None in other runs."""
    compiled_tokens: int | None = None
    """The one size of pack that a compiled model is fast for; nearly full packs are filled up to it."""

    def compile(self, tokens: int) -> PackedStrategy:
        """The same strategy with a model compiled for packs of `tokens`, which has computed one of them.

        Raises:
            DeviceError: torch cannot compile here, such as without a C compiler; the message has no full stop.
        """
        try:
            model = compile_packed(self.model, tokens)
            with contextlib.suppress(torch.OutOfMemoryError), unify_memory_errors():  # the run halves its batches then
                model.logits(_make_full_pack(tokens)).cpu()  # torch compiles at the first call
        except Exception as error:  # the errors of compilers have no common class
            raise DeviceError(f"torch cannot compile the model: {reason(error)}") from error
        return replace(self, model=model, compiled_tokens=tokens)

    def plan(self, lengths: npt.NDArray[np.int64], budget: int, threads: int = 1) -> list[SegmentNumbers]:
        """The segments of each pack; in a deterministic run, packs that fit its shape."""
        if self.shape is None:
            return plan_packs(lengths, budget, threads=threads)
        return plan_packs(lengths, self.shape.tokens, self.shape.texts)

    def logits(self, tokens: Tokens, rows: SegmentNumbers) -> torch.Tensor:
        """Logits (B, K) of one pack.

        In a deterministic run on a CPU where a row's place changes its bits, each segment is a pack of its own.
        """
        if self._needs_single_packs():
            sizes = [round_up(int(length), CPU_TOKEN_STEP) for length in tokens.lengths[rows]]
            shapes = [BatchShape(tokens=size, texts=1) for size in sizes]
            packs = (build_pack(tokens, row, shape) for row, shape in zip(rows.reshape(-1, 1), shapes, strict=True))
            return torch.cat([self.model.logits(pack) for pack in packs])
        # The logits of texts that only fill the pack up are cut off at the end.
        shape = self._choose_shape(int(tokens.lengths[rows].sum()), len(rows))
        return self.model.logits(build_pack(tokens, rows, shape))[: len(rows)]

    def _needs_single_packs(self) -> bool:
        shape = self.shape
        return shape is not None and self.device == "cpu" and not self.model.has_equal_bits(shape.tokens, shape.texts)

    def _choose_shape(self, tokens: int, texts: int) -> BatchShape | None:
        """The size that a pack with this number of tokens and texts is filled up to; None if it is not filled up."""
        if self.shape is not None:
            return self.shape
        if self.device == "cpu":
            filled = round_up(tokens, CPU_TOKEN_STEP)
            return BatchShape(tokens=filled, texts=round_up(texts, CPU_TEXT_STEP), one_by_one=False)
        if self.compiled_tokens and MIN_FILLED_SHARE * self.compiled_tokens <= tokens <= self.compiled_tokens:
            return BatchShape(tokens=self.compiled_tokens, texts=texts, one_by_one=False)
        return None


def _make_full_pack(tokens: int) -> Pack:
    """A pack of one text of one token; the other tokens belong to no text."""
    return Pack(ids=np.zeros(tokens, dtype=np.int32), offsets=np.array([0, 1]))


def build_packed(model: Any, device: str, dtype: str) -> tuple[PackedModel | None, str]:
    """The packed form of a stock classifier.

    Args:
        model: the Transformers model, on `device` and in `dtype`. The weights of its queries, keys and values become
            views of one tensor, so that nothing is held twice.
        device: where the model is.
        dtype: the name of its dtype.

    Returns:
        The packed model, or None if the model cannot be packed; and how its batches are laid out, with the reason.
    """
    refusal = _find_refusal(model.config, device, dtype)
    if refusal is not None:
        return None, f"padded batches, because {refusal}"
    try:
        packed = _build(model, FAMILIES[model.config.model_type])
    except AttributeError as error:  # a later release may build its modules in another way; its own code still works
        return None, f"padded batches, because this release of transformers changed the model ({first_line(error)})"
    # A pruned model has fewer heads than its configuration says. The split of its products into heads would be wrong.
    width = model.config.hidden_size
    if any(layer.qkv.weight.shape != (3 * width, width) for layer in packed.encoder.layers):
        return None, "padded batches, because some of its attention heads were removed"
    return packed, "packed without padding"


def _find_refusal(config: Any, device: str, dtype: str) -> str | None:
    """Why a model with this configuration cannot be packed; None if it can."""
    if config.model_type not in FAMILIES:
        return f"{config.model_type} models cannot be packed"
    if getattr(config, "is_decoder", False) or getattr(config, "position_embedding_type", "absolute") != "absolute":
        return "its attention is not a plain encoder's"
    if device == "cpu":
        return None
    return find_kernel_refusal(config.hidden_size // config.num_attention_heads, device, dtype)


def _build(model: Any, family: ModelFamily) -> PackedModel:
    """The packed form of a stock classifier.

    Raises:
        AttributeError: this release of Transformers builds the family in another way.
    """
    config, embeddings = model.config, model.base_model.embeddings
    modules = family.layer_modules(model.base_model)
    layers = tuple(gather_layer(one, _join) for one in modules)
    # The last layer computes queries for the first tokens only. So its joint product is split into two.
    last, width = layers[-1].qkv, config.hidden_size
    return PackedModel(
        encoder=Encoder(
            word_embeddings=embeddings.word_embeddings.weight.detach(),
            position_embeddings=embeddings.position_embeddings.weight.detach(),
            type_embedding=embeddings.token_type_embeddings.weight[0].detach() if family.has_token_types else None,
            norm=gather_norm(embeddings.LayerNorm),
            layers=layers,
            last_query=LinearWeights.prepack(last.weight[:width], last.bias[:width]),
            last_key_value=LinearWeights.prepack(last.weight[width:], last.bias[width:]),
            activation=_replace_gelu(modules[0].activation),
        ),
        head=_build_head(model, family),
        heads=config.num_attention_heads,
        position_padding_id=int(embeddings.padding_idx) if family.counts_from_padding else None,
    )


def _build_head(model: Any, family: ModelFamily) -> Activation:
    """The head (B, D) to (B, K). The pooler and the family's own head read a sequence, so they get one of one token."""
    if family.head == "relu":
        return lambda first_BD: model.classifier(F.relu(model.pre_classifier(first_BD)))
    if family.head == "pooler":
        return lambda first_BD: model.classifier(model.base_model.pooler(first_BD[:, None]))
    return lambda first_BD: model.classifier(first_BD[:, None])


def _replace_gelu(module: Any) -> Activation:
    """GELU in place if `module` is the exact GELU, else the module."""
    is_gelu = type(module).__name__ == "GELUActivation" or (
        isinstance(module, nn.GELU) and module.approximate == "none"
    )
    activation: Activation = GELU if is_gelu or module is F.gelu else module
    return activation


def _join(*parts: nn.Linear) -> LinearWeights:
    """Linear layers of one input as one product; the weights of several become views of it."""
    if len(parts) == 1:
        return LinearWeights.prepack(parts[0].weight.detach(), parts[0].bias.detach())
    weight = torch.cat([part.weight.detach() for part in parts])
    bias = torch.cat([part.bias.detach() for part in parts])
    # The stock model stays usable, and the memory of its former weights is free.
    for part, rows, values in zip(parts, weight.chunk(len(parts)), bias.chunk(len(parts)), strict=True):
        part.weight.data, part.bias.data = rows, values
    return LinearWeights.prepack(weight, bias)
