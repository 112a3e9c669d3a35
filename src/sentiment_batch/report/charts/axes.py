"""The coordinate system of a chart: axes with round ticks, the grid, curves, and the width of labels.

All lengths are units of the SVG picture. The page scales a picture to the width of its figure.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import escape

from sentiment_batch.report.formatting import shorten_label

CHART_WIDTH = 340
"""Width of every chart. On a narrow phone a unit is a little less than a pixel."""
MAX_NAMED_TICKS = 3
"""Steps between the names that an axis shows."""
_MEAN_CHARACTER_WIDTH = 7.6
"""Width of a character of a wide font of 12 units."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One direction of a chart."""

    name: str
    low: float
    high: float
    ticks: tuple[float, ...]
    percent: bool = False
    """True if the values are shares of 1, which are shown in percent."""
    names: tuple[str, ...] = ()
    """The labels of the whole numbers from 0 on; empty if the numbers themselves are shown."""

    def format_tick(self, tick: float) -> str:
        """The label of a tick."""
        if self.names:
            return self.names[round(tick)]
        return f"{tick * 100:g} %" if self.percent else f"{tick:,.6g}"


def build_share_axis(name: str, low: float = 0.0) -> Axis:
    """An axis from `low` to 1, in percent."""
    low = min(low, 0.99)
    return _build_axis(name, low, 1.0, _choose_step(1.0 - low, 5), percent=True)


def build_axis(name: str, values: Iterable[float], *, from_zero: bool = False, percent: bool = False) -> Axis:
    """An axis that holds all values and ends at round ticks. It starts at zero, or near the smallest value."""
    held = list(values) or [0.0, 1.0]
    low, high = (0.0 if from_zero else min(held)), max(held)
    # Equal values would give a step of 0, and a division by zero
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = (0.0, high) if high > 0 else (low - 0.5, high + 0.5)
    step = _choose_step(high - low, 4)
    if not percent and all(value == round(value) for value in held):
        step = max(step, 1.0)  # counts have no halves
    # 1e-9, because 0.3 / 0.1 is a little less than 3
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return _build_axis(name, low, high, step, percent=percent)


def build_exact_axis(name: str, low: float, high: float) -> Axis:
    """An axis that ends exactly at `low` and `high`, for steps and bins."""
    high = high if high > low else low + 1.0
    return _build_axis(name, low, high, _choose_step(high - low, 4), percent=False)


