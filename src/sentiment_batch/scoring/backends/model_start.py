"""Loads a model for scoring: without Transformers if it was checked on this machine before, else through it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from sentiment_batch.errors import DeviceError, UsageError
from sentiment_batch.memory import advise
from sentiment_batch.model import hub
from sentiment_batch.model.device import prefer_bfloat16, prefers_int8
from sentiment_batch.model.fast_start import load_fast, record_for_fast_start
from sentiment_batch.model.forward.int8_setup import find_int8_refusal, set_up_int8
from sentiment_batch.model.forward.packed import PackedStrategy
from sentiment_batch.model.forward.parity import prepare_model
from sentiment_batch.model.memory import unify_memory_errors
from sentiment_batch.model.stock import load_classifier
from sentiment_batch.records import Choice
from sentiment_batch.scoring.backends.text_setup import TextSetup, set_up_texts

if TYPE_CHECKING:
    from sentiment_batch.model.forward.strategies import ForwardStrategy
    from sentiment_batch.model.stock import LoadedModel, ModelFacts
    from sentiment_batch.settings import ScoreSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class StartedModel:
    """A model that is ready to score on one device."""

    digest: str
    """The SHA-256 of all files of the model that decide its scores."""
    facts: ModelFacts
    """What the model's folder says about it."""
    texts: TextSetup
    """How it reads texts."""
    dtype: Choice
    strategy: ForwardStrategy
    batching: str
    """How the strategy lays out batches, and why, in words."""
    int8: str | None = None
    """Stands for the calibration of int8; None in other dtypes."""
    loaded: LoadedModel | None = None
    """The model as Transformers loaded it; None after a fast start."""


def start_model(model: str, device: str, settings: ScoreSettings, *, in_full: bool = False) -> StartedModel:
    """Load a model, and choose its dtype and its forward strategy.

    Args:
        model: a folder or Hub id.
        device: where to score.
        settings: how to score.
        in_full: load the model through Transformers even if its scores do not need that.

    Raises:
        ModelError: the model cannot be used.
        DeviceError: the memory of the device does not hold it.
        UsageError: a setting is out of range for this model.
    """
    named = settings.dtype == "int8"
    if named and device != "cpu":
        raise UsageError('`dtype` is "int8", which is for CPUs. Set it to auto, or `device="cpu"`.')
    # int8 is set up on top of float32, which scores the texts again whose label int8 leaves in doubt
    if named or (settings.dtype == "auto" and prefers_int8(device)):
        started = start_model(model, device, replace(settings, dtype="float32"), in_full=in_full)
        return _use_int8(started, named=named)
    try:
        with unify_memory_errors():
            return _start_in_float(model, device, settings, in_full=in_full)
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"the memory of {device} does not hold {model}. {advise('a smaller model', device)}"
        ) from error


def _start_in_float(model: str, device: str, settings: ScoreSettings, *, in_full: bool) -> StartedModel:
    folder = hub.resolve_model(model)
    digest = hub.hash_model_folder(folder)
    # The fast start needs no import of Transformers, and no comparison with its code
    fast = load_fast(folder, digest, settings) if device == "cpu" and not in_full else None
    if fast is not None:
        texts = set_up_texts(settings, fast.facts)
        strategy = fast.make_strategy(texts.shape)
        return StartedModel(
            digest=digest, facts=fast.facts, texts=texts, dtype=fast.dtype, strategy=strategy, batching=fast.batching
        )
    loaded = load_classifier(folder, settings.labels)
    texts = set_up_texts(settings, loaded)
    prepared = prepare_model(loaded, texts.tokenizer, digest, device, settings.dtype, texts.shape)
    if device == "cpu":
        # The scores were compared with those of Transformers just now, so the next start can do without
        record_for_fast_start(folder, digest, settings, prepared, texts.tokenizer)
    return StartedModel(
        digest=digest,
        facts=prepared.loaded,
        texts=texts,
        dtype=prepared.dtype,
        strategy=prepared.strategy,
        batching=prepared.batching,
        loaded=prepared.loaded,
    )


def _use_int8(started: StartedModel, *, named: bool) -> StartedModel:
    """The same model in int8 instead of float32, or as it is if int8 cannot keep its labels, or would gain nothing.

    Raises:
        UsageError: the user named int8, and the model or this machine cannot do it.
    """
    # A user who named int8 gets an error. With `auto`, float32 takes over and the reason is reported.
    refusal = find_int8_refusal(started.strategy)
    if refusal is not None and named:
        raise UsageError(f'`dtype` is "int8", but {refusal}. Set it to auto or float32.')
    why = "" if named else f"{prefer_bfloat16('cpu')[1]}; "
    if refusal is not None or not isinstance(started.strategy, PackedStrategy):
        return replace(started, dtype=Choice(value="float32", reason=f"{why}{refusal}"))
    found = set_up_int8(started.strategy, started.texts.tokenizer, started.digest, named=named)
    if found.strategy is None:
        return replace(started, dtype=Choice(value="float32", reason=f"{why}{found.reason}"))
    dtype = Choice(value="int8", reason=f"{why}{found.reason}")
    return replace(started, dtype=dtype, strategy=found.strategy, int8=found.digest)
