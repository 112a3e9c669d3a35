"""The validations of a run in their order: which was best, when to stop, and the way to plain values and back."""

from __future__ import annotations

import csv
import dataclasses
import io
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger("sentiment_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One validation: a row of training_log.csv."""

    epoch: float
    """Epochs done, in fractions where an epoch is validated within."""
    step: int
    """Optimiser steps done."""
    training_loss: float
    """Mean over the steps since the row before."""
    validation_loss: float
    accuracy: float
    macro_f1: float
    learning_rate: float
    """Of the last step."""
    seconds: float
    """Since training began; what a run spent while it was interrupted does not count."""
    best: bool
    """Whether no validation before had so low a loss, `deciding` it."""
    calibrated_loss: float | None = None
    """The validation loss that the model would have once it is calibrated, None where it is not to be."""

    @property
    def deciding(self) -> float:
        """The loss that tells the best state: that of the model as it would be published.

        A state that is right more often, but too sure of it, has a higher loss before calibration and a lower after it.
        """
        return self.validation_loss if self.calibrated_loss is None else self.calibrated_loss


def is_best(loss: float, history: Sequence[Progress]) -> bool:
    """Whether `loss` is a number, and lower than any before; a loss that is no number is never the best."""
    return math.isfinite(loss) and not any(before.deciding <= loss for before in history)


def best_of(history: Sequence[Progress]) -> Progress | None:
    """The validation whose state is kept, None before there is one."""
    return next((entry for entry in reversed(history) if entry.best), None)


def stops(history: Sequence[Progress], patience: int | None) -> bool:
    """Whether the last `patience` validations were no better than one before them."""
    since_best = next((n for n, entry in enumerate(reversed(history)) if entry.best), len(history))
    if patience is None or since_best < patience:
        return False
    logger.info("stopped early: no better validation loss in the last %s validations", patience)
    return True


def to_rows(history: Sequence[Progress]) -> list[dict[str, Any]]:
    """Plain values, as JSON and CSV take them."""
    return [dataclasses.asdict(entry) for entry in history]


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[Progress]:
    """What `to_rows` gave.

    Raises:
        TypeError: a row lacks a value, or has another.
    """
    return [Progress(**row) for row in rows]


def from_log(text: str) -> list[Progress]:
    """The history out of a training_log.csv, to the last digit.

    Raises:
        ValueError: it is none.
    """
    kinds: dict[str, Callable[[str], Any]] = {
        "best": lambda cell: cell == "True",
        "step": int,
        "calibrated_loss": lambda cell: float(cell) if cell else None,
    }
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
        return from_rows([{name: kinds.get(name, float)(cell) for name, cell in row.items()} for row in rows])
    except TypeError as error:
        raise ValueError(str(error)) from error


def training_log(entries: Sequence[Mapping[str, Any]]) -> str:
    """The history of a run as CSV, a row per validation."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(entries[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(entries)
    return text.getvalue()


def history_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The history of a run for a terminal; the state that is kept is marked."""
    kept = max((place for place, entry in enumerate(entries) if entry["best"]), default=0)
    calibrated = any(entry.get("calibrated_loss") is not None for entry in entries)
    head = "  calibrated" if calibrated else ""
    lines = [f"  epoch    step  training loss  validation loss{head}  accuracy  macro F1"]
    for place, entry in enumerate(entries):
        loss = entry.get("calibrated_loss")
        once = ("" if loss is None else f" {loss:11.4f}").ljust(12) if calibrated else ""
        lines.append(
            f"{entry['epoch']:7g} {entry['step']:7,} {entry['training_loss']:14.4f} {entry['validation_loss']:16.4f}"
            f"{once} {entry['accuracy']:9.4f} {entry['macro_f1']:9.4f}{'  <- kept' if place == kept else ''}"
        )
    return "\n".join(lines)
