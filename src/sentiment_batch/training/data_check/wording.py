"""The data check as lines for a terminal of any width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sentiment_batch.report.formatting import format_quantity
from sentiment_batch.training.data_check.findings import format_share, join_names

MAX_NAMED_CLASSES = 12
"""Classes that are named."""
_UNBREAKABLE = re.compile(r"`[^`\n]*`|\d %")
"""Where a line must not break: within a setting in backquotes, and between a number and its `%`."""


def format_summary(summary: Mapping[str, Any], conflicts: Sequence[str], width: int) -> list[str]:
    """The counts of the data check: one item for each kind.

    Args:
        summary: the summary that `check_data` gave.
        conflicts: some texts with several labels.
        width: columns of the terminal.
    """
    total = max(1, summary["training_rows"])
    test = f", {summary['test_rows']:,} to test" if summary["test_rows"] else ""
    classes = [f"{count:,} {label} ({format_share(count / total)})" for label, count in summary["classes"].items()]
    validating = f"{summary['validation_rows']:,} to validate"
    if summary["folds"]:
        validating = f"{summary['validation_rows']:,} of them validate in turn, in {summary['folds']} folds"
    items = {
        "rows": f"{summary['training_rows']:,} to train on, {validating}{test}",
        "classes": join_names(classes, MAX_NAMED_CLASSES),
        "left out": "; ".join(_describe_left_out(summary)),
        "texts": "; ".join(_describe_texts(summary)),
        "such as": ", ".join(conflicts),
    }
    groups = summary["groups"]
    if groups and groups["column"]:
        apart = "" if any(groups["shared"].values()) else ", each on one side"
        items["groups"] = f"{groups['groups']:,} by {groups['column']!r}{apart}"
    return [line for name, text in items.items() for line in _format_item(name, text, width)]


def format_inspection(counts: Mapping[str, Any], all_compared: bool, width: int) -> list[str]:
    """The counts of a table that was only looked at: one item for each kind.

    Args:
        counts: the counts of an `Inspection`.
        all_compared: False if only a part of the texts was compared.
        width: columns of the terminal.
    """
    # The classes, or the values as they are written if it is not known what they mean
    rows = counts["classes"] or counts["labels"]
    total = max(1, sum(rows.values()))
    left_out = _describe_left_out({"label_missing_written": {}, **counts})
    least = "" if all_compared else "at least "
    conflicting = f", {counts['conflicting']:,} with another label" if counts["conflicting"] else ""
    repeated = f"{least}{_repeating(counts['repeated'])} another's text{conflicting}"
    lengths = ""
    if counts["mean_characters"] is not None:
        lengths = (
            f"{counts['mean_characters']:,.0f} characters in the mean, the longest {counts['longest_characters']:,}"
        )
    items = {
        "rows": f"{counts['rows']:,}",
        "classes": join_names(
            [f"{n:,} {name} ({format_share(n / total)})" for name, n in rows.items()], MAX_NAMED_CLASSES
        ),
        "left out": "; ".join(left_out),
        "texts": repeated if counts["repeated"] else "",
        "lengths": lengths,
    }
    return [line for name, text in items.items() for line in _format_item(name, text, width)]


def format_lengths(lengths: Mapping[str, Any], long_text: str, width: int) -> list[str]:
    """The lengths of the texts, and how many are cut.

    Args:
        lengths: the figures that `measure_lengths` gave.
        long_text: which part of a long text is used, such as `head-tail`.
        width: columns of the terminal.
    """
    cut = "none is cut"
    if lengths["cut"]:
        cut = (
            f"{lengths['cut']:,} ({format_share(lengths['cut_share'])}) are longer than {lengths['max_length']} and "
            f"keep their {long_text.replace('-', ' and ')}, so {format_share(lengths['tokens_lost_share'])} of all "
            "tokens are lost"
        )
    return _format_item(
        "lengths",
        f"tokens per text: mean {lengths['mean']:,.0f}, median {lengths['median']:,}, 95 % up to {lengths['p95']:,}, "
        f"longest {lengths['longest']:,}; {cut}",
        width,
    )


def format_finding(finding: Mapping[str, str], width: int) -> str:
    """The sentences of a finding in lines, the first of which leaves space for `note: ` or `warning: `."""
    indent = " " * len(f"{finding['level']}: ")
    return "\n".join(wrap_text(finding["text"], width, indent, "  "))[len(indent) :]


def wrap_text(text: str, width: int, first_indent: str, indent: str) -> list[str]:
    """Lines of at most `width` columns. A setting in backquotes and a number with its `%` stay in one line."""
    # `textwrap` breaks at blanks, so blanks where no line may break are other characters meanwhile
    lines = textwrap.wrap(
        _UNBREAKABLE.sub(lambda match: match[0].replace(" ", "\0"), text),
        width,
        initial_indent=first_indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


def _format_item(name: str, text: str, width: int) -> list[str]:
    """A line that begins with its name, and further ones below the text; no line without a text."""
    return wrap_text(text, width, f"  {name:10}", " " * 12)


def _describe_left_out(summary: Mapping[str, Any]) -> Iterator[str]:
    if summary["label_unknown_rows"]:
        unknown = summary["label_unknown"]
        named = f": {_name_labels(unknown)}" if unknown else ""
        yield f"{format_quantity(summary['label_unknown_rows'], 'row')} with a label of no class{named}"
    if summary["label_missing"]:
        written = summary["label_missing_written"]
        named = f", {_name_labels(written)} among them" if written else ""
        yield f"{format_quantity(summary['label_missing'], 'row')} without a label{named}"
    if summary["blank"]:
        yield f"{format_quantity(summary['blank'], 'row')} without a text"


def _describe_texts(summary: Mapping[str, Any]) -> Iterator[str]:
    repeated, nearly, conflicting = (summary[key] for key in ("repeated", "nearly_repeated", "conflicting"))
    if repeated or nearly:
        more = f", {nearly:,} more nearly" if nearly else ""
        stay = "stays" if repeated + nearly == 1 else "stay"
        yield f"{_repeating(repeated)} another's text{more}, and {stay} on its side of the split"
    if conflicting:
        rows = format_quantity(conflicting, "row holds", "rows hold")
        unused = "is" if conflicting == 1 else "are"
        yield f"{rows} a text that also occurs with another label, and {unused} not used for validation"


def _repeating(rows: int) -> str:
    return format_quantity(rows, "row repeats", "rows repeat")


def _name_labels(counts: Mapping[str, int]) -> str:
    return join_names([f"{label!r} ({count:,})" for label, count in counts.items()])
