"""Measures predictions: from probabilities and true classes to an `Evaluation` with figures, tables and errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.display import fit_text, terminal_width
from sentiment_batch.evaluation import curves, label_issues, slices, terminal
from sentiment_batch.evaluation.intervals import bootstrap
from sentiment_batch.evaluation.metrics import ClassMetrics, Codes, Metrics, calibration_error, measure, reliability
from sentiment_batch.report.formatting import format_quantity
from sentiment_batch.settings import MAX_ERRORS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from sentiment_batch.labels.mapping import EncodedLabels
    from sentiment_batch.model.probabilities import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Rows of a table that were not measured; `str` lists the reasons."""

    blank: int
    """Number of rows without a text."""
    label_missing: int
    """Number of rows without a label."""
    label_unknown_rows: int
    """Number of rows with a label that the model does not have."""
    label_unknown: dict[str, int]
    """Some of those labels with their numbers of rows, the most frequent first."""

    @classmethod
    def count(cls, encoded: EncodedLabels, blank: int) -> LeftOut:
        """The rows without a class.

        Args:
            encoded: the labels of the rows with a text, as class numbers.
            blank: the number of rows without a text.
        """
        return cls(
            blank=blank,
            label_missing=encoded.num_missing,
            label_unknown_rows=encoded.num_unknown,
            label_unknown=encoded.named_unknown,
        )

    @property
    def reasons(self) -> list[str]:
        """Each reason with its number of rows, such as `3 without a text`."""
        named = ", ".join(f"{label!r} {rows:,}" for label, rows in self.label_unknown.items())
        unnamed = self.label_unknown_rows - sum(self.label_unknown.values())
        named += f" and {unnamed:,} more" if named and unnamed else ""
        counts = (
            (self.blank, "without a text"),
            (self.label_missing, "without a label"),
            (self.label_unknown_rows, f"with a label of no class ({named})" if named else "with a label of no class"),
        )
        return [f"{rows:,} {what}" for rows, what in counts if rows]

    def __str__(self) -> str:
        return ", ".join(self.reasons)


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Evaluation:
    """The figures of a model on some rows. `str` and `table` return text for a terminal, `to_json` plain values."""

    metrics: Metrics
    roc_auc: float | None
    """Area under the ROC: of the second label if there are two, else the mean over the labels, each against the rest.
    None if a class has no rows."""
    calibration_error: float
    """Expected calibration error of the probability of the likeliest label, over 15 bins of equal width."""
    intervals: dict[str, list[float] | None]
    """95 % intervals by the name of the figure; None if the rows do not determine one. See `intervals.bootstrap`."""
    reliability: list[dict[str, Any]]
    """Confidence and accuracy by bin, see `metrics.reliability`."""
    roc: list[dict[str, Any]]
    """The ROC of each label, see `curves.roc_curves`."""
    precision_recall: list[dict[str, Any]]
    """Precision by recall of each label, see `curves.precision_recall_curves`."""
    histogram: dict[str, Any]
    """Correct and wrong rows by the probability of the likeliest label."""
    by_length: list[dict[str, Any]]
    """Figures by the number of tokens."""
    by: dict[str, Any] | None
    """`column` and `groups`: figures by the values of a column; None if no column was named."""
    errors: list[dict[str, Any]]
    """Rows whose predicted label is not their label, with the highest probability first."""
    likely_wrong_labels: list[dict[str, Any]]
    """Rows whose label is likely wrong, those first whose suggested label has the highest score."""
    mapping: str | None = None
    """How the labels of the table were read; None if there was no table."""
    left_out: LeftOut | None = None
    """Rows of the table that are in no figure; None if there was no table."""
    input: dict[str, Any] | None = None
    """How the table was read, see `InputDescription.to_json`; None if there was no table."""
    unlike: float | None = None
    """The share of texts that look unlike those of the training; None if the model has no fingerprint of them."""
    unlike_reasons: tuple[str, ...] = ()
    """How the texts differ, in words; empty if there is nothing to warn of."""
    words: dict[str, Any] | None = None
    """The words that mark the texts of each predicted label and their weights, see `weigh_marking_words`; None if they
    were not computed."""
    trained_on: float | None = None
    """Estimated share of the texts that the model was trained on; None if no text or too few were found."""

    @property
    def rows(self) -> int:
        """Number of rows that were measured."""
        return self.metrics.rows

    @property
    def accuracy(self) -> float:
        """Share of rows whose label is predicted."""
        return self.metrics.accuracy

    @property
    def macro_f1(self) -> float:
        """Mean of F1 over the classes that have rows."""
        return self.metrics.macro_f1

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        return self.metrics.loss

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the model."""
        return self.metrics.labels

    @property
    def classes(self) -> tuple[ClassMetrics, ...]:
        """Precision, recall, F1 and the number of rows of each class."""
        return self.metrics.classes

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """(K, K) rows of class i that were predicted as class j."""
        return self.metrics.confusion

    def to_json(self) -> dict[str, Any]:
        """Plain values, all in one object."""
        values = asdict(self)
        metrics: dict[str, Any] = values.pop("metrics")
        return metrics | values

    def __str__(self) -> str:
        width = terminal_width(sys.stdout)
        values = {name: getattr(self, name) for name in terminal.METRICS}
        head = [f"{format_quantity(self.rows, 'row')}; 95 % intervals in brackets, a dash where there is none"]
        head += [f"labels: {self.mapping}"] if self.mapping else []
        head += [f"rows left out: {reason}" for reason in self.left_out.reasons] if self.left_out else []
        lines = [fit_text(line, width) for line in head]
        return "\n".join([*lines, "", terminal.format_figures(values, self.intervals)])

    def __repr__(self) -> str:
        """The main figures in a line, because the generated text would fill screens."""
        return f"Evaluation(rows={self.rows}, accuracy={self.accuracy:.4f}, macro_f1={self.macro_f1:.4f})"

    def _repr_html_(self) -> str:
        """The figures and charts of the report, for notebooks."""
        from sentiment_batch.report.notebook import frame_page
        from sentiment_batch.report.page import render_report_page

        evaluations = [{"name": "the table", "evaluation": self.to_json()}]
        return frame_page(render_report_page({"title": "Evaluation", "evaluations": evaluations}), "Evaluation")

    def table(self) -> str:
        """The table by class, the confusion matrix, and the tables by length and by the named column, as text."""
        width = terminal_width(sys.stdout)
        parts = [terminal.format_metrics(self.metrics, width), terminal.format_slices("length", self.by_length, width)]
        if self.by:
            parts.append(terminal.format_slices(self.by["column"], self.by["groups"], width))
        return "\n\n".join(parts)


def assess(
    probabilities_NK: Floats,
    codes_N: Codes,
    labels: Sequence[str],
    *,
    texts: Sequence[str],
    lengths_N: Codes,
    cut_N: npt.NDArray[np.bool_],
    locate_row: Callable[[int], Mapping[str, Any]] | None = None,
    by: tuple[str, pa.DictionaryArray] | None = None,
    max_errors: int = MAX_ERRORS,
    max_label_issues: int | None = None,
) -> Evaluation:
    """Measure predictions in every way.

    Args:
        probabilities_NK: the predicted probabilities; N is at least 1.
        codes_N: the true classes.
        labels: the K labels.
        texts: (N,) the texts.
        lengths_N: the tokens of each text before it was cut.
        cut_N: true if the text was cut.
        locate_row: gives where one of the N rows stands in its table, if there is one: `file`, `row` and so on.
        by: the name of a column and its (N,) values, to measure the rows of each value.
        max_errors: how many errors to list.
        max_label_issues: how many labels that are likely wrong to list; None lists up to `max_errors`.
    """
    roc = curves.roc_curves(probabilities_NK, codes_N, labels)

    # What errors and label issues have in common: where the row is, its text and its label
    def describe(place: int) -> dict[str, Any]:
        return {
            **(dict.fromkeys(("file", "row", "id_column", "id")) if locate_row is None else locate_row(place)),
            "text": texts[place],
            "label": labels[codes_N[place]],
        }

    groups = None
    if by is not None:
        column, values_N = by
        groups = {"column": column, "groups": slices.measure_by_value(probabilities_NK, codes_N, labels, values_N)}
    best_N = probabilities_NK.argmax(axis=1)
    errors = label_issues.find_errors(probabilities_NK, codes_N, max_errors)
    max_label_issues = max_errors if max_label_issues is None else max_label_issues
    return Evaluation(
        metrics=measure(probabilities_NK, codes_N, labels),
        roc_auc=curves.roc_auc(roc, len(labels)),
        calibration_error=calibration_error(probabilities_NK, codes_N),
        intervals=bootstrap(probabilities_NK, codes_N),
        reliability=reliability(probabilities_NK, codes_N),
        roc=roc,
        precision_recall=curves.precision_recall_curves(probabilities_NK, codes_N, labels),
        histogram=curves.score_histogram(probabilities_NK, codes_N),
        by_length=slices.measure_by_length(probabilities_NK, codes_N, labels, lengths_N, cut_N),
        by=groups,
        errors=[
            describe(place)
            | {"predicted": labels[best_N[place]], "score": float(probabilities_NK[place].max()), "words": None}
            for place in errors.tolist()
        ],
        likely_wrong_labels=label_issues.list_label_issues(
            probabilities_NK, codes_N, labels, describe, max_label_issues
        ),
    )
