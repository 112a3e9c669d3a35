"""The classifier over packs of texts, with gradients: the base's own modules, walked layer by layer without padding.

`SentimentClassifier.forward` is the reference that it equals; its dropout draws other numbers from the same generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from sentiment_batch.model.forward.attention import CudaTexts, PackedTexts, move_to_device
from sentiment_batch.model.forward.attention_backward import TrainingTexts
from sentiment_batch.model.forward.packed import VARLEN_HEAD
from sentiment_batch.tokenization.packing import fill_pack, pad_pack

if TYPE_CHECKING:
    from sentiment_batch.model.classifier import SentimentClassifier
    from sentiment_batch.tokenization.packing import Pack

TrainingPass = Callable[["Pack"], torch.Tensor]
"""A pack in, logits (B, K) with their gradients out."""

PACKED = "packed without padding"
SIZES_PER_DOUBLING = 16
"""On a CPU, packs have so many sizes between a power of 2 and the next: the library keeps kernels for each, and the
allocator pieces of memory."""

# T tokens of a pack, B texts of it, D the encoder's width, H heads, K labels.


def choose_training_pass(classifier: SentimentClassifier, device: str, dtype: str) -> tuple[TrainingPass, str]:
    """The way through a classifier that is on its device, and its name."""
    heads, place = classifier.encoder.config.n_heads, torch.device(device)
    if device == "cpu":
        return lambda pack: compute_training_logits(
            classifier, TrainingTexts(fill_pack(pack, SIZES_PER_DOUBLING), heads)
        ), PACKED
    if uses_cuda_kernel(classifier, device, dtype):
        return lambda pack: compute_training_logits(classifier, CudaTexts(pack, heads, place, None)), PACKED
    return lambda pack: _padded(classifier, pack, device), "padded batches"


def uses_cuda_kernel(classifier: SentimentClassifier, device: str, dtype: str) -> bool:
    """Whether packs go through CUDA's kernel; else its batches are padded, by the base's own code.

    It takes half precision only, and heads of some widths.
    """
    config = classifier.encoder.config
    return device != "cpu" and dtype != "float32" and config.dim // config.n_heads % VARLEN_HEAD == 0


def _padded(classifier: SentimentClassifier, pack: Pack, device: str) -> torch.Tensor:
    ids, mask = pad_pack(pack, classifier.encoder.config.pad_token_id or 0)
    mask_BT = None if mask.all() else move_to_device(torch.from_numpy(mask), device)
    logits: torch.Tensor = classifier(move_to_device(torch.from_numpy(ids), device), mask_BT)
    return logits


def compute_training_logits(classifier: SentimentClassifier, texts: PackedTexts) -> torch.Tensor:
    """Logits (B, K) of the texts of a pack."""
    encoder = classifier.encoder
    x_TD = _embed(encoder.embeddings, texts)
    *layers, last = encoder.transformer.layer
    for layer in layers:
        attention = layer.attention
        qkv = _product(x_TD, attention.q_lin, attention.k_lin, attention.v_lin)
        x_TD = _rest(layer, texts.attend(qkv), x_TD)
    # Nobody reads the other tokens of the last layer: of them it needs the keys and values and no more.
    first_BD = x_TD.index_select(0, texts.first)
    attention = last.attention
    kv = _product(x_TD, attention.k_lin, attention.v_lin)
    context_BD = texts.attend_first(_product(first_BD, attention.q_lin), kv)
    logits: torch.Tensor = classifier.linear(classifier.dropout(_rest(last, context_BD, first_BD)))
    return logits


def _embed(embeddings: Any, texts: PackedTexts) -> torch.Tensor:
    words = F.embedding(texts.ids, embeddings.word_embeddings.weight)
    places = F.embedding(texts.positions, embeddings.position_embeddings.weight)
    return drop_elements(embeddings.dropout, embeddings.LayerNorm(words + places))


def _rest(layer: Any, context: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """A layer from its attention's outcome on, each row by itself: (rows, D) to (rows, D)."""
    x = layer.sa_layer_norm(layer.attention.out_lin(context) + before)
    ffn = layer.ffn
    wide = drop_elements(ffn.dropout, ffn.lin2(ffn.activation(ffn.lin1(x))))
    result: torch.Tensor = layer.output_layer_norm(wide + x)
    return result


def drop_elements(dropout: Any, x: torch.Tensor) -> torch.Tensor:
    """The dropout module's outcome; on a CPU in a third of its time, for four elements share a random number.

    Each element has 16 bits of it: the share that is dropped is the nearest multiple of 2**-16, and the others make up
    for just that.
    """
    threshold = round(dropout.p * 2**16)
    if x.device.type != "cpu" or not dropout.training or not 0 < threshold < 2**16:
        result: torch.Tensor = dropout(x)
        return result
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    kept = draws.view(torch.int16)[: x.numel()].view(x.shape) >= threshold - 2**15
    scaled: torch.Tensor = x * kept.to(x.dtype).mul_(2**16 / (2**16 - threshold))
    return scaled


def _product(x: torch.Tensor, *parts: Any) -> torch.Tensor:
    """Linear layers of one input as one product."""
    if len(parts) == 1:
        result: torch.Tensor = parts[0](x)
        return result
    return F.linear(x, torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))
