"""Writes a tiny classifier with random weights, which a worker in another process can load."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LABELS = ("negative", "positive")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WIDTH, HIDDEN, LAYERS, HEADS, POSITIONS = 16, 32, 1, 2, 128
SPREAD = 0.6
"""Standard deviation of the weights. It is high enough that texts get different labels."""


def write_tiny_model(folder: Path, seed: int = 2) -> Path:
    """Write a stock model folder of a one-layer DistilBERT with the labels `negative` and `positive`.

    Args:
        folder: the folder to create. It must not exist yet.
        seed: the seed of the random weights.

    Returns:
        The folder.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    vocabulary = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    config = {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "vocab_size": len(vocabulary),
        "max_position_embeddings": POSITIONS,
        "dim": WIDTH,
        "hidden_dim": HIDDEN,
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "activation": "gelu",
        "pad_token_id": 0,
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: place for place, label in enumerate(LABELS)},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    _write_tokenizer(folder, vocabulary)
    save_file(_weights(len(vocabulary), seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _write_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(piece, vocabulary.index(piece)) for piece in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {"tokenizer_class": "DistilBertTokenizer", "model_max_length": POSITIONS, "do_lower_case": True}
    names = {f"{piece.strip('[]').lower()}_token": piece for piece in SPECIAL}
    (folder / "tokenizer_config.json").write_text(json.dumps(about | names, indent=1), encoding="utf-8")


def _weights(pieces: int, seed: int) -> dict[str, Any]:
    import numpy as np

    random = np.random.default_rng(seed)
    weights: dict[str, Any] = {}
    for name, rows, columns in _matrices(pieces):
        weights[f"{name}.weight"] = random.normal(0, SPREAD, (rows, columns)).astype(np.float32)
        if "embeddings" not in name:
            weights[f"{name}.bias"] = np.zeros(rows, np.float32)
    for name in _norms():
        weights[f"{name}.weight"] = np.ones(WIDTH, np.float32)
        weights[f"{name}.bias"] = np.zeros(WIDTH, np.float32)
    return weights


def _matrices(pieces: int) -> Iterator[tuple[str, int, int]]:
    """The name, rows and columns of each weight matrix."""
    yield "distilbert.embeddings.word_embeddings", pieces, WIDTH
    yield "distilbert.embeddings.position_embeddings", POSITIONS, WIDTH
    for layer in range(LAYERS):
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            yield f"distilbert.transformer.layer.{layer}.attention.{name}", WIDTH, WIDTH
        yield f"distilbert.transformer.layer.{layer}.ffn.lin1", HIDDEN, WIDTH
        yield f"distilbert.transformer.layer.{layer}.ffn.lin2", WIDTH, HIDDEN
    yield "pre_classifier", WIDTH, WIDTH
    yield "classifier", len(LABELS), WIDTH


def _norms() -> Iterator[str]:
    yield "distilbert.embeddings.LayerNorm"
    for layer in range(LAYERS):
        yield f"distilbert.transformer.layer.{layer}.sa_layer_norm"
        yield f"distilbert.transformer.layer.{layer}.output_layer_norm"
