"""A summary as text that fits the width of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sentiment_batch.display import escape_line, fit_text, pad_text
from sentiment_batch.report.formatting import (
    MISSING,
    NO_VALUE,
    format_decimal,
    format_group,
    format_interval,
    format_percent,
    format_quantity,
)

if TYPE_CHECKING:
    from sentiment_batch.shares.result import LabelShare, ShareGroup, ShareSummary

MAX_GROUPS = 30
"""Groups that are shown, those with most rows."""
MAX_PERIODS = 60
"""Periods that are shown, the last ones."""
MAX_LABELS_BESIDE = 5
"""Labels of a group that are shown, those with most rows in all."""
NAME_WIDTH = 28

Column = tuple[str, int, Callable[["ShareGroup"], str]]
"""The head of a column, its width and the text of a cell."""


def format_shares(summary: ShareSummary, width: int) -> str:
    """Head, shares of all rows, periods, groups and words."""
    parts = [_format_head(summary), _format_labels(summary)]
    if summary.total.over:
        shown = summary.total.over[-MAX_PERIODS:]
        more = len(summary.total.over) - len(shown)
        parts.append(_format_groups(summary, str(summary.periods), shown, more, width))
    if summary.columns:
        shown = summary.groups[:MAX_GROUPS]
        more = len(summary.groups) - len(shown)
        parts.append(_format_groups(summary, f"by {' and '.join(summary.columns)}", shown, more, width))
    words = _format_words(summary, width)
    return "\n\n".join([*parts, *([words] if words else [])])


def name_group(one: ShareGroup) -> str:
    """The values of a group, or its period."""
    if one.period is not None or not one.group:
        return one.period or NO_VALUE
    return format_group(one.group)


def _format_head(summary: ShareSummary) -> str:
    """What the table holds, and what is known of the run that scored it."""
    total = summary.total
    lines = [
        f"{escape_line(summary.table)}: {format_quantity(total.rows, 'row')}, {total.no_text:,} of them without a text"
    ]
    if total.unsure is not None:
        lines.append(
            f"mean score {format_decimal(total.mean_score)}; the model is unsure of "
            f"{format_quantity(total.unsure, 'row')}, whose score is below {summary.unsure_below:g}"
        )
    if summary.manifest_rows not in (None, summary.rows):
        lines.append(
            f"the manifest is about {format_quantity(summary.manifest_rows, 'row')}, so the table was changed since"
        )
    elif summary.was_edited:
        lines.append("the file has another size than the manifest says, so the table was changed since it was scored")
    if summary.expected_accuracy is not None:
        lines.append(
            f"expected accuracy about {format_percent(summary.expected_accuracy, 0)} (as `score` estimated it)"
        )
    if summary.unlike is not None:
        lines.append(f"{format_percent(summary.unlike)} of the texts look unlike those the model was trained on")
    return "\n".join(lines)


def _format_labels(summary: ShareSummary) -> str:
    """A line for each label, and what the corrected shares mean."""
    names = [fit_text(label, NAME_WIDTH) for label in summary.labels]
    heads = ["rows", "share", "95 % interval", "mean score"]
    rows = [[f"{one.rows:,}", *_format_share(one), format_decimal(one.mean_score)] for one in summary.shares.values()]
    if summary.no_correction is None:
        heads += ["corrected", "95 % interval"]
        for row, one in zip(rows, summary.shares.values(), strict=True):
            row += [format_percent(one.corrected), _format_interval(one.corrected_low, one.corrected_high)]
        note = f"Corrected shares are right {summary.assumption} (from {escape_line(str(summary.model))})."
        if summary.unlike is not None and summary.unlike >= 0.1:
            note += " Many texts look unlike those, so this is doubtful."
    else:
        note = f"No corrected shares: {escape_line(summary.no_correction)}."
    lines = [f"{'label':{NAME_WIDTH // 2}}  " + "  ".join(f"{head:>{_width(head)}}" for head in heads)]
    for name, row in zip(names, rows, strict=True):
        cells = (f"{cell:>{_width(head)}}" for head, cell in zip(heads, row, strict=True))
        lines.append(f"{pad_text(name, NAME_WIDTH // 2)}  " + "  ".join(cells))
    return "\n".join([*lines, note])


def _width(head: str) -> int:
    return max(len(head), 16 if "interval" in head else 9)


def _format_share(one: LabelShare) -> tuple[str, str]:
    return format_percent(one.share), _format_interval(one.low, one.high)


def _format_interval(low: float | None, high: float | None) -> str:
    return format_interval([low, high], format_percent) or MISSING


def _format_groups(summary: ShareSummary, title: str, groups: Sequence[ShareGroup], more: int, width: int) -> str:
    """A line for each group; shares of further labels and then intervals are left out if the terminal is narrow."""
    labels = sorted(summary.labels, key=lambda label: -summary.shares[label].rows)[:MAX_LABELS_BESIDE]
    columns: list[Column] = [("rows", 11, lambda one: f"{one.rows:,}"), ("no text", 9, lambda one: f"{one.no_text:,}")]
    if summary.total.unsure is not None:
        columns.append(("unsure", 9, lambda one: f"{one.unsure:,}"))
    # The labels with most rows are shown, in the order of the model.
    columns += [_make_column(label) for label in summary.labels if label in labels]
    name_width = min(NAME_WIDTH, max([12, *(len(name_group(one)) for one in groups)]))
    # Columns are dropped until the rest fits: first the counts after the rows, then labels from the right.
    while len(columns) > 2 and name_width + sum(size + 2 for _, size, _ in columns) > width:
        columns.pop(1 if columns[1][0] in {"no text", "unsure"} else -1)
    lines = [escape_line(title), "  ".join([" " * name_width, *(f"{head:>{size}}" for head, size, _ in columns)])]
    for one in groups:
        name = pad_text(fit_text(name_group(one), name_width), name_width)
        lines.append("  ".join([name, *(f"{cell(one):>{size}}" for _, size, cell in columns)]))
    return "\n".join(lines + [f"and {more:,} more"] * (more > 0))


def _make_column(label: str) -> Column:
    """The share of a label and its interval."""

    def word(one: ShareGroup) -> str:
        share, interval = _format_share(one.shares[label])
        return f"{share} ({interval.removesuffix(' %')})"

    head = fit_text(label, 22)
    return head, 22, word


def _format_words(summary: ShareSummary, width: int) -> str:
    """The words that mark the labels in all rows, then those of the groups that are shown."""
    lines = []
    for one in (summary.total, *summary.groups[:MAX_GROUPS]):
        for label, words in one.words.items():
            name = f"{name_group(one)}, {label}" if one.group else label
            listed = ", ".join(word.word for word in words)
            lines.append(f"  {fit_text(f'{name}: {listed}', width - 2)}")
    if not lines:
        return ""
    return "\n".join([f"words that mark the texts of a label, from {summary.words_from:,} texts", *lines])
