"""The data check in words for a terminal, in lines of 80 columns: its summary in, lines out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sentiment_batch.training.data_check.findings import Finding, percent, rows, wrapped

logger = logging.getLogger("sentiment_batch")

MOST_NAMED = 12
"""Classes, and unknown labels, that are named."""


def block(summary: Mapping[str, Any], conflicts: Sequence[str]) -> list[str]:
    """What there is, a line or a few for each kind.

    Args:
        summary: of the check.
        conflicts: some texts with several labels, with these.
    """
    total = max(1, summary["training_rows"])
    test = f", {summary['test_rows']:,} to test" if summary["test_rows"] else ""
    classes = [f"{count:,} {label} ({percent(count / total)})" for label, count in summary["classes"].items()]
    lines = item("rows", f"{summary['training_rows']:,} to train on, {summary['validation_rows']:,} to validate{test}")
    lines += item("labels", summary["mapping"])
    lines += item("classes", _some(classes))
    lines += item("left out", "; ".join(_left_out(summary)))
    lines += item("texts", "; ".join(_texts(summary)))
    lines += item("such as", ", ".join(conflicts))
    if summary["groups"] and summary["groups"]["column"]:
        apart = "" if any(summary["groups"]["shared"].values()) else ", each on one side"
        lines += item("groups", f"{summary['groups']['groups']:,} by {summary['groups']['column']!r}{apart}")
    return lines


def of_lengths(found: Mapping[str, Any], long_text: str) -> list[str]:
    """How long texts are, and what is cut.

    Args:
        found: of `lengths.lengths`.
        long_text: which part of a long text is kept.
    """
    cut = "none is cut"
    if found["cut"]:
        cut = (
            f"{found['cut']:,} ({percent(found['cut_share'])}) are longer than {found['max_length']} and keep their "
            f"{long_text.replace('-', ' and ')}, so that {percent(found['tokens_lost_share'])} of all tokens are lost"
        )
    return item(
        "lengths",
        f"tokens per text: mean {found['mean']:,.0f}, median {found['median']:,}, 95 % up to {found['p95']:,}, longest "
        f"{found['longest']:,}; {cut}",
    )


def _left_out(summary: Mapping[str, Any]) -> Iterator[str]:
    unknown = summary["label_unknown"]
    if summary["label_unknown_rows"]:
        named = f": {_named(unknown)}" if unknown else ""
        yield f"{rows(summary['label_unknown_rows'])} whose label is unknown{named}"
    if summary["label_missing"]:
        written = summary["label_missing_written"]
        named = f", of which {_named(written)} stand there" if written else ""
        yield f"{rows(summary['label_missing'])} without a label{named}"
    if summary["blank"]:
        yield f"{rows(summary['blank'])} without a text"


def _named(labels: Mapping[str, int]) -> str:
    return _some([f"{value!r} ({count:,})" for value, count in labels.items()], 5)


def _texts(summary: Mapping[str, Any]) -> Iterator[str]:
    repeated, nearly, conflicting = (summary[key] for key in ("repeated", "nearly_repeated", "conflicting"))
    if repeated or nearly:
        more = f", {nearly:,} more nearly" if nearly else ""
        yield f"{rows(repeated)} repeat another's text{more}; they stay on its side of the split"
    if conflicting:
        yield f"{rows(conflicting)} hold a text that also stands there with another label; they do not validate"


def item(name: str, text: str) -> list[str]:
    """A line that begins with its name, and further ones below it; none where there is nothing to say."""
    return wrapped(text, f"  {name:10}", " " * 12)


def _some(named: Sequence[str], most: int = MOST_NAMED) -> str:
    more = f" and {len(named) - most:,} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more


def tell_findings(found: Iterable[Mapping[str, str]]) -> None:
    """Say findings, each at its level."""
    for one in found:
        finding = Finding(text=one["text"], weight=0.0, level="warning" if one["level"] == "warning" else "note")
        if finding.level == "warning":
            logger.warning("%s", finding.wrapped())
        else:
            logger.info("note: %s", finding.wrapped())
