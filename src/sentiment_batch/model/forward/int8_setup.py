"""Decides whether a model is scored in int8, and reads what that needs from the cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.files.cache import locate_record, read_record, try_write_record
from sentiment_batch.model.device import describe_hardware, prefer_bfloat16
from sentiment_batch.model.forward.int8_calibration import Int8Calibration, calibrate_int8, quantize
from sentiment_batch.model.forward.int8_labels import Int8Strategy
from sentiment_batch.model.forward.layers import GELU
from sentiment_batch.model.forward.packed import PackedStrategy
from sentiment_batch.model.torch_operators import has_fast_int8

if TYPE_CHECKING:
    from sentiment_batch.model.forward.strategies import ForwardStrategy
    from sentiment_batch.tokenization.tokenizer import TextTokenizer


CACHE_FOLDER = "int8-2"
"""Its number rises when the calibration or its file changes."""
PACKAGES = ("sentiment-batch", "torch", "tokenizers")
"""The packages whose versions a calibration holds for."""
MIN_WIDTH = 256
"""Narrower encoders are too small to gain by int8."""
MAX_NEAR_BORDER_SHARE = 0.3
"""If a larger share of the calibration texts lies inside the band, too much is scored twice. These texts are closer to
the border between two labels than usual texts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Int8Setup:
    """A model ready for int8, or the reason why it is not used."""

    strategy: Int8Strategy | None
    reason: str
    """Why int8 is used or not, in words."""
    digest: str | None = None
    """Stands for the ranges and the band, see `Int8Calibration.digest`."""


def find_int8_refusal(strategy: ForwardStrategy) -> str | None:
    """Why a model cannot be scored in int8 here; None if it can.

    Args:
        strategy: its strategy in float32.
    """
    if strategy.device != "cpu":
        return "int8 is for CPUs"
    if not has_fast_int8():
        return "this CPU, or this build of torch, has no fast products of 8-bit integers (VNNI)"
    # The codes between the products need the least value of GELU (`int8_products.MIN_GELU`).
    if not isinstance(strategy, PackedStrategy) or strategy.model.encoder.activation is not GELU:
        return "int8 is for models that can be packed, with GELU between their products"
    return None


def find_no_gain_reason(found: Int8Calibration, strategy: PackedStrategy) -> str | None:
    """Why int8 would gain nothing for a model; None if it gains time."""
    if strategy.model.encoder.word_embeddings.shape[1] < MIN_WIDTH:
        return "the model is too small to gain by int8"
    if found.near_border_share > MAX_NEAR_BORDER_SHARE:
        return f"{found.near_border_share:.0%} of the check texts would be scored again after int8"
    return None


def set_up_int8(strategy: PackedStrategy, tokenizer: TextTokenizer, model_digest: str, *, named: bool) -> Int8Setup:
    """The int8 form of a strategy in float32.

    Args:
        strategy: in float32, on a CPU; `find_int8_refusal` finds nothing against it.
        tokenizer: the model's, for the calibration texts.
        model_digest: of the model's folder; the calibration is cached under it.
        named: True if the user named int8, so that it need not gain time.
    """
    conditions = _list_conditions(tokenizer, model_digest)
    # The calibration scores the check texts twice, so it is done once for these conditions.
    found = _read(conditions)
    if found is None:
        found = calibrate_int8(strategy.model, tokenizer)
        _write(conditions, found)
    if found.refuted:
        return Int8Setup(strategy=None, reason="in int8 an audit found another label")
    if not np.isfinite([found.band, found.largest]).all():
        return Int8Setup(strategy=None, reason="in int8 its scores are no numbers")
    if not named and (reason := find_no_gain_reason(found, strategy)) is not None:
        return Int8Setup(strategy=None, reason=reason)
    fast = replace(strategy, model=quantize(strategy.model, found))
    reason = (
        f"labels as in float32, probabilities within about {found.largest:.3f} of it; margins of logits under "
        f"{found.band:.2f} are scored again in float32"
    )
    return Int8Setup(
        strategy=Int8Strategy(fast=fast, exact=strategy, band=found.band), reason=reason, digest=found.digest()
    )


def refute_int8(tokenizer: TextTokenizer, model_digest: str) -> None:
    """Store that an audit found another label, so that this model is not scored in int8 again."""
    conditions = _list_conditions(tokenizer, model_digest)
    found = _read(conditions)
    if found is not None:
        _write(conditions, replace(found, refuted=True))


def _list_conditions(tokenizer: TextTokenizer, model_digest: str) -> list[Any]:
    """What a calibration holds for, as plain values."""
    policy = tokenizer.policy
    return [
        model_digest,
        [version(name) for name in PACKAGES],
        [describe_hardware("cpu"), *prefer_bfloat16("cpu")],  # also decides the dtype of the attention
        [policy.max_length, policy.long_text],
    ]


def _find_path(conditions: list[Any]) -> Path:
    return locate_record(CACHE_FOLDER, conditions[0], conditions)


def _read(conditions: list[Any]) -> Int8Calibration | None:
    record = read_record(_find_path(conditions), conditions)
    if record is None:
        return None
    return Int8Calibration.from_json({name: value for name, value in record.items() if name != "holds_for"})


def _write(conditions: list[Any], found: Int8Calibration) -> None:
    try_write_record(_find_path(conditions), conditions, found.to_json())
