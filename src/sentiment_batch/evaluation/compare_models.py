"""Compares two models on the same labelled rows: the difference in accuracy, its interval, and rows that changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment_batch.display import escape_line
from sentiment_batch.errors import InputError
from sentiment_batch.evaluation.assess import LeftOut
from sentiment_batch.evaluation.evaluate_model import TEXTS_PER_BATCH, explain_no_rows, match_labels, report_left_out
from sentiment_batch.evaluation.intervals import difference_interval, share_interval
from sentiment_batch.evaluation.metrics import measure
from sentiment_batch.labels.values import normalize_word
from sentiment_batch.labels.words import find_meaning, find_side
from sentiment_batch.progress import show_progress
from sentiment_batch.report.formatting import format_interval, format_percent, format_quantity

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import LabelledRows
    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.labels.settings import LabelSettings
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.scorer import Scorer


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFigures:
    """The figures of one of the models."""

    model: str
    """The name of the model."""
    accuracy: float
    """Share of the rows whose label is predicted."""
    interval: Sequence[float]
    """The 95 % interval of the accuracy."""
    macro_f1: float
    """Mean of F1 over the classes that have rows."""
    loss: float
    """Mean cross-entropy, in nats."""
    left_out: LeftOut
    """Rows that this model cannot be measured on. Neither model is."""

    def __str__(self) -> str:
        interval = format_interval(self.interval, format_percent)
        return (
            f"accuracy {format_percent(self.accuracy)} (95 % interval {interval}), macro F1 {self.macro_f1:.4f}, "
            f"log loss {self.loss:.4f}: {escape_line(self.model)}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelComparison:
    """Two models on the same rows; `str` gives text for a terminal."""

    rows: int
    """Number of rows whose label both models have."""
    a: ModelFigures
    b: ModelFigures
    difference: float
    """The accuracy of B minus the accuracy of A."""
    difference_interval: Sequence[float]
    """The 95 % interval of the difference, for models that were measured on the same rows."""
    only_a: int
    """Number of rows that only A gets right."""
    only_b: int
    """Number of rows that only B gets right."""
    changed: Sequence[dict[str, Any]]
    """Rows to which the models give different labels, those first on which they are most certain."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{name}  {one}" for name, one in (("A", self.a), ("B", self.b))]
        low, high = (f"{100 * end:+.1f}" for end in self.difference_interval)
        verdict = "no clear difference"
        if self.difference_interval[0] > 0 or self.difference_interval[1] < 0:
            verdict = f"{'B' if self.difference > 0 else 'A'} is better"
        return "\n".join(
            [
                f"{format_quantity(self.rows, 'row')}, measured with both models",
                *lines,
                f"B less A: {100 * self.difference:+.1f} points (95 % interval {low} to {high}): {verdict}",
                f"only A is right in {format_quantity(self.only_a, 'row')}, only B in "
                f"{format_quantity(self.only_b, 'row')}; {format_quantity(len(self.changed), 'label')} changed",
            ]
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Truth:
    """The true classes of N rows among those of one model."""

    labels: tuple[str, ...]
    codes_N: Codes
    """(N,) the true classes; negative if the row has no label, or one that the model lacks."""
    left_out: LeftOut

    def name(self, place: int) -> str:
        """The true label of a row, as the model writes it."""
        return self.labels[int(self.codes_N[place])]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Measured:
    """The predictions of one model for N rows."""

    model: str
    truth: _Truth
    probabilities_NK: Floats

    @property
    def best_N(self) -> Codes:
        """(N,) the predicted classes."""
        best: Codes = self.probabilities_NK.argmax(axis=1)
        return best

    def describe(self, place: int) -> tuple[str, float]:
        """The predicted label of a row, and its score."""
        scores = self.probabilities_NK[place]
        return self.truth.labels[int(scores.argmax())], round(float(scores.max()), 4)

    def figures(self, known: npt.NDArray[np.int64]) -> ModelFigures:
        """The figures on some rows."""
        found = measure(self.probabilities_NK[known], self.truth.codes_N[known], self.truth.labels)
        hits = int((self.best_N[known] == self.truth.codes_N[known]).sum())
        return ModelFigures(
            model=self.model,
            accuracy=found.accuracy,
            interval=share_interval(hits, len(known)),
            macro_f1=found.macro_f1,
            loss=found.loss,
            left_out=self.truth.left_out,
        )


def compare_models(
    loads: Sequence[Callable[[], AbstractContextManager[Scorer]]],
    rows: LabelledRows,
    label_settings: LabelSettings,
    *,
    quiet: bool = True,
) -> ModelComparison:
    """Measure two models on the same rows, one after the other, so that only one takes memory.

    Args:
        loads: each loads one of the two models.
        rows: texts, and labels as written.
        label_settings: what the user says about the labels.
        quiet: show no progress.

    Raises:
        InputError: the labels have no counterpart among those of a model, no row has one that both know, or a row has
            another true label for each model.
        ModelError, DeviceError: a model cannot be used.
    """
    # Both models read the labels before one of them scores, so that an error shows before a large table is scored.
    # Only one is loaded at a time, so the first one is loaded twice.
    load_a, load_b = loads
    with load_a() as scorer:
        truth_a = _read_truth(scorer, rows, label_settings)
    with load_b() as scorer:
        truth_b = _read_truth(scorer, rows, label_settings)
        known = _find_known(truth_a, truth_b, rows)
        b = _measure(scorer, rows, truth_b, quiet=quiet)
    with load_a() as scorer:
        a = _measure(scorer, rows, truth_a, quiet=quiet)
    measured = a, b
    # Figures on the rows that both models know. The difference is that of paired rows.
    right_a, right_b = (one.best_N[known] == one.truth.codes_N[known] for one in measured)
    figures = [one.figures(known) for one in measured]
    return ModelComparison(
        rows=len(known),
        a=figures[0],
        b=figures[1],
        difference=figures[1].accuracy - figures[0].accuracy,
        difference_interval=difference_interval(right_b, right_a),
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((right_b & ~right_a).sum()),
        changed=sorted(_list_changed(a, b, rows, known.tolist()), key=lambda one: -one["score_a"] - one["score_b"]),
    )


def _read_truth(scorer: Scorer, rows: LabelledRows, settings: LabelSettings) -> _Truth:
    """The true classes of the rows among those of a model.

    Raises:
        InputError: the labels have no counterpart among those of the model.
    """
    mapping, _ = match_labels(scorer, rows, settings)
    encoded = mapping.encode(rows.labels)
    return _Truth(labels=scorer.labels, codes_N=encoded.codes, left_out=LeftOut.count(encoded, blank=rows.num_blank))


def _find_known(a: _Truth, b: _Truth, rows: LabelledRows) -> npt.NDArray[np.int64]:
    """The places of the rows whose label both models have. Logs which rows are left out.

    Raises:
        InputError: there is no such row, or one has another true label for each model.
    """
    # Rows without a label, or without a text, are left out for both. The longer list of the two models is logged.
    lacking = max(a, b, key=lambda one: np.count_nonzero(one.codes_N < 0))
    report_left_out(lacking.left_out, len(rows.labels) + rows.num_blank)
    if (lacking.codes_N < 0).all():
        raise InputError(f"{rows.name} holds no row to measure{explain_no_rows(lacking.left_out)}")
    known = np.flatnonzero((a.codes_N >= 0) & (b.codes_N >= 0))
    if not len(known):
        raise InputError(f"{rows.name} holds no row with a label that both models have. Check its `label_column`.")
    # Each model may read numbers in its own way, such as 1 to 5 as stars or as classes. Then they cannot be compared.
    different = [place for place in known.tolist() if find_side(a.name(place)) != find_side(b.name(place))]
    if different:
        first = different[0]
        raise InputError(
            f"the models read the labels of {rows.label_column!r} in different ways: "
            f"{format_quantity(len(different), 'row')} of {len(known):,} have another true label for each, such as "
            f"{a.name(first)!r} for the first and {b.name(first)!r} for the second model. Say what the labels mean "
            "with `stars` or `labels_map`, or compare models with the same labels."
        )
    return known


def _measure(scorer: Scorer, rows: LabelledRows, truth: _Truth, *, quiet: bool) -> _Measured:
    """Score all rows with a model."""
    texts = rows.texts
    parts = (texts[start : start + TEXTS_PER_BATCH] for start in range(0, len(texts), TEXTS_PER_BATCH))
    batches = (pa.record_batch({"text": pa.array(part, pa.large_string())}) for part in parts)
    with show_progress(len(texts), quiet=quiet) as bar:
        scored = [scores for _, scores in scorer.probabilities(batches, ["text"], bar.update, len(texts))]
    return _Measured(model=scorer.model, truth=truth, probabilities_NK=np.concatenate(scored))


def _list_changed(a: _Measured, b: _Measured, rows: LabelledRows, known: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The rows to which two models give labels of different meanings."""
    for place in known:
        (label_a, score_a), (label_b, score_b) = a.describe(place), b.describe(place)
        if _find_sense(label_a) != _find_sense(label_b):
            values = {"label_a": label_a, "score_a": score_a, "label_b": label_b, "score_b": score_b}
            yield rows.locate_row(place) | {"text": rows.texts[place], "label": a.truth.name(place), **values}


def _find_sense(label: str) -> str:
    """What a label means, however a model writes it: `NEG` means `negative`."""
    return find_meaning(label) or normalize_word(label)
