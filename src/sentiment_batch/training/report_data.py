"""The report of a run: what was measured and learned in, plain values and their page out."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sentiment_batch.errors import SentimentBatchError
from sentiment_batch.evaluation.calibration import measured
from sentiment_batch.evaluation.evaluate_model import assess, lengths_of
from sentiment_batch.evaluation.metrics import measure
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.training.loop import logits

if TYPE_CHECKING:
    from pathlib import Path

    from sentiment_batch.evaluation.calibration import Calibration
    from sentiment_batch.evaluation.metrics import Metrics
    from sentiment_batch.model.classifier import SentimentClassifier
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.tokenization.ragged import Tokens
    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.prepare import Rows

logger = logging.getLogger("sentiment_batch")

REPORT = "report.html"
"""The page's name in the model folder. It shows texts, unlike sentiment_batch.json."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What the published model says of some labelled rows."""

    rows: Rows
    tokens: Tokens
    logits_NK: Floats
    metrics: Metrics

    def evaluation(self, name: str, calibration: Calibration | None) -> dict[str, Any]:
        """One of the report's evaluations: what was measured, and what it was before calibration."""
        temperature = np.float32(calibration.temperature if calibration else 1.0)
        before = None if temperature == 1 else measured(self.logits_NK * temperature, self.rows.codes)
        assessed = assess(
            softmax(self.logits_NK),
            self.rows.codes,
            self.metrics.labels,
            texts=self.rows.texts,
            lengths_N=lengths_of(self.tokens),
            cut_N=self.tokens.cut,
        )
        return {
            "name": name,
            "evaluation": assessed.to_json(),
            "before_calibration": before,
        }


def measure_all(classifier: SentimentClassifier, setup: Setup) -> dict[str, Measured]:
    """Measure the classifier on the `validation` rows, and the `test` rows where there are some."""
    tables = {"validation": (setup.data.validation, setup.validation)}
    if setup.data.test is not None:
        tables["test"] = (setup.data.test, setup.texts(setup.data.test))
    found = {}
    for name, (rows, texts) in tables.items():
        logits_NK = logits(classifier, texts, setup.run)
        one = measure(softmax(logits_NK), rows.codes, setup.run.labels)
        found[name] = Measured(rows=rows, tokens=texts.tokens, logits_NK=logits_NK, metrics=one)
    return found


def report_of(
    name: str, said: Mapping[str, Any], evaluations: Sequence[Mapping[str, Any]], history: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the page is made of; nothing in it depends on the time, so that a resumed run makes the same page.

    Args:
        name: the model's.
        said: what sentiment_batch.json says.
        evaluations: each with its `name`, `evaluation` and `before_calibration`.
        history: the rows of training_log.csv.
    """
    calibration = said["calibration"]
    return {
        "title": name,
        "model": name,
        "version": said["version"],
        "labels": said["labels"]["labels"],
        "evaluations": list(evaluations),
        "history": [{what: value for what, value in entry.items() if what != "seconds"} for entry in history],
        "data": said["data"],
        "settings": said["settings"],
        "temperature": calibration["temperature"] if calibration else None,
        "base": said["base"],
        "device": said["device"]["value"],
        "dtype": said["dtype"]["value"],
    }


def page(report: Mapping[str, Any], folder: Path, device: str) -> str:
    """The report as HTML, its errors with the words that weighed most in them.

    Args:
        report: as `report_of` gives it.
        folder: the model, as it will be published.
        device: where the words are weighed.
    """
    from sentiment_batch.report.page import report_page

    report = copy.deepcopy(dict(report))
    errors = [error for one in report["evaluations"] for error in one["evaluation"]["errors"]]
    try:
        for error, words in zip(errors, _words(folder, [error["text"] for error in errors], device), strict=True):
            error["words"] = words
    except (SentimentBatchError, torch.OutOfMemoryError) as why:  # a model is published all the same
        logger.warning("the report shows errors without the weights of their words: %s", why)
    return report_page(report)


def _words(folder: Path, texts: Sequence[str], device: str) -> list[list[list[Any]]]:
    """The pieces of each text with their weights."""
    from sentiment_batch.explanation.attribution import attributions
    from sentiment_batch.explanation.words import rounded
    from sentiment_batch.scoring.scorer import Scorer

    if not texts:
        return []
    with Scorer.load(str(folder), device=device, dtype="float32") as scorer:
        return [rounded(one.words) for one in attributions(scorer, texts)]
