"""The training classifier over packs of texts, with gradients: its layers are walked without computing any padding.

`EncoderClassifier.forward` is the reference that this equals, except that dropout draws other numbers from the same
generator.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.model.families import DISTILBERT
from sentiment_batch.model.forward.attention import (
    CudaPackAttention,
    PackAttention,
    find_kernel_refusal,
    move_to_device,
)
from sentiment_batch.model.forward.attention_backward import TrainingPackAttention
from sentiment_batch.model.forward.layers import Encoder, LinearWeights, encode_first_tokens, gather_layer, gather_norm
from sentiment_batch.tokenization.packing import round_up_pack, to_rectangle

if TYPE_CHECKING:
    from sentiment_batch.model.classifier import EncoderClassifier
    from sentiment_batch.tokenization.packing import Pack

# T tokens of a pack, B texts of it, D the encoder's width, K labels.

TrainingPass = Callable[["Pack"], torch.Tensor]
"""A pack to its logits (B, K), with gradients."""

SIZES_PER_DOUBLING = 8
"""On a CPU, the sizes of packs between a power of 2 and the next. They are few, because oneDNN makes 17 kernels for
each, and keeps 1,024 in all. With more in an epoch, it would drop and make some at each step, and memory would be cut
into pieces that are too small for the tensors."""


def choose_training_pass(classifier: EncoderClassifier, device: str, dtype: str) -> TrainingPass:
    """The forward pass for a classifier that is on its device."""
    heads, place = classifier.encoder.config.n_heads, torch.device(device)
    if device == "cpu":
        return lambda pack: compute_training_logits(
            classifier, TrainingPackAttention(round_up_pack(pack, SIZES_PER_DOUBLING), heads)
        )
    if uses_cuda_kernel(classifier, device, dtype):
        return lambda pack: compute_training_logits(classifier, CudaPackAttention(pack, heads, place, None))
    return lambda pack: _compute_padded(classifier, pack, device)


def uses_cuda_kernel(classifier: EncoderClassifier, device: str, dtype: str) -> bool:
    """True if packs go through CUDA's attention kernel, as `find_kernel_refusal` decides.

    On a CUDA device where this is False, batches are padded and the encoder's own code computes them.
    """
    config = classifier.encoder.config  # a DistilBERT's, whose names of width and heads differ from BERT's
    return device != "cpu" and find_kernel_refusal(config.dim // config.n_heads, device, dtype) is None


def compute_training_logits(classifier: EncoderClassifier, pack: PackAttention) -> torch.Tensor:
    """Logits (B, K) of the texts of a pack."""
    first_BD = encode_first_tokens(_gather_encoder(classifier.encoder), pack)
    logits: torch.Tensor = classifier.linear(classifier.dropout(first_BD))
    return logits


def _compute_padded(classifier: EncoderClassifier, pack: Pack, device: str) -> torch.Tensor:
    ids, mask = to_rectangle(pack, classifier.encoder.config.pad_token_id or 0)
    mask_BT = None if mask.all() else move_to_device(torch.from_numpy(mask), device)
    logits: torch.Tensor = classifier(move_to_device(torch.from_numpy(ids), device), mask_BT)
    return logits


def _gather_encoder(encoder: Any) -> Encoder:
    """The encoder's parameters and dropout; the weights of queries, keys and values are joined in each pass."""
    embeddings, modules = encoder.embeddings, DISTILBERT.layer_modules(encoder)
    dropouts = [layer.ffn.dropout for layer in encoder.transformer.layer]
    return Encoder(
        word_embeddings=embeddings.word_embeddings.weight,
        position_embeddings=embeddings.position_embeddings.weight,
        norm=gather_norm(embeddings.LayerNorm),
        layers=[
            gather_layer(one, _join, functools.partial(drop_elements, dropout))
            for one, dropout in zip(modules, dropouts, strict=True)
        ],
        last_query=_join(modules[-1].query),
        last_key_value=_join(modules[-1].key, modules[-1].value),
        activation=modules[0].activation,
        drop=functools.partial(drop_elements, embeddings.dropout),
    )


def _join(*parts: torch.nn.Linear) -> LinearWeights:
    """Linear layers of one input as one product."""
    if len(parts) == 1:
        return LinearWeights(parts[0].weight, parts[0].bias)
    return LinearWeights(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))


def drop_elements(dropout: torch.nn.Dropout, x: torch.Tensor) -> torch.Tensor:
    """The dropout of `x`; on a CPU in a third of the time, because four elements share one random number.

    Each element gets 16 bits of it. The share that is dropped is rounded to a multiple of 2**-16, and the other
    elements are scaled up to match that share exactly.
    """
    threshold = round(dropout.p * 2**16)
    # A threshold of 0 drops nothing and one of 2**16 everything. torch treats these cases itself.
    if x.device.type != "cpu" or not dropout.training or not 0 < threshold < 2**16:
        result: torch.Tensor = dropout(x)
        return result
    # A quarter of the elements, rounded up. Each number has 64 random bits, of which an element gets 16.
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    # As signed integers the 16 bits lie between -2**15 and 2**15 - 1, so the threshold is shifted by 2**15.
    kept = draws.view(torch.int16)[: x.numel()].view(x.shape) >= threshold - 2**15
    scaled: torch.Tensor = x * kept.to(x.dtype).mul_(2**16 / (2**16 - threshold))
    return scaled
