"""Makes the models that the benchmarks score with, once, in folders under .demo/."""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import SEED, new_folder, report_progress

FOLDER = Path(".demo")
SAMPLE = "sample_data/reviews.csv"
LABELS = ("negative", "positive")
INITIALIZER_RANGE = 0.05
"""Of random encoders. With DistilBERT's own 0.02 all tokens get the same attention, and the [CLS] vectors of different
texts are so similar that bfloat16 hardly distinguishes them; a trained encoder does neither."""
FIT_BATCH = 16
FIT_POOL = 256
"""Texts that are sorted by length together while the head is fitted."""
MOST_FIT_ROWS = 25_000


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of a DistilBERT."""

    width: int
    layers: int
    heads: int


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that choose the model."""
    parser.add_argument("--model", help="folder; default: one is trained on the sample reviews with --base minilm")
    parser.add_argument(
        "--geometry",
        type=int,
        choices=[384, 768],
        help="make a DistilBERT so wide, 6 layers, random encoder, fitted head",
    )
    parser.add_argument("--fit", default=SAMPLE, help="labelled table for that head (default: %(default)s)")
    parser.add_argument(
        "--fit-seconds", type=float, default=60.0, help="read rows of it for so long (default: %(default)s)"
    )


def chosen(arguments: argparse.Namespace) -> str:
    """The model folder that the options name; it is made if it is missing."""
    if arguments.model:
        return str(arguments.model)
    if arguments.geometry:
        return _fitted(arguments.geometry, arguments.fit, arguments.fit_seconds, arguments.device)
    return _trained()


def small() -> str:
    """A model of one layer, 64 wide, with the vocabulary of minilm and an untrained head.

    It is for figures that do not depend on the model.
    """
    folder = FOLDER / "benchmark-small"
    if not folder.exists():
        encoder, tokenizer = _random_encoder(Shape(width=64, layers=1, heads=4))
        with new_folder(folder) as filling:
            _save(filling, encoder, tokenizer, np.random.default_rng(SEED).normal(size=64), 0.0)
    return str(folder)


def random_base(width: int) -> Path:
    """A DistilBERT encoder of 6 layers to fine-tune, with random weights and the tokenizer of minilm."""
    folder = FOLDER / f"benchmark-base-{width}"
    if not folder.exists():
        encoder, tokenizer = _random_encoder(Shape(width=width, layers=6, heads=12))
        with new_folder(folder) as filling:
            encoder.save_pretrained(filling)
            tokenizer.save_pretrained(filling)
    return folder


def _trained() -> str:
    folder = FOLDER / "benchmark-model"
    if not folder.exists():
        report_progress(f"training {folder}")
        command = [sys.executable, "-m", "sentiment_batch", "train", SAMPLE, "--base", "minilm", "--epochs", "1"]
        subprocess.run([*command, "--output", str(folder)], check=True)
    return str(folder)


def _fitted(width: int | None, table: str, seconds: float, device: str) -> str:
    """A stock folder with a random encoder and a head that is fitted to it, so that the margins are real.

    Without a width, the encoder is the offline one with its weights.

    The encoder is frozen. The head is a logistic regression on the [CLS] vectors of the last hidden state.
    """
    from sentiment_batch.model.device import choose_device

    folder = FOLDER / f"benchmark-{width or 'offline'}-{Path(table).stem}"
    if not folder.exists():
        report_progress(f"making {folder}: reading {table} for {seconds:g} s")
        encoder, tokenizer = _random_encoder(Shape(width=width, layers=6, heads=12)) if width else _offline_encoder()
        texts, codes = _labelled(table)
        vectors = _cls_vectors(encoder, tokenizer, texts, seconds, choose_device(device).value)
        weight, bias = _logistic(vectors, codes[: len(vectors)])
        with new_folder(folder) as filling:
            _save(filling, encoder, tokenizer, weight, bias)
    return str(folder)


