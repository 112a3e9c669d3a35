"""Digests of the files of a model, stored in its sentiment_batch.json, so that a damaged or mixed-up file is noticed.

Models of other programs and of older versions have none; they are loaded as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentiment_batch.errors import ModelError
from sentiment_batch.files.checksums import hash_file
from sentiment_batch.model.folder_faults import find_weights, read_object
from sentiment_batch.settings import META_FILE

FILES, OWN = "files", "sha256"
"""The keys of sentiment_batch.json for the digests of the other files, and for that of its own content."""
_SUFFIXES = {".json", ".txt", ".model"}
"""The files besides the weights that decide scores: the configuration, the tokenizer and its vocabulary."""


def hash_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a model folder that decides its scores, by name."""
    texts = [path for path in folder.glob("*") if path.suffix in _SUFFIXES and path.is_file()]
    return {path.name: hash_file(path) for path in sorted([*texts, *find_weights(folder)])}


def add_digests(meta: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The content of sentiment_batch.json with the digests of the other files in `folder`, and with its own."""
    found = {name: digest for name, digest in hash_files(folder).items() if name != META_FILE}
    whole = {**meta, FILES: found}
    return whole | {OWN: _digest_content(whole)}


def check_digests(folder: Path, found: Mapping[str, str]) -> None:
    """Check the files of a model against the digests that its training stored, if there are any.

    Args:
        folder: the model folder.
        found: what `hash_files` gives now.

    Raises:
        ModelError: a file is not what the training wrote.
    """
    # If one of the two keys is left, the file was cut or edited, which the comparison below then reports.
    meta = read_object(folder / META_FILE) or {}
    if not {FILES, OWN} & meta.keys():
        return
    if meta.get(OWN) != _digest_content(meta):
        raise _make_changed_error(folder / META_FILE)
    for name, digest in meta[FILES].items():
        if found.get(name) != digest:
            raise _make_changed_error(folder / name)


def _digest_content(meta: Mapping[str, Any]) -> str:
    # A digest cannot cover itself. Sorted keys, so that the order in the file does not matter.
    content = {name: value for name, value in meta.items() if name != OWN}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _make_changed_error(path: Path) -> ModelError:
    return ModelError(
        f"{path} is not what the training wrote: it was damaged, removed or changed. Restore it, or train again. If it "
        f"was changed on purpose, remove `{FILES}` and `{OWN}` from {META_FILE}."
    )
