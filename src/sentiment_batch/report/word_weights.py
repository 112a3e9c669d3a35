"""The words that mark the texts of a predicted label, and what the label loses if they are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sentiment_batch.report.charts.axes import CHART_WIDTH, build_axis
from sentiment_batch.report.charts.bars import Group, draw_intervals
from sentiment_batch.report.document import Figure, Picture, Table
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

MAX_LABELS_DRAWN = 6
"""Labels with a figure."""
NOTE = (
    "The dot is the weight of a word: what the log odds of the label lose without it, in the mean over some texts. The "
    "line is its 95 % interval. A weight near 0 means that other words carry the label in these texts. Weights show "
    "what moves the answer of this model, not what is true."
)


def build_word_figures(name: str, evaluation: Mapping[str, Any]) -> list[Figure]:
    """A figure for each label with words; their ids begin with `name`."""
    found = evaluation.get("words") or {}
    labels = [(label, words) for label, words in (found.get("labels") or {}).items() if words]
    return [
        _build_figure(f"{name}-{number}", label, words, found.get("texts"))
        for number, (label, words) in enumerate(labels[:MAX_LABELS_DRAWN], 1)
    ]


def _build_figure(name: str, label: str, words: Sequence[Mapping[str, Any]], num_texts: Any) -> Figure:
    title = f"Words that mark {quote_label(label)}"
    groups = [
        Group(
            name=str(one.get("word")),
            words=f"{format_percent(one.get('share'))} against {format_percent(one.get('other_share'))}",
            value=to_number(one.get("weight")),
            low=to_number(one.get("low")),
            high=to_number(one.get("high")),
        )
        for one in words
    ]
    ends = [end for one in groups for end in (one.value, one.low, one.high) if end is not None]
    axis = build_axis("log odds that the label loses without the word", [0.0, *ends])
    height, content = draw_intervals(groups, axis, 0.0)
    return Figure(
        name=name,
        title=title,
        finding=f"Of {format_quantity(num_texts, 'text')}, those that the model calls {quote_label(label)} hold these "
        "words more often than the others do. Both shares stand at the right.",
        picture=Picture(content=Markup(content), height=height, width=CHART_WIDTH),
        note=NOTE,
        table=Table(
            head=("word", "weight", "95 % interval", "left out of texts", "its texts with it", "others with it"),
            rows=[_to_row(one) for one in words],
            caption=title,
        ),
    )


def _to_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        shorten_label(one.get("word")),
        format_decimal(one.get("weight"), 2),
        format_interval([one.get("low"), one.get("high")], lambda end: format_decimal(end, 2)) or MISSING,
        format_count(one.get("texts")),
        format_percent(one.get("share")),
        format_percent(one.get("other_share")),
    )
