"""Measures a model on labelled reviews: a scorer and rows in, metrics out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sentiment_batch.errors import InputError, listed
from sentiment_batch.label_inference import for_file
from sentiment_batch.labels import LabelMapping
from sentiment_batch.metrics import Metrics, measure

if TYPE_CHECKING:
    from sentiment_batch.inputs import Labelled
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")


def evaluate_labelled(scorer: Scorer, rows: Labelled, *, stars: str | None = None) -> Metrics:
    """How well the model of `scorer` predicts the labels of `rows`.

    Args:
        scorer: the model.
        rows: texts and labels as written; mapped the way the model's training data were, else by their meaning.
        stars: cut points for star ratings, as `--stars` takes them.

    Raises:
        InputError: the labels have no counterpart among the model's, or no row has one.
    """
    meta = scorer.about.meta
    trained = LabelMapping.from_json(meta["labels"]) if meta else None
    if trained is not None and trained.labels != scorer.labels:
        trained = None  # renamed with --labels
    mapping = for_file(trained, scorer.labels, rows.labels, rows.label_column, stars)
    encoded = mapping.encode(rows.labels)
    known = np.flatnonzero(encoded.codes >= 0)
    logger.info("labels of %r: %s", rows.label_column, mapping)
    if len(known) < len(rows.texts):
        unknown = f"; unknown: {listed(encoded.unknown, 5)}" if encoded.unknown else ""
        logger.info("left out: %s rows without a known label%s", f"{len(rows.texts) - len(known):,}", unknown)
    if not len(known):
        raise InputError(f"{rows.name} holds no row with a text and a known label. Check its --label-column.")
    texts = pa.record_batch({"text": pa.array([rows.texts[row] for row in known], pa.large_string())})
    scored = [probabilities for _, probabilities in scorer.probabilities([texts], ["text"])]
    return measure(np.concatenate(scored), encoded.codes[known], scorer.labels)
