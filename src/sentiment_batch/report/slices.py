"""Figures by group: accuracy of texts alike in length, or in a column of the table, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentiment_batch.report.axes import axis
from sentiment_batch.report.bars import Group, intervals
from sentiment_batch.report.figure import figure, svg, table
from sentiment_batch.report.numbers import NONE, count, decimal, number, percent, rows, span
from sentiment_batch.report.texts import quoted, short

DRAWN = 21
"""Groups in a chart; of more, those of most rows."""
LISTED = 200
"""Groups in its table."""


def by_length(name: str, evaluation: Mapping[str, Any]) -> str:
    """The figure of accuracy by length, nothing without groups."""
    return _by(name, "Accuracy by length", evaluation.get("by_length"), evaluation)


def by_column(name: str, evaluation: Mapping[str, Any]) -> str:
    """The figure of accuracy by a column of the table, nothing without groups."""
    by = evaluation.get("by") or {}
    return _by(name, f"Accuracy by {short(by.get('column'))}", by.get("groups"), evaluation)


def _by(name: str, title: str, given: Any, evaluation: Mapping[str, Any]) -> str:
    groups = list(given or [])
    if not groups:
        return ""
    overall = number(evaluation.get("accuracy"))
    largest = sorted(range(len(groups)), key=lambda place: (-(number(groups[place].get("rows")) or 0.0), place))
    shown = [_group(groups[place]) for place in sorted(largest[:DRAWN])]
    values = [value for group in shown for value in (group.value, group.low, group.high) if value is not None]
    across = axis("accuracy, with its 95% interval", [*values, *([] if overall is None else [overall])], percent=True)
    finding = _finding(groups, overall)
    height, drawn = intervals(shown, across, overall)
    listed = [groups[place] for place in sorted(largest[:LISTED])]
    note = "The dashed line is the accuracy of all rows." if overall is not None else ""
    if len(groups) > DRAWN:
        note += f" Drawn are the {DRAWN} largest of {count(len(groups))} groups; the table lists {count(len(listed))}."
    return figure(
        name, title, finding, svg(name, title, finding, drawn, height), _table(listed, title), note=note.strip()
    )


def _group(one: Mapping[str, Any]) -> Group:
    ends = one.get("interval") or (None, None)
    return Group(
        name=str(one.get("group")),
        words=f"{percent(one.get('accuracy'))} of {count(one.get('rows'))}",
        value=number(one.get("accuracy")),
        low=number(ends[0]),
        high=number(ends[1]),
    )


def _finding(groups: Sequence[Mapping[str, Any]], overall: float | None) -> str:
    """Names the weakest of the groups that chance alone does not explain."""
    weak = []
    for one in groups:
        value, ends = number(one.get("accuracy")), one.get("interval") or (None, None)
        high = number(ends[1])
        if value is not None and high is not None and overall is not None and high < overall:
            weak.append((value, one))
    if not weak:
        return "No group is clearly below the whole: every interval reaches the accuracy of all rows, or lies above it."
    value, worst = min(weak, key=lambda pair: pair[0])
    more = f" So do {count(len(weak) - 1)} more." if len(weak) > 2 else " So does one more." if len(weak) == 2 else ""
    part = f"{percent(value)} of {rows(worst.get('rows'))} are right, against {percent(overall)}"
    return f"Texts of {quoted(worst.get('group'))} do clearly worse than all: {part}.{more}"


def _table(groups: Sequence[Mapping[str, Any]], title: str) -> str:
    cut = any(one.get("cut") is not None for one in groups)
    head = ["group", "rows", "accuracy", "95% interval", "macro F1", "calibration error", *(["cut"] if cut else [])]
    body = [
        [
            short(one.get("group"), 80),
            count(one.get("rows")),
            percent(one.get("accuracy")),
            span(one.get("interval"), percent) or NONE,
            decimal(one.get("macro_f1")),
            decimal(one.get("calibration_error")),
            *([count(one.get("cut"))] if cut else []),
        ]
        for one in groups
    ]
    return table(head, body, title)
