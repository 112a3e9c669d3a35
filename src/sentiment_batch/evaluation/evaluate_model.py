"""Measures a model on labelled reviews: a scorer and rows in, how good it is and where it errs out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment_batch.display import shortened
from sentiment_batch.errors import InputError, SentimentBatchError, listed
from sentiment_batch.evaluation import curves, label_issues, slices, terminal
from sentiment_batch.evaluation.intervals import bootstrap
from sentiment_batch.evaluation.metrics import Metrics, calibration_error, measure, reliability
from sentiment_batch.labels.mapping import LabelMapping
from sentiment_batch.labels.matching import match_mapping
from sentiment_batch.scoring.progress import progress_bar

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import LabelledRows
    from sentiment_batch.labels.mapping import Encoded
    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.tokenization.ragged import Tokens
    from sentiment_batch.tokenization.tokenizer import Tokeniser

logger = logging.getLogger("sentiment_batch")

Floats = npt.NDArray[np.floating[Any]]
Codes = npt.NDArray[np.int64]

ERRORS = 20
"""Of the errors and of the likely wrong labels, so many are kept."""
TEXTS_AT_ONCE = 4_096
"""On their way to the model."""
MANY_UNKNOWN = 0.05
"""The share of the rows with an unknown label from which on there is a warning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Rows of a table that were not measured; `str` is for people."""

    blank: int
    """Without a text."""
    label_missing: int
    label_unknown_rows: int
    """With a label that is none of the model's."""
    label_unknown: dict[str, int]
    """Some of those labels with their rows, the most frequent first."""

    @classmethod
    def of(cls, encoded: Encoded, blank: int) -> LeftOut:
        """What has no class among `encoded`, and rows without a text, whose labels are not among them."""
        return cls(
            blank=blank,
            label_missing=encoded.num_missing,
            label_unknown_rows=encoded.num_unknown,
            label_unknown=encoded.named_unknown,
        )

    @property
    def reasons(self) -> list[str]:
        """Why, with the number of rows."""
        named = ", ".join(f"{label!r} {rows:,}" for label, rows in self.label_unknown.items())
        unnamed = self.label_unknown_rows - sum(self.label_unknown.values())
        named += f" and {unnamed:,} more" if named and unnamed else ""
        counts = (
            (self.blank, "without a text"),
            (self.label_missing, "without a label"),
            (self.label_unknown_rows, f"with an unknown label ({named})" if named else "with an unknown label"),
        )
        return [f"{rows:,} {what}" for rows, what in counts if rows]

    def __str__(self) -> str:
        return ", ".join(self.reasons)


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Evaluation:
    """How good a model is on some rows: `metrics` and more; `str` and `table` are for people."""

    metrics: Metrics
    roc_auc: float | None
    """Of two classes that of the second, of more the mean of each against the rest; None where a class has no rows."""
    calibration_error: float
    """The expected calibration error of the probability of the likeliest label, over 15 bins of equal width."""
    intervals: dict[str, list[float] | None]
    """95 % intervals, by the name of the figure; None where the rows tell none. See `intervals.bootstrap`."""
    reliability: list[dict[str, Any]]
    roc: list[dict[str, Any]]
    precision_recall: list[dict[str, Any]]
    histogram: dict[str, Any]
    by_length: list[dict[str, Any]]
    by: dict[str, Any] | None
    """`column` and `groups`, where a column was named."""
    errors: list[dict[str, Any]]
    """Rows that the model takes for another class than they are labelled, those it is surest of first."""
    likely_wrong_labels: list[dict[str, Any]]
    mapping: str | None = None
    """How the labels of the table were read."""
    left_out: LeftOut | None = None
    """Rows of the table that are in no figure; both are None where there was no table."""

    @property
    def rows(self) -> int:
        """Rows that were measured."""
        return self.metrics.rows

    @property
    def accuracy(self) -> float:
        """The share of rows whose label is predicted."""
        return self.metrics.accuracy

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the classes that have rows."""
        return self.metrics.macro_f1

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        return self.metrics.loss

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """(K, K): rows of class i that were taken for class j."""
        return self.metrics.confusion

    def to_json(self) -> dict[str, Any]:
        """Plain values, all in one object."""
        every = asdict(self)
        figures: dict[str, Any] = every.pop("metrics")
        return figures | every

    def __str__(self) -> str:
        values = {name: getattr(self, name) for name in terminal.FIGURES}
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        head = [f"{rows}; 95 % intervals in brackets, a dash where the rows tell none"]
        head += [f"labels: {self.mapping}"] if self.mapping else []
        head += [f"rows left out: {reason}" for reason in self.left_out.reasons] if self.left_out else []
        lines = [terminal.fitted(line, terminal.COLUMNS) for line in head]
        return "\n".join([*lines, "", terminal.figures(values, self.intervals)])

    __repr__ = __str__
    """All else would fill screens."""

    def table(self) -> str:
        """The tables per class, by length and by the column that was named, and the confusion matrix, as text."""
        parts = [self.metrics.table(), terminal.groups("length", self.by_length)]
        if self.by:
            parts.append(terminal.groups(self.by["column"], self.by["groups"]))
        return "\n\n".join(parts)


def assess(
    probabilities_NK: Floats,
    codes_N: Codes,
    labels: Sequence[str],
    *,
    texts: Sequence[str],
    lengths_N: Codes,
    cut_N: npt.NDArray[np.bool_],
    rows: Sequence[int] | None = None,
    by: tuple[str, pa.DictionaryArray] | None = None,
    most_errors: int = ERRORS,
) -> Evaluation:
    """All that is measured of predictions.

    Args:
        probabilities_NK: N at least 1.
        codes_N: the true classes.
        labels: the K names.
        texts: (N,)
        lengths_N: tokens of each text before it was cut.
        cut_N: whether it was.
        rows: (N,) the number of each in the table it comes from, if it has one.
        by: a column's name and its (N,) values, as `values.words_of` gives them, to measure each value's rows apart.
        most_errors: errors, and likely wrong labels, to keep.
    """
    curve = curves.roc(probabilities_NK, codes_N, labels)

    def row(place: int) -> dict[str, Any]:
        return {"row": None if rows is None else int(rows[place]), "text": texts[place]}

    best_N = probabilities_NK.argmax(axis=1)
    wrong, instead = label_issues.likely_wrong(probabilities_NK, codes_N, most_errors)
    return Evaluation(
        metrics=measure(probabilities_NK, codes_N, labels),
        roc_auc=curves.roc_auc(curve, len(labels)),
        calibration_error=calibration_error(probabilities_NK, codes_N),
        intervals=bootstrap(probabilities_NK, codes_N),
        reliability=reliability(probabilities_NK, codes_N),
        roc=curve,
        precision_recall=curves.precision_recall(probabilities_NK, codes_N, labels),
        histogram=curves.histogram(probabilities_NK, codes_N),
        by_length=slices.by_length(probabilities_NK, codes_N, labels, lengths_N, cut_N),
        by={"column": by[0], "groups": slices.by_value(probabilities_NK, codes_N, labels, by[1])} if by else None,
        errors=[
            row(place)
            | {
                "label": labels[codes_N[place]],
                "predicted": labels[best_N[place]],
                "score": float(probabilities_NK[place].max()),
                "words": None,
            }
            for place in label_issues.errors(probabilities_NK, codes_N, most_errors).tolist()
        ],
        likely_wrong_labels=[
            row(place)
            | {
                "label": labels[codes_N[place]],
                "suggested": labels[other],
                "score": float(probabilities_NK[place, other]),
            }
            for place, other in zip(wrong.tolist(), instead.tolist(), strict=True)
        ],
    )


def lengths_of(tokens: Tokens) -> Codes:
    """(N,) tokens of each text before it was cut, or of what is kept of it where nobody counted."""
    if tokens.whole is not None:
        return tokens.whole
    return np.bincount(tokens.owners, tokens.lengths, len(tokens.cut)).astype(np.int64)


def evaluate_labelled(
    scorer: Scorer, rows: LabelledRows, *, stars: str | None = None, most_errors: int = ERRORS, quiet: bool = True
) -> Evaluation:
    """How well the model of `scorer` predicts the labels of `rows`.

    Args:
        scorer: the model.
        rows: texts and labels as written; mapped the way the model's training data were, else by their meaning.
        stars: cut points for star ratings, as `--stars` takes them.
        most_errors: errors, and likely wrong labels, to keep.
        quiet: show no progress.

    Raises:
        InputError: the labels have no counterpart among the model's, or no row has one.
    """
    mapping = _mapping(scorer, rows, stars)
    encoded = mapping.encode(rows.labels)
    left_out, codes = LeftOut.of(encoded, rows.num_blank), encoded.codes
    _tell(left_out, len(rows.labels) + rows.num_blank)
    known = np.flatnonzero(codes >= 0)
    if not len(known):
        raise InputError(f"{rows.name} holds no row to measure{_why_none(left_out)}")
    texts = [rows.texts[row] for row in known]
    stream = _Stream(texts, scorer.tokeniser)
    with progress_bar(len(texts), quiet=quiet) as bar:
        scored = [found for _, found in scorer.probabilities(stream.batches(), ["text"], bar.update, len(texts))]
    measured = assess(
        np.concatenate(scored),
        codes[known],
        scorer.labels,
        texts=texts,
        lengths_N=stream.lengths_N,
        cut_N=stream.cut_N,
        rows=known.tolist() if rows.numbers is None else [rows.numbers[row] for row in known],
        by=(rows.by_column, rows.by.take(known)) if rows.by_column and rows.by is not None else None,
        most_errors=most_errors,
    )
    return replace(measured, mapping=str(mapping), left_out=left_out)


class _Stream:
    """Texts on their way to a scorer, a batch at a time; what passes is measured in tokens, beside the model's work."""

    def __init__(self, texts: Sequence[str], tokeniser: Tokeniser) -> None:
        self._texts = texts
        self._tokeniser = tokeniser
        self.lengths_N: Codes = np.zeros(len(texts), dtype=np.int64)
        self.cut_N = np.zeros(len(texts), dtype=np.bool_)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All texts, in order."""
        for start in range(0, len(self._texts), TEXTS_AT_ONCE):
            rows = slice(start, start + TEXTS_AT_ONCE)
            tokens = self._tokeniser(self._texts[rows])
            self.lengths_N[rows] = lengths_of(tokens)
            self.cut_N[rows] = tokens.cut & (self._tokeniser.policy.long_text != "windows")  # which leave out nothing
            yield pa.record_batch({"text": pa.array(self._texts[rows], pa.large_string())})


def report_of(found: dict[str, Any], rows: LabelledRows, scorer: Scorer) -> dict[str, Any]:
    """What report.html is made of.

    Args:
        found: the evaluation as JSON; its errors get their words, unless the model has none.
        rows: what was measured.
        scorer: the model.
    """
    from importlib.metadata import version

    _explain(found["errors"], scorer)
    calibration = (scorer.description.meta or {}).get("calibration")
    return {
        "title": f"{scorer.model} on {rows.name}",
        "model": scorer.model,
        "version": version("sentiment-batch"),
        "labels": list(scorer.labels),
        "evaluations": [{"name": rows.name, "evaluation": found, "before_calibration": None}],
        "history": None,
        "data": None,
        "settings": None,
        "temperature": calibration["temperature"] if calibration else None,
        "base": (scorer.description.meta or {}).get("base"),
        "device": scorer.device.value,
        "dtype": scorer.dtype.value,
    }


def _explain(errors: list[dict[str, Any]], scorer: Scorer) -> None:
    """Give each of the errors its words."""
    from sentiment_batch.explanation.attribution import attributions
    from sentiment_batch.explanation.words import rounded

    try:
        for error, one in zip(errors, attributions(scorer, [error["text"] for error in errors]), strict=True):
            error["words"] = rounded(one.words)
    except SentimentBatchError as why:  # what was measured stays true
        logger.warning("the report shows errors without the weights of their words: %s", why)


def _mapping(scorer: Scorer, rows: LabelledRows, stars: str | None) -> LabelMapping:
    """From the labels of the rows to the model's classes."""
    meta = scorer.description.meta
    trained = LabelMapping.from_json(meta["labels"]) if meta else None
    if trained is not None and trained.labels != scorer.labels:
        trained = None  # renamed with --labels
    mapping = match_mapping(trained, scorer.labels, rows.labels, rows.label_column, stars)
    lacking = [label for label in scorer.labels if label not in mapping.values.values()]
    if mapping.kind == "numbers" and lacking:
        logger.warning(
            "the labels of %r are taken for %s, none for %s; if they mean something else, say it with --stars",
            rows.label_column,
            shortened(str(mapping)),
            listed(lacking),
        )
    else:
        logger.info("labels of %r: %s", rows.label_column, shortened(str(mapping)))
    return mapping


def _why_none(left_out: LeftOut) -> str:
    """The end of a sentence: what the rows lack, and the cure."""
    if not left_out.reasons:
        return ": it has no rows at all."
    options = "--text-column" if left_out.blank and len(left_out.reasons) == 1 else "--label-column"
    return f": {left_out}. Check its {options}."


def _tell(left_out: LeftOut, rows: int) -> None:
    """Say what is left out of so many rows."""
    if left_out.label_unknown_rows > MANY_UNKNOWN * rows:
        logger.warning("of %s rows, figures leave out %s", f"{rows:,}", left_out)
    elif left_out.reasons:
        logger.info("left out: %s", left_out)
