"""What becomes of each label: the confusion matrix and the table of precision, recall and F1, as figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentiment_batch.report import confusion_matrix
from sentiment_batch.report.document import escaped
from sentiment_batch.report.figure import box, figure, plain_figure, table
from sentiment_batch.report.numbers import count, decimal, number, percent
from sentiment_batch.report.texts import quoted, short

FEW = 8
"""Labels up to which the matrix is a table of counts, and the table by label stands under it."""
DRAWN = 40
"""Labels up to which the matrix is drawn at all; of more, the most frequent confusions are listed."""
LISTED = 500
"""Labels in the table of precision, recall and F1."""


def classes(name: str, evaluation: Mapping[str, Any]) -> str:
    """The figures of an evaluation's labels, nothing where there is none.

    Args:
        name: the id of the first figure, which the others' begin with.
        evaluation: the evaluation.
    """
    counts, each = confusion_matrix.matrix_of(evaluation), _table(evaluation)
    if counts is None:
        return plain_figure(f"{name}-each", "By label", _finding(evaluation), each) if each else ""
    found, title = confusion_matrix.finding(counts), "Confusion matrix"
    pairs = confusion_matrix.confusions(counts)
    if len(counts.labels) <= FEW:
        note = "A row holds the texts that truly have a label, a column those predicted so; percentages are of the row."
        inside = f'{confusion_matrix.as_table(counts)}<p class="note">{note}</p>'
        more = f"<h4>By label</h4><p>{escaped(_finding(evaluation))}</p>{each}" if each else ""
        return plain_figure(name, title, found, inside + more)
    listed = plain_figure(f"{name}-pairs", "Most frequent confusions", _share(counts), pairs) if pairs else ""
    listed += plain_figure(f"{name}-each", "By label", _finding(evaluation), each) if each else ""
    if len(counts.labels) > DRAWN:
        return listed
    note = (
        "Rows are true labels, columns predicted ones, numbered as the rows are. Blue is right, orange wrong: "
        "the diagonal, and what lies beside it. The deeper, the larger the share of the row."
    )
    picture = (
        f'<div class="large">{box(confusion_matrix.as_picture(name, title, counts), "Confusion matrix, drawn")}</div>'
    )
    return figure(name, title, found, picture, confusion_matrix.all_counts(counts), note=note) + listed


def _share(counts: confusion_matrix.Matrix) -> str:
    """How much of all errors the most frequent confusions are."""
    cells = [counts.counts[true][taken] for true, taken in counts.worst()]
    some = cells[: confusion_matrix.CONFUSIONS]
    part = percent(sum(some) / sum(cells), 0)
    return f"These {count(len(some))} pairs of labels make up {part} of all {count(sum(cells))} errors."


def _table(evaluation: Mapping[str, Any]) -> str:
    body = [
        (
            short(one.get("label"), 200),
            count(one.get("rows")),
            *(decimal(one.get(what)) for what in ("precision", "recall", "f1")),
        )
        for one in (evaluation.get("classes") or [])[:LISTED]
    ]
    head = ("label", "rows", "precision", "recall", "F1")
    return table(head, body, "Precision, recall and F1 of every label") if body else ""


def _finding(evaluation: Mapping[str, Any]) -> str:
    """Names the label that the model knows least, among those that the rows hold."""
    known = [(number(one.get("f1")), one) for one in evaluation.get("classes") or [] if one.get("rows")]
    measured = [(f1, one) for f1, one in known if f1 is not None]
    if not measured:
        return "Precision, recall and F1 of every label."
    least, worst = min(measured, key=lambda pair: pair[0])
    return (
        f"Weakest is {quoted(worst.get('label'))}: {percent(worst.get('recall'))} of its texts are found, and "
        f"{percent(worst.get('precision'))} of the texts called so are; F1 {decimal(least)}."
    )
