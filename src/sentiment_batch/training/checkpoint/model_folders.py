"""The model folders of a run on disk: writes, replaces, deletes and identifies them, so that no half of one is seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.files import atomic
from sentiment_batch.files.cache import write_text
from sentiment_batch.files.checksums import hash_file, read_regular
from sentiment_batch.model.card import build_model_card
from sentiment_batch.model.file_digests import add_digests
from sentiment_batch.settings import META_FILE
from sentiment_batch.training.checkpoint.history import format_training_log

WriteWeights = Callable[[Path], None]
"""Writes the weights, the configuration and the tokenizer into an empty folder."""


def write_model(
    folder: Path,
    write_weights: WriteWeights,
    meta: Mapping[str, Any],
    history: list[dict[str, Any]],
    *,
    name: str,
    make_pages: Callable[[Path], Mapping[str, str]] = lambda folder: {},
) -> str | None:
    """Write a model into the empty `folder`, and wait until it is on disk.

    Args:
        folder: where to write.
        write_weights: writes the stock files.
        meta: the content of sentiment_batch.json.
        history: the rows of training_log.csv.
        name: the name of the model, for its card.
        make_pages: gives further text files by name; it sees the folder with all the others.

    Returns:
        The digest of the model, see `hash_stock_files`.
    """
    described = {
        "README.md": build_model_card(meta, name),
        "training_log.csv": format_training_log(history),
    }
    with translate_write_errors(str(folder.parent)):
        write_weights(folder)
        digest = hash_stock_files(folder)
        # Last, because it holds the digests of the files that are there already
        described[META_FILE] = json.dumps(add_digests(meta, folder), indent=2, ensure_ascii=False) + "\n"
        for file, text in described.items():
            write_text(folder / file, text)
    pages = make_pages(folder)
    with translate_write_errors(str(folder.parent)):
        for file, text in pages.items():
            write_text(folder / file, text)
        sync_files(folder)
    return digest


def replace_folder(new: Path, target: Path, *, aside: Path) -> None:
    """Rename `new` to `target`. What is at `target` moves to `aside`, and comes back if the renames fail."""
    replaces = target.exists()
    if replaces:  # a folder can only be renamed to a name that is free
        atomic.remove(aside)
    try:
        # Two renames: for a moment there is no model, but never a half-written one.
        if replaces:
            target.rename(aside)
        new.rename(target)
    except BaseException:  # an interruption by the user, too
        if replaces and not target.exists():
            aside.rename(target)
        raise


def delete_folders(*folders: Path, under: Path) -> None:
    """Delete whole folders. Each is first renamed to `under`, so that no half-deleted one is taken for a model."""
    for folder in folders:
        atomic.remove(under)
        if folder.exists():
            folder.rename(under)
    atomic.remove(under)


def sync_files(folder: Path) -> None:
    """Wait until all files of a folder are on disk."""
    for path in folder.iterdir():
        atomic.sync_file(path)
    atomic.sync_folder(folder)


def hash_stock_files(folder: Path) -> str | None:
    """The SHA-256 of the stock files of a model, without its description; None if there is no folder."""
    if not folder.is_dir():
        return None
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        # Weights, configuration and tokenizer. The description changes when the finished model is measured.
        if path.suffix in {".json", ".safetensors"} and path.name != META_FILE:
            total.update(f"{path.name}\0{hash_file(path)}\0".encode())
    return total.hexdigest()


def read_run_digest(folder: Path) -> str | None:
    """The digest of the run that made the model in `folder` (see `hash_fingerprint`); None if it names no run."""
    try:
        run = json.loads(read_regular(folder / META_FILE))["run"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # any folder and any JSON may be there
        return None
    return run if isinstance(run, str) else None
