"""Folders of models in the Hugging Face form, as all models here are loaded and saved."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.errors import ModelError, SentimentBatchError, first_line
from sentiment_batch.settings import META

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ATTENTION = "sdpa"
"""Always named: a model folder's own configuration could ask for an implementation that is fetched from the Hub."""


def load_rust_tokenizer(folder: Path) -> Tokenizer:
    """The tokeniser of a saved model, without the model.

    Raises:
        ModelError: it is missing or damaged.
    """
    with quiet_transformers(), translate_load_errors(folder):
        backend: Tokenizer = load_tokenizer(folder).backend_tokenizer
    return backend


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


def load_tokenizer(folder: Path) -> Any:
    """The stock tokeniser, one that is written in Rust.

    Raises:
        ModelError: it has no files, or none for that.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    # Without any of its files transformers makes an empty tokeniser in silence, to which every word is unknown.
    if not tokenizer.is_fast or not any((folder / name).exists() for name in tokenizer.vocab_files_names.values()):
        raise ModelError(f"{folder} has no tokenizer.json. Save its tokeniser again with a current transformers.")
    return tokenizer


def pretrained_arguments() -> dict[str, Any]:
    """For `from_pretrained`: nothing of the Hub, no code of the folder, float32, and a report of missing weights."""
    return {
        "local_files_only": True,
        "trust_remote_code": False,
        "use_safetensors": True,
        "attn_implementation": ATTENTION,
        "dtype": torch.float32,
        "output_loading_info": True,
    }


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
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


@contextlib.contextmanager
def translate_load_errors(folder: Path) -> Iterator[None]:
    """What goes wrong while a folder is loaded is the folder's fault; say which, in one line.

    Raises:
        ModelError: for whatever transformers, safetensors and tokenizers raise.
    """
    try:
        yield
    except (SentimentBatchError, KeyboardInterrupt, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # they have no common error
        raise ModelError(
            f"{folder} cannot be loaded: {type(error).__name__}: {first_line(error)} Fetch it again, or name another "
            "model."
        ) from error
