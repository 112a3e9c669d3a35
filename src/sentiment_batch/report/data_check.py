"""What a model was trained on and how: the data check with its findings, and the settings, as sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentiment_batch.report.axes import Plane, at, exact_axis
from sentiment_batch.report.bars import Group, Stack, bars, histogram
from sentiment_batch.report.document import escaped
from sentiment_batch.report.figure import figure, plain_figure, svg, table
from sentiment_batch.report.numbers import NONE, count, number, percent, rows
from sentiment_batch.report.texts import breadth, quoted, short

CLASSES = 40
"""Classes in a chart."""
LISTED = 20
"""Files, or unknown labels, that are named."""
_COUNTS = (
    ("training_rows", "rows trained on"),
    ("validation_rows", "rows to validate with"),
    ("test_rows", "rows to test with"),
    ("blank", "without a text"),
    ("label_missing", "without a label"),
    ("label_unknown_rows", "with an unknown label"),
    ("repeated", "repeated texts"),
    ("nearly_repeated", "nearly repeated texts"),
    ("conflicting", "rows whose text has several labels"),
    ("overlap_with_validation", "validation rows whose text is trained on"),
    ("overlap_with_test", "test rows whose text is trained on"),
)
_OVERLAPS = (("rows", "equal texts"), ("other_label", "of those, of another label"), ("nearly", "nearly equal texts"))


def checked(data: Mapping[str, Any]) -> str:
    """The data check: findings first, then counts, classes and lengths.

    Args:
        data: of the report, what was found before training.
    """
    figures = _lengths(data.get("lengths") or {}) + _counts(data) + _classes(data.get("classes") or {})
    figures += _sources(data) + _overlaps(data.get("overlaps") or [])
    return _findings(data.get("findings") or []) + (f'<div class="figures">{figures}</div>\n' if figures else "")


def settings(report: Mapping[str, Any]) -> str:
    """The table of what the model was trained with, nothing where it is not known."""
    held = {name.replace("_", " "): value for name, value in (report.get("settings") or {}).items()}
    body = [(short(name, 60), _plain(value)) for name, value in held.items() if value is not None]
    return table(("setting", "value"), body, "Settings of the run", named=2) if body else ""


def warnings(data: Mapping[str, Any] | None) -> int:
    """How many findings are warnings."""
    return sum(one.get("level") == "warning" for one in (data or {}).get("findings") or [])


def _findings(found: Sequence[Mapping[str, Any]]) -> str:
    ordered = sorted(found, key=lambda one: one.get("level") != "warning")
    items = "".join(
        f'<li class="{"warning" if one.get("level") == "warning" else "remark"}">'
        f"<b>{'Warning' if one.get('level') == 'warning' else 'Note'}.</b> {escaped(short(one.get('text'), 400))}</li>"
        for one in ordered
    )
    return f'<ul class="findings">{items}</ul>\n' if items else "<p>The check found nothing to complain about.</p>\n"


def _counts(data: Mapping[str, Any]) -> str:
    body = [(words, count(data[name])) for name, words in _COUNTS if number(data.get(name)) is not None]
    unknown = data.get("label_unknown")
    if isinstance(unknown, Mapping):
        body += [(f"label {quoted(label)}, unknown", count(held)) for label, held in list(unknown.items())[:LISTED]]
    elif unknown:
        body.append(("unknown labels", ", ".join(quoted(label) for label in list(unknown)[:LISTED])))
    finding = f"{rows(data.get('training_rows'))} are trained on; {rows(data.get('validation_rows'))} choose the state."
    return (
        plain_figure("data-rows", "Rows", finding, table(("what", "rows"), body, "Rows of the data check"))
        if body
        else ""
    )


def _sources(data: Mapping[str, Any]) -> str:
    """Where the rows come from, how labels were read, and what else the check holds."""
    lines = [
        ("from", ", ".join(short(source, 120) for source in list(data.get("sources") or [])[:LISTED])),
        ("labels read as", data.get("mapping") and short(data["mapping"], 600)),
        ("groups", data.get("groups") and _plain(data["groups"])),
        ("fingerprint", data.get("fingerprint") and short(data["fingerprint"], 80)),
    ]
    body = [(name, str(said)) for name, said in lines if said]
    finding = "Where the rows come from, and how their labels were read."
    inside = table(("what", "value"), body, "Sources and labels", named=2)
    return plain_figure("data-sources", "Sources", finding, inside) if body else ""


def _overlaps(pairs: Sequence[Mapping[str, Any]]) -> str:
    """The tables that have texts in common, two by two."""
    body = [
        (short(one.get("of"), 60), short(one.get("with"), 60), *(count(one.get(what)) for what, _ in _OVERLAPS))
        for one in pairs[:LISTED]
    ]
    head = ("rows of", "with", *(words for _, words in _OVERLAPS))
    finding = (
        f"{count(len(pairs))} {'pairs of tables have' if len(pairs) > 1 else 'pair of tables has'} texts in common."
    )
    inside = table(head, body, "Texts that are in two tables", named=2)
    return plain_figure("data-overlaps", "Overlaps", finding, inside) if body else ""


def _classes(classes: Mapping[str, Any]) -> str:
    total = sum(number(held) or 0.0 for held in classes.values())
    if not total:
        return ""
    ordered = sorted(classes.items(), key=lambda item: -(number(item[1]) or 0.0))
    groups = [
        Group(name=str(label), words=f"{count(held)} · {percent((number(held) or 0.0) / total)}", value=number(held))
        for label, held in ordered[:CLASSES]
    ]
    most, least = ordered[0], ordered[-1]
    share = percent((number(most[1]) or 0.0) / total)
    finding = f"Most frequent {quoted(most[0])}, {share} of {rows(total)}; least {quoted(least[0])}, {rows(least[1])}."
    height, drawn = bars(groups)
    body = [(short(label, 200), count(held), percent((number(held) or 0.0) / total, 2)) for label, held in ordered]
    numbers = table(("label", "rows", "share"), body, "Training rows by label")
    return figure("data-classes", "Labels", finding, svg("data-classes", "Labels", finding, drawn, height), numbers)


def _lengths(lengths: Mapping[str, Any]) -> str:
    found = lengths.get("histogram") or {}
    edges = [edge for edge in map(number, found.get("edges") or []) if edge is not None]
    held = [number(one) or 0.0 for one in found.get("rows") or []]
    if not held or len(edges) != len(held) + 1 or not sum(held):
        return ""
    finding = _lengths_finding(lengths)
    across = exact_axis("tokens", edges[0], edges[-1])
    plane, drawn = histogram(edges, [Stack(kind="f1", counts=held)], across, "texts")
    drawn += _limit(plane, number(lengths.get("max_length")))
    body = [
        (f"{count(low)} to {count(high)}", count(some)) for low, high, some in zip(edges, edges[1:], held, strict=False)
    ]
    numbers = table(("tokens", "texts"), body, "Texts by length")
    picture = svg("data-lengths", "Lengths", finding, drawn, plane.height)
    return figure("data-lengths", "Lengths", finding, picture, numbers)


def _lengths_finding(lengths: Mapping[str, Any]) -> str:
    said = (
        f"Half of the texts have at most {count(lengths.get('median'))} tokens, 95% at most {count(lengths.get('p95'))}"
        f"; the longest has {count(lengths.get('longest'))}."
    )
    reads = f"the {count(lengths.get('max_length'))} that the model reads"
    if not number(lengths.get("cut")):
        return f"{said} None is longer than {reads}."
    return (
        f"{said} {percent(lengths.get('cut_share'))} are longer than {reads}, and are cut: "
        f"{percent(lengths.get('tokens_lost_share'))} of all tokens are lost."
    )


def _limit(plane: Plane, longest: float | None) -> str:
    """A line down where texts are cut, if it lies in the plane."""
    if longest is None or not plane.x.low <= longest <= plane.x.high:
        return ""
    x, words = plane.across(longest), f"cut at {longest:,.0f}"
    room = x + 5 + breadth(words) < plane.right
    anchor, left = ("", x + 5) if room else (" end", x - 5)
    return (
        f'<path class="kept" d="M{at(x)} {plane.top}V{plane.height - plane.bottom}"/>'
        f'<text class="strong{anchor}" x="{at(left)}" y="{plane.top + 11}">{words}</text>'
    )


def _plain(value: Any) -> str:
    """A value of JSON in words, however it is nested."""
    if isinstance(value, Mapping):
        return "; ".join(
            f"{short(name, 60)}: {_plain(held)}" for name, held in list(value.items())[:40] if held is not None
        )
    if isinstance(value, list | tuple):
        return ", ".join(_plain(held) for held in value[:40])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return NONE if number(value) is None else f"{value:,.6g}"
    return short(value, 200)
