"""Finds the columns that a model was trained with. Loads no torch for a model in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentiment_batch.model.folder_faults import read_object
from sentiment_batch.settings import META_FILE


def read_trained_columns(model: str) -> tuple[str, ...]:
    """The text columns of the training of a model that is not loaded; none if they are unknown.

    Args:
        model: a folder, or a Hub id, whose files are fetched if needed.

    Raises:
        ModelError: the model cannot be found.
    """
    return get_trained_columns(read_model_meta(model))


def read_trained_label(model: str) -> str | None:
    """The label column of the training of a model that is not loaded; arguments and errors as for the text columns."""
    name = _get_input(read_model_meta(model)).get("label_column")
    return name if isinstance(name, str) else None


def get_trained_columns(meta: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The text columns in the content of sentiment_batch.json; none if it holds none, as that of version 0.2."""
    names = _get_input(meta).get("text_columns")
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()


def read_model_meta(model: str) -> Mapping[str, Any] | None:
    """The content of sentiment_batch.json; None if it is missing, or damaged: then loading reports it.

    Arguments and errors are those of `read_trained_columns`.
    """
    folder = Path(os.path.expanduser(model))
    if not os.path.isdir(folder):  # unlike `Path.is_dir`, also for a folder that this user may not enter
        from sentiment_batch.model import hub

        folder = hub.resolve_model(model)
    return read_object(folder / META_FILE)


def _get_input(meta: Mapping[str, Any] | None) -> Mapping[str, Any]:
    stored = (meta or {}).get("input")
    return stored if isinstance(stored, Mapping) else {}
