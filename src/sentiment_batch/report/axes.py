"""The plane of a chart: data in, places in an SVG picture out, with its axes, grid and names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sentiment_batch.report.document import escaped
from sentiment_batch.report.texts import breadth

WIDTH = 340
"""Of every chart, in units of its own; on a narrow phone a unit is a little less than a pixel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One direction of a chart."""

    name: str
    low: float
    high: float
    ticks: tuple[float, ...]
    percent: bool = False
    """Whether its values are shares of 1, shown in percent."""

    def label(self, tick: float) -> str:
        """What stands at a tick."""
        return f"{tick * 100:g}%" if self.percent else f"{tick:,.6g}"


def share_axis(name: str, low: float = 0.0) -> Axis:
    """From `low` to 1, in percent."""
    low = min(low, 0.99)
    return _axis(name, low, 1.0, _step(1.0 - low, 5), percent=True)


def axis(name: str, values: Iterable[float], *, from_zero: bool = False, percent: bool = False) -> Axis:
    """An axis that holds all the values, with round ticks; from zero, or from near the least of them."""
    held = list(values) or [0.0, 1.0]
    low, high = (0.0 if from_zero else min(held)), max(held)
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = (0.0, high) if high > 0 else (low - 0.5, high + 0.5)
    step = _step(high - low, 4)
    if not percent and all(value == round(value) for value in held):
        step = max(step, 1.0)  # there is no half of a row
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return _axis(name, low, high, step, percent=percent)


def exact_axis(name: str, low: float, high: float) -> Axis:
    """An axis that ends at its values, as of steps or bins."""
    high = high if high > low else low + 1.0
    return _axis(name, low, high, _step(high - low, 4), percent=False)


def _axis(name: str, low: float, high: float, step: float, *, percent: bool) -> Axis:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple(round(place * step, 12) for place in range(first, last + 1))
    return Axis(name=name, low=low, high=high, ticks=ticks, percent=percent)


def _step(length: float, most: int) -> float:
    """1, 2 or 5 times a power of ten: the least that divides the length into at most `most` parts, or a little more."""
    power = 10.0 ** math.floor(math.log10(length / most))
    return next(factor * power for factor in (1, 2, 5, 10) if length / (factor * power) <= most + 1e-9)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """Two axes and where they lie in the picture."""

    x: Axis
    y: Axis
    height: int = 230
    top: int = 24
    bottom: int = 38

    @property
    def left(self) -> float:
        """As much as the widest tick of the vertical axis takes."""
        return 8 + max(breadth(self.y.label(tick)) for tick in self.y.ticks)

    @property
    def right(self) -> float:
        """The right end of the plane."""
        return WIDTH - 14.0

    def across(self, value: float) -> float:
        """The horizontal place of a value."""
        return self.left + (value - self.x.low) / (self.x.high - self.x.low) * (self.right - self.left)

    def up(self, value: float) -> float:
        """The vertical place of a value, from the top."""
        base = self.height - self.bottom
        return base - (value - self.y.low) / (self.y.high - self.y.low) * (base - self.top)

    def place(self, point: tuple[float, float]) -> str:
        """A point as SVG writes it."""
        return f"{at(self.across(point[0]))},{at(self.up(point[1]))}"

    def frame(self) -> str:
        """The grid, the ticks and the names of the axes."""
        base = self.height - self.bottom
        parts = []
        for tick in self.y.ticks:
            height = at(self.up(tick))
            parts.append(f'<path class="grid" d="M{at(self.left)} {height}H{at(self.right)}"/>')
            parts.append(
                f'<text class="end" x="{at(self.left - 5)}" y="{at(self.up(tick) + 4)}">{self.y.label(tick)}</text>'
            )
        for tick in self.x.ticks:
            place, label = self.across(tick), self.x.label(tick)
            parts.append(f'<path class="grid" d="M{at(place)} {self.top}V{base}"/>')
            beyond = place + breadth(label) / 2 - WIDTH + 1
            parts.append(f'<text class="mid" x="{at(place - max(beyond, 0.0))}" y="{base + 15}">{label}</text>')
        parts.append(f'<path class="axis" d="M{at(self.left)} {base}H{at(self.right)}"/>')
        middle = at((self.left + self.right) / 2)
        parts.append(f'<text class="mid name" x="{middle}" y="{self.height - 6}">{escaped(self.x.name)}</text>')
        parts.append(f'<text class="name" x="2" y="12">{escaped(self.y.name)}</text>')
        return "".join(parts)


def at(value: float) -> str:
    """A coordinate, to a tenth of a unit."""
    return f"{round(value, 1) + 0.0:g}"


def line(plane: Plane, points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through points; of class `kind`."""
    return f'<polyline class="{kind}" points="{" ".join(_places(plane, points))}"/>'


def _places(plane: Plane, points: Sequence[tuple[float, float]]) -> list[str]:
    """The points as they are drawn, those left out that fall on the one before."""
    places: list[str] = []
    for point in points:
        place = plane.place(point)
        if not places or places[-1] != place:
            places.append(place)
    return places
