"""The validations of a run in their order: which is best, when to stop, and their form as CSV, JSON and table."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MIN_WIDTH_WITH_CALIBRATION = 72
"""Columns of a terminal below which the table leaves out the loss after calibration."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryEntry:
    """One validation, which is one row of training_log.csv."""

    epoch: float
    """Epochs done; a fraction if the validation was within an epoch."""
    step: int
    """Optimizer steps done."""
    training_loss: float
    """Mean loss of the steps since the previous validation."""
    validation_loss: float
    """Mean cross-entropy of the validation rows in nats, before calibration."""
    accuracy: float
    """Share of the validation rows whose label is predicted."""
    macro_f1: float
    """Mean of F1 over the classes that have validation rows."""
    learning_rate: float
    """Learning rate of the last step."""
    seconds: float
    """Seconds of training so far, without the time between an interruption and the resumed run."""
    best: bool
    """True if the state is to be kept: no earlier validation had a `selection_loss` as low. In a training for
    cross-validation, it is the last one whose loss is a number."""
    calibrated_loss: float | None = None
    """Validation loss that the model would have after calibration; None if the run does not calibrate, or if the rows
    that validate it are too few for that."""

    @property
    def selection_loss(self) -> float:
        """The loss that selects the best state: that of the model as it would be published.

        A state with more correct predictions but too much confidence has a higher loss before calibration and a lower
        one after it.
        """
        return self.validation_loss if self.calibrated_loss is None else self.calibrated_loss


def is_best(loss: float, history: Sequence[HistoryEntry]) -> bool:
    """True if `loss` is finite and lower than the selection loss of every entry in `history`."""
    # Written so that an earlier NaN does not count: a comparison with it is false
    return math.isfinite(loss) and not any(entry.selection_loss <= loss for entry in history)


def find_best(history: Sequence[HistoryEntry]) -> HistoryEntry | None:
    """The validation whose state is saved; None if no loss was finite yet."""
    return next((entry for entry in reversed(history) if entry.best), None)


def should_stop(history: Sequence[HistoryEntry], patience: int | None) -> bool:
    """True if the last `patience` validations were all worse than an earlier one; never if `patience` is None."""
    # 0 if the last validation is the best one; all of them if none is, as after a loss that is no number
    since_best = next((n for n, entry in enumerate(reversed(history)) if entry.best), len(history))
    return patience is not None and since_best >= patience


def to_rows(history: Sequence[HistoryEntry]) -> list[dict[str, Any]]:
    """The history as plain values, for JSON and CSV."""
    return [dataclasses.asdict(entry) for entry in history]


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[HistoryEntry]:
    """The history out of the values that `to_rows` gave.

    Raises:
        TypeError: a row lacks a value or has an unknown one.
    """
    return [HistoryEntry(**row) for row in rows]


def format_training_log(rows: Sequence[Mapping[str, Any]]) -> str:
    """The text of training_log.csv: one row for each validation."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def parse_training_log(text: str) -> list[HistoryEntry]:
    """The history out of the text of a training_log.csv, exact to the last digit.

    Raises:
        ValueError: the text is no training log.
    """
    converters: dict[str, Callable[[str], Any]] = {
        "best": lambda cell: cell == "True",
        "step": int,
        "calibrated_loss": lambda cell: float(cell) if cell else None,
    }
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
        return from_rows([{name: converters.get(name, float)(cell) for name, cell in row.items()} for row in rows])
    except TypeError as error:
        raise ValueError(str(error)) from error


def format_history_table(rows: Sequence[Mapping[str, Any]], *, width: int = 80, folds: bool = False) -> str:
    """The history as a table for a terminal of `width` columns; a star marks the best step. `folds`: it is of folds."""
    columns: list[tuple[str, str, int, Callable[[Mapping[str, Any]], str]]] = [
        ("", "epoch", 5, lambda row: f"{row['epoch']:g}"),
        ("", "step", 7, lambda row: f"{row['step']:,}"),
        ("training", "loss", 8, lambda row: f"{row['training_loss']:.4f}"),
        ("validation", "loss", 10, lambda row: f"{row['validation_loss']:.4f}"),
        ("calibrated", "loss", 10, lambda row: _format_loss(row.get("calibrated_loss"))),
        ("", "accuracy", 8, lambda row: f"{row['accuracy']:.4f}"),
        ("", "macro F1", 8, lambda row: f"{row['macro_f1']:.4f}"),
    ]
    if width < MIN_WIDTH_WITH_CALIBRATION or all(row.get("calibrated_loss") is None for row in rows):
        del columns[4]  # the loss after calibration
    best = max((place for place, row in enumerate(rows) if row["best"]), default=0)
    # Two lines of heads, then a line for each validation
    lines = ["  ".join(f"{head[part]:>{size}}" for *head, size, _ in columns).rstrip() for part in (0, 1)]
    for place, row in enumerate(rows):
        line = "  ".join(f"{cell(row):>{size}}" for _, _, size, cell in columns)
        lines.append(f"{line} *" if place == best else line)
    legend = "* the best state, which is saved"
    if folds:
        legend = "means over the folds; * the last step. The saved model learned from all rows for as many epochs"
    return "\n".join([*lines, legend])


def _format_loss(loss: float | None) -> str:
    return "" if loss is None else f"{loss:.4f}"
