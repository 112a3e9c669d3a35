"""Ragged tokens for the tests of batches and of the ways through a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sentiment_batch.model.stock import LoadedModel, load_classifier
from sentiment_batch.tokenization.packing import Tokens
from tests.stock_models import LIMIT, write_stock_model

PACKED = ("distilbert", "bert", "roberta", "xlm-roberta")
"""The families of `tests.stock_models` that can be packed."""


def tokens(*texts: Sequence[int]) -> Tokens:
    """Texts given as token ids."""
    lengths = [len(text) for text in texts]
    return Tokens(
        ids=np.array([one for text in texts for one in text], dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        owners=np.arange(len(texts)),
        cut=np.zeros(len(texts), dtype=np.bool_),
        uncut_lengths=np.array(lengths, dtype=np.int64),
    )


def draw_tokens(lengths: Iterable[int], vocabulary: int, seed: int = 0) -> Tokens:
    """Texts of these lengths with random ids of the whole vocabulary, the padding id among them."""
    generator = np.random.default_rng(seed)
    return tokens(*(generator.integers(0, vocabulary, length).tolist() for length in lengths))


def load_classifiers(folder: Path, families: Iterable[str] = PACKED) -> dict[str, LoadedModel]:
    """A random classifier of each family."""
    return {family: load_classifier(write_stock_model(family, folder / family)) for family in families}


def stock_probabilities(loaded: LoadedModel, segments: Tokens) -> np.ndarray[Any, Any]:
    """The probabilities (S, K) that the stock network gives, one text at a time."""
    parts = np.split(segments.ids, segments.offsets[1:-1])
    rows = [loaded.logits(torch.from_numpy(part.astype(np.int64))[None], None) for part in parts]
    return torch.cat(rows).softmax(-1).numpy()


def all_segments(segments: Tokens) -> np.ndarray[Any, Any]:
    """The numbers of all segments."""
    return np.arange(len(segments.lengths))


LENGTHS = {
    "one text": [7],
    "one token": [1],
    "of the limit": [LIMIT] * 3,
    "many of one length": [5] * 40,
    "all lengths": list(range(LIMIT, 0, -1)),
    "unsorted": [3, LIMIT, 1, 3, 3, 17, 16, 16, 2, 1],
}
