"""Finds models and bases: turns a folder, a Hub id or `minilm` into a local folder that is safe to load."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
from pathlib import Path
from typing import Literal

from sentiment_batch.errors import ModelError, find_closest, first_line, refuse_ambiguous_url
from sentiment_batch.model.file_digests import check_digests, hash_files
from sentiment_batch.model.folder_faults import check_folder, describe_file, find_weights
from sentiment_batch.model.load_errors import translate_hub_errors
from sentiment_batch.model.offline_base import MINILM, MINILM_PACKAGE, find_minilm

logger = logging.getLogger("sentiment_batch")

REMEDIES = {
    "model": "Name the folder of a model, or train one with sentiment-batch train.",
    "base": f'Name a folder, or take `base="{MINILM}"`, which needs the package {MINILM_PACKAGE} but no network.',
}
"""What helps if a model cannot be fetched, by the setting that named it."""
FETCHED_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
"""Files that are fetched from the Hub: configuration, weights without pickle, vocabularies."""
SKIPPED_FILES = ["onnx/*", "openvino/*", "*/onnx/*", "coreml/*", "*.msgpack"]
MAX_HUB_SECONDS = 5.0
"""Seconds to wait for a first answer of the Hub, name look-up included. After ten seconds in all, loading torch
included, a user must know that the Hub does not answer."""


def resolve_model(name: str, *, setting: Literal["model", "base"] = "model") -> Path:
    """The local folder of a base or model, which is fetched from the Hub if needed.

    Args:
        name: a folder, `minilm`, or an id on the Hugging Face Hub.
        setting: the setting that names it, for messages.

    Raises:
        ModelError: the model is missing, the Hub cannot be reached, or its weights are not safetensors.
        UsageError: the name is an ambiguous URL.
    """
    refuse_ambiguous_url(name)
    folder = Path(os.path.expanduser(name))
    try:
        is_folder, exists = folder.is_dir(), folder.exists()
    except PermissionError as error:
        raise ModelError(f"{name} may not be read. Check the permissions of its folders.") from error
    if is_folder:
        return check_folder(folder)
    if name == MINILM:
        return find_minilm()
    if exists:
        raise ModelError(describe_file(folder))
    # A misspelt path is reported at once. Only what may be an id is sent to the Hub.
    hint = _suggest_name(folder, setting)
    if _is_path(name):
        raise ModelError(
            f"no model folder is at {name}.{hint} Check the path, or train one with sentiment-batch train."
        )
    return check_folder(_fetch(name, hint, REMEDIES[setting]))


def find_hub_problem(repository: str = "distilbert/distilbert-base-uncased") -> str | None:
    """Why the Hub does not answer within `MAX_HUB_SECONDS`; None if it does.

    This honours HF_ENDPOINT, HF_HUB_OFFLINE and proxies.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    problems: list[str | None] = []

    def ask() -> None:
        try:
            url = f"{constants.ENDPOINT}/{repository}/resolve/main/config.json"
            # A status below 500 is an answer, even if this name is unknown there. The download reports that better.
            status = get_session().head(url, timeout=MAX_HUB_SECONDS).status_code
            problems.append(f"it answers with status {status}" if status >= 500 else None)
        except Exception as error:
            problems.append(first_line(error))

    # A name look-up has no time limit of its own. So it runs in a thread that nothing waits for.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(MAX_HUB_SECONDS)
    return problems[0] if problems else f"no answer within {MAX_HUB_SECONDS:g} seconds"


def _suggest_name(folder: Path, setting: str) -> str:
    """A question that names a model folder beside `folder`, or `minilm` as a base, with nearly its name; else empty."""
    names: list[str] = []
    with contextlib.suppress(OSError):  # a folder that cannot be listed only costs the hint
        names = [path.name for path in folder.parent.iterdir() if (path / "config.json").exists()]
    if setting == "base":
        names.append(MINILM)
    closest = find_closest(folder.name, names)
    if closest is None:
        return ""
    return f" Did you mean {closest if closest == MINILM else folder.parent / closest}?"


def _fetch(name: str, hint: str, remedy: str) -> Path:
    """The folder of a model of the Hub, from the Hub's cache or fetched now."""
    from huggingface_hub import snapshot_download

    # The cache comes first, so that a model that was fetched once needs no network.
    patterns = {"allow_patterns": FETCHED_FILES, "ignore_patterns": SKIPPED_FILES}
    with translate_hub_errors(name, hint, remedy):
        with contextlib.suppress(OSError):  # it is not in the cache
            cached = Path(snapshot_download(name, local_files_only=True, **patterns))
            if (cached / "config.json").exists() and find_weights(cached):
                return cached
        if problem := find_hub_problem(name):
            if hint or "/" not in name:  # hardly an id of the Hub
                raise ModelError(
                    f"no model folder is called {name!r} here.{hint} Check the spelling. The Hub cannot be asked for a "
                    f"model of that name ({problem}). {remedy}"
                )
            raise ModelError(
                f"the Hugging Face Hub cannot be reached for {name!r} ({problem}), and no folder here has that name. "
                f"{remedy}"
            )
        return Path(snapshot_download(name, **patterns))


def hash_model_folder(folder: Path) -> str:
    """The SHA-256 over everything in a model folder that decides its scores.

    Raises:
        ModelError: a file of a model that this program trained is not what the training wrote.
    """
    files = hash_files(folder)
    check_digests(folder, files)
    # Names are a part of the digest, because two files with swapped contents are another model.
    total = hashlib.sha256()
    for name, digest in files.items():
        total.update(f"{name}\0{digest}\0".encode())
    return total.hexdigest()


def _is_path(name: str) -> bool:
    """True if the name cannot be an id on the Hub, which is `name` or `owner/name`."""
    return name.startswith((".", "/", "~")) or name.endswith(("/", "\\")) or name.count("/") > 1 or "\\" in name
