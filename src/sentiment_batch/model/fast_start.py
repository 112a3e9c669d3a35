"""Starts a model that was scored on this machine before, without Transformers: from its files and a record of it.

A full start loads the model through Transformers and checks it. Then it writes the record, if the model's files alone
give the same tokenizer, the same weights and the same bits of the check texts' logits. The record holds for one content
of the model folder, one kind of CPU, the versions of the libraries, and the settings that the checks depend on. Without
such a record, or at any surprise, the start is a full one.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sentiment_batch.files.cache import locate_record, read_record, write_record
from sentiment_batch.model.bare_network import NetworkShape, build_bare_network, describe_network, load_weights
from sentiment_batch.model.device import describe_hardware, prefer_bfloat16
from sentiment_batch.model.folder import read_meta
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits
from sentiment_batch.model.forward.packed import PackedModel, PackedStrategy, build_packed
from sentiment_batch.model.forward.parity import PARITY_BATCH_TOKENS
from sentiment_batch.model.hub import hash_model_folder
from sentiment_batch.model.stock import LoadedModel, ModelFacts, check_tokenizer, choose_labels, list_model_labels
from sentiment_batch.records import Choice
from sentiment_batch.tokenization.parity_texts import read_parity_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from sentiment_batch.model.forward.parity import PreparedModel
    from sentiment_batch.settings import ScoreSettings
    from sentiment_batch.tokenization.packing import BatchShape
    from sentiment_batch.tokenization.tokenizer import TextTokenizer

logger = logging.getLogger("sentiment_batch")

CACHE_FOLDER = "fast-start-1"
"""Its number rises when records hold something else, or are written under other conditions."""
DTYPES = ("float32", "bfloat16")
"""The dtypes of models that start fast."""
PACKAGES = ("sentiment-batch", "torch", "transformers", "tokenizers", "safetensors")
"""The packages whose versions a record holds for."""
STORED_FACTS = ("positions", "width", "vocabulary", "pad_id", "long_text")
"""The fields of `ModelFacts` that a record keeps as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FastModel:
    """A model that was loaded without Transformers. It gives the same bits as after a full start."""

    facts: ModelFacts
    dtype: Choice
    batching: str
    """How batches are laid out, in words."""
    network: PackedModel

    def make_strategy(self, shape: BatchShape | None) -> PackedStrategy:
        """The strategy of its forward pass on the CPU; `shape` is that of every batch of a deterministic run."""
        return PackedStrategy(model=self.network, device="cpu", classes=len(self.facts.labels), shape=shape)


def load_fast(folder: Path, digest: str, settings: ScoreSettings) -> FastModel | None:
    """Load a model for the CPU from its files and its record.

    Args:
        folder: the model folder.
        digest: the SHA-256 of the content of the folder that decides its scores.
        settings: how to score.

    Returns:
        None if the model needs a full start.
    """
    conditions = _list_conditions(digest, settings)
    record = read_record(_find_path(conditions), conditions)
    if record is None:
        return None
    try:
        return _restore(folder, record, settings.labels)
    except Exception as error:  # whatever it is, a full start reports it better
        logger.debug("%s is loaded by Transformers after all: %r", folder, error)
        return None


def record_for_fast_start(
    folder: Path, digest: str, settings: ScoreSettings, prepared: PreparedModel, tokenizer: TextTokenizer
) -> None:
    """Write the record of a model after a full start, if a fast one gives the same.

    Args:
        folder: the model folder.
        digest: as for `load_fast`.
        settings: as for `load_fast`.
        prepared: the model as a full start prepared it.
        tokenizer: the model's, for the check texts.
    """
    strategy = prepared.strategy
    if not isinstance(strategy, PackedStrategy) or prepared.dtype.value not in DTYPES:
        return
    loaded, conditions = prepared.loaded, _list_conditions(digest, settings)
    try:
        shape = describe_network(loaded.network, strategy.model)
        if shape is None or not _equals_fast_start(folder, loaded, strategy, tokenizer, shape):
            return
        if hash_model_folder(folder) != digest:  # it was replaced while it was loaded
            return
        record = {
            "names": list(list_model_labels(loaded.network.config)),
            "facts": {name: getattr(loaded, name) for name in STORED_FACTS},
            "dtype": asdict(prepared.dtype),
            "batching": prepared.batching,
            "shape": asdict(shape),
        }
        write_record(_find_path(conditions), conditions, record)
    except Exception as error:  # the model works; only its next start will not be fast
        logger.debug("%s gets no record for a fast start: %r", folder, error)


def _list_conditions(digest: str, settings: ScoreSettings) -> dict[str, Any]:
    """What a record holds for, as plain values. `labels` are not among them, because they are applied at each start."""
    return {
        "digest": digest,
        "versions": {name: version(name) for name in PACKAGES},
        "cpu": [describe_hardware("cpu"), *prefer_bfloat16("cpu")],
        "settings": [settings.dtype, settings.max_length, settings.long_text],
    }


def _find_path(conditions: dict[str, Any]) -> Path:
    return locate_record(CACHE_FOLDER, conditions["digest"], conditions)


def _restore(folder: Path, record: dict[str, Any], labels: tuple[str, ...] | None) -> FastModel | None:
    """The model from its files and its record; None if it cannot be packed any more."""
    dtype = Choice(**record["dtype"])
    # The same steps as a full start, without the checks whose results the record holds.
    weights = load_weights(folder, getattr(torch, dtype.value))
    network, batching = build_packed(build_bare_network(weights, NetworkShape(**record["shape"])), "cpu", dtype.value)
    if network is None or batching != record["batching"]:
        return None
    backend = _load_backend(folder)
    facts = ModelFacts(
        backend=backend,
        labels=choose_labels(tuple(record["names"]), labels, folder),
        meta=read_meta(folder),
        **record["facts"],
    )
    check_tokenizer(folder, backend, facts.positions, facts.vocabulary)
    return FastModel(facts=facts, dtype=dtype, batching=batching, network=network)


def _load_backend(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def _equals_fast_start(
    folder: Path, loaded: LoadedModel, strategy: PackedStrategy, tokenizer: TextTokenizer, shape: NetworkShape
) -> bool:
    """True if the files of a model give the tokenizer, the weights and the logits that Transformers gave."""
    # Transformers may change the tokenizer of the file while it loads it, for example for XLM-R.
    if _load_backend(folder).to_str() != loaded.backend.to_str():
        return False
    weights = load_weights(folder, loaded.network.dtype)
    if not all(torch.equal(weights[name], tensor) for name, tensor in loaded.network.state_dict().items()):
        return False
    packed, _ = build_packed(build_bare_network(weights, shape), "cpu", "float32")  # the weights have their dtype
    if packed is None:
        return False
    # Equal weights are not enough, because the walk also depends on the shape, such as the epsilon of the norms.
    tokens, _ = tokenizer(read_parity_texts()).replace_unknown(loaded.vocabulary)
    one, other = (
        compute_segment_logits(replace(strategy, model=model, shape=None), tokens, Budget(PARITY_BATCH_TOKENS))
        for model in (packed, strategy.model)
    )
    return np.array_equal(one, other)
