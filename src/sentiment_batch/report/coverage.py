"""Shows the share and the accuracy of the rows that keep a label if rows with a low score get none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from markupsafe import Markup

from sentiment_batch.report.charts.axes import CHART_WIDTH, Plane, build_share_axis, draw_line
from sentiment_batch.report.charts.bars import read_histogram
from sentiment_batch.report.document import Figure, LegendEntry, Picture, Table, line_key
from sentiment_batch.report.formatting import format_count, format_percent


class Limit(NamedTuple):
    """What is left if a row is labelled only from some score on."""

    score: float
    rows: float
    right: float
    coverage: float
    """The share of all rows that keep a label."""

    @property
    def accuracy(self) -> float:
        """The accuracy of these rows."""
        return self.right / self.rows


def build_coverage_figure(name: str, evaluation: Mapping[str, Any]) -> Figure | None:
    """Accuracy and coverage over the lowest score that is labelled; None if there is no choice between two limits."""
    limits = _list_limits(evaluation)
    if len(limits) < 2:
        return None
    low = 0.5 if min(min(one.accuracy, one.coverage) for one in limits) >= 0.5 else 0.0
    plane = Plane(x=build_share_axis("lowest score", limits[0].score), y=build_share_axis("share of rows", low))
    content = plane.draw_frame()
    content += draw_line(plane, [(one.score, one.coverage) for one in limits], "s2")
    content += draw_line(plane, [(one.score, one.accuracy) for one in limits], "s1")
    return Figure(
        name=name,
        title="If unsure rows get no label",
        finding=_format_finding(limits),
        picture=Picture(content=Markup(content), height=plane.height, width=CHART_WIDTH),
        legend=[
            LegendEntry(key=line_key("s1"), text="right, of the rows with a label"),
            LegendEntry(key=line_key("s2"), text="rows with a label"),
        ],
        note="With two labels, a neutral band of 0.8 calls the rows below 80 % neutral. Otherwise filter by the score.",
        table=_build_table(limits),
    )


def _list_limits(evaluation: Mapping[str, Any]) -> list[Limit]:
    """A limit at the lower end of each bin of scores, from the lowest score that occurs."""
    found = read_histogram(evaluation.get("histogram"), "correct", "wrong")
    if found is None:
        return []
    edges, (right, wrong) = found
    rights, wrongs = (list(accumulate(reversed(counts)))[::-1] for counts in (right, wrong))
    total = rights[0] + wrongs[0]
    limits = [
        Limit(score=edge, rows=good + bad, right=good, coverage=(good + bad) / total)
        for edge, good, bad in zip(edges, rights, wrongs, strict=False)
        if good + bad
    ]
    first = sum(one.coverage == 1.0 for one in limits) - 1  # below the lowest score nothing changes
    return limits[max(0, first) :]


def _format_finding(limits: Sequence[Limit]) -> str:
    """What the lowest limit gives that halves the share of wrong labels; else what the highest one gives."""
    wrong = 1.0 - limits[0].accuracy
    chosen = next((one for one in limits[1:] if 1.0 - one.accuracy <= wrong / 2), limits[-1])
    return (
        f"{format_percent(limits[0].accuracy)} of all rows are right. If only scores of at least "
        f"{format_percent(chosen.score, 0)} give a label, {format_percent(chosen.coverage)} of the rows have one, and "
        f"{format_percent(chosen.accuracy)} of these are right."
    )


def _build_table(limits: Sequence[Limit]) -> Table:
    rows = [
        [
            format_percent(one.score, 0),
            format_count(one.rows),
            format_percent(one.coverage),
            format_percent(one.accuracy),
        ]
        for one in limits
    ]
    head = ("lowest score", "rows with a label", "of all rows", "share right")
    return Table(head=head, rows=rows, caption="Rows and accuracy by the lowest score that is labelled")
