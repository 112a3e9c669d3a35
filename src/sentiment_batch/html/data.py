"""What a model was trained on and how: the data check with its findings, and the settings, as sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentiment_batch.html.axes import Plane, at, exact_axis
from sentiment_batch.html.bars import Group, Stack, bars, histogram
from sentiment_batch.html.document import escaped
from sentiment_batch.html.figure import figure, svg, table
from sentiment_batch.html.numbers import count, number, percent, rows
from sentiment_batch.html.texts import quoted, short

CLASSES = 40
"""Classes in a chart."""
_COUNTS = (
    ("training_rows", "rows trained on"),
    ("validation_rows", "rows to validate with"),
    ("blank", "without a text"),
    ("label_missing", "without a label"),
    ("repeated", "repeated texts"),
    ("conflicting", "rows whose text has several labels"),
    ("overlap_with_validation", "validation rows whose text is trained on"),
    ("overlap_with_test", "test rows whose text is trained on"),
)


def checked(data: Mapping[str, Any]) -> str:
    """The data check: findings first, then counts, classes and lengths.

    Args:
        data: of the report, what was found before training.
    """
    figures = _classes(data.get("classes") or {}) + _lengths(data.get("lengths") or {})
    return (
        _findings(data.get("findings") or [])
        + (f'<div class="figures">{figures}</div>' if figures else "")
        + _counts(data)
        + _rest(data)
    )


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
        body += [(f"label {quoted(label)}, unknown", count(held)) for label, held in list(unknown.items())[:20]]
    elif unknown:
        body.append(("unknown labels", ", ".join(quoted(label) for label in list(unknown)[:20])))
    return f"<h3>Rows</h3>{table(('what', 'rows'), body, 'Rows of the data check')}\n" if body else ""


def _rest(data: Mapping[str, Any]) -> str:
    """What is said in a line: where the rows come from, how labels were read, and what else the check holds."""
    lines = [("from", ", ".join(short(source, 120) for source in list(data.get("sources") or [])[:20]))]
    lines.append(("labels read as", short(data.get("mapping") or "", 600)))
    lines += [(what, _plain(data.get(what) or "")) for what in ("groups", "overlaps")]
    lines.append(("fingerprint", short(data.get("fingerprint") or "", 80)))
    body = [(name, said) for name, said in lines if said.strip("\u2068\u2069")]
    return f"<h3>Where from</h3>{table(('what', 'is'), body, 'Sources and labels', named=2)}\n" if body else ""


def _classes(classes: Mapping[str, Any]) -> str:
    total = sum(number(held) or 0.0 for held in classes.values())
    if not total:
        return ""
    ordered = sorted(classes.items(), key=lambda item: -(number(item[1]) or 0.0))
    groups = [
        Group(
            name=short(label, 26), words=f"{count(held)} · {percent((number(held) or 0.0) / total)}", value=number(held)
        )
        for label, held in ordered[:CLASSES]
    ]
    finding = f"Most frequent: {quoted(ordered[0][0])}, {percent((number(ordered[0][1]) or 0.0) / total)} of {rows(total)}; least: {quoted(ordered[-1][0])}, {rows(ordered[-1][1])}."
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
    finding = (
        f"Half of the texts have at most {count(lengths.get('median'))} tokens, 95% at most {count(lengths.get('p95'))}; "
        f"the longest has {count(lengths.get('longest'))}. {percent(lengths.get('cut_share'))} are longer than the "
        f"{count(lengths.get('max_length'))} that the model reads, and are cut; so "
        f"{percent(lengths.get('tokens_lost_share'))} of all tokens are lost."
    )
    across = exact_axis("tokens", edges[0], edges[-1])
    plane, drawn = histogram(edges, [Stack(kind="f1", counts=held)], across, "texts")
    drawn += _limit(plane, number(lengths.get("max_length")))
    body = [
        (f"{count(low)} to {count(high)}", count(some)) for low, high, some in zip(edges, edges[1:], held, strict=False)
    ]
    numbers = table(("tokens", "texts"), body, "Texts by length")
    picture = svg("data-lengths", "Lengths", finding, drawn, plane.height)
    return figure("data-lengths", "Lengths", finding, picture, numbers)


def _limit(plane: Plane, longest: float | None) -> str:
    """A line down where texts are cut, if it lies in the plane."""
    if longest is None or not plane.x.low <= longest <= plane.x.high:
        return ""
    x, words = plane.across(longest), f"cut at {longest:,.0f}"
    room = x + 5 + 7 * len(words) < plane.right
    anchor, left = ("", x + 5) if room else (" end", x - 5)
    return (
        f'<path class="kept" d="M{at(x)} {plane.top}V{plane.height - plane.bottom}"/>'
        f'<text class="strong{anchor}" x="{at(left)}" y="{plane.top + 11}">{words}</text>'
    )


def _plain(value: Any) -> str:
    """A value of JSON in words, however it is nested."""
    if isinstance(value, Mapping):
        return "; ".join(f"{short(name, 60)}: {_plain(held)}" for name, held in list(value.items())[:40])
    if isinstance(value, list | tuple):
        return ", ".join(_plain(held) for held in value[:40])
    if isinstance(value, bool):
        return "yes" if value else "no"
    found = number(value)
    if found is not None:
        return f"{found:,.6g}" if isinstance(value, float) else str(value)
    return short(value, 200)
