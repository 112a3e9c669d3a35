"""A trained model for scoring: a stock sequence classifier of any family, and what its folder says about it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers.models import WordPiece
from torch import nn

from sentiment_batch.errors import ModelError, UsageError, listed
from sentiment_batch.labels.values import is_placeholder_label
from sentiment_batch.model.families import POSITION_EMBEDDINGS, count_positions
from sentiment_batch.model.folder import (
    SAFE_ARGUMENTS,
    load_tokenizer,
    pretrained_arguments,
    quiet_transformers,
    read_meta,
)
from sentiment_batch.model.folder_faults import check_tokens, count_outputs, refuse_other_shapes
from sentiment_batch.model.load_errors import translate_load_errors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from sentiment_batch.settings import LongText

logger = logging.getLogger("sentiment_batch")

MAX_TOKENIZER_LIMIT = 2**31
"""A tokenizer without a limit gives 1e30 as its limit."""
DEFAULT_POSITIONS = 512
"""Most tokens of one text if neither the model nor its tokenizer has a limit."""

# B texts of a batch, T tokens of the longest, K labels.


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """What a model folder says about a sequence classifier, without its weights."""

    backend: Tokenizer
    labels: tuple[str, ...]
    """The K labels in the model's order."""
    meta: dict[str, Any] | None
    """The content of sentiment_batch.json, None for a model of other origin."""
    positions: int
    """Most tokens of one text that the model and its tokenizer take."""
    width: int
    """The width of the encoder."""
    vocabulary: int
    """The number of token ids that have an embedding."""
    pad_id: int
    """The token id that fills up a batch."""
    long_text: LongText
    """The end of a long text that the tokenizer itself would keep."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedModel(ModelFacts):
    """A stock sequence classifier, ready to score."""

    network: Any
    """The Transformers model, in eval mode, on its device and in its dtype."""
    padding_changes_scores: bool = False
    """True if a text scores otherwise beside longer ones; the parity check finds this out."""

    def logits(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
        """Logits (B, K) in float32 on the model's device; the mask is true at tokens, None if there is no padding."""
        mask_BT = None if mask_BT is None else mask_BT.long()  # some families subtract it
        with torch.inference_mode():
            output: torch.Tensor = self.network(input_ids=ids_BT, attention_mask=mask_BT).logits
        return output.float()

    def to(self, device: str, dtype: str) -> LoadedModel:
        """The same model on another device and in another dtype; this one must not be used afterwards."""
        return replace(self, network=self.network.to(device=device, dtype=getattr(torch, dtype)))


def load_classifier(folder: Path, labels: tuple[str, ...] | None = None) -> LoadedModel:
    """Load a saved sequence classifier of any family, in float32 on the CPU.

    Args:
        folder: a stock Hugging Face folder.
        labels: the names of the labels in the model's order, for a model that only knows LABEL_0 and so on.

    Raises:
        ModelError: files are missing or damaged, the head has no trained weights, the model is no single-label
            classifier, or its labels have no names.
        UsageError: `labels` are the model's own names in another order.
    """
    with quiet_transformers(), translate_load_errors(folder):
        network = _load_network(folder)
        tokenizer = load_tokenizer(folder)
        positions = _find_max_positions(network, tokenizer.model_max_length)
        vocabulary, pad_id = len(network.get_input_embeddings().weight), tokenizer.pad_token_id
        check_tokenizer(folder, tokenizer.backend_tokenizer, positions, vocabulary)
        return LoadedModel(
            network=network,
            backend=tokenizer.backend_tokenizer,
            labels=choose_labels(_read_labels(network.config, folder), labels, folder),
            meta=read_meta(folder),
            positions=positions,
            width=network.config.hidden_size,
            vocabulary=vocabulary,
            pad_id=pad_id if pad_id is not None and pad_id < vocabulary else 0,
            long_text="tail" if tokenizer.truncation_side == "left" else "head",
        )


