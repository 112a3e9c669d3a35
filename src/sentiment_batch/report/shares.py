"""The page of a summary: the shares of labels in a scored table, by group and over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from sentiment_batch.report.charts.axes import (
    CHART_WIDTH,
    Plane,
    build_axis,
    build_named_axis,
    draw_line,
    draw_uprights,
)
from sentiment_batch.report.charts.bars import Group, draw_intervals
from sentiment_batch.report.document import Figure, LegendEntry, Picture, Table, line_key, render
from sentiment_batch.report.formatting import (
    MISSING,
    NO_VALUE,
    format_count,
    format_decimal,
    format_group,
    format_interval,
    format_percent,
    format_quantity,
    quote_label,
    shorten_label,
)

MAX_LABELS_DRAWN = 5
"""Labels with a chart or a line of their own, those with most rows."""
MAX_LINES = 5
"""Groups with a line of their own over time, those with most rows."""
MAX_PERIODS_DRAWN = 400
"""Periods in a chart, the last ones."""
MAX_GROUPS_DRAWN = 21
"""Groups in a chart, those with most rows."""
MAX_ROWS_LISTED = 200
"""Groups or periods in a table."""

Values = Mapping[str, Any]


def render_share_page(summary: Values, *, version: str, command: str | None = None) -> str:
    """Draw the page.

    Args:
        summary: the plain values that `ShareSummary.to_json` gives.
        version: the version of the program.
        command: the command line; None in Python.
    """
    sections: Sequence[tuple[str, str, Sequence[Figure], Table | None]] = (
        ("shares", "All rows", [_build_share_figure(summary)], None),
        ("time", "Over time", _build_time_figures(summary), None),
        ("groups", f"By {' and '.join(map(shorten_label, summary['columns']))}", _build_group_figures(summary), None),
        ("words", "Words", [], _build_word_table(summary)),
    )
    facts = (
        ("labels", summary["label_column"] + " (assumed)" * ("label_column" in summary["input"]["assumed"])),
        ("periods", summary["periods"]),
        ("sentiment-batch", version),
        ("date", datetime.now(UTC).date().isoformat()),
        ("command", command),
    )
    return render(
        "shares.html",
        f"Shares of labels: {summary['table']}",
        heading=shorten_label(f"Shares of labels in {summary['table']}", 200),
        lead=_format_lead(summary),
        notes=_list_notes(summary),
        facts=[(name, shorten_label(value, 240)) for name, value in facts if value is not None],
        sections=[
            {"id": name, "heading": heading, "figures": figures, "table": table}
            for name, heading, figures, table in sections
            if figures or table
        ],
    )


def _format_lead(summary: Values) -> str:
    shares = ", ".join(f"{format_percent(one['share'])} {shorten_label(label)}" for label, one in _list_labels(summary))
    return f"{format_quantity(summary['rows'], 'row')}: {shares}." if shares else "No row has a label."


def _list_notes(summary: Values) -> list[str]:
    """What is known of the rows and of the model, in sentences."""
    notes = [f"{format_count(summary['no_text'])} of the rows have no text."]
    if summary["unsure"] is not None:
        limit = f"{summary['unsure_below']:g}"
        notes[0] += (
            f" The model is unsure of {format_quantity(summary['unsure'], 'row')}, whose score is below {limit}."
        )
    if summary["no_correction"] is None:
        notes.append(
            f"Corrected shares are right {summary['assumption']} (from {shorten_label(summary['model'], 80)})."
        )
    else:
        notes.append(f"There are no corrected shares: {summary['no_correction']}.")
    if summary["unlike"] is not None:
        notes.append(f"{format_percent(summary['unlike'])} of the texts look unlike those the model was trained on.")
    return notes


def _list_labels(summary: Values) -> list[tuple[str, Values]]:
    """The labels that are drawn, in their order, with their figures."""
    shares: Mapping[str, Values] = summary["shares"]
    most = sorted(shares, key=lambda label: -shares[label]["rows"])[:MAX_LABELS_DRAWN]
    return [(label, one) for label, one in shares.items() if label in most]


def _build_share_figure(summary: Values) -> Figure:
    """The share of each label with its interval, plain and corrected."""
    groups = []
    for label, one in _list_labels(summary):
        groups.append(_make_group(label, one))
        if one["corrected"] is not None:
            groups.append(_make_group(f"{label}, corrected", one, "corrected_"))
    rows = [
        [
            shorten_label(label),
            format_count(one["rows"]),
            format_percent(one["share"]),
            format_interval([one["low"], one["high"]], format_percent) or MISSING,
            format_percent(one["corrected"]),
            format_interval([one["corrected_low"], one["corrected_high"]], format_percent) or MISSING,
            format_decimal(one["mean_score"]),
        ]
        for label, one in list(summary["shares"].items())[:MAX_ROWS_LISTED]
    ]
    head = ["label", "rows", "share", "95 % interval", "corrected", "95 % interval", "mean score"]
    finding = f"The mean score is {format_decimal(summary['mean_score'])}."
    return _draw_groups(
        "shares-all",
        "Share of each label",
        finding,
        groups,
        None,
        Table(head=head, rows=rows, caption="Share of each label"),
    )


def _build_group_figures(summary: Values) -> list[Figure]:
    """For each label that is drawn, its share in each group; of two labels only the first, because they add up to 1."""
    groups = summary["by"]
    if not groups:
        return []
    figures = []
    for number, (label, total) in enumerate(_choose_labels(summary)):
        drawn = [
            _make_group(f"{format_group(one['group'])} ({format_quantity(one['rows'], 'row')})", one["shares"][label])
            for one in groups[:MAX_GROUPS_DRAWN]
        ]
        finding = f"The dashed line is the share of all rows, {format_percent(total['share'])}."
        if len(groups) > MAX_GROUPS_DRAWN:
            finding += f" Drawn are the {MAX_GROUPS_DRAWN} largest of {format_count(len(groups))} groups."
        title = f"Share of {quote_label(label)} by group"
        table = _build_table(groups[:MAX_ROWS_LISTED], label, title, "group")
        figures.append(_draw_groups(f"groups-{number}", title, finding, drawn, total["share"], table))
    return figures


def _build_time_figures(summary: Values) -> list[Figure]:
    """The share of each label over time, and that of the first label in the largest groups."""
    periods = [one for one in summary["over"] if one["period"] is not None][-MAX_PERIODS_DRAWN:]
    if not periods or not summary["shares"]:
        return []
    # Rows without a date have no place on the axis. The table below has them.
    names = [one["period"] for one in periods]
    labels = _list_labels(summary)
    lines = [(label, [(place, one["shares"][label]) for place, one in enumerate(periods)]) for label, _ in labels]
    table = _build_table(summary["over"][-MAX_ROWS_LISTED:], labels[0][0], "Shares over time", "period")
    figures = [_draw_lines("time-all", "Share of each label over time", names, lines, table, with_intervals=True)]
    groups = [one for one in summary["by"] if one["over"]][:MAX_LINES]
    for number, (label, _) in enumerate(_choose_labels(summary) if groups else []):
        places = {name: place for place, name in enumerate(names)}
        lines = [
            (
                format_group(one["group"]),
                [(places[part["period"]], part["shares"][label]) for part in one["over"] if part["period"] in places],
            )
            for one in groups
        ]
        title = f"Share of {quote_label(label)} over time, by group"
        figures.append(_draw_lines(f"time-{number}", title, names, lines, None))
    return figures


def _choose_labels(summary: Values) -> list[tuple[str, Values]]:
    """The labels with a chart by group."""
    return _list_labels(summary)[:1] if len(summary["shares"]) == 2 else _list_labels(summary)


def _draw_groups(
    name: str, title: str, finding: str, groups: Sequence[Group], overall: float | None, table: Table
) -> Figure:
    values = [end for one in groups for end in (one.value, one.low, one.high) if end is not None]
    axis = build_axis("share, with its 95 % interval", values, percent=True)
    height, content = draw_intervals(groups, axis, overall)
    picture = Picture(content=Markup(content), height=height, width=CHART_WIDTH)
    return Figure(name=name, title=title, finding=finding, picture=picture, table=table)


def _draw_lines(
    name: str,
    title: str,
    names: Sequence[str],
    lines: Sequence[tuple[str, Sequence[tuple[int, Values]]]],
    table: Table | None,
    *,
    with_intervals: bool = False,
) -> Figure:
    """Lines over periods; with the 95 % interval of each point, if lines do not cross."""
    known = [(line, [(place, one) for place, one in points if one["share"] is not None]) for line, points in lines]
    held = [one[end] for _, points in known for _, one in points for end in ("share", "low", "high")]
    plane = Plane(x=build_named_axis("period", names), y=build_axis("share", held, percent=True))
    content = plane.draw_frame()
    for number, (_, points) in enumerate(known, 1):
        content += draw_line(plane, [(place, one["share"]) for place, one in points], f"s{number}")
        if with_intervals:
            ends = [(place, one["low"], one["high"]) for place, one in points]
            content += draw_uprights(plane, ends, f"s{number}")
    legend = [
        LegendEntry(key=line_key(f"s{number}"), text=shorten_label(line)) for number, (line, _) in enumerate(known, 1)
    ]
    return Figure(
        name=name,
        title=title,
        finding="The upright lines are 95 % intervals." if with_intervals else "The groups with most rows are drawn.",
        picture=Picture(content=Markup(content), height=plane.height, width=CHART_WIDTH),
        legend=legend,
        table=table,
    )


def _make_group(name: str, one: Values, prefix: str = "") -> Group:
    """A label or a group with its share; the prefix `corrected_` takes the corrected share."""
    value = one["corrected" if prefix else "share"]
    return Group(
        name=name, words=format_percent(value), value=value, low=one[f"{prefix}low"], high=one[f"{prefix}high"]
    )


def _build_table(parts: Sequence[Values], label: str, caption: str, what: str) -> Table:
    """The rows and the share of one label in each part."""
    rows = []
    for one in parts:
        share = one["shares"][label]
        name = one["period"] or NO_VALUE if what == "period" else format_group(one["group"])
        rows.append(
            [
                shorten_label(name, 80),
                format_count(one["rows"]),
                format_count(one["no_text"]),
                format_count(one["unsure"]),
                format_percent(share["share"]),
                format_interval([share["low"], share["high"]], format_percent) or MISSING,
                format_percent(share["corrected"]),
            ]
        )
    head = [what, "rows", "no text", "unsure", f"share of {shorten_label(label)}", "95 % interval", "corrected"]
    return Table(head=head, rows=rows, caption=caption)


def _build_word_table(summary: Values) -> Table | None:
    """The words that mark the texts of each label, in all rows and in each group; None if there are none."""
    rows = [
        [
            format_group(one["group"]) if one.get("group") else "all rows",
            label,
            ", ".join(word["word"] for word in words),
        ]
        for one in (summary, *summary["by"])
        for label, words in one["words"].items()
    ]
    shown = [[shorten_label(cell, 200) for cell in row] for row in rows[:MAX_ROWS_LISTED]]
    caption = f"Words that mark the texts of a label, from {format_quantity(summary['words_from'], 'text')}"
    return Table(head=["rows", "label", "words"], rows=shown, caption=caption, word_columns=3) if shown else None
