"""How training went: the validations of a run in, curves of loss and accuracy by step out, the state kept marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentiment_batch.report.axes import WIDTH, Plane, at, axis, exact_axis, line
from sentiment_batch.report.figure import figure, legend, line_key, svg, table
from sentiment_batch.report.numbers import count, decimal, number, percent
from sentiment_batch.report.texts import breadth

LISTED = 200
"""Validations in the table; of more, every so-manieth."""
DOTTED = 25
"""Validations up to which each has a dot."""

Rows = Sequence[Mapping[str, Any]]


def training(history: Rows) -> str:
    """The figures of loss and of accuracy, nothing without a validation."""
    done = [entry for entry in history if number(entry.get("step")) is not None]
    if not done:
        return ""
    kept = next((entry for entry in reversed(done) if entry.get("best")), None)
    return _figure(
        "training-loss",
        "Loss by step",
        _loss_finding(done, kept),
        done,
        kept,
        (
            ("validation_loss", "validation"),
            *((("calibrated_loss", "validation, once calibrated"),) if _calibrated(done) else ()),
            ("training_loss", "training, mean since the validation before"),
        ),
        percent=False,
    ) + _figure(
        "training-accuracy",
        "Accuracy by step",
        _accuracy_finding(done, kept),
        done,
        kept,
        (("accuracy", "accuracy on the validation rows"), ("macro_f1", "macro F1")),
        percent=True,
    )


def _figure(
    name: str,
    title: str,
    finding: str,
    done: Rows,
    kept: Mapping[str, Any] | None,
    series: Sequence[tuple[str, str]],
    *,
    percent: bool,
) -> str:
    curves = [(_points(done, what), words) for what, words in series]
    curves = [curve for curve in curves if curve[0]]
    if not curves:
        return ""
    steps = [step for points, _ in curves for step, _ in points]
    heights = [height for points, _ in curves for _, height in points]
    plane = Plane(
        x=exact_axis("step", min(0.0, *steps), max(steps)), y=axis(title.split()[0].lower(), heights, percent=percent)
    )
    drawn, entries = [plane.frame()], []
    for place, (points, words) in enumerate(curves, 1):
        drawn.append(line(plane, points, f"s{place}"))
        if len(points) <= DOTTED:
            drawn += [
                f'<circle class="f{place}" cx="{at(plane.across(x))}" cy="{at(plane.up(y))}" r="2.5"/>'
                for x, y in points
            ]
        entries.append((line_key(f"s{place}"), words))
    if kept is not None:
        drawn.append(_mark(plane, kept, curves[0][0]))
        entries.append((line_key("kept"), f"kept: step {count(kept.get('step'))}"))
    picture = svg(name, title, finding, "".join(drawn), plane.height)
    return figure(name, title, finding, picture, _table(done, kept, title), legend=legend(entries))


def _points(done: Rows, what: str) -> list[tuple[float, float]]:
    pairs = [(number(entry.get("step")), number(entry.get(what))) for entry in done]
    return [(step, value) for step, value in pairs if step is not None and value is not None]


def _mark(plane: Plane, kept: Mapping[str, Any], points: Sequence[tuple[float, float]]) -> str:
    """A line down at the step that is kept, its name, and a ring on the first curve."""
    step = number(kept.get("step")) or 0.0
    x, words = plane.across(step), f"kept: {step:,.0f}"
    width = breadth(words)
    left = x + 5 if x + 5 + width < WIDTH else x - 5 - width
    rings = [
        f'<circle class="ring" cx="{at(x)}" cy="{at(plane.up(height))}" r="6"/>'
        for place, height in points
        if place == step
    ]
    down = f'<path class="kept" d="M{at(x)} {plane.top}V{plane.height - plane.bottom}"/>'
    return f'{down}{"".join(rings)}<text class="strong" x="{at(left)}" y="{plane.top + 11}">{words}</text>'


def _loss_finding(done: Rows, kept: Mapping[str, Any] | None) -> str:
    if kept is None:
        return "No validation gave a loss that is a number."
    epoch = decimal(kept.get("epoch"), 2).rstrip("0").rstrip(".")
    key, once = ("calibrated_loss", " once calibrated") if _calibrated(done) else ("validation_loss", "")
    said = (
        f"The loss on the validation rows{once} was lowest, {decimal(kept.get(key))}, at step "
        f"{count(kept.get('step'))} (epoch {epoch}); this state is kept."
    )
    last, lowest = number(done[-1].get(key)), number(kept.get(key))
    if done[-1] is kept:
        more = " It is the last: it may not have been trained to the end." if len(done) > 1 else ""
        return said + more
    if last is not None and lowest is not None and last > lowest:
        return f"{said} At the end it was {decimal(last)}: more training would have fitted the training rows alone."
    return said


def _calibrated(done: Rows) -> bool:
    """Whether the state that is kept was chosen by its loss after calibration."""
    return any(number(entry.get("calibrated_loss")) is not None for entry in done)


def _accuracy_finding(done: Rows, kept: Mapping[str, Any] | None) -> str:
    entry = done[-1] if kept is None else kept
    where = "at the end" if kept is None else "in the state that is kept"
    return (
        f"{percent(entry.get('accuracy'))} of the validation rows are labelled correctly {where}; "
        f"macro F1 is {decimal(entry.get('macro_f1'))}."
    )


def _table(done: Rows, kept: Mapping[str, Any] | None, title: str) -> str:
    every = -(-len(done) // LISTED)
    head = (
        "step",
        "epoch",
        "training loss",
        "validation loss",
        "once calibrated",
        "accuracy",
        "macro F1",
        "learning rate",
        "best so far",
    )
    body = [
        (
            count(entry.get("step")),
            decimal(entry.get("epoch"), 2),
            decimal(entry.get("training_loss"), 4),
            decimal(entry.get("validation_loss"), 4),
            decimal(entry.get("calibrated_loss"), 4),
            percent(entry.get("accuracy"), 2),
            decimal(entry.get("macro_f1"), 4),
            "–" if number(entry.get("learning_rate")) is None else f"{number(entry.get('learning_rate')):.2e}",
            "yes" if entry.get("best") else "",
        )
        for place, entry in enumerate(done)
        if not place % every or entry is kept or place == len(done) - 1
    ]
    thinned = f", one of {every}" if every > 1 else ""
    return table(head, body, f"{title}: the validations of the run{thinned}")
