"""Bar charts: counts in bins, counts of classes, and shares with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import escape

from sentiment_batch.report.charts.axes import CHART_WIDTH, Axis, Plane, build_axis, coordinate, fit_label, measure_text
from sentiment_batch.report.formatting import to_number

ROW_HEIGHT = 36
"""Height of a line of words and of the bar or interval below it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """Bars of one kind."""

    css_class: str
    counts: Sequence[float]
    """A count for each bin."""


def read_histogram(found: Mapping[str, Any] | None, *keys: str) -> tuple[list[float], list[list[float]]] | None:
    """The `edges` of a histogram, and its counts under each key; None if there are no rows or lengths do not fit."""
    given = found or {}
    edges = [edge for edge in map(to_number, given.get("edges") or []) if edge is not None]
    counts = [[to_number(rows) or 0.0 for rows in given.get(key) or []] for key in keys]
    if any(len(one) + 1 != len(edges) for one in counts) or not sum(map(sum, counts)):
        return None
    return edges, counts


def draw_histogram(edges: Sequence[float], stacks: Sequence[Stack], x_axis: Axis, y_name: str) -> tuple[Plane, str]:
    """Bars over the bins between `edges`, one kind upon the other.

    Returns:
        The plane, and what is drawn in it.
    """
    totals = [sum(stack.counts[index] for stack in stacks) for index in range(len(edges) - 1)]
    plane = Plane(x=x_axis, y=build_axis(y_name, totals, from_zero=True))
    bars, below = [], [0.0] * len(totals)
    for stack in stacks:
        for index, count in enumerate(stack.counts[: len(totals)]):
            if count > 0:
                x_range, y_range = (edges[index], edges[index + 1]), (below[index], below[index] + count)
                bars.append(_draw_bar(plane, x_range, y_range, stack.css_class))
                below[index] += count
    return plane, plane.draw_frame() + "".join(bars)


def _draw_bar(plane: Plane, x_range: tuple[float, float], y_range: tuple[float, float], css_class: str) -> str:
    # Half a unit at each side makes a gap between bars. Small bars keep a size at which they can be seen.
    left, right = plane.to_x(x_range[0]) + 0.5, plane.to_x(x_range[1]) - 0.5
    lower, upper = plane.to_y(y_range[0]), plane.to_y(y_range[1])
    return (
        f'<rect class="{css_class}" x="{coordinate(left)}" y="{coordinate(upper)}" '
        f'width="{coordinate(max(right - left, 0.3))}" height="{coordinate(max(lower - upper, 0.5))}"/>'
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A row of a chart of groups."""

    name: str
    """A name of any length. The chart cuts it to the space that it has."""
    words: str
    """What stands at the right end of the row."""
    value: float | None
    low: float | None = None
    high: float | None = None


def draw_bars(groups: Sequence[Group]) -> tuple[float, str]:
    """A bar for each group; the largest value is as wide as the chart.

    Returns:
        The height of the chart, and what is drawn.
    """
    largest = max((group.value or 0.0 for group in groups), default=0.0) or 1.0
    parts = []
    for index, group in enumerate(groups):
        width, y = max(group.value or 0.0, 0.0) / largest * CHART_WIDTH, index * ROW_HEIGHT + 20
        parts.append(_draw_words(group, index))
        parts.append(f'<rect class="track" x="0" y="{y}" width="{CHART_WIDTH}" height="9"/>')
        parts.append(f'<rect class="f1" x="0" y="{y}" width="{coordinate(width)}" height="9"/>')
    return len(groups) * ROW_HEIGHT, "".join(parts)


def draw_intervals(groups: Sequence[Group], axis: Axis, overall: float | None) -> tuple[float, str]:
    """A dot for each group with its interval as a line, and `overall` as a dashed line down.

    Returns:
        The height of the chart, and what is drawn.
    """
    base = len(groups) * ROW_HEIGHT + 8
    parts = [_draw_tick_below(axis, tick, base) for tick in axis.ticks]
    parts.append(f'<text class="mid name" x="{CHART_WIDTH / 2:g}" y="{base + 33}">{escape(axis.name)}</text>')
    if overall is not None:
        parts.append(f'<path class="whole" d="M{coordinate(_to_full_width(axis, overall))} 0V{base}"/>')
    parts += [_draw_words(group, index) + _draw_interval(group, axis, index) for index, group in enumerate(groups)]
    return base + 38, "".join(parts)


def _to_full_width(axis: Axis, value: float) -> float:
    """The horizontal place of a value in a chart whose axis is as wide as the picture."""
    return 8.0 + (value - axis.low) / (axis.high - axis.low) * (CHART_WIDTH - 16.0)


def _draw_tick_below(axis: Axis, tick: float, base: float) -> str:
    x, label = _to_full_width(axis, tick), axis.format_tick(tick)
    middle = min(max(x, measure_text(label) / 2), CHART_WIDTH - measure_text(label) / 2)
    return (
        f'<path class="grid" d="M{coordinate(x)} 0V{base}"/>'
        f'<text class="mid" x="{coordinate(middle)}" y="{base + 15}">{label}</text>'
    )


def _draw_interval(group: Group, axis: Axis, index: int) -> str:
    y, parts = index * ROW_HEIGHT + 25, ""
    if group.low is not None and group.high is not None:
        low, high = (coordinate(_to_full_width(axis, end)) for end in (group.low, group.high))
        parts += f'<path class="range" d="M{low} {y}H{high}M{low} {y - 4}v8M{high} {y - 4}v8"/>'
    if group.value is not None:
        parts += f'<circle class="f1 dot" cx="{coordinate(_to_full_width(axis, group.value))}" cy="{y}" r="4.5"/>'
    return parts


def _draw_words(group: Group, index: int) -> str:
    y, name = index * ROW_HEIGHT + 14, fit_label(group.name, CHART_WIDTH - 12 - measure_text(group.words))
    return (
        f'<text x="0" y="{y}">{escape(name)}</text>'
        f'<text class="end soft" x="{CHART_WIDTH}" y="{y}">{escape(group.words)}</text>'
    )
