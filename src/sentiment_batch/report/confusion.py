"""Shows how each label is predicted: the confusion matrix, the frequent confusions, precision, recall and F1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from sentiment_batch.report.charts.axes import coordinate, fit_label
from sentiment_batch.report.document import Figure, MatrixTable, Picture, Table
from sentiment_batch.report.formatting import (
    format_count,
    format_decimal,
    format_percent,
    format_quantity,
    quote_label,
    shorten_label,
    to_number,
)

MAX_LABELS_AS_TABLE = 8
"""Up to this many labels the matrix is a table of counts, and the table by label stands under it."""
MAX_LABELS_DRAWN = 40
"""Up to this many labels the matrix is drawn. With more labels, the most frequent confusions are listed."""
MAX_LABELS_LISTED = 500
"""Labels in the table of precision, recall and F1."""
MAX_CONFUSIONS_LISTED = 10
"""Pairs of labels in the list of the most frequent confusions."""
CELL_SIZE = 18
PIXELS_PER_UNIT = 1.2
"""Pixels of a unit of the drawn matrix. Its letters are a little smaller than those around it."""
_RIGHT_LEVELS = (0.25, 0.5, 0.75)
_WRONG_LEVELS = (0.03, 0.1, 0.25)
"""Shares of a row from which the colour of a cell is a level deeper. Errors are few, so theirs are lower."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """Counts of rows by true label (down) and predicted label (across)."""

    labels: tuple[str, ...]
    counts: tuple[tuple[float, ...], ...]

    def count_true(self, true: int) -> float:
        """How many rows truly have a label."""
        return sum(self.counts[true])

    def list_errors(self) -> list[tuple[int, int]]:
        """The cells off the diagonal that hold rows, the fullest first."""
        cells = [(true, taken) for true, row in enumerate(self.counts) for taken, rows in enumerate(row) if rows > 0]
        wrong = [cell for cell in cells if cell[0] != cell[1]]
        return sorted(wrong, key=lambda cell: (-self.counts[cell[0]][cell[1]], cell))


def build_label_figures(name: str, evaluation: Mapping[str, Any]) -> list[Figure]:
    """The figures about the labels of an evaluation.

    Args:
        name: the id of the first figure; the ids of the others begin with it.
        evaluation: the evaluation.
    """
    matrix, by_label = _read_matrix(evaluation), _build_label_figure(f"{name}-each", evaluation)
    if matrix is None:
        return [by_label] if by_label else []
    if len(matrix.labels) <= MAX_LABELS_AS_TABLE:
        return [_build_matrix_table(name, matrix, by_label)]
    figures = [_build_confusions(f"{name}-pairs", matrix), by_label]
    if len(matrix.labels) <= MAX_LABELS_DRAWN:
        figures.insert(0, _build_matrix_picture(name, matrix))
    return [figure for figure in figures if figure]


def _read_matrix(evaluation: Mapping[str, Any]) -> Matrix | None:
    """The matrix of an evaluation; None if it has none that is square."""
    labels = tuple(str(label) for label in evaluation.get("labels") or [])
    counts = tuple(tuple(to_number(cell) or 0.0 for cell in row) for row in evaluation.get("confusion") or [])
    square = len(counts) == len(labels) and all(len(row) == len(labels) for row in counts)
    return Matrix(labels=labels, counts=counts) if labels and square else None


def _build_matrix_table(name: str, matrix: Matrix, by_label: Figure | None) -> Figure:
    rows = []
    for true, counts in enumerate(matrix.counts):
        total = matrix.count_true(true)
        levels = [_choose_level(true == taken, count, total) for taken, count in enumerate(counts)]
        shares = [format_percent(count / total if total else None) for count in counts]
        cells = list(zip(levels, map(format_count, counts), shares, strict=True))
        rows.append((shorten_label(matrix.labels[true], 24), cells))
    return Figure(
        name=name,
        title="Confusion matrix",
        finding=_format_finding(matrix),
        matrix=MatrixTable(labels=[shorten_label(label, 24) for label in matrix.labels], rows=rows),
        note="A row holds the texts that truly have a label, a column those predicted so. Percentages are of the row.",
        below=by_label,
    )


def _build_matrix_picture(name: str, matrix: Matrix) -> Figure:
    numbered = [f"{number} {shorten_label(label, 16)}" for number, label in enumerate(matrix.labels, 1)]
    rows = [[label, *map(format_count, row)] for label, row in zip(numbered, matrix.counts, strict=True)]
    return Figure(
        name=name,
        title="Confusion matrix",
        finding=_format_finding(matrix),
        picture=_draw_matrix(matrix),
        note=(
            "Rows are true labels, columns predicted ones, numbered as the rows are. Blue is right, orange wrong: "
            "the diagonal, and what lies beside it. The deeper the colour, the larger the share of the row."
        ),
        table=Table(head=["true / predicted", *numbered], rows=rows, caption="Rows by true and predicted label"),
    )


def _draw_matrix(matrix: Matrix) -> Picture:
    """A square for each cell that holds rows; labels stand at the left, numbered as the columns are."""
    left, top, size = 170, 24, len(matrix.labels) * CELL_SIZE
    parts = [f'<rect class="track" x="{left}" y="{top}" width="{size}" height="{size}"/>']
    for true, row in enumerate(matrix.counts):
        y, label = top + true * CELL_SIZE, escape(fit_label(matrix.labels[true], 135))
        x = coordinate(left + (true + 0.5) * CELL_SIZE)
        parts.append(f'<text class="end" x="{left - 6}" y="{y + 13}">{label} {true + 1}</text>')
        parts.append(f'<text class="mid" x="{x}" y="{top - 6}">{true + 1}</text>')
        parts += [
            f'<rect class="{_choose_level(true == taken, rows, sum(row))}" x="{left + taken * CELL_SIZE}" y="{y}" '
            f'width="{CELL_SIZE - 1}" height="{CELL_SIZE - 1}"/>'
            for taken, rows in enumerate(row)
            if rows
        ]
    width = left + size
    content = Markup("".join(parts))
    return Picture(content=content, height=top + size, width=width, pixels=round(width * PIXELS_PER_UNIT))


def _choose_level(right: bool, rows: float, total: float) -> str:
    """The CSS class of a cell's colour, by its share of the row."""
    if not rows:
        return "c0"
    level = 1 + sum(rows / total >= bound for bound in (_RIGHT_LEVELS if right else _WRONG_LEVELS))
    return f"{'r' if right else 'w'}{level}"