def _load_network(folder: Path) -> Any:
    """The Transformers model in float32 on the CPU, in eval mode.

    Raises:
        ModelError: it has no sequence classifier, or its weights and its configuration do not fit.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(folder, **SAFE_ARGUMENTS)
    kind = AutoModelForSequenceClassification._model_mapping.get(type(config), None)
    if kind is None:
        raise ModelError(f"{folder} is a {config.model_type} model, which has no sequence classifier. Name another.")
    # Transformers raises an error if an architecture does not have the attention implementation that is named.
    arguments = pretrained_arguments()
    if not getattr(kind, "_supports_sdpa", False):
        arguments["attn_implementation"] = "eager"
    if getattr(config, "attention_type", None) == "block_sparse":
        config.attention_type = "original_full"  # BigBird would switch to it for good at the first short text
    network, info = AutoModelForSequenceClassification.from_pretrained(folder, config=config, **arguments)
    outputs = count_outputs(info["mismatched_keys"], config.num_labels)
    if outputs is not None and all(map(is_placeholder_label, config.id2label.values())):
        config.num_labels = outputs  # it names no label, so the weights tell how many there are
        network, info = AutoModelForSequenceClassification.from_pretrained(folder, config=config, **arguments)
    # Transformers fills what is missing or does not fit with random numbers, and only logs it.
    refuse_other_shapes(folder, info["mismatched_keys"], config.num_labels)
    _refuse_left_out_layers(folder, network, info["unexpected_keys"])
    if info["missing_keys"]:
        raise ModelError(
            f"{folder} has no trained weights for {listed(sorted(info['missing_keys']), 3)}; it would score at random. "
            "Train a classifier from it with sentiment-batch train."
        )
    for parameter in network.parameters():  # they lie in the mapped file, which another program may overwrite
        parameter.data = parameter.data.clone()
    if getattr(config, "pad_token_id", None) is None:
        network.config.pad_token_id = -1  # no token has it, so that a decoder always reads the last token
    return network.eval()


def _refuse_left_out_layers(folder: Path, network: Any, unexpected_keys: Iterable[str]) -> None:
    """Refuse weights of more layers than config.json tells, because the model would score with a part of them."""
    depths = {name: len(module) for name, module in network.named_modules() if isinstance(module, nn.ModuleList)}
    for key in sorted(unexpected_keys):
        if (place := re.match(r"(?P<stack>.+?)\.(?P<layer>\d+)\.", key)) is None:
            continue
        fitting = [depth for name, depth in depths.items() if f".{name}".endswith(f".{place['stack']}")]
        if fitting and int(place["layer"]) >= max(fitting):
            raise ModelError(
                f"the weights in {folder} have more layers than the {max(fitting)} of its config.json, such as {key}. "
                "Restore the config.json of these weights."
            )


def list_model_labels(config: Any) -> tuple[str, ...]:
    """What the configuration of a model calls its K labels, in the order of its outputs."""
    names = (config.id2label[number] for number in sorted(config.id2label))
    return tuple("" if name is None else str(name) for name in names)


def _read_labels(config: Any, folder: Path) -> tuple[str, ...]:
    """The names of the labels.

    Raises:
        ModelError: the model gives no probabilities of labels that exclude each other.
    """
    names = list_model_labels(config)
    # For these models a softmax over the outputs means nothing.
    if len(names) < 2 or config.problem_type in {"regression", "multi_label_classification"}:
        raise ModelError(
            f"{folder} gives {config.problem_type or 'a single number'}, not one of several labels. Name another model."
        )
    return names


def choose_labels(names: tuple[str, ...], chosen: tuple[str, ...] | None, folder: Path) -> tuple[str, ...]:
    """The names of a model's labels in its order; warns if it has other names itself.

    Args:
        names: what the model calls its labels.
        chosen: the `labels` that the user set.
        folder: the model folder, for messages.

    Raises:
        ModelError: the labels have no names, or unusable ones.
        UsageError: `chosen` are too few or too many, or the model's own names in another order.
    """
    if bad := [name for name in chosen or names if not _is_utf8(name)]:
        raise ModelError(
            f"UTF-8 cannot hold the labels {', '.join(map(ascii, bad))} of {folder}. Name all of them in order "
            "with `labels`."
        )
    # LABEL_0 and so on are names that Transformers makes up. An empty name would look like a row without a label.
    nameless = all(map(is_placeholder_label, names)) or not all(name.strip() for name in names)
    if chosen is not None:
        if len(chosen) != len(names) or len(set(chosen)) < len(chosen):
            raise UsageError(f"`labels` names {listed(chosen)}; this model needs {len(names)} different ones.")
        if not nameless:
            _check_renaming(names, chosen, folder)
        return chosen
    if nameless:
        usual = {2: ["negative", "positive"], 3: ["negative", "neutral", "positive"]}
        example = json.dumps(usual.get(len(names), [f"name {number}" for number in range(1, len(names) + 1)]))
        raise ModelError(
            f"{folder} calls its labels {listed(names)}, which mean nothing. Name them in this order, such as "
            f"`labels={example}`."
        )
    if len(set(names)) < len(names):
        raise ModelError(f"{folder} gives one name to several labels: {listed(names)}. Name them with `labels`.")
    return names


def _check_renaming(names: tuple[str, ...], chosen: tuple[str, ...], folder: Path) -> None:
    """Warn if the labels that the user set rename those of the model.

    Raises:
        UsageError: they are the same labels in another order, which would swap them.
    """
    own, given = ([name.casefold() for name in some] for some in (names, chosen))
    if own == given:
        return
    if sorted(own) == sorted(given):
        raise UsageError(
            f"`labels` names {listed(chosen)}, but {folder} calls them {listed(names)}, in this order. Leave `labels` "
            "out."
        )
    logger.warning("the model calls its labels %s; they are renamed to %s", listed(names), listed(chosen))


def _is_utf8(name: str) -> bool:
    """True if no half of a surrogate pair is in the name, which no text file can hold."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_tokenizer(folder: Path, backend: Tokenizer, positions: int, vocabulary: int) -> None:
    """Check that a tokenizer suits the model, and warn of tokens that the model does not know.

    Raises:
        ModelError: no text can be scored with it.
    """
    special = backend.num_special_tokens_to_add(is_pair=False)
    if positions <= special:
        raise ModelError(
            f"{folder} takes at most {positions} tokens, of which its tokenizer needs {special} for itself. Correct "
            "model_max_length in tokenizer_config.json, or fetch the model again."
        )
    if problem := check_tokens(folder, backend, vocabulary):
        logger.warning("%s. Texts with them cannot be scored", problem)
    # Transformers gives a special token that the vocabulary lacks a number of its own, for which nothing was trained
    if isinstance(backend.model, WordPiece) and (lost := _list_lost_special_tokens(backend)):
        logger.warning(
            "%s has no %s in its vocabulary, so its scores are probably wrong. Fetch the model again",
            folder,
            " and no ".join(lost),
        )


def _list_lost_special_tokens(backend: Tokenizer) -> list[str]:
    """The special tokens around each text that the vocabulary itself does not have."""
    encoding = backend.encode("a")
    special = [token for token, flag in zip(encoding.tokens, encoding.special_tokens_mask, strict=True) if flag]
    return [token for token in special if backend.model.token_to_id(token) is None]


def _find_max_positions(network: Any, tokenizer_limit: int) -> int:
    """Most tokens that fit: the least of the position embeddings, the configuration and the tokenizer."""
    modules = [module for name, module in network.named_modules() if name.rpartition(".")[2] in POSITION_EMBEDDINGS]
    configured = getattr(network.config, "max_position_embeddings", None) or 0
    limits = [*map(count_positions, modules), configured, tokenizer_limit]
    # Some configurations and tokenizers write 0, -1 or 1e30 for "no limit".
    known = [int(limit) for limit in limits if 0 < limit < MAX_TOKENIZER_LIMIT]
    return min(known, default=getattr(network.config, "n_positions", None) or DEFAULT_POSITIONS)
