"""Figures for a terminal: what was measured in, lines of at most 80 columns out."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sentiment_batch.display import one_line

if TYPE_CHECKING:
    from sentiment_batch.evaluation.metrics import Metrics

COLUMNS = 80
LEAST = 16
"""Columns of a name, so that those of short ones are as wide as their heads."""
LEAST_CELL = 6
"""Columns of a cell of the confusion matrix."""
MOST_CLASSES = 50
"""Of the table by class; of more, those of most rows."""
MOST_CONFUSIONS = 10
"""Pairs of classes that are listed where the matrix would be too wide."""
FIGURES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "loss": "log loss",
    "roc_auc": "ROC AUC",
    "calibration_error": "calibration error (ECE)",
}


def fitted(text: str, most: int) -> str:
    """`text` in one line that takes at most so many columns and steers no terminal."""
    line = one_line(text[: 10 * most])
    if len(text) <= 10 * most and _columns(line) <= most:
        return line
    taken = 0
    for place, character in enumerate(line):
        taken += _columns_of(character)
        if taken >= most:
            return line[:place] + "…"
    return line + "…"


def padded(text: str, columns: int) -> str:
    """`text` in one line, followed by blanks where it takes fewer columns."""
    line = one_line(text)
    return line + " " * (columns - _columns(line))


def figures(values: Mapping[str, float | None], intervals: Mapping[str, Sequence[float] | None]) -> str:
    """Each of `FIGURES` with its interval, a line each; a dash where there is none."""
    lines = []
    for name, said in FIGURES.items():
        ends = intervals[name]
        interval = f"[{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "-"
        lines.append(f"{said:23}  {_figure(values[name]):>7}  {interval}")
    return "\n".join(lines)


def classes(metrics: Metrics) -> str:
    """Precision, recall and F1 of each class."""
    most = sorted(metrics.classes, key=lambda one: -one.rows)[:MOST_CLASSES]
    shown = [one for one in metrics.classes if one in most]
    names, width = _names([one.label for one in shown], COLUMNS - 37)
    lines = [f"{'':{width}}  precision  recall      F1      rows"]
    for name, one in zip(names, shown, strict=True):
        precision, recall, f1 = map(_figure, (one.precision, one.recall, one.f1))
        lines.append(f"{name}  {precision:>9}  {recall:>6}  {f1:>6}  {one.rows:8,}")
    if len(metrics.classes) > len(shown):
        lines.append(f"and {len(metrics.classes) - len(shown):,} classes of fewer rows")
    return "\n".join(lines)


def confusion(metrics: Metrics) -> str:
    """The confusion matrix, or the most frequent confusions where it would be too wide."""
    cell = max(LEAST_CELL, *(len(f"{count:,}") for row in metrics.confusion for count in row))
    if COLUMNS - len(metrics.labels) * (cell + 2) < LEAST:
        return _confusions(metrics)
    labels, room = list(metrics.labels), (COLUMNS - LEAST) // len(metrics.labels) - 2
    heads = labels
    if any(_columns(one_line(label)) > room for label in labels):
        heads = [str(number) for number in range(1, len(labels) + 1)]
        labels = [f"{head} {label}" for head, label in zip(heads, labels, strict=True)]
    heads, cell = _names(heads, room, cell, right=True)
    names, first = _names(labels, COLUMNS - len(heads) * (cell + 2))
    lines = [f"{'true / predicted':{first}}  " + "  ".join(heads)]
    for name, row in zip(names, metrics.confusion, strict=True):
        lines.append(f"{name}  " + "  ".join(f"{count:{cell},}" for count in row))
    return "\n".join(lines)


def groups(what: str, found: Sequence[Mapping[str, Any]]) -> str:
    """Figures of parts of the rows; `what` divides them."""
    cut = any("cut" in group for group in found)
    names, _ = _names([what, *(group["group"] for group in found)], COLUMNS - (65 if cut else 56), least=15)
    head = f"{names[0]}      rows  accuracy  {'95 % interval':16}  macro F1     ECE"
    lines = [head + ("      cut" if cut else "")]
    for name, group in zip(names[1:], found, strict=True):
        low, high = group["interval"]
        lines.append(
            f"{name}  {group['rows']:8,}  {group['accuracy']:8.4f}  [{low:.4f}, {high:.4f}]  "
            f"{group['macro_f1']:8.4f}  {group['calibration_error']:6.4f}" + (f"  {group['cut']:7,}" if cut else "")
        )
    return "\n".join(lines)


def errors(found: Sequence[Mapping[str, Any]]) -> str:
    """The errors, each with its text."""
    return "\n".join(_case(one, f"{_label(one['predicted'])}, labelled {_label(one['label'])}") for one in found)


def likely_wrong(found: Sequence[Mapping[str, Any]]) -> str:
    """The labels that are likely wrong, each with its text."""
    return "\n".join(_case(one, f"labelled {_label(one['label'])}, likely {_label(one['suggested'])}") for one in found)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _case(one: Mapping[str, Any], said: str) -> str:
    row = "" if one["row"] is None else f"row {one['row']:,}: "
    return f"  {one['score']:.4f}  {row}{said}\n          {fitted(one['text'], COLUMNS - 10)}"


def _label(label: str) -> str:
    return fitted(label, 20)


def _confusions(metrics: Metrics) -> str:
    """Pairs of a true and a predicted class, the most frequent first."""
    pairs = [
        (count, true, taken)
        for true, row in enumerate(metrics.confusion)
        for taken, count in enumerate(row)
        if count and true != taken
    ]
    pairs.sort(key=lambda pair: -pair[0])
    if not pairs:
        return "no row is taken for another class"
    names, width = _names(metrics.labels, 28)
    lines = [f"{'true':{width}}  {'most often taken for':{width}}  {'rows':>8}  of its class"]
    for count, true, taken in pairs[:MOST_CONFUSIONS]:
        share = count / metrics.classes[true].rows
        lines.append(f"{names[true]}  {names[taken]}  {count:8,}  {share:12.1%}")
    return "\n".join(lines)


def _names(names: Sequence[str], most: int, least: int = LEAST, *, right: bool = False) -> tuple[list[str], int]:
    """Names that are fitted and padded to one number of columns, and that number: from `least` to `most`."""
    short = [fitted(name, most) for name in names]
    width = max(least, *map(_columns, short))
    blanks = [" " * (width - _columns(name)) for name in short]
    return [blank + name if right else name + blank for name, blank in zip(short, blanks, strict=True)], width


def _columns(text: str) -> int:
    """How many columns of a terminal a line takes: two for a wide character, none for a mark on another."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
