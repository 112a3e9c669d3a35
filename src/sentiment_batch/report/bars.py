"""Bar charts: counts in bins, counts of classes, and shares with their intervals; values in, SVG out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sentiment_batch.report.axes import WIDTH, Axis, Plane, at, axis
from sentiment_batch.report.document import escaped
from sentiment_batch.report.texts import breadth, fitted

ROW = 36
"""The height of a group: a line of words and one with its bar or interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """Bars of one kind, a count per bin."""

    kind: str
    """The class of its bars."""
    counts: Sequence[float]


def histogram(edges: Sequence[float], stacks: Sequence[Stack], across: Axis, up: str) -> tuple[Plane, str]:
    """Bars over the bins between the edges, one kind upon the other; the plane and what is drawn in it."""
    totals = [sum(stack.counts[place] for stack in stacks) for place in range(len(edges) - 1)]
    plane = Plane(x=across, y=axis(up, totals, from_zero=True))
    bars, below = [], [0.0] * len(totals)
    for stack in stacks:
        for place, counted in enumerate(stack.counts[: len(totals)]):
            if counted > 0:
                bars.append(
                    _bar(plane, edges[place], edges[place + 1], below[place], below[place] + counted, stack.kind)
                )
                below[place] += counted
    return plane, plane.frame() + "".join(bars)


def _bar(plane: Plane, low: float, high: float, base: float, top: float, kind: str) -> str:
    left, right = plane.across(low) + 0.5, plane.across(high) - 0.5
    lower, upper = plane.up(base), plane.up(top)
    return (
        f'<rect class="{kind}" x="{at(left)}" y="{at(upper)}" width="{at(max(right - left, 0.3))}" '
        f'height="{at(max(lower - upper, 0.5))}"/>'
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A line of a chart of groups."""

    name: str
    """Of any length; it is cut to what there is room for."""
    words: str
    """What stands at its right end."""
    value: float | None
    low: float | None = None
    high: float | None = None


def bars(groups: Sequence[Group]) -> tuple[float, str]:
    """A bar per group from the left edge, the largest value as wide as the chart; the height and what is drawn."""
    largest = max((group.value or 0.0 for group in groups), default=0.0) or 1.0
    parts = []
    for place, group in enumerate(groups):
        width = max(group.value or 0.0, 0.0) / largest * WIDTH
        parts.append(_words(group, place * ROW + 14))
        parts.append(f'<rect class="track" x="0" y="{place * ROW + 20}" width="{WIDTH}" height="9"/>')
        parts.append(f'<rect class="f1" x="0" y="{place * ROW + 20}" width="{at(width)}" height="9"/>')
    return len(groups) * ROW, "".join(parts)


def intervals(groups: Sequence[Group], across: Axis, overall: float | None) -> tuple[float, str]:
    """A dot per group with its interval as a line, and that of all as a line down; the height and what is drawn."""
    plane = Plane(x=across, y=Axis(name="", low=0, high=1, ticks=(0,)), top=0, height=len(groups) * ROW + 46)
    left, base = 8.0, len(groups) * ROW + 8

    def place(value: float) -> float:
        return left + (value - across.low) / (across.high - across.low) * (WIDTH - 2 * left)

    parts = [f'<path class="grid" d="M{at(place(tick))} 0V{base}"/>' for tick in across.ticks]
    for tick in across.ticks:
        label = across.label(tick)
        middle = min(max(place(tick), breadth(label) / 2), WIDTH - breadth(label) / 2)
        parts.append(f'<text class="mid" x="{at(middle)}" y="{base + 15}">{label}</text>')
    parts.append(f'<text class="mid name" x="{WIDTH / 2:g}" y="{base + 33}">{escaped(across.name)}</text>')
    if overall is not None:
        parts.append(f'<path class="whole" d="M{at(place(overall))} 0V{base}"/>')
    for number, group in enumerate(groups):
        parts.append(_words(group, number * ROW + 14))
        height = number * ROW + 25
        if group.low is not None and group.high is not None:
            ends = f"M{at(place(group.low))} {height}H{at(place(group.high))}"
            ticks = "".join(f"M{at(place(end))} {height - 4}v8" for end in (group.low, group.high))
            parts.append(f'<path class="range" d="{ends}{ticks}"/>')
        if group.value is not None:
            parts.append(f'<circle class="f1 dot" cx="{at(place(group.value))}" cy="{height}" r="4.5"/>')
    return plane.height, "".join(parts)


def _words(group: Group, height: float) -> str:
    return (
        f'<text x="0" y="{height:g}">{escaped(fitted(group.name, WIDTH - 12 - breadth(group.words)))}</text>'
        f'<text class="end soft" x="{WIDTH}" y="{height:g}">{escaped(group.words)}</text>'
    )
