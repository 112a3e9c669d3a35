"""What there is to say about the data of a run: its divided rows in, findings out; it counts, and changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.training.data_check.findings import Finding, are, percent, rows
from sentiment_batch.training.data_check.group_leaks import Likely, shared_rows
from sentiment_batch.training.data_check.text_quality import beginnings_tell_classes, common_beginning, signs

if TYPE_CHECKING:
    from sentiment_batch.training.dataset import Coded, Divided

HANDFUL = 10
"""Rows of a class, below which it is hardly learned."""
IMBALANCE = 3.0
"""Rows of the most frequent class for each of the rarest, from which on weights may matter."""
SURE = 400
"""Validation rows from which on an accuracy of 90 % is known to three points."""
UNSURE = 50
"""Those below which it is not known to eight."""
FEW_GROUPS = 5
LONG_BEGINNING = 12
"""Characters that all texts begin with, from which on it is said."""
MANY = 0.05
"""A share of rows that is said where a smaller one is merely counted."""
FEW = 0.01
"""A share of rows below which nothing that is measured changes by more."""
HALF = 0.5
TOO_GOOD = ": what they measure may look too good"
OTHER_MIX = 0.15
"""Half the sum of differences between the shares of the classes, from which on two tables differ."""


def of_classes(found: Divided, *, weighted: bool) -> Iterator[Finding]:
    """Rare classes, and those that nothing validates.

    Args:
        found: the rows.
        weighted: whether classes are weighed already.
    """
    counts = _counts(found.training, found)
    few = [f"{label!r} ({count})" for label, count in zip(found.labels, counts, strict=True) if count < HANDFUL]
    if few:
        yield Finding(
            text=f"too few rows to learn from: {_some(few)}. Give more of them, or leave {_them(few)} out.",
            weight=0.6,
            level="warning",
        )
    rare, frequent = int(counts.argmin()), int(counts.argmax())
    if counts[frequent] >= IMBALANCE * counts[rare] and not weighted:
        shares = counts / counts.sum()
        yield Finding(
            text=f"{percent(shares[frequent])} of the rows are {found.labels[frequent]!r} and {percent(shares[rare])} "
            f"{found.labels[rare]!r}: where rare classes count as much as frequent ones, try --class-weights auto.",
            weight=0.3,
        )
    absent = [
        repr(label) for label, count in zip(found.labels, _counts(found.validation, found), strict=True) if not count
    ]
    if absent:
        yield Finding(
            text=f"no validation row is {_some(absent)}, and nobody will know how well the model does there.",
            weight=0.5,
            level="warning",
        )


def of_validation(found: Divided) -> Iterator[Finding]:
    """Too few rows to trust what they measure, or too few groups."""
    count = len(found.validation)
    if count < SURE:
        half = 1.96 * math.sqrt(0.9 * 0.1 / count)
        cure = "Give a larger --val-file." if found.validation_file else "Hold back more with --val-size."
        yield Finding(
            text=f"{rows(count)} {are(count, 'validates', 'validate')}: an accuracy of 90 % is known to "
            f"{100 * half:.0f} points either way, and what is close is chance. {cure}",
            weight=0.2,
            level="warning" if count < UNSURE else "note",
        )
    groups = {group for group in found.validation.groups or () if group is not None}
    if found.group_column and not found.validation_file and len(groups) < FEW_GROUPS:
        yield Finding(
            text=f"the validation rows are of {len(groups)} {are(len(groups), 'group', 'groups')} of "
            f"{found.group_column!r} alone: they say little about others.",
            weight=0.3,
        )


def of_texts(found: Divided) -> Iterator[Finding]:
    """Texts that are no prose, were read wrongly, or say their label."""
    training = found.training
    look = signs(training.texts)
    if look.letterless >= HALF:
        yield Finding(
            text=f"{percent(look.letterless)} of the texts hold no letter: is it the right column? Name it with "
            "--text-column.",
            weight=look.letterless,
            level="warning",
        )
    if look.misread >= 0.01:
        yield Finding(
            text=f"{percent(look.misread)} of the texts hold characters that a wrong encoding leaves behind (such as "
            "Ã© for é, control characters, U+FFFD). Of a CSV, name the right one with --encoding.",
            weight=look.misread,
        )
    if beginnings_tell_classes(training.texts, training.codes):
        yield Finding(
            text="the texts of each class begin in the same way, with a beginning of its own: if that is the label, "
            "the model learns nothing else. Take it out of the texts.",
            weight=0.9,
            level="warning",
        )
    beginning = common_beginning(training.texts)
    if len(beginning) >= LONG_BEGINNING and len(set(training.texts)) >= HANDFUL:
        yield Finding(text=f"all texts begin with the same {len(beginning):,} characters.", weight=0.05)
    for name, other in found.files():
        tagged = signs(other.texts).tagged
        if abs(tagged - look.tagged) >= 0.2:
            yield Finding(
                text=f"{percent(tagged)} of the texts of {name} hold HTML tags, of those to train on "
                f"{percent(look.tagged)}: clean both, or none.",
                weight=abs(tagged - look.tagged) / 2,
            )


def of_repeats(found: Divided, counts: dict[str, Any]) -> Iterator[Finding]:
    """Repeated and conflicting texts, and rows that are left out.

    Args:
        found: the rows.
        counts: as in the summary.
    """
    pool = len(found.pool)
    repeated, conflicting = counts["repeated"] / pool, counts["conflicting"] / pool
    if repeated >= MANY:
        yield Finding(text=f"{percent(repeated)} of the rows repeat another's text.", weight=repeated / 2)
    if conflicting >= MANY / 10:
        yield Finding(
            text=f"{percent(conflicting)} of the rows hold a text that also stands there with another label: no model "
            "can be right about both. Look at how they were labelled.",
            weight=conflicting,
            level="warning" if conflicting >= MANY else "note",
        )
    for count, what in (
        (counts["blank"], "hold no text"),
        (counts["label_missing"], "have no label"),
        (counts["label_unknown_rows"], "have a label that is none of the classes"),
    ):
        share = count / counts["rows"]
        if share >= MANY:
            yield Finding(text=f"{percent(share)} of the rows {what} and are left out.", weight=share)


def of_overlaps(overlaps: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """Texts that two tables have in common; `overlaps` as in the summary."""
    for one in overlaps:
        what = {"training": f"row of {one['of']}", "validation": "validation row"}.get(one["kind"], "test row")
        known = {"training": f"in {one['with']}, too", "validation and test": "also validated on"}.get(
            one["kind"], "also trained on"
        )
        count = one["rows"] or one["nearly"]
        details = [percent(one["share"])] if one["rows"] else []
        details += [f"{one['other_label']:,} with another label"] if one["other_label"] else []
        details += [f"{one['nearly']:,} more nearly"] if one["nearly"] and one["rows"] else []
        inside = f" ({'; '.join(details)})" if details else ""
        said = (
            f"{count:,} {_plural(what, count)} {are(count, 'holds', 'hold')} {'' if one['rows'] else 'nearly '}a text "
            f"that is {known}{inside}"
        )
        if one["kind"] != "training":
            many = one["share"] >= FEW
            yield Finding(
                text=f"{said}{TOO_GOOD if many else ''}.",
                weight=0.5 + one["share"] / 2 if many else one["share"],
                level="warning" if many and known == "also trained on" else "note",
            )
        elif one["share"] >= HALF:  # where fewer repeat, no harm is done, for equal texts stay on one side
            yield Finding(text=f"{said}: were the same rows given twice?", weight=one["share"] / 2)


def of_mixes(found: Divided) -> Iterator[Finding]:
    """Files whose classes are mixed in another way than the training rows."""
    training = _counts(found.training, found) / len(found.training)
    for name, other in found.files():
        shares = _counts(other, found) / len(other)
        apart = float(np.abs(shares - training).sum() / 2)
        if apart >= OTHER_MIX and len(other) >= UNSURE:
            most = int(np.abs(shares - training).argmax())
            yield Finding(
                text=f"{percent(shares[most])} of {name} are {found.labels[most]!r}, of the training "
                f"rows {percent(training[most])}: accuracy and calibration hold for a mix like that of {name}.",
                weight=apart / 2,
            )


def of_groups(found: Divided, likely: dict[str, list[Likely]]) -> Iterator[Finding]:
    """Groups on both sides, and columns that look like groups.

    Args:
        found: the rows.
        likely: by the name of a file, "" for rows held back, the columns that look like groups.
    """
    held = [group for group in found.pool.groups or () if group is not None]
    if found.group_column and len(set(held)) == len(held):
        yield Finding(
            text=f"no two rows have the same {found.group_column!r}, so that --group-column changes nothing.",
            weight=0.3,
        )
    for name, other in found.files():
        shared = shared_rows(found.training, other)
        if shared:
            share = shared / len(other)
            yield Finding(
                text=f"{rows(shared)} of {name} ({percent(share)}) {are(shared, 'has', 'have')} a "
                f"{found.group_column!r} that is also trained on{TOO_GOOD if share >= FEW else ''}.",
                weight=share,
                level="warning" if share >= FEW else "note",
            )
    for name, columns in likely.items():
        for one in columns[:1]:
            where = f"the rows of {name}" if name else "the validation rows"
            cure = "" if name else f" Keep them on one side with --group-column {one.column}."
            yield Finding(
                text=f"two rows of one {one.column!r} have the same label in {percent(one.agreement)} of cases, by "
                f"chance in {percent(one.chance)}, and {percent(one.shared_share)} of {where} have one that is also "
                f"trained on{TOO_GOOD}.{cure}",
                weight=0.4 * one.shared_share,
            )


def _counts(rows: Coded, found: Divided) -> npt.NDArray[np.int64]:
    return np.bincount(rows.codes, minlength=len(found.labels))


def _some(named: Sequence[str], most: int = 5) -> str:
    more = f" and {len(named) - most:,} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more


def _plural(what: str, count: int) -> str:
    return what if count == 1 else what.replace("row", "rows", 1)


def _them(named: Sequence[str]) -> str:
    return "it" if len(named) == 1 else "them"
