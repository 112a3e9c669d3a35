"""Shows the training data and the settings of the run: findings and figures of the data check, and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sentiment_batch.report.charts.axes import CHART_WIDTH, Plane, build_exact_axis
from sentiment_batch.report.charts.bars import Group, Stack, draw_bars, draw_histogram, read_histogram
from sentiment_batch.report.document import Figure, Picture, Table
from sentiment_batch.report.formatting import (
    MISSING,
    format_count,
    format_percent,
    format_quantity,
    quote_label,
    shorten_label,
    to_number,
)

MAX_CLASSES_DRAWN = 40
MAX_NAMES_LISTED = 20
"""Files, unknown labels and pairs of tables that are listed."""
MAX_ITEMS_OF_VALUE = 40
"""Items of a nested setting that are shown."""
_COUNTS = (
    ("training_rows", "rows trained on"),
    ("validation_rows", "rows to validate with"),
    ("test_rows", "rows to test with"),
    ("blank", "without a text"),
    ("label_missing", "without a label"),
    ("label_unknown_rows", "with a label of no class"),
    ("repeated", "repeated texts"),
    ("nearly_repeated", "nearly repeated texts"),
    ("conflicting", "rows whose text has several labels"),
    ("overlap_with_validation", "validation rows whose text is trained on"),
    ("overlap_with_test", "test rows whose text is trained on"),
)
_OVERLAPS = (("rows", "equal texts"), ("other_label", "of those, of another label"), ("nearly", "nearly equal texts"))


def build_data_figures(data: Mapping[str, Any]) -> list[Figure]:
    """Lengths, counts, classes, sources and overlaps of the rows, as far as the data check knows them."""
    figures = (
        _build_lengths(data.get("lengths") or {}),
        _build_counts(data),
        _build_classes(data.get("classes") or {}),
        _build_sources(data),
        _build_overlaps(data.get("overlaps") or []),
    )
    return [figure for figure in figures if figure]


def list_findings(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The level, `warning` or `note`, and the text of each finding; warnings come first."""
    findings = [
        ("warning" if one.get("level") == "warning" else "note", shorten_label(one.get("text"), 400))
        for one in data.get("findings") or []
    ]
    return sorted(findings, key=lambda finding: finding[0] != "warning")


def build_settings_table(report: Mapping[str, Any]) -> Table | None:
    """What the model was trained with; None if that is not known."""
    values = {name.replace("_", " "): value for name, value in (report.get("settings") or {}).items()}
    rows = [(shorten_label(name, 60), _format_value(value)) for name, value in values.items() if value is not None]
    caption = "Settings of the run"
    return Table(head=("setting", "value"), rows=rows, caption=caption, word_columns=2) if rows else None


def _build_counts(data: Mapping[str, Any]) -> Figure | None:
    rows = [(words, format_count(data[key])) for key, words in _COUNTS if to_number(data.get(key)) is not None]
    unknown = data.get("label_unknown")
    if isinstance(unknown, Mapping):
        listed = list(unknown.items())[:MAX_NAMES_LISTED]
        rows += [(f"label {quote_label(label)}, of no class", format_count(count)) for label, count in listed]
    elif unknown:
        rows.append(("labels of no class", ", ".join(quote_label(label) for label in list(unknown)[:MAX_NAMES_LISTED])))
    if not rows:
        return None
    finding = f"{format_quantity(data.get('training_rows'), 'row')} are trained on. "
    validating = format_quantity(data.get("validation_rows"), "row")
    if data.get("folds"):
        finding += (
            f"{validating} of them validate in turn, in {format_count(data['folds'])} folds: each is predicted by a "
        )
        finding += "model that was not trained on it."
    else:
        finding += f"{validating} decide which state is published."
    table = Table(head=("what", "rows"), rows=rows, caption="Rows of the data check")
    return Figure(name="data-rows", title="Rows", finding=finding, table=table)


def _build_sources(data: Mapping[str, Any]) -> Figure | None:
    """Where the rows come from, how labels were read, and what else the data check knows."""
    sources = list(data.get("sources") or [])[:MAX_NAMES_LISTED]
    lines = [
        ("from", ", ".join(shorten_label(source, 120) for source in sources)),
        ("labels read as", data.get("mapping") and shorten_label(data["mapping"], 600)),
        ("groups", data.get("groups") and _format_value(data["groups"])),
        ("fingerprint", data.get("fingerprint") and shorten_label(data["fingerprint"], 80)),
    ]
    rows = [(name, str(value)) for name, value in lines if value]
    finding = "Where the rows come from, and how their labels were read."
    table = Table(head=("what", "value"), rows=rows, caption="Sources and labels", word_columns=2)
    return Figure(name="data-sources", title="Sources", finding=finding, table=table) if rows else None


