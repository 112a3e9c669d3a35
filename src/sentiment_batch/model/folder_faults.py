"""Says what is wrong with a model folder, and what helps, in place of the libraries that load it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
from pathlib import Path
from typing import Any

from sentiment_batch.data.readers.dataset_files import natural_sort_key
from sentiment_batch.errors import ModelError, listed, reason

_PICKLED = "and pickled weights are never loaded"
_OTHER_WEIGHTS = {
    ".bin": _PICKLED,
    ".pt": _PICKLED,
    ".pth": _PICKLED,
    ".ckpt": _PICKLED,
    ".pkl": _PICKLED,
    ".gguf": "which is for llama.cpp",
    ".onnx": "which is for ONNX Runtime",
    ".h5": "which is for TensorFlow",
    ".msgpack": "which is for Flax",
}
"""Weights that are not loaded, by their ending."""
_JSON_FILES = ("config.json", "tokenizer_config.json", "tokenizer.json", "special_tokens_map.json")
MAX_SOUGHT_IDS = 1_000
"""Ids that are looked at beyond the last embedding. A list of the whole vocabulary takes up to half a second."""
_LFS_POINTER = b"version https://git-lfs.github.com/"
"""How a pointer file of Git LFS begins. A clone without Git LFS holds such files in place of the weights."""


def check_folder(folder: Path) -> Path:
    """`folder`, if it holds a configuration and safe weights that may be read.

    Raises:
        ModelError: it does not. The message says what the folder holds instead.
    """
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ModelError(f"{folder} may not be read. Check its permissions.")
    weights = find_weights(folder)
    if (folder / "adapter_config.json").exists() and not weights:
        base = (read_object(folder / "adapter_config.json") or {}).get("base_model_name_or_path")
        raise ModelError(
            f"{folder} holds a LoRA or other adapter{f' of {base!r}' if base else ''}, not a whole model. Merge the "
            "two with merge_and_unload() of the package peft, and save the result with save_pretrained()."
        )
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder} holds no config.json, so it is no model. {_name_models_below(folder)}")
    if not weights:
        others = sorted(path for path in folder.iterdir() if path.suffix in _OTHER_WEIGHTS)
        why = f" but {others[0].name}, {_OTHER_WEIGHTS[others[0].suffix]}" if others else ""
        raise ModelError(
            f"{folder} holds no model.safetensors{why}. Save it again with save_pretrained(), which writes safetensors."
        )
    for file in (*folder.glob("*.json"), *weights):
        if not os.access(file, os.R_OK):
            raise ModelError(f"{file} may not be read. Check its permissions.")
        if not file.is_file():  # opening a named pipe could wait for ever
            raise ModelError(f"{file} is no regular file. Fetch the model again.")
        with file.open("rb") as stream:
            if stream.read(len(_LFS_POINTER)) == _LFS_POINTER:
                raise ModelError(f"{file} is a Git LFS pointer, not the file itself. Run git lfs pull.")
    return folder


def find_weights(folder: Path) -> list[Path]:
    """The files with the weights: model.safetensors, or all shards that its index names; none if one is missing."""
    index = folder / "model.safetensors.index.json"
    single = folder / "model.safetensors"
    if single.exists():
        return [single]
    # `weight_map` holds the file of each weight. One missing file makes the model incomplete, so none is returned.
    named = (read_object(index) or {}).get("weight_map")
    shards = sorted({folder / str(name) for name in named.values()}) if isinstance(named, dict) else []
    return shards if all(shard.exists() for shard in shards) else []


def describe_file(file: Path) -> str:
    """The message for a file that was named as a model."""
    cure = f"Name its folder, {file.parent}." if find_weights(file.parent) else "Name that."
    return f"{file} is a file; a model is a folder with config.json and model.safetensors. {cure}"


def explain_load_error(folder: Path, error: Exception) -> str:
    """The reason why `folder` cannot be loaded, with its cure: what its files show, else the error of the library."""
    from transformers import CONFIG_MAPPING

    objects = {name: read_object(folder / name) for name in _JSON_FILES if (folder / name).exists()}
    damaged = [name for name, content in objects.items() if content is None]
    config, tokenizer = (objects.get(name) or {} for name in _JSON_FILES[:2])
    labels, limit = config.get("id2label"), tokenizer.get("model_max_length", 0)
    packages = _list_missing_packages(folder)
    # What the files show comes first. The error of the library often names only a consequence of it.
    if damaged:
        return f"its {damaged[0]} is damaged, because it holds no JSON object. Fetch it again."
    if packages:
        named = f"the package {' and '.join(packages)}. Install it with pip install {' '.join(packages)}"
        return f"its tokenizer needs {named}."
    if "auto_map" in config or "auto_map" in tokenizer:
        return "it needs Python code of its own (auto_map), which is never run. Name a model that needs none."
    if config.get("model_type") not in CONFIG_MAPPING:
        release = importlib.metadata.version("transformers")
        family = f"Transformers {release} does not know its family (model_type {config.get('model_type')!r})"
        return f"{family}. Upgrade Transformers, or name another model."
    if labels is not None and not _are_names(labels):
        return 'id2label in its config.json must be an object such as {"0": "negative", "1": "positive"}. Correct it.'
    if not isinstance(limit, int | float):
        return f"model_max_length in its tokenizer_config.json is {limit!r}, not a number. Correct it."
    if type(error).__name__ == "SafetensorError":
        return f"its weights are damaged or incomplete ({reason(error)}). Fetch it again."
    return f"{type(error).__name__}: {reason(error)}. Fetch it again, or name another model."


def _are_names(labels: object) -> bool:
    """True if `id2label` names each class by its number. Some versions of Transformers load other values, too."""
    return isinstance(labels, dict) and all(
        number.isdecimal() and isinstance(name, str) for number, name in labels.items()
    )


def refuse_other_shapes(folder: Path, mismatched: Any, num_labels: int | None = None) -> None:
    """Check that the weights have the shapes that config.json asks for.

    Args:
        folder: the model folder.
        mismatched: the name, the stored shape and the asked shape of each weight that Transformers could not use.
        num_labels: the number of labels that config.json names, for a classifier.

    Raises:
        ModelError: one has not.
    """
    if not mismatched:
        return
    outputs = count_outputs(mismatched, num_labels)
    if outputs is None:
        name, stored, asked = min(mismatched)  # the first by name stands for all
        difference = f"asks for {name!r} in the shape {tuple(asked)}, but its weights have {tuple(stored)}"
    else:
        difference = f"names {num_labels} labels, but the weights have {outputs} outputs"
    raise ModelError(
        f"{folder} cannot be loaded: config.json {difference}. Correct config.json, or fetch the model again."
    )


def count_outputs(mismatched: Any, num_labels: int | None) -> int | None:
    """The outputs that the weights of a classifier have, if only the head has another shape than asked; else None."""
    # A head is a weight (outputs, inputs) and a bias (outputs,). If only the outputs differ, all else fits.
    shapes = {(stored[0], asked[0], stored[1:] == asked[1:]) for _, stored, asked in mismatched}
    outputs, asked, same = next(iter(shapes), (None, None, False))
    return outputs if same and asked == num_labels and len(shapes) == 1 else None


def check_tokens(folder: Path, backend: Any, vocabulary: int) -> str | None:
    """What is wrong with a tokenizer that gives tokens for which the model has no embedding; None if it gives none.

    Args:
        folder: the model folder.
        backend: the tokenizer, written in Rust.
        vocabulary: the number of ids that have an embedding.

    Raises:
        ModelError: they are in every text.
    """
    beyond = range(vocabulary, vocabulary + MAX_SOUGHT_IDS)
    unknown = [token for number in beyond if (token := backend.id_to_token(number)) is not None]
    if max(backend.encode("", add_special_tokens=True).ids, default=0) >= vocabulary:
        raise ModelError(
            f"{folder}: the tokenizer puts tokens around each text that the model has no embedding for. The two do not "
            "belong together. Fetch the model again."
        )
    if not unknown:
        return None
    return f"{folder}: the model has no embedding for tokens that its tokenizer gives: {listed(unknown, 5)}"


def read_object(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is no such file, or it holds none."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(file.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    return None


def _name_models_below(folder: Path) -> str:
    """What to name instead of a folder that is no model: the models in the folders below it."""
    configs = [*folder.glob("*/config.json")] or [*folder.glob("*/*/config.json")]
    found = [path.parent.relative_to(folder) for path in configs if find_weights(path.parent)]
    below = sorted(map(str, found), key=natural_sort_key)
    if len(below) == 1:
        return f"Name the model in it, {folder / below[0]}."
    return f"Name one of the models in it: {listed(below)}." if below else "Name a folder that was saved as one."


def _list_missing_packages(folder: Path) -> list[str]:
    """The packages that convert a vocabulary file, if there is no tokenizer.json, and that are not installed."""
    if (folder / "tokenizer.json").exists():
        return []
    files = [file for file in folder.iterdir() if file.suffix in {".model", ".spm", ".tiktoken"}]
    # A SentencePiece model is a message of protobuf. Its first field has the tag 0x0A, which is a line feed.
    is_protobuf = any(file.read_bytes()[:1] == b"\n" for file in files)
    needed = ["sentencepiece", "protobuf"] if is_protobuf else ["tiktoken"] if files else []
    return [package for package in needed if not _is_installed(package)]


def _is_installed(package: str) -> bool:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version(package))
    return False