def _format_finding(matrix: Matrix) -> str:
    total, right = sum(map(sum, matrix.counts)), sum(row[index] for index, row in enumerate(matrix.counts))
    finding = f"{format_count(right)} of {format_quantity(total, 'row')} are predicted as labelled: the diagonal."
    errors = matrix.list_errors()
    if not errors:
        return f"{finding} There is no error."
    true, taken = errors[0]
    rows, label = matrix.counts[true][taken], quote_label(matrix.labels[true])
    return (
        f"{finding} The most frequent error is {label} taken for {quote_label(matrix.labels[taken])}, "
        f"{format_quantity(rows, 'row')} ({format_percent(rows / matrix.count_true(true))} of all {label})."
    )


def _build_confusions(name: str, matrix: Matrix) -> Figure | None:
    """The most frequent confusions; None if there is none."""
    errors = matrix.list_errors()
    if not errors:
        return None
    counts = [matrix.counts[true][taken] for true, taken in errors]
    most = counts[:MAX_CONFUSIONS_LISTED]
    rows = [
        (
            shorten_label(matrix.labels[true]),
            shorten_label(matrix.labels[taken]),
            format_count(count),
            format_percent(count / matrix.count_true(true)),
        )
        for (true, taken), count in zip(errors[:MAX_CONFUSIONS_LISTED], most, strict=True)
    ]
    share, all_errors = format_percent(sum(most) / sum(counts), 0), format_count(sum(counts))
    return Figure(
        name=name,
        title="Most frequent confusions",
        finding=f"These {format_count(len(most))} pairs of labels make up {share} of all {all_errors} errors.",
        table=Table(
            head=("true", "predicted", "rows", "of the true"),
            rows=rows,
            caption="The most frequent confusions",
            word_columns=2,
        ),
    )


def _build_label_figure(name: str, evaluation: Mapping[str, Any]) -> Figure | None:
    """Precision, recall and F1 of every label; None without labels."""
    rows = [
        (
            shorten_label(one.get("label"), 200),
            format_count(one.get("rows")),
            *(format_decimal(one.get(key)) for key in ("precision", "recall", "f1")),
        )
        for one in (evaluation.get("classes") or [])[:MAX_LABELS_LISTED]
    ]
    if not rows:
        return None
    caption = "Precision, recall and F1 of every label"
    table = Table(head=("label", "rows", "precision", "recall", "F1"), rows=rows, caption=caption)
    return Figure(name=name, title="By label", finding=_format_weakest_label(evaluation), table=table)


def _format_weakest_label(evaluation: Mapping[str, Any]) -> str:
    """Names the label with the lowest F1, among those that have rows."""
    known = [(to_number(one.get("f1")), one) for one in evaluation.get("classes") or [] if one.get("rows")]
    measured = [(f1, one) for f1, one in known if f1 is not None]
    if not measured:
        return "Precision, recall and F1 of every label."
    lowest, worst = min(measured, key=lambda pair: pair[0])
    recall, precision = format_percent(worst.get("recall")), format_percent(worst.get("precision"))
    return (
        f"The weakest label is {quote_label(worst.get('label'))}: {recall} of its texts are found, and {precision} of "
        f"the texts called so are right. F1 is {format_decimal(lowest)}."
    )
