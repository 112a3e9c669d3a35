"""Draws the head of a report: the figures of every evaluation with their intervals, and a sentence about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentiment_batch.report.formatting import (
    MISSING,
    format_count,
    format_decimal,
    format_interval,
    format_percent,
    format_quantity,
    quote_label,
    shorten_label,
    to_number,
)

_FIGURES: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("accuracy", "Accuracy", format_percent),
    ("macro_f1", "Macro F1", format_decimal),
    ("roc_auc", "ROC AUC", format_decimal),
    ("loss", "Log loss", format_decimal),
    ("calibration_error", "Calibration error", format_decimal),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiles:
    """The figures of one evaluation."""

    heading: str
    rows: str
    """The number of rows that were measured."""
    tiles: Sequence[tuple[str, str, str]]
    """Name, value and 95 % interval of each figure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lead:
    """The first sentence of the page, "The model gets {accuracy} {rest}"."""

    accuracy: str
    rest: str


def build_lead(evaluations: Sequence[Mapping[str, Any]], baseline: Mapping[str, Any]) -> Lead | None:
    """The sentence about the first evaluation; None if there is no evaluation with an accuracy.

    Args:
        evaluations: what was measured.
        baseline: how a bag of words does on the same rows, see `Baseline.to_json`; may be empty.
    """
    name, found = (evaluations[0].get("name"), evaluations[0].get("evaluation") or {}) if evaluations else (None, {})
    if to_number(found.get("accuracy")) is None:
        return None
    interval = format_interval((found.get("intervals") or {}).get("accuracy"), format_percent)
    rest = f"of the {_name_rows(name, format_quantity(found.get('rows'), 'row'))} right"
    rest += f" (95 % interval {interval})." if interval else "."
    return Lead(
        accuracy=format_percent(found.get("accuracy")),
        rest=rest + _format_floor(found, baseline.get(str(name))) + _format_verdict(baseline),
    )


def format_left_out_rows(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """A sentence about the rows that the first evaluation leaves out; empty if there are none."""
    found = (evaluations[0].get("evaluation") or {}) if evaluations else {}
    lost = found.get("left_out") or {}
    labels = lost.get("label_unknown") or {}
    unknown = ", ".join(f"{quote_label(label)} {format_count(rows)}" for label, rows in labels.items())
    reasons = (
        ("blank", "without a text"),
        ("label_missing", "without a label"),
        ("label_unknown_rows", f"with a label of no class{f' ({unknown})' if unknown else ''}"),
    )
    counts = [(rows, words) for key, words in reasons if (rows := to_number(lost.get(key)))]
    if not counts:
        return ""
    total = sum(rows for rows, _ in counts)
    parts = ", ".join(f"{format_count(rows)} {words}" for rows, words in counts)
    all_rows = format_quantity(total + (to_number(found.get("rows")) or 0), "row")
    return f"{format_count(total)} of {all_rows} are left out of every figure: {parts}."


def build_tiles(evaluation: Mapping[str, Any]) -> Tiles:
    """The figures of one evaluation that could be computed."""
    found: Mapping[str, Any] = evaluation.get("evaluation") or {}
    intervals = found.get("intervals") or {}
    tiles = [
        (title, format_value(found.get(key)), format_interval(intervals.get(key), format_value) or MISSING)
        for key, title, format_value in _FIGURES
        if to_number(found.get(key)) is not None
    ]
    return Tiles(heading=format_heading(evaluation.get("name")), rows=format_count(found.get("rows")), tiles=tiles)


def format_heading(name: Any) -> str:
    """Which rows these are, as a heading: `Test rows`, `Rows of reviews.csv`."""
    heading = _name_rows(name, "rows")
    return heading[0].upper() + heading[1:]


def _name_rows(name: Any, rows: str) -> str:
    """`900 test rows`, or `900 rows of reviews.csv`."""
    if name in {"test", "validation"}:
        return f"{rows.removesuffix('s').removesuffix('row')}{name} {'row' if rows == '1 row' else 'rows'}"
    return f"{rows} of {shorten_label(name, 60)}"


def _format_floor(found: Mapping[str, Any], bag_of_words: Mapping[str, Any] | None) -> str:
    """The accuracy of always predicting the most frequent label, and the accuracy of a bag of words."""
    classes = [(to_number(one.get("rows")) or 0.0, one.get("label")) for one in found.get("classes") or []]
    total = sum(rows for rows, _ in classes)
    if not total:
        return ""
    most, label = max(classes, key=lambda one: one[0])
    floor = f" Always answering {quote_label(label)} would get {format_percent(most / total)}"
    if bag_of_words is None or to_number(bag_of_words.get("accuracy")) is None:
        return f"{floor}."
    return f"{floor}, and a bag of words {format_percent(bag_of_words['accuracy'])}."


def _format_verdict(baseline: Mapping[str, Any]) -> str:
    """The verdict on a model that is not clearly better than its floor; empty if it is."""
    verdict = str(baseline.get("verdict") or "")
    return f" {verdict[0].upper()}{verdict[1:]}." if verdict else ""
