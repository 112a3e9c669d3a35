"""The report of a run: measures the published model, and makes the values and the text of report.html."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.evaluation.assess import assess
from sentiment_batch.evaluation.calibration import measure_calibration
from sentiment_batch.evaluation.label_issues import list_label_issues
from sentiment_batch.evaluation.metrics import measure
from sentiment_batch.evaluation.report_values import add_word_weights
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.training.loop import compute_logits

if TYPE_CHECKING:
    from pathlib import Path

    from sentiment_batch.evaluation.calibration import Calibration
    from sentiment_batch.evaluation.metrics import Metrics
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.tokenization.packing import Tokens
    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.dataset import ReviewSet


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredRows:
    """N labelled rows and what the published model predicts for them."""

    rows: ReviewSet
    tokens: Tokens
    logits_NK: Floats
    """The calibrated logits."""
    metrics: Metrics

    def evaluate(self, name: str, calibration: Calibration | None) -> dict[str, Any]:
        """One of the report's evaluations: its `name`, the `evaluation`, and what was measured `before_calibration`."""
        # The logits are divided by the temperature already, so multiplying takes the calibration back
        temperature = np.float32(calibration.temperature if calibration else 1.0)
        before = None
        if temperature != 1:
            before = measure_calibration(self.logits_NK * temperature, self.rows.codes)
        evaluation = assess(
            softmax(self.logits_NK),
            self.rows.codes,
            self.metrics.labels,
            texts=self.rows.texts,
            locate_row=self.rows.locate_row,
            lengths_N=self.tokens.uncut_lengths,
            cut_N=self.tokens.cut,
        )
        return {"name": name, "evaluation": evaluation.to_json(), "before_calibration": before}

    def list_label_issues(self) -> list[dict[str, Any]]:
        """All rows whose label is likely wrong, those with the highest score first.

        The model must not have been trained on them.
        """
        labels = self.metrics.labels

        def describe(place: int) -> dict[str, Any]:
            rows = self.rows
            return rows.locate_row(place) | {"text": rows.texts[place], "label": labels[rows.codes[place]]}

        return list_label_issues(softmax(self.logits_NK), self.rows.codes, labels, describe, len(self.rows))


def measure_all(setup: Setup, validation_NK: Floats) -> dict[str, MeasuredRows]:
    """Measure the classifier on the `validation` rows, and on the `test` rows if there are any.

    Args:
        setup: the run with its classifier.
        validation_NK: the calibrated logits of the validation rows.
    """
    tables = {"validation": (setup.data.validation, setup.validation, validation_NK)}
    if setup.data.test is not None:
        texts = setup.tokenize(setup.data.test)
        tables["test"] = setup.data.test, texts, compute_logits(setup.classifier, texts, setup.config)
    measured = {}
    for name, (rows, texts, logits_NK) in tables.items():
        metrics = measure(softmax(logits_NK), rows.codes, setup.config.labels)
        measured[name] = MeasuredRows(rows=rows, tokens=texts.tokens, logits_NK=logits_NK, metrics=metrics)
    return measured


def make_page(report: Mapping[str, Any], folder: Path, device: str, measured: Mapping[str, MeasuredRows]) -> str:
    """The report as HTML. Its errors show the weights of their words, and the test rows those that weigh most.

    Without test rows, the validation rows do.

    Args:
        report: the values that `collect_report` gave.
        folder: the model to publish.
        device: where the weights of words are computed.
        measured: the rows by the name of their evaluation, as `measure_all` gave them.
    """
    from sentiment_batch.report.page import render_report_page

    report = copy.deepcopy(dict(report))  # the weights of words are added to it
    _weigh_words(report, folder, device, dict(list(measured.items())[-1:]))  # the last are the test rows, if any
    return render_report_page(report)


def _weigh_words(report: Mapping[str, Any], folder: Path, device: str, measured: Mapping[str, MeasuredRows]) -> None:
    """Give the errors of the report the weights of their words, and find the words of the measured rows."""
    from sentiment_batch.scoring.scorer import Scorer

    texts = {name: (one.rows.texts, one.logits_NK.argmax(axis=1)) for name, one in measured.items()}
    add_word_weights(report, lambda: Scorer.load(str(folder), device=device, dtype="float32"), texts)
