"""The head of a report: the figures of every evaluation with their intervals, and what they say in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sentiment_batch.report.document import escaped
from sentiment_batch.report.figure import unfold
from sentiment_batch.report.numbers import NONE, count, decimal, number, percent, rows, span
from sentiment_batch.report.texts import quoted, short

_FIGURES: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("accuracy", "Accuracy", percent),
    ("macro_f1", "Macro F1", decimal),
    ("roc_auc", "ROC AUC", decimal),
    ("loss", "Log loss", decimal),
    ("calibration_error", "Calibration error", decimal),
)
_MEANINGS = (
    ("Accuracy", "The share of rows whose label is predicted. Compare it with always giving the most frequent label."),
    (
        "Macro F1",
        "The mean, over the labels that have rows, of F1, the harmonic mean of precision and recall; a rare label "
        "counts as much as a frequent one. 1 is perfect.",
    ),
    (
        "ROC AUC",
        "How often a text of a label gets a higher probability of it than a text of another. 0.5 is chance, 1 perfect.",
    ),
    (
        "Log loss",
        "How surprised the model is by the true labels, in nats: the less the better. It punishes sure errors.",
    ),
    (
        "Calibration error",
        "By how much stated probabilities differ from the share that is right, on average over 15 bins. 0.02 is two "
        "points of a hundred.",
    ),
    (
        "95% interval",
        "Where the figure would lie in 95 of 100 samples of rows as these: for accuracy by Wilson's formula, for the "
        "others by drawing the rows anew (bootstrap). A dash where the rows are too few or too alike to tell.",
    ),
)


def lead(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on the first evaluation, nothing without one."""
    if not evaluations:
        return ""
    name, found = evaluations[0].get("name"), evaluations[0].get("evaluation") or {}
    if number(found.get("accuracy")) is None:
        return ""
    reach = span((found.get("intervals") or {}).get("accuracy"), percent)
    held = escaped(
        f"of the {_rows_of(name, rows(found.get('rows')))} right{f' (95% interval {reach})' if reach else ''}."
    )
    right = f"<b>{percent(found.get('accuracy'))}</b>"
    return f'<p class="lead">The model gets {right} {held}{escaped(_baseline(found))}</p>'


def left_out(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on the rows that the first evaluation leaves out, nothing where there are none."""
    found = (evaluations[0].get("evaluation") or {}) if evaluations else {}
    lost = found.get("left_out") or {}
    unknown = ", ".join(f"{quoted(label)} {count(held)}" for label, held in (lost.get("label_unknown") or {}).items())
    named = (
        ("blank", "without a text"),
        ("label_missing", "without a label"),
        ("label_unknown_rows", f"with an unknown label{f' ({unknown})' if unknown else ''}"),
    )
    counts = [(held, words) for name, words in named if (held := number(lost.get(name)))]
    if not counts:
        return ""
    total = sum(held for held, _ in counts)
    parts = ", ".join(f"{count(held)} {words}" for held, words in counts)
    said = f"{count(total)} of {rows(total + (number(found.get('rows')) or 0))} are left out of every figure: {parts}."
    return f"<p>{escaped(said)}</p>"


def glance(evaluations: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> str:
    """The figures of every evaluation, and what they mean; nothing without an evaluation."""
    tiles = "".join(_tiles(one) for one in evaluations)
    if not tiles:
        return ""
    names = {one.get("name") for one in evaluations}
    chosen = "The validation rows chose the state that is kept, so the test rows say more about texts to come."
    note = f'<p class="note">{chosen}</p>' if {"validation", "test"} <= names and report.get("history") else ""
    meanings = "".join(f"<dt>{name}</dt><dd>{meaning}</dd>" for name, meaning in _MEANINGS)
    return f"{tiles}{note}{unfold('What the figures mean', f'<dl>{meanings}</dl>')}\n"


def heading(name: Any) -> str:
    """What rows these are, as a heading: `Test rows`, `Rows of reviews.csv`."""
    said = _rows_of(name, "rows")
    return said[0].upper() + said[1:]


def _rows_of(name: Any, held: str) -> str:
    if name in {"test", "validation"}:
        return f"{held.removesuffix('rows')}{name} rows".strip()
    return f"{held} of {short(name, 60)}"


def _tiles(one: Mapping[str, Any]) -> str:
    found: Mapping[str, Any] = one.get("evaluation") or {}
    intervals = found.get("intervals") or {}
    tiles = "".join(
        f"<div><dt>{words}</dt><dd><b>{form(found.get(what))}</b>"
        f"<span>{span(intervals.get(what), form) or NONE}</span></dd></div>"
        for what, words, form in _FIGURES
        if number(found.get(what)) is not None
    )
    title = f"<h3>{escaped(heading(one.get('name')))} <small>{count(found.get('rows'))}</small></h3>"
    return f'{title}<dl class="tiles">{tiles}</dl>\n'


def _baseline(found: Mapping[str, Any]) -> str:
    """What a model without any insight would do."""
    classes = [(number(one.get("rows")) or 0.0, one.get("label")) for one in found.get("classes") or []]
    total = sum(held for held, _ in classes)
    if not total:
        return ""
    most, label = max(classes, key=lambda one: one[0])
    return f" Always answering {quoted(label)} would get {percent(most / total)}."
