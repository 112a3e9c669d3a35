"""Finds the columns that a model was trained with. Loads no torch for a model in a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentiment_batch.settings import META


def read_trained_columns(model: str) -> tuple[str, ...]:
    """The text columns of the training of a model that is not loaded; none if they are unknown.

    Args:
        model: a folder, or a Hub id, whose files are fetched if needed.

    Raises:
        ModelError: the model cannot be found.
    """
    return get_trained_columns(_read_meta(model))


def read_trained_label(model: str) -> str | None:
    """The label column of the training of a model that is not loaded; arguments and errors as for the text columns."""
    meta = _read_meta(model)
    stored = meta.get("input") if isinstance(meta, Mapping) else None
    name = stored.get("label_column") if isinstance(stored, Mapping) else None
    return name if isinstance(name, str) else None


def _read_meta(model: str) -> Any:
    """The content of sentiment_batch.json; None if there is none."""
    folder = Path(os.path.expanduser(model))
    if not folder.is_dir():
        from sentiment_batch.model import hub

        folder = hub.resolve_model(model)
    try:
        return json.loads((folder / META).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a damaged file is reported when the model is loaded
        return None


def get_trained_columns(meta: Any) -> tuple[str, ...]:
    """The text columns in the content of sentiment_batch.json; none if it holds none, as that of version 0.2."""
    stored = meta.get("input") if isinstance(meta, Mapping) else None
    names = stored.get("text_columns") if isinstance(stored, Mapping) else None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
