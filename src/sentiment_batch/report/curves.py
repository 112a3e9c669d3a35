"""The receiver operating characteristic and precision over recall: the points of curves in, figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentiment_batch.report.axes import Plane, line, share_axis
from sentiment_batch.report.figure import figure, legend, line_key, svg, table
from sentiment_batch.report.numbers import decimal, number, percent
from sentiment_batch.report.texts import quoted, short

NAMED = 5
"""Curves that have a colour and a dash of their own: all of so few labels, else those of the smallest area."""
OTHERS = 40
"""More curves that are drawn, thin and grey, by `COARSE` points each; a page of 150 labels is to stay small."""
COARSE = 50
LISTED = 100
"""Curves in the table, in their order; of more, those of the smallest area."""
READ_AT = (0.01, 0.05, 0.1, 0.2, 0.5)
RECALLS = (0.5, 0.8, 0.9, 0.95, 0.99)
"""Where the tables read the curves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A curve of one label; `points` has the order in which it was given."""

    label: str
    points: tuple[tuple[float, float], ...]
    area: float | None


def roc(name: str, evaluation: Mapping[str, Any]) -> str:
    """The figure of the receiver operating characteristic, nothing where no curve could be computed."""
    curves = _curves(evaluation.get("roc"))
    if not curves:
        return ""
    area = decimal(evaluation.get("roc_auc"))
    finding = f"Area under the curve {area}: 1 is a perfect ranking of the texts, 0.5 chance."
    if len(curves) > 1:
        weakest = _weakest(curves)[0]
        least = f"the smallest is that of {quoted(weakest.label)}, {decimal(weakest.area)}"
        finding = f"Mean area under the curves {area}, each of a label against the rest; {least}."
    plane = Plane(x=share_axis("false positives, of all negatives"), y=share_axis("true positives, of all positives"))
    chance = f'<path class="chance" d="M{plane.place((0, 0))}L{plane.place((1, 1))}"/>'
    head = ["label", "area", *(f"at {percent(share, 0)} false" for share in READ_AT)]
    body = [_row(curve, [_height_at(curve, share) for share in READ_AT]) for curve in _listed(curves)]
    numbers = table(head, body, "True positive rate at some false positive rates")
    return _drawn(name, "Ranking: ROC curve", finding, plane, curves, chance, numbers)


def precision_recall(name: str, evaluation: Mapping[str, Any]) -> str:
    """The figure of precision over recall, nothing where no curve could be computed."""
    curves = _curves(evaluation.get("precision_recall"))
    if not curves:
        return ""
    weakest = _weakest(curves)[0]
    kept = _precision_at(weakest, 0.9)
    finding = (
        f"{'Weakest for' if len(curves) > 1 else 'For'} {quoted(weakest.label)}: average precision "
        f"{decimal(weakest.area)}; where 90% of its texts are found, {percent(kept)} of those called so are."
    )
    low = min((height for curve in curves for _, height in curve.points), default=0.0)
    plane = Plane(
        x=share_axis("recall: found, of all that are so"), y=share_axis("precision", 0.5 if low >= 0.5 else 0.0)
    )
    head = ["label", "area", *(f"at recall {percent(share, 0)}" for share in RECALLS)]
    body = [_row(curve, [_precision_at(curve, share) for share in RECALLS]) for curve in _listed(curves)]
    numbers = table(head, body, "Precision at some recalls")
    return _drawn(name, "Precision and recall", finding, plane, curves, "", numbers)


def _curves(given: Any) -> list[Curve]:
    """The curves that can be drawn: those with two points at least, all of them in the unit square."""
    curves = []
    for one in given or []:
        pairs = [(number(x), number(y)) for x, y in zip(one.get("x") or [], one.get("y") or [], strict=False)]
        points = tuple((x, y) for x, y in pairs if x is not None and y is not None and 0 <= x <= 1 and 0 <= y <= 1)
        if len(points) > 1:
            curves.append(Curve(label=str(one.get("label")), points=points, area=number(one.get("area"))))
    return curves


def _weakest(curves: Sequence[Curve]) -> list[Curve]:
    return sorted(curves, key=lambda curve: 2.0 if curve.area is None else curve.area)


def _listed(curves: Sequence[Curve]) -> Sequence[Curve]:
    return curves if len(curves) <= LISTED else _weakest(curves)[:LISTED]


def _coarse(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """About `COARSE` of the points, the last of them among these."""
    return [*points[: -1 : -(-len(points) // COARSE)], points[-1]]


def _drawn(name: str, title: str, finding: str, plane: Plane, curves: Sequence[Curve], under: str, numbers: str) -> str:
    named = list(curves) if len(curves) <= NAMED else _weakest(curves)[:NAMED]
    others = [curve for curve in _weakest(curves) if curve not in named][:OTHERS]
    lines = [line(plane, _coarse(curve.points), "s0") for curve in others]
    lines += [line(plane, curve.points, f"s{place}") for place, curve in enumerate(named, 1)]
    entries = [
        (line_key(f"s{place}"), f"{short(curve.label)} {decimal(curve.area)}") for place, curve in enumerate(named, 1)
    ]
    if others:
        entries.append((line_key("s0"), f"{len(others)} other labels, the next by area"))
    picture = svg(name, title, finding, plane.frame() + under + "".join(lines), plane.height)
    return figure(name, title, finding, picture, numbers, legend=legend(entries))


def _row(curve: Curve, values: Sequence[float | None]) -> list[str]:
    return [short(curve.label), decimal(curve.area), *(percent(value) for value in values)]


def _height_at(curve: Curve, share: float) -> float | None:
    """The largest height at or left of a place."""
    return max((y for x, y in curve.points if x <= share + 1e-9), default=None)


def _precision_at(curve: Curve, recall: float) -> float | None:
    """The best precision at that recall or a larger one."""
    return max((y for x, y in curve.points if x >= recall - 1e-9), default=None)
