"""Calibrates a model for int8: finds the ranges of its activations and the band of its errors, on the package's texts.

This is done on one core, so that it comes out the same each time.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sentiment_batch.model.device import prefer_bfloat16
from sentiment_batch.model.forward.attention import CpuPackAttention, Workspace
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits, open_thread_pool
from sentiment_batch.model.forward.int8 import Int8Encoder, Int8Layer, LayerRanges, ObservedLayer, walk_layers
from sentiment_batch.model.forward.int8_labels import find_margins
from sentiment_batch.model.forward.int8_products import FeedForward, Int8Product, Range, widen
from sentiment_batch.model.forward.layers import linear
from sentiment_batch.model.forward.packed import PackedModel, PackedStrategy
from sentiment_batch.model.probabilities import average_segments
from sentiment_batch.tokenization.packing import build_pack, plan_packs
from sentiment_batch.tokenization.parity_texts import read_parity_texts

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.tokenization.packing import Tokens
    from sentiment_batch.tokenization.tokenizer import TextTokenizer

logger = logging.getLogger("sentiment_batch")

MIXED_TEXTS = 100
"""Further texts, of sentences drawn from the package's own, so that many lie near the border between two labels."""
MAX_MIXED_SENTENCES = 6
PACK_TOKENS = 2_048
"""Tokens of a batch of the calibration."""
BAND_DEVIATIONS = 6.0
"""The band is at least this many standard deviations of the error of a margin."""
BAND_MAXIMA = 2.0
"""The band is also at least this many times the largest error of a margin."""
MAX_SOFTMAX_SLOPE = 0.25
"""A probability changes by at most this times the change of the difference of two logits."""
STORED_DIGITS = 4
"""Significant digits of the ranges that are stored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Int8Calibration:
    """What is fixed before the first text is scored in int8."""

    layers: list[LayerRanges]
    """The ranges in all layers but the last."""
    last: Range
    """The range of the input of the last layer's keys and values."""
    band: float
    """The error band of the difference of two logits."""
    largest: float
    """Largest difference of a probability from that of float32, if no margin is wrong by more than the band."""
    near_border_share: float
    """Share of the calibration texts inside the band. Such texts are scored a second time in float32."""
    refuted: bool = False
    """True if an audit once found a text outside the band with another label."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        ranges = [[[_to_list(values) for values in one] for one in layer] for layer in self.layers]
        figures = {
            "band": self.band,
            "largest": self.largest,
            "near": self.near_border_share,
            "refuted": self.refuted,
        }
        return {"layers": ranges, "last": [_to_list(values) for values in self.last]} | figures

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Int8Calibration:
        """The calibration that `to_json` gave."""
        layers = [LayerRanges(*(_to_range(one) for one in layer)) for layer in values["layers"]]
        return cls(
            layers=layers,
            last=_to_range(values["last"]),
            band=values["band"],
            largest=values["largest"],
            near_border_share=values["near"],
            refuted=values["refuted"],
        )

    def digest(self) -> str:
        """Eight digits that stand for the ranges and the band."""
        return hashlib.sha256(json.dumps(self.to_json() | {"refuted": False}).encode()).hexdigest()[:8]


def _to_list(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.{STORED_DIGITS}g}") for value in values.tolist()]


def _to_range(values: list[list[float]]) -> Range:
    return Range(*(torch.tensor(one) for one in values))


def calibrate_int8(model: PackedModel, tokenizer: TextTokenizer) -> Int8Calibration:
    """Find the ranges and the band of a model in float32."""
    tokens, _ = tokenizer(list_calibration_texts()).replace_unknown(len(model.encoder.word_embeddings))
    with open_thread_pool("cpu", single=True) as pool:
        assert pool is not None
        # First pass: float32, which shows the ranges. Second pass: int8 with these ranges, which shows the errors.
        found, exact = pool.executor.submit(_observe, model, tokens).result()
        found = Int8Calibration.from_json(found.to_json())  # with the digits that are stored
        fast = pool.executor.submit(_compute_logits, quantize(model, found), tokens).result()
    # The error of the difference of two logits is at most the largest error of a logit less the smallest.
    errors = np.ptp(fast.astype(np.float64) - exact, axis=1)
    band = max(BAND_DEVIATIONS * float(np.sqrt((errors**2).mean())), BAND_MAXIMA * float(errors.max()))
    band, near_border_share = (float(f"{value:.3g}") for value in (band, (find_margins(exact) < band).mean()))
    return replace(found, band=band, largest=band * MAX_SOFTMAX_SLOPE, near_border_share=near_border_share)


def quantize(model: PackedModel, found: Int8Calibration) -> PackedModel:
    """The model with 8-bit layers; it shares the weights of what stays in float32."""
    dtype = torch.bfloat16 if prefer_bfloat16("cpu")[0] else torch.float32
    encoder = model.encoder
    layers = [
        Int8Layer(
            qkv=Int8Product.build(layer.qkv, ranges.qkv),
            attention_output=Int8Product.build(layer.attention_output, ranges.attention_output),
            attention_norm=layer.attention_norm,
            feed_forward=FeedForward.build(layer, ranges.up, ranges.down),
            norm=layer.norm,
            attention_dtype=dtype,
        )
        for layer, ranges in zip(encoder.layers, found.layers, strict=False)
    ]
    last = Int8Product.build(encoder.last_key_value, found.last)
    int8 = Int8Encoder(layers=layers, last_key_value=last, attention_dtype=dtype)
    # Workspaces have the dtype of the attention, and each form has its own functions for `has_equal_bits`.
    return replace(model, int8=int8, workspaces=[], equal_bits={})


def list_calibration_texts() -> list[str]:
    """The package's own texts, and mixtures of their sentences."""
    texts = read_parity_texts()
    draw = np.random.default_rng(0)
    counts = draw.integers(2, MAX_MIXED_SENTENCES, MIXED_TEXTS, endpoint=True)
    return [*texts, *(" ".join(texts[place] for place in draw.integers(0, 60, count)) for count in counts)]


def _observe(model: PackedModel, tokens: Tokens) -> tuple[Int8Calibration, Floats]:
    """The ranges in a pass in float32, without a band, and what the pass gives: logits (N, K) of the N texts."""
    encoder = model.encoder
    layers = [ObservedLayer(layer) for layer in encoder.layers[:-1]]
    last: list[Range] = []

    def project_last(x: torch.Tensor) -> torch.Tensor:
        last[:] = [widen(last[0] if last else None, x)]
        return linear(x, encoder.last_key_value)

    workspace, batches = Workspace(encoder.word_embeddings.dtype), plan_packs(tokens.lengths, PACK_TOKENS)
    results = []
    with torch.inference_mode():
        for rows in batches:
            texts = CpuPackAttention(build_pack(tokens, rows), model.heads, workspace, model.position_padding_id)
            results.append(model.head(walk_layers(encoder, layers, project_last, texts)))
    # Back from the order of the batches to that of the texts.
    logits = torch.cat(results).numpy()[np.argsort(np.concatenate(batches))]
    ranges = [layer.ranges for layer in layers]
    found = Int8Calibration(layers=ranges, last=last[0], band=0.0, largest=0.0, near_border_share=0.0)
    return found, average_segments(logits, tokens.owners, tokens.lengths)


def _compute_logits(model: PackedModel, tokens: Tokens) -> Floats:
    strategy = PackedStrategy(model=model, device="cpu", classes=0)
    logits = compute_segment_logits(strategy, tokens, Budget(PACK_TOKENS))
    return average_segments(logits, tokens.owners, tokens.lengths)
