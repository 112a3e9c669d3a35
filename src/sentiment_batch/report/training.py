"""Shows the training: curves of loss and accuracy over the steps, and the gain from unlabelled texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sentiment_batch.report.charts.axes import (
    CHART_WIDTH,
    Plane,
    build_axis,
    build_exact_axis,
    coordinate,
    draw_dots,
    draw_line,
)
from sentiment_batch.report.document import Figure, LegendEntry, Picture, Table, line_key
from sentiment_batch.report.formatting import MISSING, format_count, format_decimal, format_percent, to_number

MAX_VALIDATIONS_LISTED = 200
"""Maximum number of validations in the table. If there are more, every second or third is listed, and so on."""
MAX_VALIDATIONS_WITH_DOTS = 25
"""Up to this many validations, each has a dot on its curve."""

Validations = Sequence[Mapping[str, Any]]


def build_training_figures(history: Validations, *, folds: bool = False) -> list[Figure]:
    """The figures of loss and accuracy; empty without a validation. With `folds` they are means over the folds."""
    done = [entry for entry in history if to_number(entry.get("step")) is not None]
    if not done:
        return []
    best = next((entry for entry in reversed(done) if entry.get("best")), None)
    calibrated = (("calibrated_loss", "validation, once calibrated"),) if _is_calibrated(done) else ()
    losses = (
        ("validation_loss", "validation"),
        *calibrated,
        ("training_loss", "training, mean since the validation before"),
    )
    accuracies = (("accuracy", "accuracy on the validation rows"), ("macro_f1", "macro F1"))
    marked = None if folds else best  # no fold is published
    figures = (
        _build_figure("training-loss", "Loss by step", _format_loss(done, best, folds), done, marked, losses),
        _build_figure(
            "training-accuracy", "Accuracy by step", _format_accuracy(done, marked), done, marked, accuracies
        ),
    )
    return [figure for figure in figures if figure]


def format_self_training(found: Mapping[str, Any]) -> str:
    """The gain from unlabelled texts or an ensemble, see `SelfTraining.to_json`; empty if the run had neither."""
    verdict = str(found.get("verdict") or "")
    if not verdict:
        return ""
    sure = sum(int(to_number(count) or 0) for count in (found.get("sure") or {}).values())
    kept = to_number((found.get("unlabelled") or {}).get("texts"))
    used = "" if kept is None else f" The teachers were sure of {format_count(sure)} of {format_count(kept)} texts."
    return f"{verdict[0].upper()}{verdict[1:]}.{used}"


def _build_figure(
    name: str,
    title: str,
    finding: str,
    done: Validations,
    best: Mapping[str, Any] | None,
    series: Sequence[tuple[str, str]],
) -> Figure | None:
    curves = [(points, words) for key, words in series if (points := _read_points(done, key))]
    if not curves:
        return None
    steps = [step for points, _ in curves for step, _ in points]
    heights = [height for points, _ in curves for _, height in points]
    y_name = title.split()[0].lower()
    plane = Plane(
        x=build_exact_axis("step", min(0.0, *steps), max(steps)),
        y=build_axis(y_name, heights, percent=y_name == "accuracy"),
    )
    content, legend = plane.draw_frame(), []
    for number, (points, words) in enumerate(curves, 1):
        content += draw_line(plane, points, f"s{number}")
        if len(points) <= MAX_VALIDATIONS_WITH_DOTS:
            content += draw_dots(plane, points, f"f{number}")
        legend.append(LegendEntry(key=line_key(f"s{number}"), text=words))
    if best is not None:
        content += _draw_published(plane, best, curves[0][0])
        legend.append(LegendEntry(key=line_key("kept"), text=f"published: step {format_count(best.get('step'))}"))
    picture = Picture(content=Markup(content), height=plane.height, width=CHART_WIDTH)
    table = _build_table(done, best, title)
    return Figure(name=name, title=title, finding=finding, picture=picture, legend=legend, table=table)


def _read_points(done: Validations, key: str) -> list[tuple[float, float]]:
    pairs = [(to_number(entry.get("step")), to_number(entry.get(key))) for entry in done]
    return [(step, value) for step, value in pairs if step is not None and value is not None]


def _draw_published(plane: Plane, best: Mapping[str, Any], points: Sequence[tuple[float, float]]) -> str:
    """A line down at the step whose state was published, its name, and a ring on the first curve."""
    step = to_number(best.get("step")) or 0.0
    rings = "".join(
        f'<circle class="ring" cx="{coordinate(plane.to_x(x))}" cy="{coordinate(plane.to_y(y))}" r="6"/>'
        for x, y in points
        if x == step
    )
    return rings + plane.draw_mark(step, f"published: {format_count(step)}")


def _format_loss(done: Validations, best: Mapping[str, Any] | None, folds: bool) -> str:
    if best is None:
        return "No validation gave a loss that is a number."
    if folds:
        return (
            "These are means over the folds, each of which was trained for "
            f"{format_count(best.get('step'))} steps. The published model learned from all rows, for as many epochs."
        )
    epoch = format_decimal(best.get("epoch"), 2).rstrip("0").rstrip(".")
    key, once = ("calibrated_loss", " once calibrated") if _is_calibrated(done) else ("validation_loss", "")
    finding = (
        f"The loss on the validation rows{once} was lowest, {format_decimal(best.get(key))}, at step "
        f"{format_count(best.get('step'))} (epoch {epoch}). This state was published."
    )
    if done[-1] is best:
        unfinished = " It is the last one, so longer training might lower the loss further."
        return finding + (unfinished if len(done) > 1 else "")
    last, lowest = to_number(done[-1].get(key)), to_number(best.get(key))
    if last is not None and lowest is not None and last > lowest:
        finding += (
            f" At the end it was {format_decimal(last)}: more training would have fitted the training rows alone."
        )
    return finding


def _is_calibrated(done: Validations) -> bool:
    """True if the published state was chosen by its loss after calibration."""
    return any(to_number(entry.get("calibrated_loss")) is not None for entry in done)


def _format_accuracy(done: Validations, best: Mapping[str, Any] | None) -> str:
    entry = done[-1] if best is None else best
    when = "at the end" if best is None else "in the published state"
    return (
        f"{format_percent(entry.get('accuracy'))} of the validation rows are labelled correctly {when}. "
        f"Macro F1 is {format_decimal(entry.get('macro_f1'))}."
    )


def _build_table(done: Validations, best: Mapping[str, Any] | None, title: str) -> Table:
    every = -(-len(done) // MAX_VALIDATIONS_LISTED)
    head = (
        "step",
        "epoch",
        "training loss",
        "validation loss",
        "once calibrated",
        "accuracy",
        "macro F1",
        "learning rate",
        "saved",
    )
    rows = [
        _to_row(entry)
        for index, entry in enumerate(done)
        if not index % every or entry is best or index == len(done) - 1
    ]
    thinned = f", one of {every}" if every > 1 else ""
    return Table(head=head, rows=rows, caption=f"{title}: the validations of the run{thinned}")


def _to_row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    rate = to_number(entry.get("learning_rate"))
    return (
        format_count(entry.get("step")),
        format_decimal(entry.get("epoch"), 2),
        format_decimal(entry.get("training_loss"), 4),
        format_decimal(entry.get("validation_loss"), 4),
        format_decimal(entry.get("calibrated_loss"), 4),
        format_percent(entry.get("accuracy"), 2),
        format_decimal(entry.get("macro_f1"), 4),
        MISSING if rate is None else f"{rate:.2e}",
        "yes" if entry.get("best") else "",
    )
