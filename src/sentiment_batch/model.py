"""The classifier: its own torch module for training, any stock sequence classifier for scoring, and their folder."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sentiment_batch.errors import ModelError, SentimentBatchError, UsageError, first_line, listed
from sentiment_batch.settings import META, LongText

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from sentiment_batch.tokens import Ids

logger = logging.getLogger("sentiment_batch")

ATTENTION = "sdpa"
"""Always named: a model folder's own configuration could ask for an implementation that is fetched from the Hub."""
POSITIONS = ("position_embeddings", "embed_positions", "positions_embed", "wpe")
"""What stock encoders call their embeddings of positions."""
ENDLESS = 2**31
"""A tokeniser without a limit says 1e30."""
UNTOLD = 512
"""Most tokens of one text where neither the model nor its tokeniser tells."""


class SentimentClassifier(nn.Module):
    """A DistilBERT encoder, the [CLS] vector of its last hidden state, dropout, and one linear layer.

    Args:
        encoder: a `DistilBertModel`.
        num_labels: K classes; 2K may not exceed the encoder's width (see `to_stock`).
        dropout: probability of zeroing an element of the [CLS] vector while training.
    """

    def __init__(self, encoder: Any, num_labels: int, dropout: float) -> None:
        super().__init__()
        if 2 * num_labels > encoder.config.dim:
            raise ModelError(
                f"{num_labels} classes need an encoder at least {2 * num_labels} wide; this one is "
                f"{encoder.config.dim}. Take a wider --base, or fewer labels."
            )
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(encoder.config.dim, num_labels)
        nn.init.normal_(self.linear.weight, std=encoder.config.initializer_range)
        nn.init.zeros_(self.linear.bias)

    def forward(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (B, K) of token ids (B, T); the mask (B, T) is true where a token is, None where all are."""
        hidden_BTD = self.encoder(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
        logits: torch.Tensor = self.linear(self.dropout(hidden_BTD[:, 0]))
        return logits

    def divide_logits(self, temperature: float) -> None:
        """Divide the logits by `temperature` from here on, by way of the linear layer, so that it is saved with it."""
        with torch.no_grad():
            for parameter in self.linear.parameters():
                parameter.div_(temperature)

    def to_stock(self, labels: Sequence[str]) -> Any:
        """The same function as a stock `DistilBertForSequenceClassification`, in float32, on the CPU.

        The stock head is `classifier(relu(pre_classifier(cls)))`. Rows 0..K-1 of `pre_classifier` hold the linear layer
        (W, b), rows K..2K-1 hold (-W, -b), and row k of `classifier` takes row k minus row K+k: relu(z) - relu(-z) = z.
        """
        from transformers import DistilBertConfig, DistilBertForSequenceClassification

        settings = self.encoder.config.to_dict()
        settings |= {
            "architectures": ["DistilBertForSequenceClassification"],
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
            "problem_type": "single_label_classification",
            "seq_classif_dropout": self.dropout.p,
            "dtype": "float32",
        }
        config = DistilBertConfig(**settings)
        with torch.random.fork_rng(devices=[]):  # building draws initial weights; training must not feel it
            stock = DistilBertForSequenceClassification._from_config(config, attn_implementation=ATTENTION)
        stock.distilbert.load_state_dict(self.encoder.state_dict())
        weight_KD, bias_K = self.linear.weight.detach().cpu(), self.linear.bias.detach().cpu()
        classes = len(labels)
        with torch.no_grad():
            for parameter in (*stock.pre_classifier.parameters(), *stock.classifier.parameters()):
                parameter.zero_()
            stock.pre_classifier.weight[: 2 * classes] = torch.cat([weight_KD, -weight_KD])
            stock.pre_classifier.bias[: 2 * classes] = torch.cat([bias_K, -bias_K])
            one = torch.eye(classes)
            stock.classifier.weight[:, : 2 * classes] = torch.cat([one, -one], dim=1)
        return stock.eval()


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
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

    def to(self, device: str, dtype: str) -> Loaded:
        """The same model on another device and in another dtype; this one is used up."""
        return replace(self, network=self.network.to(device=device, dtype=getattr(torch, dtype)))


def load_base(folder: Path) -> tuple[Any, Any]:
    """The encoder to fine-tune, in float32, and its tokeniser.

    Attention dropout is 0: it would shut out the fused attention kernels. The dropout elsewhere stays the base's.

    Raises:
        ModelError: it is no DistilBERT, or weights are missing.
    """
    from transformers import AutoConfig, DistilBertModel

    with quiet(), _failures_named(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if config.model_type != "distilbert":
            raise ModelError(
                f"{folder} is a {config.model_type} model; the classifier is built on DistilBERT. Take a DistilBERT "
                "base such as distilbert/distilbert-base-uncased, or minilm."
            )
        config.attention_dropout = 0.0
        encoder, info = DistilBertModel.from_pretrained(folder, config=config, **_loading_arguments())
        tokenizer = _tokenizer(folder)
    if info["missing_keys"]:
        raise ModelError(
            f"{folder} lacks weights of the encoder: {listed(sorted(info['missing_keys']), 3)}. Fetch it again."
        )
    odd = [name for name, weight in encoder.named_parameters() if not weight.isfinite().all()]
    if odd:
        raise ModelError(f"{folder} has weights that are no finite numbers: {listed(odd, 3)}. Take another base.")
    return encoder, tokenizer


def load_classifier(folder: Path, labels: tuple[str, ...] | None = None) -> Loaded:
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

    with quiet(), _failures_named(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = AutoModelForSequenceClassification._model_mapping.get(type(config), None)
        if kind is None:
            raise ModelError(
                f"{folder} is a {config.model_type} model, which has no sequence classifier. Name another."
            )
        arguments = _loading_arguments()
        if not getattr(kind, "_supports_sdpa", False):
            arguments["attn_implementation"] = "eager"
        if getattr(config, "attention_type", None) == "block_sparse":
            config.attention_type = "original_full"  # to which the first short text would switch for good
        network, info = AutoModelForSequenceClassification.from_pretrained(folder, config=config, **arguments)
        tokenizer = _tokenizer(folder)
    if info["missing_keys"]:
        raise ModelError(
            f"{folder} has no trained weights for {listed(sorted(info['missing_keys']), 3)}; it would score at random. "
            "Train a classifier on it with sentiment-batch train --base."
        )
    for parameter in network.parameters():  # they lie in the mapped file, which another tool may write anew in place
        parameter.data = parameter.data.clone()
    if getattr(config, "pad_token_id", None) is None:
        network.config.pad_token_id = -1  # no token: a decoder then reads the last one, whatever it is
    with _failures_named(folder):
        return Loaded(
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


def load_backend(folder: Path) -> Tokenizer:
    """The tokeniser of a saved model, without the model.

    Raises:
        ModelError: it is missing or damaged.
    """
    with quiet(), _failures_named(folder):
        backend: Tokenizer = _tokenizer(folder).backend_tokenizer
    return backend


def save_classifier(
    folder: Path, classifier: SentimentClassifier, tokenizer: Any, labels: Sequence[str], max_length: int
) -> None:
    """Write the classifier to `folder` as a stock Hugging Face model; `max_length` becomes its tokeniser's limit."""
    with quiet():
        classifier.to_stock(labels).save_pretrained(folder)
        tokenizer.model_max_length = max_length
        tokenizer.save_pretrained(folder)
    mode = (folder / "config.json").stat().st_mode
    for file in folder.glob("*.safetensors"):  # which its library lets nobody else read
        file.chmod(mode)


def read_meta(folder: Path) -> dict[str, Any] | None:
    """What sentiment_batch.json says, None where there is none.

    Raises:
        ModelError: it is there but damaged.
    """
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / META} is damaged: {first_line(error)}. Restore it, or train again.") from error
    if not isinstance(meta, dict) or not {"labels", "text"} <= meta.keys():
        raise ModelError(f"{folder / META} is damaged: it names no labels or text policy. Restore it, or train again.")
    return meta


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what transformers prints while loading off the terminal: it is not ours."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    progress = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if progress:
            transformers_logging.enable_progress_bar()


def _loading_arguments() -> dict[str, Any]:
    return {
        "local_files_only": True,
        "trust_remote_code": False,
        "use_safetensors": True,
        "attn_implementation": ATTENTION,
        "dtype": torch.float32,
        "output_loading_info": True,
    }


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    # Without any of its files transformers makes an empty tokeniser in silence, to which every word is unknown.
    if not tokenizer.is_fast or not any((folder / name).exists() for name in tokenizer.vocab_files_names.values()):
        raise ModelError(f"{folder} has no tokenizer.json. Save its tokeniser again with a current transformers.")
    return tokenizer


@contextlib.contextmanager
def _failures_named(folder: Path) -> Iterator[None]:
    """What goes wrong while a folder is loaded is the folder's fault; say which, in one line."""
    try:
        yield
    except (SentimentBatchError, KeyboardInterrupt, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # transformers, safetensors and tokenizers have no common error
        raise ModelError(
            f"{folder} cannot be loaded: {type(error).__name__}: {first_line(error)} Fetch it again, or name another "
            "model."
        ) from error


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