def _random_encoder(shape: Shape) -> tuple[Any, Any]:
    """A DistilBERT encoder with seeded random weights, and the tokenizer of minilm."""
    import torch
    from transformers import DistilBertConfig, DistilBertModel

    from sentiment_batch.model.folder import ATTENTION

    base, tokenizer = _offline_encoder()
    config = DistilBertConfig(
        vocab_size=base.config.vocab_size,
        max_position_embeddings=512,
        dim=shape.width,
        hidden_dim=4 * shape.width,
        n_layers=shape.layers,
        n_heads=shape.heads,
        initializer_range=INITIALIZER_RANGE,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return DistilBertModel._from_config(config, attn_implementation=ATTENTION).eval(), tokenizer


def _offline_encoder() -> tuple[Any, Any]:
    """The encoder minilm and its tokenizer."""
    from sentiment_batch.model.classifier import load_base
    from sentiment_batch.model.hub import find_minilm

    encoder, tokenizer = load_base(find_minilm())
    return encoder.eval(), tokenizer


def _labelled(table: str) -> tuple[list[str], np.ndarray]:
    """The texts of a labelled table and their classes, 0 negative and 1 positive, in a fixed random order."""
    from sentiment_batch.data import formats, labelled_rows
    from sentiment_batch.labels import inference

    rows = labelled_rows.read_labelled_rows(formats.open_reader(table), table)
    mapping = inference.infer_mapping(rows.labels, rows.label_column)
    codes = mapping.encode(rows.labels).codes
    classes = {mapping.labels.index(label): number for number, label in enumerate(LABELS)}
    known = np.flatnonzero(np.isin(codes, list(classes)))
    known = np.random.default_rng(SEED).permutation(known)[:MOST_FIT_ROWS]
    return [rows.texts[row] for row in known], np.array([classes[codes[row]] for row in known])


def _cls_vectors(encoder: Any, tokenizer: Any, texts: list[str], seconds: float, device: str) -> np.ndarray:
    """The [CLS] vectors (n, width) of the first texts, as many as can be read in `seconds`."""
    import torch

    from sentiment_batch.model.device import prefer_bfloat16

    dtype = torch.bfloat16 if prefer_bfloat16(device)[0] else torch.float32
    network = copy.deepcopy(encoder).to(device=device, dtype=dtype)
    vectors: list[np.ndarray] = []
    until = time.perf_counter() + seconds
    for start in range(0, len(texts), FIT_POOL):
        pool = texts[start : start + FIT_POOL]
        found = np.empty((len(pool), encoder.config.dim), dtype=np.float32)
        for rows, batch in _batches(pool, tokenizer, device):
            with torch.inference_mode():
                found[rows] = network(**batch).last_hidden_state[:, 0].float().cpu().numpy()
        vectors.append(found)
        if time.perf_counter() > until:
            break
    return np.concatenate(vectors)


def _batches(texts: list[str], tokenizer: Any, device: str) -> Iterator[tuple[list[int], Any]]:
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    for start in range(0, len(order), FIT_BATCH):
        rows = order[start : start + FIT_BATCH]
        batch = tokenizer(
            [texts[row] for row in rows], truncation=True, max_length=512, padding=True, return_tensors="pt"
        )
        yield rows, {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}


def _logistic(vectors: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, float]:
    """Weight (width,) and bias of a logistic regression on the standardized vectors, for the vectors as they are."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = vectors.mean(axis=0), vectors.std(axis=0) + 1e-6
    held = len(vectors) // 10
    fitted = LogisticRegression(C=0.01, max_iter=1_000).fit((vectors[held:] - mean) / scale, codes[held:])
    if held:
        accuracy = fitted.score((vectors[:held] - mean) / scale, codes[:held])
        report_progress(f"head fitted on {len(vectors) - held:,} rows; accuracy {accuracy:.3f} on {held:,} others")
    weight = fitted.coef_[0] / scale
    return weight, float(fitted.intercept_[0] - weight @ mean)


def _save(folder: Path, encoder: Any, tokenizer: Any, weight: np.ndarray, bias: float) -> None:
    """Write a stock two-label folder whose log-odds for positive are `weight @ cls + bias`."""
    import torch

    from sentiment_batch.model.classifier import EncoderClassifier, save_classifier

    classifier = EncoderClassifier(encoder, len(LABELS), dropout=0.0)
    half = torch.from_numpy(np.asarray(weight, dtype=np.float32)) / 2
    with torch.no_grad():
        classifier.linear.weight.copy_(torch.stack([-half, half]))
        classifier.linear.bias.copy_(torch.tensor([-bias / 2, bias / 2]))
    save_classifier(folder, classifier, tokenizer, LABELS, max_length=512)
