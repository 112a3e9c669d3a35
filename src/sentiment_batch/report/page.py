"""The report: what was measured of a model in, one page for people out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentiment_batch.report import calibration, curves, data_check, examples, slices, training
from sentiment_batch.report.confusion import classes
from sentiment_batch.report.document import document, escaped
from sentiment_batch.report.numbers import count, number
from sentiment_batch.report.style import REPORT
from sentiment_batch.report.summary import glance, heading, lead, left_out
from sentiment_batch.report.texts import short
from sentiment_batch.report.words import WORDS_CSS

MOST_BYTES = 1_000_000
"""Of a page; texts are shown in less length until it is smaller, and then fewer of them."""
_LENGTHS = (1_000, 600, 400, 200, 80)

Evaluations = Sequence[Mapping[str, Any]]


def report_page(report: Mapping[str, Any]) -> str:
    """The whole page as text that UTF-8 can hold; the same report gives the same page.

    Args:
        report: plain JSON values: `title`, `model`, `version`, `evaluations` (each with `name`, `evaluation` and
            `before_calibration`), `history`, `data`, `settings`, `temperature`, `base`, `device` and `dtype`. What is
            None, missing or no finite number is left out, or a dash.
    """
    shown = max((len(examples) for one in report.get("evaluations") or [] for examples in _cases(one)), default=0)
    for most in _LENGTHS:
        page = _page(report, most, shown)
        if (size := len(page.encode("utf-8"))) < MOST_BYTES:
            return page
    while size >= MOST_BYTES and shown:
        shown = int(shown * min(0.9, MOST_BYTES / size))
        page = _page(report, most, shown)
        size = len(page.encode("utf-8"))
    return page


def _cases(one: Mapping[str, Any]) -> list[Sequence[Mapping[str, Any]]]:
    """The errors and the likely wrong labels of an evaluation."""
    found = one.get("evaluation") or {}
    return [found.get(what) or [] for what in ("errors", "likely_wrong_labels")]


def _page(report: Mapping[str, Any], most: int, shown: int) -> str:
    """The page with the first so many cases of each kind, and of each text at most so many characters."""
    evaluations = ordered(report.get("evaluations") or [])
    sections = [("figures", "At a glance", glance(evaluations, report))]
    for place, one in enumerate(evaluations, 1):
        title = heading(one.get("name"))
        sections.append((f"rows-{place}", title, _evaluation(f"rows-{place}", one, most, shown)))
    trained = training.training(report.get("history") or [])
    sections.append(("training", "Training", trained and f'<div class="figures">{trained}</div>'))
    sections.append(("data", "Data", data_check.checked(report["data"]) if report.get("data") else ""))
    sections.append(("settings", "Settings", data_check.settings(report)))
    held = [section for section in sections if section[2]]
    links = "".join(f'<li><a href="#{name}">{escaped(title)}</a></li>' for name, title, _ in held)
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{escaped(title)}</h2>\n'
        f"{content}</section>\n"
        for name, title, content in held
    )
    nav = f'<nav aria-label="Sections"><ul>{links}</ul></nav>'
    return document(
        str(report.get("title") or "Report"),
        f"{_head(report, evaluations)}{nav}\n<main>\n{body}</main>{_foot(evaluations)}",
        WORDS_CSS + REPORT,
    )


def ordered(evaluations: Evaluations) -> list[Mapping[str, Any]]:
    """The evaluations as the page has them: those of test rows first, for no choice was made on them."""
    return sorted(evaluations, key=lambda one: one.get("name") != "test")


def _head(report: Mapping[str, Any], evaluations: Evaluations) -> str:
    first = (evaluations[0].get("evaluation") or {}) if evaluations else {}
    facts = [
        ("model", report.get("model")),
        ("trained from", report.get("base")),
        ("temperature", _temperature(report.get("temperature"))),
        ("device", report.get("device")),
        ("dtype", report.get("dtype")),
        ("labels read as", first.get("mapping")),
        ("sentiment-batch", report.get("version")),
    ]
    about = " · ".join(f"{name} {escaped(short(value, 120))}" for name, value in facts if value is not None)
    found = data_check.warnings(report.get("data"))
    note = (
        f'<p><a href="#data">{count(found)} warning{"s" if found != 1 else ""} of the data check</a></p>'
        if found
        else ""
    )
    title = escaped(short(report.get("title") or "Report", 200))
    told = lead(evaluations) + left_out(evaluations) + note
    return f'<header><h1>{title}</h1>{told}<p class="about">{about}</p></header>\n'


def _foot(evaluations: Evaluations) -> str:
    """A word of caution where the page shows texts."""
    if not any(any(_cases(one)) for one in evaluations):
        return ""
    return "\n<footer>This page shows texts of the rows: publish it, and its folder, as you would them.</footer>"


def _temperature(value: Any) -> str | None:
    found = number(value)
    return None if found is None else f"{found:.5g}"


def _evaluation(name: str, one: Mapping[str, Any], most: int, shown: int) -> str:
    """What was measured on some rows: figures, the table by class, and single texts."""
    found: Mapping[str, Any] = one.get("evaluation") or {}
    errors, likely_wrong = _cases(one)
    figures = (
        classes(f"{name}-labels", found)
        + calibration.reliability(f"{name}-reliability", found, one.get("before_calibration"))
        + calibration.scores(f"{name}-scores", found)
        + curves.roc(f"{name}-roc", found)
        + curves.precision_recall(f"{name}-precision", found)
        + slices.by_length(f"{name}-length", found)
        + slices.by_column(f"{name}-column", found)
    )
    return (
        (f'<div class="figures">{figures}</div>\n' if figures else "")
        + examples.errors(errors, most, shown)
        + examples.likely_wrong(likely_wrong, most // 2, shown)
    )
