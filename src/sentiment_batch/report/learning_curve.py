"""Shows the learning curve of a training: accuracy by number of labelled rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sentiment_batch.report.charts.axes import (
    CHART_WIDTH,
    Plane,
    build_axis,
    draw_dots,
    draw_line,
    draw_uprights,
)
from sentiment_batch.report.document import Figure, LegendEntry, Picture, Table, line_key
from sentiment_batch.report.formatting import (
    MISSING,
    format_count,
    format_decimal,
    format_interval,
    format_percent,
    format_quantity,
    to_number,
)

TITLE = "Accuracy by number of labelled rows"

Points = Sequence[Mapping[str, Any]]


def build_learning_curve(found: Mapping[str, Any]) -> Figure | None:
    """The figure of a learning curve, see `LearningCurve.to_json`; None if `found` is empty."""
    points = [one for one in found.get("points") or [] if to_number(one.get("rows")) is not None]
    if not points:
        return None
    curves = [
        (places, words)
        for key, words in (("accuracy", "the model"), ("baseline_accuracy", "a bag of words"))
        if (places := _read_points(points, key))
    ]
    intervals = _read_intervals(points)
    heights = [y for places, _ in curves for _, y in places] + [end for _, *ends in intervals for end in ends]
    plane = Plane(
        x=build_axis("labelled rows to train on", [one["rows"] for one in points], from_zero=True),
        y=build_axis("accuracy", heights, percent=True),
    )
    content, legend = plane.draw_frame() + draw_uprights(plane, intervals, "s1"), []
    for number, (places, words) in enumerate(curves, 1):
        content += draw_line(plane, places, f"s{number}") + draw_dots(plane, places, f"f{number}")
        legend.append(LegendEntry(key=line_key(f"s{number}"), text=words))
    verdict = str(found.get("verdict") or "")
    rows = format_quantity(found.get("validation_rows"), "row")
    return Figure(
        name="learning-curve",
        title=TITLE,
        finding=f"{verdict[:1].upper()}{verdict[1:]}.",
        picture=Picture(content=Markup(content), height=plane.height, width=CHART_WIDTH),
        legend=legend,
        note=f"All points are measured on the same {rows}. The upright lines are 95 % intervals over these rows. Other "
        "rows to train on would move the points, too.",
        table=_build_table(points),
    )


def _read_points(points: Points, key: str) -> list[tuple[float, float]]:
    pairs = [(one["rows"], to_number(one.get(key))) for one in points]
    return [(rows, value) for rows, value in pairs if value is not None]


def _read_intervals(points: Points) -> list[tuple[float, float, float]]:
    """The rows of each point, and the ends of the interval of its accuracy."""
    found = []
    for one in points:
        low, high = (to_number(end) for end in one.get("accuracy_interval") or (None, None))
        if low is not None and high is not None:
            found.append((one["rows"], low, high))
    return found


def _build_table(points: Points) -> Table:
    rows = [
        [
            format_count(one.get("rows")),
            format_percent(one.get("accuracy")),
            format_interval(one.get("accuracy_interval"), format_percent) or MISSING,
            format_decimal(one.get("macro_f1")),
            format_percent(one.get("baseline_accuracy")),
        ]
        for one in points
    ]
    head = ("rows to train on", "accuracy", "95 % interval", "macro F1", "bag of words")
    return Table(head=head, rows=rows, caption=TITLE)
