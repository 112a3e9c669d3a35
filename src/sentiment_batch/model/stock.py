"""A trained model for scoring: any stock sequence classifier, with what its folder says of labels and lengths."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.errors import ModelError, UsageError, listed
from sentiment_batch.model.folder import (
    load_tokenizer,
    pretrained_arguments,
    quiet_transformers,
    read_meta,
    translate_load_errors,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from sentiment_batch.settings import LongText
    from sentiment_batch.tokenization.ragged import Ids

logger = logging.getLogger("sentiment_batch")

POSITIONS = ("position_embeddings", "embed_positions", "positions_embed", "wpe")
"""What stock encoders call their embeddings of positions."""
ENDLESS = 2**31
"""A tokeniser without a limit says 1e30."""
UNTOLD = 512
"""Most tokens of one text where neither the model nor its tokeniser tells."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedModel:
    """A stock sequence classifier, ready to score."""

    network: Any
    """The transformers model, in eval mode, on its device and in its dtype."""
    backend: Tokenizer
    labels: tuple[str, ...]
    meta: dict[str, Any] | None
    """What sentiment_batch.json says, None for a model of somebody else."""
    positions: int
    """Most tokens of one text that the model and its tokeniser take."""
    width: int
    vocabulary: int
    """Token ids that it has an embedding for."""
    pad_id: int
    long_text: LongText
    """The end of a long text that the tokeniser itself would keep."""
    feels_padding: bool = False
    """Whether a text scores otherwise beside longer ones, as the probe finds out."""

    def logits(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
        """Logits (B, K) in float32 on the model's device."""
        mask_BT = None if mask_BT is None else mask_BT.long()  # some families subtract it
        with torch.inference_mode():
            output: torch.Tensor = self.network(input_ids=ids_BT, attention_mask=mask_BT).logits
        return output.float()

    def check_ids(self, ids: Ids) -> None:
        """Make sure that there is an embedding for each of the token ids (T,).

        Raises:
            ModelError: there is none, so the tokeniser is another model's.
        """
        largest = ids.max(initial=0)
        if largest >= self.vocabulary:
            raise ModelError(
                f"the model's tokeniser gives the token {largest}, but the model knows only {self.vocabulary}: "
                "the two do not belong together. Fetch the model again."
            )

    def to(self, device: str, dtype: str) -> LoadedModel:
        """The same model on another device and in another dtype; this one is used up."""
        return replace(self, network=self.network.to(device=device, dtype=getattr(torch, dtype)))


def load_classifier(folder: Path, labels: tuple[str, ...] | None = None) -> LoadedModel:
    """A saved sequence classifier of any family, in float32 on the CPU.

    Args:
        folder: a stock Hugging Face folder.
        labels: names in the model's order, for one that only knows LABEL_0 and the like.

    Raises:
        ModelError: files are missing or damaged, the head has no trained weights, it is no single-label classifier, or
            its labels have no names.
        UsageError: `labels` are the model's own names in another order.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    with quiet_transformers(), translate_load_errors(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = AutoModelForSequenceClassification._model_mapping.get(type(config), None)
        if kind is None:
            raise ModelError(
                f"{folder} is a {config.model_type} model, which has no sequence classifier. Name another."
            )
        arguments = pretrained_arguments()
        if not getattr(kind, "_supports_sdpa", False):
            arguments["attn_implementation"] = "eager"
        if getattr(config, "attention_type", None) == "block_sparse":
            config.attention_type = "original_full"  # to which the first short text would switch for good
        network, info = AutoModelForSequenceClassification.from_pretrained(folder, config=config, **arguments)
        tokenizer = load_tokenizer(folder)
    if info["missing_keys"]:
        raise ModelError(
            f"{folder} has no trained weights for {listed(sorted(info['missing_keys']), 3)}; it would score at random. "
            "Train a classifier on it with sentiment-batch train --base."
        )
    for parameter in network.parameters():  # they lie in the mapped file, which another tool may write anew in place
        parameter.data = parameter.data.clone()
    if getattr(config, "pad_token_id", None) is None:
        network.config.pad_token_id = -1  # no token: a decoder then reads the last one, whatever it is
    with translate_load_errors(folder):
        return LoadedModel(
            network=network.eval(),
            backend=tokenizer.backend_tokenizer,
            labels=_label_names(config, labels, folder),
            meta=read_meta(folder),
            positions=_positions(network, tokenizer.model_max_length),
            width=config.hidden_size,
            vocabulary=len(network.get_input_embeddings().weight),
            pad_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0,
            long_text="tail" if tokenizer.truncation_side == "left" else "head",
        )


def _label_names(config: Any, chosen: tuple[str, ...] | None, folder: Path) -> tuple[str, ...]:
    names = tuple(str(config.id2label[number]) for number in sorted(config.id2label))
    if len(names) < 2 or config.problem_type in {"regression", "multi_label_classification"}:
        raise ModelError(
            f"{folder} gives {config.problem_type or 'a single number'}, not one of several labels. Name another model."
        )
    if bad := [name for name in chosen or names if not _is_utf8(name)]:
        raise ModelError(
            f"UTF-8 cannot hold the labels {', '.join(map(ascii, bad))} of {folder}. Name all of them in order "
            "with --labels."
        )
    nameless = all(re.fullmatch(r"LABEL_\d+", name) for name in names)
    if chosen is not None:
        if len(chosen) != len(names) or len(set(chosen)) < len(chosen):
            raise ModelError(f"--labels names {listed(chosen)}; this model needs {len(names)} different ones.")
        if not nameless:
            _check_renaming(names, chosen, folder)
        return chosen
    if nameless:
        raise ModelError(
            f"{folder} calls its labels {listed(names)}, which says nothing. Name them in this order with "
            "--labels, such as --labels negative,positive."
        )
    if len(set(names)) < len(names):
        raise ModelError(f"{folder} gives one name to several labels: {listed(names)}. Name them with --labels.")
    return names


def _check_renaming(names: tuple[str, ...], chosen: tuple[str, ...], folder: Path) -> None:
    own, given = ([name.casefold() for name in some] for some in (names, chosen))
    if own == given:
        return
    if sorted(own) == sorted(given):
        raise UsageError(
            f"--labels names {listed(chosen)}, but {folder} calls them {listed(names)}, in this order. Leave --labels "
            "out."
        )
    logger.warning("the model calls them %s; renamed to %s", listed(names), listed(chosen))


def _is_utf8(name: str) -> bool:
    """Whether there is no half of a surrogate pair in it, which no file of text can hold."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _positions(network: Any, tokenizer_limit: int) -> int:
    """Most tokens that fit, by whatever tells: embeddings of positions, the configuration, the tokeniser."""
    modules = [module for name, module in network.named_modules() if name.rpartition(".")[2] in POSITIONS]
    limits = [*map(_places, modules), getattr(network.config, "max_position_embeddings", None) or 0, tokenizer_limit]
    known = [int(limit) for limit in limits if 0 < limit < ENDLESS]
    return min(known, default=getattr(network.config, "n_positions", None) or UNTOLD)


def _places(embeddings: Any) -> int:
    """Positions that there are embeddings for: some families begin behind the padding id, or at an offset."""
    padding = getattr(embeddings, "padding_idx", None)
    start = getattr(embeddings, "offset", 0) if padding is None else padding + 1
    return len(embeddings.weight) - int(start)
