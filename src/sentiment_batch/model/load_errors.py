"""Translates the errors of Transformers, safetensors, tokenizers and the Hub in loading a model into `ModelError`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

from sentiment_batch.errors import ModelError, SentimentBatchError, first_line
from sentiment_batch.model.folder_faults import explain_load_error
from sentiment_batch.model.memory import unify_memory_errors


@contextlib.contextmanager
def translate_load_errors(folder: Path) -> Iterator[None]:
    """Name the folder in whatever goes wrong while it is loaded.

    Raises:
        ModelError: for every error, except errors of this project and an exhausted memory, which pass.
    """
    try:
        with unify_memory_errors():
            yield
    except (SentimentBatchError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # these libraries have no common error
        raise ModelError(f"{folder} cannot be loaded: {explain_load_error(folder, error)}") from error


@contextlib.contextmanager
def translate_hub_errors(name: str, hint: str, remedy: str) -> Iterator[None]:
    """Say why the model `name` could not be fetched from the Hub.

    Args:
        name: an id on the Hub.
        hint: a question that names a similar model, or the empty string.
        remedy: what to do instead, in full sentences.

    Raises:
        ModelError: for every error, except errors of this project, which pass.
    """
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    # The order matters: the Hub raises a gated repository as a special case of one that is not found.
    try:
        yield
    except SentimentBatchError:
        raise
    except HFValidationError as error:
        raise ModelError(
            f"{name!r} is neither a folder nor a Hub id: {first_line(error)}{hint} Check the name."
        ) from error
    except GatedRepoError as error:
        raise ModelError(f"{name!r} is gated. Accept its terms on the Hub and set HF_TOKEN. {remedy}") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the Hub has no model {name!r} that you may see, and no folder has that name.{hint} Check the "
            "spelling, or set HF_TOKEN for a private one."
        ) from error
    except Exception as error:  # the Hub's client raises OSError, errors of httpx and its own
        raise ModelError(f"{name!r} could not be fetched from the Hub: {first_line(error)} {remedy}") from error
