"""Model folders in the Hugging Face form: how their tokenizer, their metadata and their weights are read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.display import shortened
from sentiment_batch.errors import ModelError, first_line, reason
from sentiment_batch.labels.mapping import LabelMapping
from sentiment_batch.model.load_errors import translate_load_errors
from sentiment_batch.settings import LONG_TEXT, META_FILE, META_FORMAT

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ATTENTION = "sdpa"
"""The attention implementation. It is always named, because a folder's own configuration could ask for one that is
fetched from the Hub."""
SAFE_ARGUMENTS = {"local_files_only": True, "trust_remote_code": False}
"""Arguments of `from_pretrained`: nothing is fetched from the Hub, and no code of the folder runs."""

RARE_WORDS = "\ua66e \U0001f9ff \U00010380"
"""A Cyrillic letter of one old book, an emoji and a letter of Ugaritic, which hardly any vocabulary has."""


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_label_mapping(value: Any) -> bool:
    try:
        mapping = LabelMapping.from_json(value) if value else LabelMapping(labels=(), kind="words")
        words = (*mapping.labels, *mapping.values.values(), *mapping.no_answer, *(span.label for span in mapping.stars))
        is_ordered = all(span.low <= span.high for span in mapping.stars)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return isinstance(value, dict) and is_ordered and all(isinstance(word, str) for word in words)


def _is_length(value: Any) -> bool:
    return type(value) is int and value >= MIN_LENGTH


def _is_batch(value: Any) -> bool:
    return isinstance(value, dict) and all(type(value.get(name)) is int for name in ("tokens", "texts"))


MIN_LENGTH = 8
"""The least `max_length` that the settings accept."""
_META_VALUES: dict[str, Callable[[Any], bool]] = {
    "format": lambda value: type(value) is int,
    "labels": _is_label_mapping,
    **dict.fromkeys(("text", "settings", "data", "best", "metrics", "calibration", "input", "texts"), _is_object),
    "text.max_length": _is_length,
    "text.long_text": LONG_TEXT.__contains__,
    "text.special_tokens_as_text": lambda value: isinstance(value, bool),
    "batch": _is_batch,
}
"""By the name of a value of sentiment_batch.json: a function that is true if the value can be used. All but `labels`
and `text` may be missing."""


def pretrained_arguments() -> dict[str, Any]:
    """Arguments of `from_pretrained` for a network: safe, in float32, with a report of missing weights."""
    return SAFE_ARGUMENTS | {
        "use_safetensors": True,
        "attn_implementation": ATTENTION,
        "dtype": torch.float32,
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,  # reported with the other weights that do not fit
    }


def load_rust_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a saved model, without the model.

    Raises:
        ModelError: it is missing or damaged.
    """
    with quiet_transformers(), translate_load_errors(folder):
        backend: Tokenizer = load_tokenizer(folder).backend_tokenizer
    return backend


def load_tokenizer(folder: Path, **settings: Any) -> Any:
    """The tokenizer of a saved model as a Transformers object over one that is written in Rust.

    Args:
        folder: the folder of the model.
        settings: settings of the tokenizer that replace the saved ones, and are saved with it.

    Raises:
        ModelError: its files are missing, or do not suffice for a tokenizer in Rust.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, **SAFE_ARGUMENTS, **settings)
    # If all of its files are missing, Transformers silently makes an empty tokenizer that knows no word.
    if not tokenizer.is_fast or not any((folder / name).exists() for name in tokenizer.vocab_files_names.values()):
        raise ModelError(f"{folder} has no tokenizer.json. Save its tokenizer again with a current transformers.")
    try:
        tokenizer.backend_tokenizer.encode(RARE_WORDS)
    except Exception as error:  # tokenizers has no class of errors for this
        raise ModelError(
            f"{folder} has a tokenizer that fails at unknown words: {reason(error)}. Fetch the model again."
        ) from error
    return tokenizer


def read_meta(folder: Path) -> dict[str, Any] | None:
    """The content of sentiment_batch.json, None if the folder has no such file.

    Raises:
        ModelError: the file is damaged, or of a later version.
    """
    try:
        meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{folder / META_FILE} is damaged: {first_line(error)}. Restore it, or train again."
        ) from error
    if isinstance(meta, dict) and type(made := meta.get("format")) is int and made > META_FORMAT:
        raise ModelError(
            f"{folder / META_FILE} has the format {made}, which this version of sentiment-batch does not know. It was "
            f"written by version {shortened(str(meta.get('version')))}. Update sentiment-batch."
        )
    if fault := _find_meta_fault(meta):
        raise ModelError(f"{folder / META_FILE} is damaged: {fault}. Restore it, or train again.")
    found: dict[str, Any] | None = meta
    return found


def _find_meta_fault(meta: Any) -> str | None:
    """What is wrong with the content of sentiment_batch.json, in words; None if it can be used."""
    if not isinstance(meta, dict) or not {"labels", "text"} <= meta.keys():
        return "it names no labels or text policy"
    text = meta["text"] if isinstance(meta["text"], dict) else {}
    # The values inside `text` are checked by names with a dot.
    values = meta | {f"text.{name}": value for name, value in text.items()}
    for name, is_right in _META_VALUES.items():
        if (values.get(name) is not None or name in {"labels", "text"}) and not is_right(values[name]):
            return f"its {name} is {shortened(repr(values[name]))}"
    return None


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep what Transformers prints while it loads off the terminal."""
    from transformers.utils import logging as transformers_logging

    # What the user has set for other programs of this process comes back after the block.
    verbosity = transformers_logging.get_verbosity()
    progress = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(transformers_logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if progress:
            transformers_logging.enable_progress_bar()