def build_named_axis(name: str, names: Sequence[str]) -> Axis:
    """An axis with a place for each name, of which as many are shown as have room."""
    last = len(names) - 1
    step = max(1, -(-last // MAX_NAMED_TICKS))
    ticks = tuple(float(place) for place in range(0, last + 1, step))
    return Axis(name=name, low=0.0, high=max(1.0, last), ticks=ticks, names=tuple(names))


def _build_axis(name: str, low: float, high: float, step: float, *, percent: bool) -> Axis:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple(round(number * step, 12) for number in range(first, last + 1))
    return Axis(name=name, low=low, high=high, ticks=ticks, percent=percent)


def _choose_step(length: float, max_parts: int) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that divides `length` into at most about `max_parts` parts."""
    power = 10.0 ** math.floor(math.log10(length / max_parts))
    return next(factor * power for factor in (1, 2, 5, 10) if length / (factor * power) <= max_parts + 1e-9)


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
        """The left end; the widest label of the vertical axis fits beside it."""
        return 8 + max(measure_text(self.y.format_tick(tick)) for tick in self.y.ticks)

    @property
    def right(self) -> float:
        """The right end."""
        return CHART_WIDTH - 14.0

    @property
    def base(self) -> int:
        """The height of the horizontal axis, from the top."""
        return self.height - self.bottom

    def to_x(self, value: float) -> float:
        """The horizontal place of a value."""
        return self.left + (value - self.x.low) / (self.x.high - self.x.low) * (self.right - self.left)

    def to_y(self, value: float) -> float:
        """The vertical place of a value, from the top."""
        return self.base - (value - self.y.low) / (self.y.high - self.y.low) * (self.base - self.top)

    def to_point(self, point: tuple[float, float]) -> str:
        """A point as SVG writes it."""
        return f"{coordinate(self.to_x(point[0]))},{coordinate(self.to_y(point[1]))}"

    def draw_frame(self) -> str:
        """The grid, the ticks and the names of the axes."""
        parts = [self._draw_y_tick(tick) for tick in self.y.ticks] + [self._draw_x_tick(tick) for tick in self.x.ticks]
        parts.append(f'<path class="axis" d="M{coordinate(self.left)} {self.base}H{coordinate(self.right)}"/>')
        middle = coordinate((self.left + self.right) / 2)
        parts.append(f'<text class="mid name" x="{middle}" y="{self.height - 6}">{escape(self.x.name)}</text>')
        parts.append(f'<text class="name" x="2" y="12">{escape(self.y.name)}</text>')
        return "".join(parts)

    def draw_mark(self, value: float, label: str) -> str:
        """A line down at a horizontal value with a label beside it, on the side that has enough room."""
        x = self.to_x(value)
        left = x + 5 if x + 5 + measure_text(label) < self.right else x - 5 - measure_text(label)
        return (
            f'<path class="kept" d="M{coordinate(x)} {self.top}V{self.base}"/>'
            f'<text class="strong" x="{coordinate(left)}" y="{self.top + 11}">{escape(label)}</text>'
        )

    def _draw_y_tick(self, tick: float) -> str:
        y, label = self.to_y(tick), self.y.format_tick(tick)
        return (
            f'<path class="grid" d="M{coordinate(self.left)} {coordinate(y)}H{coordinate(self.right)}"/>'
            f'<text class="end" x="{coordinate(self.left - 5)}" y="{coordinate(y + 4)}">{label}</text>'
        )

    def _draw_x_tick(self, tick: float) -> str:
        x, label = self.to_x(tick), self.x.format_tick(tick)
        # The label of the last tick moves to the left if it would not fit into the picture
        overhang = max(x + measure_text(label) / 2 - CHART_WIDTH + 1, 0.0)
        return (
            f'<path class="grid" d="M{coordinate(x)} {self.top}V{self.base}"/>'
            f'<text class="mid" x="{coordinate(x - overhang)}" y="{self.base + 15}">{label}</text>'
        )


def coordinate(value: float) -> str:
    """A coordinate, to a tenth of a unit."""
    return f"{round(value, 1) + 0.0:g}"  # + 0.0 turns -0.0 into 0


def draw_line(plane: Plane, points: Sequence[tuple[float, float]], css_class: str) -> str:
    """A line through `points`. A point that falls on the one before is left out."""
    places: list[str] = []
    for point in points:
        place = plane.to_point(point)
        if not places or places[-1] != place:
            places.append(place)
    return f'<polyline class="{css_class}" points="{" ".join(places)}"/>'


def draw_dots(plane: Plane, points: Sequence[tuple[float, float]], css_class: str) -> str:
    """A dot at each of `points`."""
    places = [(coordinate(plane.to_x(x)), coordinate(plane.to_y(y))) for x, y in points]
    return "".join(f'<circle class="{css_class}" cx="{x}" cy="{y}" r="2.5"/>' for x, y in places)


def draw_uprights(plane: Plane, intervals: Iterable[tuple[float, float, float]], css_class: str) -> str:
    """Upright lines, each given by its horizontal place, its low and its high end."""
    ends = [(plane.to_point((x, low)), coordinate(plane.to_y(high))) for x, low, high in intervals]
    return f'<path class="{css_class}" d="{"".join(f"M{low}V{high}" for low, high in ends)}"/>'


def measure_text(text: str) -> float:
    """About how wide `text` is in a chart; rather too wide than too narrow."""
    return sum(_MEAN_CHARACTER_WIDTH * _relative_width(character) for character in text)


def fit_label(text: Any, max_width: float) -> str:
    """A label in one line that is no wider than `max_width`."""
    # First a cut by the number of characters, which is fast for long texts, and then by their widths. \u2069 ends the
    # isolation of the text direction that `shorten_label` begins.
    label = shorten_label(text, max(1, int(max_width / (_MEAN_CHARACTER_WIDTH * 0.8))))
    while measure_text(label) > max_width and len(label) > 4:
        label = f"{label[:-2].rstrip('…')[:-1].rstrip()}…\u2069"
    return label


def _relative_width(character: str) -> float:
    """The width of a character, as a multiple of the mean width."""
    if unicodedata.east_asian_width(character) in "WF":
        return 1.7
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0.0
    return 1.5 if character in "MWmw@%—…" else 1.15 if character.isupper() else 1.0
