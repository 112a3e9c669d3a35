"""Shows figures by slice: the accuracy by length of the text, or by value of a column, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from markupsafe import Markup

from sentiment_batch.report.charts.axes import CHART_WIDTH, build_axis
from sentiment_batch.report.charts.bars import Group, draw_intervals
from sentiment_batch.report.document import Figure, Picture, Table
from sentiment_batch.report.formatting import (
    MISSING,
    format_count,
    format_decimal,
    format_interval,
    format_percent,
    format_quantity,
    quote_label,
    shorten_label,
    to_number,
)

MAX_SLICES_DRAWN = 21
"""Maximum number of slices in a chart: the slices with the most rows."""
MAX_SLICES_LISTED = 200
"""Maximum number of slices in the table."""
MAX_CHANCE = 0.025
"""The highest probability with which any slice is called clearly worse by chance alone."""


def build_length_figure(name: str, evaluation: Mapping[str, Any]) -> Figure | None:
    """Accuracy by length; None without slices."""
    return _build_figure(name, "Accuracy by length", evaluation.get("by_length"), evaluation)


def build_column_figure(name: str, evaluation: Mapping[str, Any]) -> Figure | None:
    """Accuracy by a column of the table; None without slices."""
    by = evaluation.get("by") or {}
    return _build_figure(name, f"Accuracy by {shorten_label(by.get('column'))}", by.get("groups"), evaluation)


def _build_figure(name: str, title: str, given: Any, evaluation: Mapping[str, Any]) -> Figure | None:
    slices = list(given or [])
    if not slices:
        return None
    overall = to_number(evaluation.get("accuracy"))
    largest = sorted(range(len(slices)), key=lambda index: (-(to_number(slices[index].get("rows")) or 0.0), index))
    drawn = [_to_group(slices[index]) for index in sorted(largest[:MAX_SLICES_DRAWN])]
    # The largest are chosen, but they keep the order of the evaluation, such as the order of lengths
    listed = [slices[index] for index in sorted(largest[:MAX_SLICES_LISTED])]
    values = [value for group in drawn for value in (group.value, group.low, group.high) if value is not None]
    values += [] if overall is None else [overall]
    height, content = draw_intervals(
        drawn, build_axis("accuracy, with its 95 % interval", values, percent=True), overall
    )
    note = "The dashed line is the accuracy of all rows." if overall is not None else ""
    if len(slices) > MAX_SLICES_DRAWN:
        note += f" The chart shows the {MAX_SLICES_DRAWN} largest of {format_count(len(slices))} slices,"
        note += f" the table lists {format_count(len(listed))}."
    return Figure(
        name=name,
        title=title,
        finding=_format_finding(slices, overall),
        picture=Picture(content=Markup(content), height=height, width=CHART_WIDTH),
        note=note.strip(),
        table=_build_table(listed, title),
    )


def _to_group(one: Mapping[str, Any]) -> Group:
    ends = one.get("interval") or (None, None)
    return Group(
        name=str(one.get("group")),
        words=f"{format_percent(one.get('accuracy'))} of {format_count(one.get('rows'))}",
        value=to_number(one.get("accuracy")),
        low=to_number(ends[0]),
        high=to_number(ends[1]),
    )


def _format_finding(slices: Sequence[Mapping[str, Any]], overall: float | None) -> str:
    """A sentence that names the weakest of the slices that are worse than chance alone explains."""
    # Of 40 slices, one has an interval below the whole by chance. So the chance is divided among them (Bonferroni).
    least = -NormalDist().inv_cdf(MAX_CHANCE / len(slices))
    weak = []
    for one in slices:
        value, rows = to_number(one.get("accuracy")), to_number(one.get("rows"))
        if value is not None and rows and overall is not None and _count_deviations(value, rows, overall) >= least:
            weak.append((value, one))
    if not weak:
        return "No slice is clearly below the whole. Where a single interval lies below, that may be chance."
    value, worst = min(weak, key=lambda pair: pair[0])
    shown = format_quantity(worst.get("rows"), "row")
    finding = f"Texts of {quote_label(worst.get('group'))} do clearly worse than all: {format_percent(value)} of "
    finding += f"{shown} are right, against {format_percent(overall)}."
    if len(weak) > 1:
        finding += " So does one more." if len(weak) == 2 else f" So do {format_count(len(weak) - 1)} more."
    return finding


def _count_deviations(share: float, rows: float, overall: float) -> float:
    """By how many standard deviations a share of `rows` lies below `overall`: the score test of Wilson's interval."""
    spread = math.sqrt(overall * (1 - overall) / rows)
    return (overall - share) / spread if spread else 0.0


def _build_table(slices: Sequence[Mapping[str, Any]], title: str) -> Table:
    cut = any(one.get("cut") is not None for one in slices)
    head = ["slice", "rows", "accuracy", "95 % interval", "macro F1", "calibration error", *(["cut"] if cut else [])]
    rows = [
        [
            shorten_label(one.get("group"), 80),
            format_count(one.get("rows")),
            format_percent(one.get("accuracy")),
            format_interval(one.get("interval"), format_percent) or MISSING,
            format_decimal(one.get("macro_f1")),
            format_decimal(one.get("calibration_error")),
            *([format_count(one.get("cut"))] if cut else []),
        ]
        for one in slices
    ]
    return Table(head=head, rows=rows, caption=title)
