"""How far a model's probabilities can be believed: the reliability diagram and the histogram of scores as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentiment_batch.report.axes import Plane, at, line, share_axis
from sentiment_batch.report.bars import Stack, histogram
from sentiment_batch.report.figure import figure, legend, line_key, svg, table
from sentiment_batch.report.numbers import count, decimal, number, percent

SURE = 0.9
"""Probability from which a prediction is called sure in the histogram's words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Rows whose top probability is alike."""

    low: float
    high: float
    rows: float
    confidence: float
    accuracy: float


def reliability(name: str, evaluation: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """The figure of accuracy over stated probability, after calibration and before; nothing without bins.

    Args:
        name: the figure's id.
        evaluation: of the model as it is.
        before: `calibration_error` and `reliability` of the model without its temperature, if they are known.
    """
    now, then = _bins(evaluation.get("reliability")), _bins((before or {}).get("reliability"))
    if not now:
        return ""
    title, finding = "Reliability of the probabilities", _finding(evaluation, now, before if then else None)
    low = min(min(one.confidence, one.accuracy) for one in [*now, *then])
    start = 0.5 if low >= 0.5 else 0.0
    plane = Plane(x=share_axis("stated probability", start), y=share_axis("of those, right", start), height=270)
    perfect = f'<path class="chance" d="M{plane.place((start, start))}L{plane.place((1, 1))}"/>'
    drawn = plane.frame() + perfect
    entries = [
        (
            line_key("s1", '<circle class="f1" cx="14" cy="6" r="4"/>'),
            _named("calibrated" if then else "the model", evaluation),
        )
    ]
    if before and then:
        drawn += line(plane, [(one.confidence, one.accuracy) for one in then], "s2") + _squares(plane, then)
        entries.append(
            (line_key("s2", '<path class="square" d="M10 2h8v8h-8z"/>'), _named("before calibration", before))
        )
    drawn += line(plane, [(one.confidence, one.accuracy) for one in now], "s1") + _circles(plane, now)
    entries.append((line_key("chance"), "perfect"))
    note = "Below the diagonal the model claims more than it keeps, above it less. The larger a dot, the more rows."
    picture = svg(name, title, finding, drawn, plane.height)
    return figure(name, title, finding, picture, _table(now, then), legend=legend(entries), note=note)


def scores(name: str, evaluation: Mapping[str, Any]) -> str:
    """The figure of how many rows have which top probability, right and wrong; nothing without rows."""
    found = evaluation.get("histogram") or {}
    edges = [edge for edge in map(number, found.get("edges") or []) if edge is not None]
    right, wrong = ([number(held) or 0.0 for held in found.get(what) or []] for what in ("correct", "wrong"))
    filled = [place for place, held in enumerate(zip(right, wrong, strict=False)) if sum(held)]
    if not filled or len(edges) != len(right) + 1 or len(right) != len(wrong):
        return ""
    first = filled[0]  # the top probability of K classes is at least 1/K: what lies below is always empty
    edges, right, wrong = edges[first:], right[first:], wrong[first:]
    title, finding = "Scores, right and wrong", _scores_finding(edges, right, wrong)
    axis = share_axis("probability of the predicted label", edges[0])
    plane, bars = histogram(edges, [Stack(kind="f2", counts=wrong), Stack(kind="f1", counts=right)], axis, "rows")
    body = [
        (
            f"{percent(low, 0)} to {percent(high, 0)}",
            count(good),
            count(bad),
            percent(good / (good + bad)) if good + bad else "–",
        )
        for low, high, good, bad in zip(edges, edges[1:], right, wrong, strict=False)
    ]
    numbers = table(
        ("score", "right", "wrong", "of those right"), body, "Rows by the probability of the predicted label"
    )
    keys = legend([(_box_key("f1"), "right"), (_box_key("f2"), "wrong, below")])
    return figure(name, title, finding, svg(name, title, finding, bars, plane.height), numbers, legend=keys)


def _bins(given: Any) -> list[Bin]:
    """The bins whose values are all numbers."""
    bins = []
    for one in given or []:
        values = {what: number(one.get(what)) for what in ("low", "high", "rows", "confidence", "accuracy")}
        if all(value is not None for value in values.values()):
            bins.append(Bin(**{what: value or 0.0 for what, value in values.items()}))
    return bins


def _finding(evaluation: Mapping[str, Any], bins: Sequence[Bin], before: Mapping[str, Any] | None) -> str:
    error = evaluation.get("calibration_error")
    was = f", before calibration {decimal(before.get('calibration_error'))}" if before else ""
    held = sum(one.rows for one in bins) or 1.0
    excess = sum((one.confidence - one.accuracy) * one.rows for one in bins) / held
    lean = (
        "on the whole they are neither too high nor too low"
        if abs(excess) < 0.005
        else f"on the whole they are too {'high' if excess > 0 else 'low'}, by {abs(excess) * 100:.1f} points"
    )
    return f"Expected calibration error {decimal(error)}{was}: what the probabilities are off by, on average; {lean}."


def _named(what: str, measured: Mapping[str, Any]) -> str:
    return f"{what}, error {decimal(measured.get('calibration_error'))}"


def _radius(one: Bin, bins: Sequence[Bin]) -> float:
    """Of a dot whose area goes by its rows, but can always be seen."""
    return float(2.5 + 5.0 * (one.rows / max(1.0, *(other.rows for other in bins))) ** 0.5)


def _circles(plane: Plane, bins: Sequence[Bin]) -> str:
    return "".join(
        f'<circle class="f1 dot" cx="{at(plane.across(one.confidence))}" cy="{at(plane.up(one.accuracy))}" '
        f'r="{at(_radius(one, bins))}"/>'
        for one in bins
    )


def _squares(plane: Plane, bins: Sequence[Bin]) -> str:
    parts = []
    for one in bins:
        side = 1.7 * _radius(one, bins)
        x, y = plane.across(one.confidence) - side / 2, plane.up(one.accuracy) - side / 2
        parts.append(f'<rect class="square" x="{at(x)}" y="{at(y)}" width="{at(side)}" height="{at(side)}"/>')
    return "".join(parts)


def _table(now: Sequence[Bin], then: Sequence[Bin]) -> str:
    body = [
        [
            what,
            f"{percent(one.low)} to {percent(one.high)}",
            count(one.rows),
            percent(one.confidence),
            percent(one.accuracy),
        ]
        for what, bins in (("calibrated" if then else "the model", now), ("before calibration", then))
        for one in bins
    ]
    head = ("probabilities", "bin", "rows", "stated, on average", "of those right")
    return table(head, body, "Accuracy by stated probability", named=2)


def _scores_finding(edges: Sequence[float], right: Sequence[float], wrong: Sequence[float]) -> str:
    total = sum(right) + sum(wrong)
    sure = [place for place, edge in enumerate(edges[:-1]) if edge >= SURE - 1e-9]
    good, bad = sum(right[place] for place in sure), sum(wrong[place] for place in sure)
    if not good + bad:
        return f"No row has a score above {percent(SURE, 0)}."
    return (
        f"{percent((good + bad) / total, 0)} of the rows have a score of at least {percent(SURE, 0)}; of those "
        f"{percent(good / (good + bad))} are right. Of the rest, "
        + (f"{percent((sum(right) - good) / (total - good - bad))} are." if total > good + bad else "there is none.")
    )


def _box_key(kind: str) -> str:
    return f'<rect class="{kind}" x="8" y="1" width="12" height="10"/>'
