"""The confusion matrix: counts in; a table, a picture and what they show in words out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sentiment_batch.report.axes import at
from sentiment_batch.report.document import escaped
from sentiment_batch.report.figure import box, svg, table
from sentiment_batch.report.numbers import count, number, percent, rows
from sentiment_batch.report.texts import fitted, quoted, short

CELL = 18
CONFUSIONS = 10
"""Pairs of classes in the list of the most frequent confusions."""
_RIGHT = (0.25, 0.5, 0.75)
_WRONG = (0.03, 0.1, 0.25)
"""Shares of a row from which a cell's colour is a level deeper; errors are few, so theirs are lower."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """Rows by true label (down) and predicted label (across)."""

    labels: tuple[str, ...]
    counts: tuple[tuple[float, ...], ...]

    def held(self, true: int) -> float:
        """How many rows truly have a label."""
        return sum(self.counts[true])

    def worst(self) -> list[tuple[int, int]]:
        """The cells off the diagonal that hold rows, the fullest first."""
        cells = [(true, taken) for true, row in enumerate(self.counts) for taken, held in enumerate(row) if held > 0]
        wrong = [cell for cell in cells if cell[0] != cell[1]]
        return sorted(wrong, key=lambda cell: (-self.counts[cell[0]][cell[1]], cell))


def matrix_of(evaluation: Mapping[str, Any]) -> Matrix | None:
    """The matrix of an evaluation, None where it holds none that is square."""
    labels = tuple(str(label) for label in evaluation.get("labels") or [])
    counts = tuple(tuple(number(cell) or 0.0 for cell in row) for row in evaluation.get("confusion") or [])
    square = len(counts) == len(labels) and all(len(row) == len(labels) for row in counts)
    return Matrix(labels=labels, counts=counts) if labels and square else None


def finding(matrix: Matrix) -> str:
    """What the matrix shows, in words."""
    total, right = sum(map(sum, matrix.counts)), sum(row[place] for place, row in enumerate(matrix.counts))
    said = f"{count(right)} of {rows(total)} are on the diagonal: predicted as they are labelled."
    worst = matrix.worst()
    if not worst:
        return f"{said} There is no error."
    (true, taken), label = worst[0], quoted(matrix.labels[worst[0][0]])
    wrong = matrix.counts[true][taken]
    return (
        f"{said} The most frequent error: {label} taken for {quoted(matrix.labels[taken])}, {rows(wrong)} "
        f"({percent(wrong / matrix.held(true))} of all {label})."
    )


def confusions(matrix: Matrix) -> str:
    """The table of the most frequent confusions, nothing where there is none."""
    body = [
        (
            short(matrix.labels[true]),
            short(matrix.labels[taken]),
            count(matrix.counts[true][taken]),
            percent(matrix.counts[true][taken] / matrix.held(true)),
        )
        for true, taken in matrix.worst()[:CONFUSIONS]
    ]
    head = ("true", "predicted", "rows", "of the true")
    return table(head, body, "The most frequent confusions", named=2) if body else ""


def as_table(matrix: Matrix) -> str:
    """The matrix as a table whose cells are coloured by their share of the row."""
    heads = "".join(f'<th scope="col">{escaped(short(label, 24))}</th>' for label in matrix.labels)
    lines = []
    for true, row in enumerate(matrix.counts):
        held = matrix.held(true)
        cells = "".join(
            f'<td class="{_level(true == taken, cell, held)}"><b>{count(cell)}</b>'
            f"<small>{percent(cell / held if held else None)}</small></td>"
            for taken, cell in enumerate(row)
        )
        lines.append(f'<tr><th scope="row">{escaped(short(matrix.labels[true], 24))}</th>{cells}</tr>')
    over = f'<tr><td></td><th scope="colgroup" colspan="{len(matrix.labels)}">predicted</th></tr>'
    top = f'{over}<tr><th scope="col">true</th>{heads}</tr>'
    caption = "<caption>Rows by true and predicted label</caption>"
    whole = f'<table class="matrix">{caption}<thead>{top}</thead><tbody>{"".join(lines)}</tbody></table>'
    return box(whole, "Confusion matrix")


def as_picture(name: str, title: str, matrix: Matrix) -> str:
    """The matrix as a picture: a square per cell that holds rows; labels at the left, numbered as the columns are."""
    left, top, size = 170.0, 24.0, len(matrix.labels) * CELL
    parts = [f'<rect class="track" x="{left:g}" y="{top:g}" width="{size}" height="{size}"/>']
    for true, row in enumerate(matrix.counts):
        height, label = top + true * CELL, escaped(fitted(matrix.labels[true], 135))
        parts.append(f'<text class="end" x="{left - 6:g}" y="{at(height + 13)}">{label} {true + 1}</text>')
        parts.append(f'<text class="mid" x="{at(left + (true + 0.5) * CELL)}" y="{top - 6:g}">{true + 1}</text>')
        parts += [
            f'<rect class="{_level(true == taken, cell, sum(row))}" x="{at(left + taken * CELL)}" y="{at(height)}" '
            f'width="{CELL - 1}" height="{CELL - 1}"/>'
            for taken, cell in enumerate(row)
            if cell
        ]
    return svg(name, title, finding(matrix), "".join(parts), top + size, left + size)


def all_counts(matrix: Matrix) -> str:
    """The matrix as a plain table, its columns numbered as the rows are."""
    numbered = [f"{place + 1} {short(label, 16)}" for place, label in enumerate(matrix.labels)]
    body = [[label, *map(count, row)] for label, row in zip(numbered, matrix.counts, strict=True)]
    return table(["true / predicted", *numbered], body, "Rows by true and predicted label")


def _level(right: bool, cell: float, held: float) -> str:
    """The class of a cell's colour, by its share of the row."""
    if not cell:
        return "c0"
    level = 1 + sum(cell / held >= bound for bound in (_RIGHT if right else _WRONG))
    return f"{'r' if right else 'w'}{level}"
