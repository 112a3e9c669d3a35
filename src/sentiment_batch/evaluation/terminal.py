"""The figures of an evaluation as tables and lines that fit the width of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sentiment_batch.display import DEFAULT_TERMINAL_WIDTH, collapse_line, count_columns, fit_text
from sentiment_batch.report.formatting import format_percent, format_row_location

if TYPE_CHECKING:
    from sentiment_batch.evaluation.metrics import Metrics

MIN_NAME_WIDTH = 16
"""Columns of a name, so that short names are as wide as their heads."""
MIN_GROUP_WIDTH = 13
"""Columns of a name in the table of groups. Figures are left out until names have this width."""
MIN_CELL_WIDTH = 6
"""Columns of a cell of the confusion matrix."""
MAX_TABLE_CLASSES = 50
"""Classes in the table by class: those with the most rows."""
MAX_CONFUSIONS = 10
"""Pairs of classes that are listed if the confusion matrix is too wide."""
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "loss": "log loss",
    "roc_auc": "ROC AUC",
    "calibration_error": "calibration error (ECE)",
}


def format_figures(values: Mapping[str, float | None], intervals: Mapping[str, Sequence[float] | None]) -> str:
    """Each of `METRICS` with its interval in one line; a dash where there is none."""
    lines = []
    for name, title in METRICS.items():
        ends = intervals[name]
        interval = f"[{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "-"
        lines.append(f"{title:23}  {_format_figure(values[name]):>7}  {interval}")
    return "\n".join(lines)


def format_metrics(metrics: Metrics, width: int = DEFAULT_TERMINAL_WIDTH) -> str:
    """The table by class and the confusion matrix."""
    return f"{format_classes(metrics, width)}\n\n{format_confusion(metrics, width)}"


def format_slices(title: str, groups: Sequence[Mapping[str, Any]], width: int = DEFAULT_TERMINAL_WIDTH) -> str:
    """Figures of parts of the rows.

    Args:
        title: what divides the rows, such as `length`.
        groups: the figures of each part, see `slices`.
        width: columns of the terminal; figures are left out if it is narrow.
    """
    columns: dict[str, tuple[str, int, Callable[[Mapping[str, Any]], str]]] = {
        "rows": ("rows", 8, lambda group: f"{group['rows']:,}"),
        "accuracy": ("accuracy", 8, lambda group: f"{group['accuracy']:.4f}"),
        "interval": ("95 % interval   ", 16, lambda group: "[{:.4f}, {:.4f}]".format(*group["interval"])),
        "macro_f1": ("macro F1", 8, lambda group: f"{group['macro_f1']:.4f}"),
        "calibration_error": ("ECE", 6, lambda group: f"{group['calibration_error']:.4f}"),
        "cut": ("cut", 7, lambda group: f"{group['cut']:,}"),
    }
    if not any("cut" in group for group in groups):
        del columns["cut"]
    # Narrow terminals keep the rows and the accuracy, which matter most
    for dropped in ("calibration_error", "macro_f1"):
        if width - sum(size + 2 for _, size, _ in columns.values()) < MIN_GROUP_WIDTH:
            del columns[dropped]
    space = width - sum(size + 2 for _, size, _ in columns.values())
    names, _ = _fit_names([title, *(group["group"] for group in groups)], space, min_width=min(15, space))
    lines = ["  ".join([names[0], *(f"{head:>{size}}" for head, size, _ in columns.values())])]
    for name, group in zip(names[1:], groups, strict=True):
        lines.append("  ".join([name, *(f"{cell(group):>{size}}" for _, size, cell in columns.values())]))
    return "\n".join(lines)


def format_errors(errors: Sequence[Mapping[str, Any]], width: int = DEFAULT_TERMINAL_WIDTH) -> str:
    """The errors, each with its text."""
    return "\n".join(_format_row(one, "{}, labelled {}", one["predicted"], one["label"], width) for one in errors)


def format_likely_wrong_labels(rows: Sequence[Mapping[str, Any]], width: int = DEFAULT_TERMINAL_WIDTH) -> str:
    """The labels that are likely wrong, each with its text."""
    return "\n".join(_format_row(one, "labelled {}, likely {}", one["label"], one["suggested"], width) for one in rows)


def _format_figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _format_row(row: Mapping[str, Any], sentence: str, first: str, second: str, width: int) -> str:
    """A row with its score and two labels, and its text below."""
    place = format_row_location(row, with_file=False)
    labels = (fit_text(label, (width - 41) // 2) for label in (first, second))
    head = f"{place + ': ' if place else ''}{sentence.format(*labels)}"
    return f"  {row['score']:.4f}  {fit_text(head, width - 10)}\n          {fit_text(row['text'], width - 10)}"


def format_classes(metrics: Metrics, width: int = DEFAULT_TERMINAL_WIDTH) -> str:
    """Precision, recall and F1 of each class."""
    # The largest classes, shown in the order of the model
    largest = sorted(metrics.classes, key=lambda one: -one.rows)[:MAX_TABLE_CLASSES]
    shown = [one for one in metrics.classes if one in largest]
    names, name_width = _fit_names([one.label for one in shown], width - 37)
    lines = [f"{'':{name_width}}  precision  recall      F1      rows"]
    for name, one in zip(names, shown, strict=True):
        precision, recall, f1 = map(_format_figure, (one.precision, one.recall, one.f1))
        lines.append(f"{name}  {precision:>9}  {recall:>6}  {f1:>6}  {one.rows:8,}")
    if len(metrics.classes) > len(shown):
        lines.append(f"and {len(metrics.classes) - len(shown):,} classes of fewer rows")
    return "\n".join(lines)


def format_confusion(metrics: Metrics, width: int = DEFAULT_TERMINAL_WIDTH) -> str:
    """The confusion matrix, or the most frequent confusions if it is too wide."""
    cell = max([MIN_CELL_WIDTH, *(len(f"{count:,}") for row in metrics.confusion for count in row)])
    if width - len(metrics.labels) * (cell + 2) < MIN_NAME_WIDTH:
        return _list_confusions(metrics, width)
    # Labels that are too long for the columns are numbered, and listed with their numbers before the rows
    labels, space = list(metrics.labels), (width - MIN_NAME_WIDTH) // len(metrics.labels) - 2
    heads = labels
    if any(count_columns(collapse_line(label)) > space for label in labels):
        heads = [str(number) for number in range(1, len(labels) + 1)]
        labels = [f"{head} {label}" for head, label in zip(heads, labels, strict=True)]
    heads, cell = _fit_names(heads, space, cell, right=True)
    names, name_width = _fit_names(labels, width - len(heads) * (cell + 2))
    lines = [f"{'true / predicted':{name_width}}  " + "  ".join(heads)]
    for name, row in zip(names, metrics.confusion, strict=True):
        lines.append(f"{name}  " + "  ".join(f"{count:{cell},}" for count in row))
    return "\n".join(lines)


def _list_confusions(metrics: Metrics, width: int) -> str:
    """Pairs of a true and a predicted class, the most frequent first."""
    pairs = [
        (count, true, predicted)
        for true, row in enumerate(metrics.confusion)
        for predicted, count in enumerate(row)
        if count and true != predicted
    ]
    pairs.sort(key=lambda pair: -pair[0])
    if not pairs:
        return "no row is taken for another class"
    title, max_width = "most often taken for", (width - 26) // 2
    names, name_width = _fit_names(metrics.labels, max_width, max(MIN_NAME_WIDTH, min(len(title), max_width)))
    title = fit_text(title, name_width)
    lines = [f"{'true':{name_width}}  {title:{name_width}}  {'rows':>8}  of its class"]
    for count, true, predicted in pairs[:MAX_CONFUSIONS]:
        share = format_percent(count / metrics.classes[true].rows)
        lines.append(f"{names[true]}  {names[predicted]}  {count:8,}  {share:>12}")
    return "\n".join(lines)


def _fit_names(
    names: Sequence[str], max_width: int, min_width: int = MIN_NAME_WIDTH, *, right: bool = False
) -> tuple[list[str], int]:
    """Names that are cut and padded to one number of columns, and that number."""
    fitted = [fit_text(name, max_width) for name in names]
    width = max(min_width, *map(count_columns, fitted))
    blanks = [" " * (width - count_columns(name)) for name in fitted]
    return [blank + name if right else name + blank for name, blank in zip(fitted, blanks, strict=True)], width
