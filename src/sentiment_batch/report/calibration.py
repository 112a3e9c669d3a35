"""Shows how reliable the probabilities are: the reliability diagram and the histogram of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sentiment_batch.report.charts.axes import CHART_WIDTH, Plane, build_share_axis, coordinate, draw_line
from sentiment_batch.report.charts.bars import Stack, draw_histogram, read_histogram
from sentiment_batch.report.document import Figure, LegendEntry, Picture, Table, line_key
from sentiment_batch.report.formatting import MISSING, format_count, format_decimal, format_percent, to_number

SURE_PROBABILITY = 0.9
"""Probability from which the finding of the histogram counts a prediction as sure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Rows with similar top probabilities."""

    low: float
    high: float
    rows: float
    confidence: float
    """Mean top probability of the rows."""
    accuracy: float


def build_reliability_figure(
    name: str, evaluation: Mapping[str, Any], before: Mapping[str, Any] | None
) -> Figure | None:
    """Accuracy over predicted probability, after calibration and before; None without bins.

    Args:
        name: the id of the figure.
        evaluation: the evaluation of the model as it is.
        before: `calibration_error` and `reliability` of the model without its temperature, if they are known.
    """
    now, then = _read_bins(evaluation.get("reliability")), _read_bins((before or {}).get("reliability"))
    if not now:
        return None
    # With two labels no top probability is below 0.5, so half of each axis would be empty
    start = 0.5 if min(min(one.confidence, one.accuracy) for one in [*now, *then]) >= 0.5 else 0.0
    plane = Plane(
        x=build_share_axis("predicted probability", start), y=build_share_axis("right rows", start), height=270
    )
    content = plane.draw_frame()
    content += f'<path class="chance" d="M{plane.to_point((start, start))}L{plane.to_point((1, 1))}"/>'
    circle, square = '<circle class="f1" cx="14" cy="6" r="4"/>', '<path class="square" d="M10 2h8v8h-8z"/>'
    legend = [
        LegendEntry(key=line_key("s1", circle), text=_name_error("calibrated" if then else "the model", evaluation))
    ]
    if before and then:
        content += draw_line(plane, [(one.confidence, one.accuracy) for one in then], "s2") + _draw_squares(plane, then)
        legend.append(LegendEntry(key=line_key("s2", square), text=_name_error("before calibration", before)))
    content += draw_line(plane, [(one.confidence, one.accuracy) for one in now], "s1") + _draw_circles(plane, now)
    return Figure(
        name=name,
        title="Reliability of the probabilities",
        finding=_format_reliability(evaluation, now, before if then else None),
        picture=Picture(content=Markup(content), height=plane.height, width=CHART_WIDTH),
        legend=[*legend, LegendEntry(key=line_key("chance"), text="perfect")],
        note="Below the diagonal, the probabilities are too high; above it, too low. Larger dots stand for more rows.",
        table=_build_reliability_table(now, then),
    )


def build_scores_figure(name: str, evaluation: Mapping[str, Any]) -> Figure | None:
    """The number of right and of wrong rows by top probability; None if there are no rows."""
    found = read_histogram(evaluation.get("histogram"), "correct", "wrong")
    if found is None:
        return None
    edges, (right, wrong) = found
    # The top probability of K classes is at least 1/K, so the bins below are always empty.
    first = next(index for index, counts in enumerate(zip(right, wrong, strict=True)) if sum(counts))
    edges, right, wrong = edges[first:], right[first:], wrong[first:]
    axis = build_share_axis("probability of the predicted label", edges[0])
    stacks = [Stack(css_class="f2", counts=wrong), Stack(css_class="f1", counts=right)]
    plane, content = draw_histogram(edges, stacks, axis, "rows")
    return Figure(
        name=name,
        title="Scores, right and wrong",
        finding=_format_scores(edges, right, wrong),
        picture=Picture(content=Markup(content), height=plane.height, width=CHART_WIDTH),
        legend=[
            LegendEntry(key=_box_key("f1"), text="right"),
            LegendEntry(key=_box_key("f2"), text="wrong, below"),
        ],
        table=_build_scores_table(edges, right, wrong),
    )


def _read_bins(given: Any) -> list[Bin]:
    """The bins whose values are all numbers."""
    bins = []
    for one in given or []:
        values = {key: to_number(one.get(key)) for key in ("low", "high", "rows", "confidence", "accuracy")}
        if all(value is not None for value in values.values()):
            bins.append(Bin(**{key: value or 0.0 for key, value in values.items()}))
    return bins


def _format_reliability(evaluation: Mapping[str, Any], bins: Sequence[Bin], before: Mapping[str, Any] | None) -> str:
    error = format_decimal(evaluation.get("calibration_error"))
    was = f"; before calibration, it was {format_decimal(before.get('calibration_error'))}" if before else ""
    rows = sum(one.rows for one in bins) or 1.0
    excess = sum((one.confidence - one.accuracy) * one.rows for one in bins) / rows
    bias = "neither too high nor too low"
    if abs(excess) >= 0.005:
        bias = f"{format_decimal(abs(excess) * 100, 1)} points too {'high' if excess > 0 else 'low'}"
    return (
        f"The expected calibration error is {error}{was}. It is the mean distance of the dots from the diagonal. "
        f"On average, the probabilities are {bias}."
    )


def _name_error(model: str, measured: Mapping[str, Any]) -> str:
    return f"{model}, error {format_decimal(measured.get('calibration_error'))}"


def _choose_radius(one: Bin, bins: Sequence[Bin]) -> float:
    """The radius of a dot. Its area grows with its rows, and the smallest can still be seen."""
    return float(2.5 + 5.0 * (one.rows / max([1.0, *(other.rows for other in bins)])) ** 0.5)


def _draw_circles(plane: Plane, bins: Sequence[Bin]) -> str:
    return "".join(
        f'<circle class="f1 dot" cx="{coordinate(plane.to_x(one.confidence))}" '
        f'cy="{coordinate(plane.to_y(one.accuracy))}" r="{coordinate(_choose_radius(one, bins))}"/>'
        for one in bins
    )


def _draw_squares(plane: Plane, bins: Sequence[Bin]) -> str:
    parts = []
    for one in bins:
        side = 1.7 * _choose_radius(one, bins)
        x, y = plane.to_x(one.confidence) - side / 2, plane.to_y(one.accuracy) - side / 2
        size = f'width="{coordinate(side)}" height="{coordinate(side)}"'
        parts.append(f'<rect class="square" x="{coordinate(x)}" y="{coordinate(y)}" {size}/>')
    return "".join(parts)


def _build_reliability_table(now: Sequence[Bin], then: Sequence[Bin]) -> Table:
    rows = [
        [
            model,
            f"{format_percent(one.low)} to {format_percent(one.high)}",
            format_count(one.rows),
            format_percent(one.confidence),
            format_percent(one.accuracy),
        ]
        for model, bins in (("calibrated" if then else "the model", now), ("before calibration", then))
        for one in bins
    ]
    head = ("probabilities", "bin", "rows", "mean probability", "share right")
    return Table(head=head, rows=rows, caption="Accuracy by predicted probability", word_columns=2)


def _build_scores_table(edges: Sequence[float], right: Sequence[float], wrong: Sequence[float]) -> Table:
    rows = [
        (
            f"{format_percent(low, 0)} to {format_percent(high, 0)}",
            format_count(good),
            format_count(bad),
            format_percent(good / (good + bad)) if good + bad else MISSING,
        )
        for low, high, good, bad in zip(edges, edges[1:], right, wrong, strict=False)
    ]
    caption = "Rows by the probability of the predicted label"
    return Table(head=("score", "right", "wrong", "share right"), rows=rows, caption=caption)


def _format_scores(edges: Sequence[float], right: Sequence[float], wrong: Sequence[float]) -> str:
    total, bound = sum(right) + sum(wrong), format_percent(SURE_PROBABILITY, 0)
    sure = [index for index, edge in enumerate(edges[:-1]) if edge >= SURE_PROBABILITY - 1e-9]
    good, bad = sum(right[index] for index in sure), sum(wrong[index] for index in sure)
    if not good + bad:
        return f"No row has a score above {bound}."
    rest = total - good - bad
    return (
        f"{format_percent((good + bad) / total, 0)} of the rows have a score of at least {bound}. Of those, "
        f"{format_percent(good / (good + bad))} are right. "
        + (f"Of the rest, {format_percent((sum(right) - good) / rest)} are." if rest > 0 else "There are no others.")
    )


def _box_key(css_class: str) -> Markup:
    return Markup(f'<rect class="{css_class}" x="8" y="1" width="12" height="10"/>')