def _build_overlaps(pairs: Sequence[Mapping[str, Any]]) -> Figure | None:
    """The pairs of tables that have texts in common."""
    rows = [
        (
            shorten_label(one.get("of"), 60),
            shorten_label(one.get("with"), 60),
            *(format_count(one.get(key)) for key, _ in _OVERLAPS),
        )
        for one in pairs[:MAX_NAMES_LISTED]
    ]
    if not rows:
        return None
    tables = format_quantity(len(pairs), "pair of tables has", "pairs of tables have")
    head = ("rows of", "with", *(words for _, words in _OVERLAPS))
    table = Table(head=head, rows=rows, caption="Texts that are in two tables", word_columns=2)
    return Figure(name="data-overlaps", title="Overlaps", finding=f"{tables} texts in common.", table=table)


def _build_classes(classes: Mapping[str, Any]) -> Figure | None:
    counts = {str(label): to_number(count) or 0.0 for label, count in classes.items()}
    total = sum(counts.values())
    if not total:
        return None
    by_size = sorted(counts.items(), key=lambda item: -item[1])
    groups = [
        Group(name=label, words=f"{format_count(count)} · {format_percent(count / total)}", value=count)
        for label, count in by_size[:MAX_CLASSES_DRAWN]
    ]
    (most, most_rows), (least, least_rows) = by_size[0], by_size[-1]
    finding = f"The most frequent label is {quote_label(most)}, {format_percent(most_rows / total)} of "
    finding += f"{format_quantity(total, 'row')}. The least frequent is {quote_label(least)}, "
    finding += f"{format_quantity(least_rows, 'row')}."
    height, content = draw_bars(groups)
    rows = [
        (shorten_label(label, 200), format_count(count), format_percent(count / total, 2)) for label, count in by_size
    ]
    return Figure(
        name="data-classes",
        title="Labels",
        finding=finding,
        picture=Picture(content=Markup(content), height=height, width=CHART_WIDTH),
        table=Table(head=("label", "rows", "share"), rows=rows, caption="Training rows by label"),
    )


def _build_lengths(lengths: Mapping[str, Any]) -> Figure | None:
    found = read_histogram(lengths.get("histogram"), "rows")
    if found is None:
        return None
    edges, (counts,) = found
    axis = build_exact_axis("tokens", edges[0], edges[-1])
    plane, content = draw_histogram(edges, [Stack(css_class="f1", counts=counts)], axis, "texts")
    content += _draw_limit(plane, to_number(lengths.get("max_length")))
    rows = [
        (f"{format_count(low)} to {format_count(high)}", format_count(count))
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    return Figure(
        name="data-lengths",
        title="Lengths",
        finding=_format_lengths(lengths),
        picture=Picture(content=Markup(content), height=plane.height, width=CHART_WIDTH),
        table=Table(head=("tokens", "texts"), rows=rows, caption="Texts by length"),
    )


def _format_lengths(lengths: Mapping[str, Any]) -> str:
    median, p95, longest = (format_count(lengths.get(key)) for key in ("median", "p95", "longest"))
    finding = f"Half of the texts have at most {median} tokens, 95 % at most {p95}. The longest has {longest}."
    reads = f"the {format_count(lengths.get('max_length'))} tokens that the model reads"
    if not to_number(lengths.get("cut")):
        return f"{finding} None is longer than {reads}."
    return (
        f"{finding} {format_percent(lengths.get('cut_share'))} are longer than {reads}, and are cut. "
        f"{format_percent(lengths.get('tokens_lost_share'))} of all tokens are lost."
    )


def _draw_limit(plane: Plane, max_length: float | None) -> str:
    """A line down where texts are cut, if it lies in the plane."""
    if max_length is None or not plane.x.low <= max_length <= plane.x.high:
        return ""
    return plane.draw_mark(max_length, f"cut at {format_count(max_length)}")


def _format_value(value: Any) -> str:
    """A value of JSON in words, however it is nested."""
    if isinstance(value, Mapping):
        items = [(name, item) for name, item in list(value.items())[:MAX_ITEMS_OF_VALUE] if item is not None]
        return "; ".join(f"{shorten_label(name, 60)}: {_format_value(item)}" for name, item in items)
    if isinstance(value, list | tuple):
        return ", ".join(_format_value(item) for item in value[:MAX_ITEMS_OF_VALUE])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return MISSING if to_number(value) is None else f"{value:,.6g}"
    return shorten_label(value, 200)
