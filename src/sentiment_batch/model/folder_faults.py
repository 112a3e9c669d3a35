"""Says what is wrong with a model folder, and what helps, in place of the libraries that load it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
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
_LFS_POINTER = b"version https://git-lfs.github.com/"


def check_folder(folder: Path) -> Path:
    """`folder`, if it holds a configuration and safe weights that may be read.

    Raises:
        ModelError: it does not. The message says what the folder holds instead.
    """
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ModelError(f"{folder} may not be read. Check its permissions.")
    weights = find_weights(folder)
    if (folder / "adapter_config.json").exists() and not weights:
        base = (_read_object(folder / "adapter_config.json") or {}).get("base_model_name_or_path")
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
    for file in (folder / "config.json", *weights):
        if not os.access(file, os.R_OK):
            raise ModelError(f"{file} may not be read. Check its permissions.")
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
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    shards = sorted({folder / name for name in named})
    return shards if all(shard.exists() for shard in shards) else []


def describe_file(file: Path) -> str:
    """The message for a file that was named as a model."""
    cure = f"Name its folder, {file.parent}." if find_weights(file.parent) else "Name that."
    return f"{file} is a file; a model is a folder with config.json and model.safetensors. {cure}"


def explain_load_error(folder: Path, error: Exception) -> str:
    """The reason why `folder` cannot be loaded, with its cure, in one or two sentences."""
    for find in (_find_damaged_json, _find_missing_package, _find_own_code, _find_odd_configuration):
        if found := find(folder):
            return found
    if type(error).__name__ == "SafetensorError":
        return f"its weights are damaged or incomplete ({reason(error)}). Fetch it again."
    if isinstance(error, PermissionError):
        return "one of its files may not be read. Check its permissions."
    if isinstance(error, ImportError) and error.name:
        return f"it needs the package {error.name}. Install it with pip install {error.name}."
    return f"{type(error).__name__}: {reason(error)}. Fetch it again, or name another model."


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
    if outputs is not None:
        raise ModelError(
            f"{folder} cannot be loaded: config.json names {num_labels} labels, but the weights have {outputs} "
            "outputs. Name as many in id2label of config.json, or fetch the model again."
        )
    name, stored, asked = min(mismatched)
    raise ModelError(
        f"{folder} cannot be loaded: its weights {name!r} have the shape {tuple(stored)}, but config.json asks for "
        f"{tuple(asked)}. The two do not belong together. Fetch the model again."
    )


def count_outputs(mismatched: Any, num_labels: int | None) -> int | None:
    """The outputs that the weights of a classifier have, if only the head has another shape than asked; else None."""
    shapes = {(stored[0], asked[0]) for _, stored, asked in mismatched if stored and asked and stored[1:] == asked[1:]}
    fits = len(shapes) == 1 and all(stored[1:] == asked[1:] for _, stored, asked in mismatched)
    ((outputs, asked),) = shapes if fits else [(None, None)]
    return outputs if asked == num_labels else None


def find_tokens_without_embedding(backend: Any, vocabulary: int) -> list[str]:
    """The tokens of a tokenizer with an id for which the model has no embedding, in the order of their ids.

    Args:
        backend: the tokenizer, written in Rust.
        vocabulary: the number of ids that have an embedding.
    """
    ids = backend.get_vocab(with_added_tokens=True)
    return sorted((token for token, number in ids.items() if number >= vocabulary), key=ids.__getitem__)


def _name_models_below(folder: Path) -> str:
    """What to name instead of a folder that is no model: the models in the folders below it."""
    configs = [*folder.glob("*/config.json")] or [*folder.glob("*/*/config.json")]
    found = [path.parent.relative_to(folder) for path in configs if find_weights(path.parent)]
    below = sorted(map(str, found), key=natural_sort_key)
    if len(below) == 1:
        return f"Name the model in it, {folder / below[0]}."
    return f"Name one of the models in it: {listed(below)}." if below else "Name a folder that was saved as one."


def _read_object(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is no such file, or it holds none."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(file.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else None
    return None


def _find_damaged_json(folder: Path) -> str | None:
    damaged = [name for name in _JSON_FILES if (folder / name).exists() and _read_object(folder / name) is None]
    return f"its {damaged[0]} is damaged, because it holds no JSON object. Fetch it again." if damaged else None


def _find_missing_package(folder: Path) -> str | None:
    """Names the packages that convert a vocabulary file, if there is no tokenizer.json and one is missing."""
    if (folder / "tokenizer.json").exists():
        return None
    modules: dict[str, str] = {}
    for file in folder.iterdir():
        if file.suffix in {".model", ".spm"} and file.read_bytes()[:1] == b"\n":  # a message of protobuf
            modules |= {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
        elif file.suffix in {".model", ".tiktoken"}:
            modules |= {"tiktoken": "tiktoken"}
    missing = [package for module, package in modules.items() if not _is_installed(module)]
    if not missing:
        return None
    named = " and ".join(missing)
    return f"its tokenizer needs the package {named}. Install it with pip install {' '.join(missing)}."


def _is_installed(module: str) -> bool:
    with contextlib.suppress(ImportError):
        return importlib.util.find_spec(module) is not None
    return False


def _find_own_code(folder: Path) -> str | None:
    named = [name for name in _JSON_FILES[:2] if "auto_map" in (_read_object(folder / name) or {})]
    if not named:
        return None
    return (
        f"it needs Python code of its own (auto_map in {named[0]}), which is never run. Name a model of a family that "
        "Transformers knows."
    )


def _find_odd_configuration(folder: Path) -> str | None:
    """Finds a family that Transformers does not know, and values of another kind than it expects."""
    from transformers import CONFIG_MAPPING

    config = _read_object(folder / "config.json") or {}
    tokenizer = _read_object(folder / "tokenizer_config.json") or {}
    family, names = config.get("model_type"), config.get("id2label")
    if not isinstance(family, str):
        return "its config.json names no model_type, so its family is unknown. Fetch it again, or name another model."
    if family not in CONFIG_MAPPING:
        release = importlib.metadata.version("transformers")
        return (
            f"it is a {family} model, which Transformers {release} does not know. Upgrade Transformers, or name "
            "another model."
        )
    if names is not None and not (isinstance(names, dict) and all(str(key).isdecimal() for key in names)):
        return 'id2label in its config.json must be an object such as {"0": "negative", "1": "positive"}. Correct it.'
    limit = tokenizer.get("model_max_length")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
        return f"model_max_length in its tokenizer_config.json is {limit!r}, not a number. Correct it."
    return None
