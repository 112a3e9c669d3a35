"""Single texts to look at: the most confident errors with the words that weighed, and labels that are likely wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentiment_batch.report.document import escaped
from sentiment_batch.report.figure import unfold
from sentiment_batch.report.numbers import count, percent
from sentiment_batch.report.texts import pieces, quoted
from sentiment_batch.report.words import LEGEND, words_html

OPEN = 5
"""Cases that are shown at once; more are shown on demand."""


def errors(cases: Sequence[Mapping[str, Any]], most: int, shown: int) -> str:
    """The section of errors, nothing without any.

    Args:
        cases: the errors, the most confident first.
        most: characters to show of a text.
        shown: cases to show.
    """
    if not cases:
        return ""
    words = any(case.get("words") for case in cases[:shown])
    said = "Wrong predictions, the surest first; rows are counted from 0."
    said += " The label is here the predicted one." if words else ""
    items = [_error(case, most) for case in cases[:shown]]
    return _section("Most confident errors", said, items, len(cases), LEGEND if words else "")


def likely_wrong(cases: Sequence[Mapping[str, Any]], most: int, shown: int) -> str:
    """The section of labels that are likely wrong, nothing without any; the arguments are those of `errors`."""
    if not cases:
        return ""
    said = "Texts whose label the model disputes with a high probability; the figures above count them as errors."
    said += " Where a look agrees with the model, mend the table."
    return _section("Likely wrong labels", said, [_suspect(case, most) for case in cases[:shown]], len(cases))


def _section(title: str, said: str, items: Sequence[str], all_cases: int, legend: str = "") -> str:
    """A list of cases, the first of them open to see, and how many more there are."""
    more = ""
    if len(items) > OPEN:
        rest = len(items) - OPEN
        more = unfold(f"{count(rest)} more", f'<ol class="cases" start="{OPEN + 1}">{"".join(items[OPEN:])}</ol>')
    if all_cases > len(items):
        more += f'<p class="note">{count(all_cases - len(items))} more in --json</p>'
    return f'<h3>{title}</h3><p>{escaped(said)}</p>{legend}<ol class="cases">{"".join(items[:OPEN])}</ol>{more}\n'


def _error(case: Mapping[str, Any], most: int) -> str:
    facts = (
        ("labelled", quoted(case.get("label"))),
        ("predicted", quoted(case.get("predicted"))),
        ("probability", percent(case.get("score"))),
    )
    return _case(case, facts, most)


def _suspect(case: Mapping[str, Any], most: int) -> str:
    facts = (
        ("labelled", quoted(case.get("label"))),
        ("the model says", quoted(case.get("suggested"))),
        ("probability", percent(case.get("score"))),
    )
    return _case(case, facts, most)


def _case(case: Mapping[str, Any], facts: Sequence[tuple[str, str]], most: int) -> str:
    said = "".join(f"<span>{name} <b>{escaped(value)}</b></span>" for name, value in facts)
    text = words_html(pieces(case.get("words"), str(case.get("text") or ""), most))
    facts_of = f'<p class="facts">{said}<span>row {count(case.get("row"))}</span></p>'
    return f'<li>{facts_of}<div class="text" dir="auto">{text}</div></li>\n'
