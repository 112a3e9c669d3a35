"""Writes a tiny classifier with random weights, which a worker in another process can load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LABELS = ("negative", "positive")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WIDTH, HIDDEN, HEADS, POSITIONS = 16, 32, 2, 128
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
    # Each letter at the beginning of a word and inside one, so that any word of letters and digits has tokens.
    vocabulary = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    config = {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "vocab_size": len(vocabulary),
        "max_position_embeddings": POSITIONS,
        "dim": WIDTH,
        "hidden_dim": HIDDEN,
        "n_layers": 1,
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
    """Write a tokenizer of word pieces as BERT has, which both libraries of the program can read."""
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
    """Random matrices, layer norms of one, and biases of zero."""
    import numpy as np

    random = np.random.default_rng(seed)
    weights: dict[str, Any] = {}
    for name, shape in _shapes(pieces).items():
        is_norm = len(shape) == 1  # only the weights of layer norms are vectors
        weight = np.ones(shape) if is_norm else random.normal(0, SPREAD, shape)
        weights[f"{name}.weight"] = weight.astype(np.float32)
        if not name.endswith("_embeddings"):
            weights[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    return weights


def _shapes(pieces: int) -> dict[str, tuple[int, ...]]:
    """The shape of the weight of each module."""
    embeddings, layer = "distilbert.embeddings", "distilbert.transformer.layer.0"
    return {
        f"{embeddings}.word_embeddings": (pieces, WIDTH),
        f"{embeddings}.position_embeddings": (POSITIONS, WIDTH),
        f"{embeddings}.LayerNorm": (WIDTH,),
        **{f"{layer}.attention.{name}": (WIDTH, WIDTH) for name in ("q_lin", "k_lin", "v_lin", "out_lin")},
        f"{layer}.ffn.lin1": (HIDDEN, WIDTH),
        f"{layer}.ffn.lin2": (WIDTH, HIDDEN),
        f"{layer}.sa_layer_norm": (WIDTH,),
        f"{layer}.output_layer_norm": (WIDTH,),
        "pre_classifier": (WIDTH, WIDTH),
        "classifier": (len(LABELS), WIDTH),
    }
