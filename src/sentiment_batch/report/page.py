"""Draws the report page from the plain values that an evaluation or a training gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentiment_batch.report.calibration import build_reliability_figure, build_scores_figure
from sentiment_batch.report.confusion import build_label_figures
from sentiment_batch.report.coverage import build_coverage_figure
from sentiment_batch.report.curves import build_precision_figure, build_roc_figure
from sentiment_batch.report.data_check import build_data_figures, build_settings_table, list_findings
from sentiment_batch.report.document import Figure, Table, render
from sentiment_batch.report.examples import build_errors, build_likely_wrong
from sentiment_batch.report.formatting import format_quantity, shorten_label, to_number
from sentiment_batch.report.learning_curve import build_learning_curve
from sentiment_batch.report.slices import build_column_figure, build_length_figure
from sentiment_batch.report.summary import build_lead, build_tiles, format_heading, format_left_out_rows
from sentiment_batch.report.training import build_training_figures, format_self_training
from sentiment_batch.report.word_weights import build_word_figures

MAX_PAGE_BYTES = 1_000_000
"""The page shows less of each text until it is smaller than this, and then fewer texts."""
_TEXT_LENGTHS = (1_000, 600, 400, 200, 80)
"""Characters to show of a text, tried in this order."""

Evaluations = Sequence[Mapping[str, Any]]


def render_report_page(report: Mapping[str, Any]) -> str:
    """Draw the whole page as text that UTF-8 can hold. The same report gives the same page.

    Args:
        report: plain JSON values: `title`, `model`, `version`, `evaluations` (each with `name`, `evaluation` and
            `before_calibration`), `history`, `data`, `settings`, `baseline`, `self_training`, `learning_curve`,
            `temperature`, `base`, `device`, `dtype`, `date`, `command` and `reading` (names and words of how the table
            was read). What is None or missing is left out; a number that is not finite becomes a dash.
    """
    # Test rows come first, because no choice was made on them.
    evaluations = sorted(report.get("evaluations") or [], key=lambda one: one.get("name") != "test")
    values = _collect_fixed_values(report, evaluations)
    # Shorter texts first, because a list of all errors says more than the whole text of some
    max_cases = max((len(cases) for one in evaluations for cases in _list_cases(one)), default=0)
    for max_characters in _TEXT_LENGTHS:
        page = _render(values, evaluations, max_characters, max_cases)
        if (size := len(page.encode("utf-8"))) < MAX_PAGE_BYTES:
            return page
    while size >= MAX_PAGE_BYTES and max_cases:
        # At least a tenth fewer each time, so that the loop ends soon
        max_cases = int(max_cases * min(0.9, MAX_PAGE_BYTES / size))
        page = _render(values, evaluations, max_characters, max_cases)
        size = len(page.encode("utf-8"))
    return page


def _list_cases(one: Mapping[str, Any]) -> list[Sequence[Mapping[str, Any]]]:
    """The errors and the likely wrong labels of an evaluation."""
    found = one.get("evaluation") or {}
    return [found.get(key) or [] for key in ("errors", "likely_wrong_labels")]


def _render(values: Mapping[str, Any], evaluations: Evaluations, max_characters: int, max_cases: int) -> str:
    """The page with the first `max_cases` cases of each kind, and at most `max_characters` of each text."""
    sections = []
    for number, (one, figures) in enumerate(zip(evaluations, values["figures"], strict=True), 1):
        errors, likely_wrong = _list_cases(one)
        lists = (
            build_errors(errors, max_characters, max_cases),
            build_likely_wrong(likely_wrong, max_characters // 2, max_cases),
        )
        examples = [found for found in lists if found]
        heading = format_heading(one.get("name"))
        sections.append({"id": f"rows-{number}", "heading": heading, "figures": figures, "examples": examples})
    return render("report.html", evaluations=sections, **values)


def _collect_fixed_values(report: Mapping[str, Any], evaluations: Evaluations) -> dict[str, Any]:
    """The values of the template, without the single texts."""
    names = {one.get("name") for one in evaluations}
    data = report.get("data") or {}
    folds = bool(data.get("folds"))
    findings = list_findings(data)
    warnings = sum(level == "warning" for level, _ in findings)
    return {
        "title": str(report.get("title") or "Report"),
        "heading": shorten_label(report.get("title") or "Report", 200),
        "lead": build_lead(evaluations, report.get("baseline") or {}),
        "left_out": format_left_out_rows(evaluations),
        "warnings": format_quantity(warnings, "warning") if warnings else "",
        "facts": _list_facts(report, evaluations),
        "tiles": [build_tiles(one) for one in evaluations],
        "states_were_chosen": names >= {"validation", "test"} and bool(report.get("history")) and not folds,
        "figures": [_build_figures(f"rows-{number}", one) for number, one in enumerate(evaluations, 1)],
        "self_training": format_self_training(report.get("self_training") or {}),
        "training": _build_training_figures(report, folds=folds),
        "has_data": bool(data),
        "findings": findings,
        "data": build_data_figures(data),
        "reading": _build_reading_table(report),
        "settings": build_settings_table(report),
        "shows_texts": any(
            any(_list_cases(one)) or build_word_figures("", one.get("evaluation") or {}) for one in evaluations
        ),
    }


def _build_training_figures(report: Mapping[str, Any], *, folds: bool) -> list[Figure]:
    """The figures of the training; first what more labelled rows would bring."""
    curve = build_learning_curve(report.get("learning_curve") or {})
    figures = build_training_figures(report.get("history") or [], folds=folds)
    return [curve, *figures] if curve else figures


def _list_facts(report: Mapping[str, Any], evaluations: Evaluations) -> list[tuple[str, str]]:
    """The known facts about the model, each a name and a value."""
    first = (evaluations[0].get("evaluation") or {}) if evaluations else {}
    temperature = to_number(report.get("temperature"))
    facts = (
        ("model", report.get("model")),
        ("trained from", report.get("base")),
        ("temperature", None if temperature is None else f"{temperature:.5g}"),
        ("device", report.get("device")),
        ("dtype", report.get("dtype")),
        ("labels read as", first.get("mapping")),
        ("sentiment-batch", report.get("version")),
        ("date", report.get("date")),
        ("command", report.get("command")),
    )
    return [(name, shorten_label(value, 240)) for name, value in facts if value is not None]


def _build_reading_table(report: Mapping[str, Any]) -> Table | None:
    """How the table was read; None if that is unknown."""
    rows = [(str(name), str(value)) for name, value in report.get("reading") or []]
    return (
        Table(head=("what", "read as"), rows=rows, caption="How the table was read", word_columns=2) if rows else None
    )


def _build_figures(name: str, one: Mapping[str, Any]) -> list[Figure]:
    """The figures of an evaluation; their ids begin with `name`."""
    found: Mapping[str, Any] = one.get("evaluation") or {}
    figures = (
        *build_label_figures(f"{name}-labels", found),
        build_reliability_figure(f"{name}-reliability", found, one.get("before_calibration")),
        build_scores_figure(f"{name}-scores", found),
        build_coverage_figure(f"{name}-coverage", found),
        build_roc_figure(f"{name}-roc", found),
        build_precision_figure(f"{name}-precision", found),
        build_length_figure(f"{name}-length", found),
        build_column_figure(f"{name}-column", found),
        *build_word_figures(f"{name}-words", found),
    )
    return [figure for figure in figures if figure]
