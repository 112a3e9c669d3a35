"""The ROC curve (receiver operating characteristic) and precision over recall as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sentiment_batch.report.charts.axes import CHART_WIDTH, Plane, build_share_axis, draw_line
from sentiment_batch.report.document import Figure, LegendEntry, Picture, Table, line_key
from sentiment_batch.report.formatting import format_decimal, format_percent, quote_label, shorten_label, to_number

MAX_CURVES_NAMED = 5
"""Maximum number of curves with a colour and a dash of their own: the curves with the smallest area."""
MAX_CURVES_UNNAMED = 40
"""Further curves, thin and grey, so that a page about 150 labels stays small."""
MAX_POINTS_UNNAMED = 50
"""Approximate number of points of each of these curves."""
MAX_CURVES_LISTED = 100
"""Maximum number of curves in the table: the curves with the smallest area."""
FALSE_POSITIVE_RATES = (0.01, 0.05, 0.1, 0.2, 0.5)
"""False positive rates at which the table reads the ROC curves."""
RECALLS = (0.5, 0.8, 0.9, 0.95, 0.99)
"""Recalls at which the table reads the precision."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """The curve of one label."""

    label: str
    points: tuple[tuple[float, float], ...]
    """The points in the order in which they were given."""
    area: float | None


def build_roc_figure(name: str, evaluation: Mapping[str, Any]) -> Figure | None:
    """The ROC curves; None if no curve could be computed."""
    curves = _read_curves(evaluation.get("roc"))
    if not curves:
        return None
    area = format_decimal(evaluation.get("roc_auc"))
    finding = f"The area under the curve is {area}. 1 is a perfect ranking of the texts, 0.5 is chance."
    if len(curves) > 1:
        weakest = _sort_by_area(curves)[0]
        finding = f"The mean area under the curves is {area}; each is of a label against the rest. "
        finding += f"The smallest is that of {quote_label(weakest.label)}, {format_decimal(weakest.area)}."
    plane = Plane(x=build_share_axis("false positive rate"), y=build_share_axis("true positive rate"))
    chance = f'<path class="chance" d="M{plane.to_point((0, 0))}L{plane.to_point((1, 1))}"/>'
    head = ["label", "area", *(f"at {format_percent(rate, 0)} false" for rate in FALSE_POSITIVE_RATES)]
    rows = [
        _to_row(curve, [_true_positive_rate(curve, rate) for rate in FALSE_POSITIVE_RATES]) for curve in _cap(curves)
    ]
    table = Table(head=head, rows=rows, caption="True positive rate at some false positive rates")
    return _build_figure(name, "Ranking: ROC curve", finding, plane, curves, chance, table)


def build_precision_figure(name: str, evaluation: Mapping[str, Any]) -> Figure | None:
    """Precision over recall; None if no curve could be computed."""
    curves = _read_curves(evaluation.get("precision_recall"))
    if not curves:
        return None
    weakest = _sort_by_area(curves)[0]
    finding = (
        f"{'Weakest for' if len(curves) > 1 else 'For'} {quote_label(weakest.label)}, the average precision is "
        f"{format_decimal(weakest.area)}. Where 90 % of its texts are found, "
        f"{format_percent(_precision(weakest, 0.9))} of the texts that are called so are right."
    )
    low = min((precision for curve in curves for _, precision in curve.points), default=0.0)
    plane = Plane(
        x=build_share_axis("recall"),
        y=build_share_axis("precision", 0.5 if low >= 0.5 else 0.0),
    )
    head = ["label", "area", *(f"at recall {format_percent(recall, 0)}" for recall in RECALLS)]
    rows = [_to_row(curve, [_precision(curve, recall) for recall in RECALLS]) for curve in _cap(curves)]
    table = Table(head=head, rows=rows, caption="Precision at some recalls")
    return _build_figure(name, "Precision and recall", finding, plane, curves, "", table)


def _read_curves(given: Any) -> list[Curve]:
    """The curves that can be drawn: those with two points or more in the unit square."""
    curves = []
    for one in given or []:
        pairs = [(to_number(x), to_number(y)) for x, y in zip(one.get("x") or [], one.get("y") or [], strict=False)]
        points = tuple((x, y) for x, y in pairs if x is not None and y is not None and 0 <= x <= 1 and 0 <= y <= 1)
        if len(points) > 1:
            curves.append(Curve(label=str(one.get("label")), points=points, area=to_number(one.get("area"))))
    return curves


def _sort_by_area(curves: Sequence[Curve]) -> list[Curve]:
    """The smallest area first; curves without an area last."""
    return sorted(curves, key=lambda curve: 2.0 if curve.area is None else curve.area)


def _cap(curves: Sequence[Curve]) -> Sequence[Curve]:
    return curves if len(curves) <= MAX_CURVES_LISTED else _sort_by_area(curves)[:MAX_CURVES_LISTED]


def _build_figure(
    name: str, title: str, finding: str, plane: Plane, curves: Sequence[Curve], background: str, table: Table
) -> Figure:
    named = list(curves) if len(curves) <= MAX_CURVES_NAMED else _sort_by_area(curves)[:MAX_CURVES_NAMED]
    others = [curve for curve in _sort_by_area(curves) if curve not in named][:MAX_CURVES_UNNAMED]
    lines = [draw_line(plane, _thin_out(curve.points), "s0") for curve in others]
    lines += [draw_line(plane, curve.points, f"s{number}") for number, curve in enumerate(named, 1)]
    legend = [
        LegendEntry(key=line_key(f"s{number}"), text=f"{shorten_label(curve.label)} {format_decimal(curve.area)}")
        for number, curve in enumerate(named, 1)
    ]
    if others:
        legend.append(LegendEntry(key=line_key("s0"), text=f"{len(others)} other labels, the next by area"))
    content = Markup(plane.draw_frame() + background + "".join(lines))
    picture = Picture(content=content, height=plane.height, width=CHART_WIDTH)
    return Figure(name=name, title=title, finding=finding, picture=picture, legend=legend, table=table)


def _thin_out(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """About `MAX_POINTS_UNNAMED` of the points, with the last one among them."""
    return [*points[: -1 : -(-len(points) // MAX_POINTS_UNNAMED)], points[-1]]


def _to_row(curve: Curve, values: Sequence[float | None]) -> list[str]:
    return [shorten_label(curve.label), format_decimal(curve.area), *(format_percent(value) for value in values)]


def _true_positive_rate(curve: Curve, false_positive_rate: float) -> float | None:
    """The highest true positive rate at that false positive rate or a lower one."""
    return max((y for x, y in curve.points if x <= false_positive_rate + 1e-9), default=None)


def _precision(curve: Curve, recall: float) -> float | None:
    """The best precision at that recall or a higher one."""
    return max((y for x, y in curve.points if x >= recall - 1e-9), default=None)
