"""Finds classes, validation rows and repeated texts whose number of rows is worth a note or a warning."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.labels.mapping import suggest_middle
from sentiment_batch.labels.stars import format_setting
from sentiment_batch.report.formatting import format_quantity
from sentiment_batch.training.data_check.findings import Finding, format_share, join_names

if TYPE_CHECKING:
    from sentiment_batch.labels.mapping import LabelMapping
    from sentiment_batch.training.dataset import ReviewSplits
    from sentiment_batch.training.split import IntArray

MIN_ROWS_PER_CLASS = 10
"""A class with fewer rows is hardly learned."""
MAX_IMBALANCE = 3.0
"""Rows of the most frequent class for each row of the rarest, from which on class weights may matter."""
MIN_RELIABLE_VALIDATION = 400
"""Validation rows from which on an accuracy of 90 % is known to three points."""
MIN_USABLE_VALIDATION = 50
"""Validation rows below which an accuracy of 90 % is not even known to eight points."""
MIN_VALIDATION_GROUPS = 5
MIN_REPEATED_SHARE = 0.05
"""Share of rows from which on repeated, conflicting or left-out rows are a finding and not only a count."""
MAX_MIX_DISTANCE = 0.15
"""Half the sum of differences between the shares of the classes, from which on two tables have different mixes."""


def check_class_sizes(labels: Sequence[str], counts: IntArray, *, weighted: bool = False) -> Iterator[Finding]:
    """Find rare classes.

    Args:
        labels: the K classes.
        counts: (K,) their rows.
        weighted: true if the run uses class weights.
    """
    # Too few rows to learn a class at all
    rare = [f"{label!r} ({n})" for label, n in zip(labels, counts, strict=True) if n < MIN_ROWS_PER_CLASS]
    if rare:
        cure = "Give more rows" if len(rare) == len(labels) else "Give more rows of each such class, or leave it out"
        yield Finding(
            text=f"Too few rows to learn from: {join_names(rare)}. {cure}.",
            weight=0.6,
            level="warning",
        )
    # Or far fewer than the largest class has
    rarest, most = int(counts.argmin()), int(counts.argmax())
    if counts[most] >= MAX_IMBALANCE * counts[rarest] and not weighted:
        shares = counts / counts.sum()
        yield Finding(
            text=f"{format_share(shares[most])} of the rows are {labels[most]!r} and {format_share(shares[rarest])} "
            f"{labels[rarest]!r}. If rare classes count as much as frequent ones, try "
            '`class_weights="auto"`.',
            weight=0.3,
        )


def check_validation(splits: ReviewSplits) -> Iterator[Finding]:
    """Find classes without a validation row, and too few validation rows, or rows of too few groups."""
    validated = splits.count_classes(splits.validation)
    missing = [repr(label) for label, n in zip(splits.labels, validated, strict=True) if not n]
    if missing:
        yield Finding(
            text=f"No validation row has the label {join_names(missing)}, so the model is not measured on it. Validate "
            "on rows of every class.",
            weight=0.5,
            level="warning",
        )
    count = len(splits.validation)
    if count < MIN_RELIABLE_VALIDATION:
        # Half the 95 % interval of a share of 0.9, by the normal distribution
        half_width = 1.96 * math.sqrt(0.9 * 0.1 / count)
        cure = "Hold back more with `val_size`, or set `folds=5`."
        if splits.validation_file or splits.folds:
            cure = "Give a larger `val_file`." if splits.validation_file else "More labelled rows help."
        yield Finding(
            text=f"Only {format_quantity(count, 'row')} {'validates' if count == 1 else 'validate'}, so an accuracy of "
            f"90 % is known only to within {100 * half_width:.0f} percentage points. {cure}",
            weight=0.2,
            level="warning" if count < MIN_USABLE_VALIDATION else "note",
        )
    # Rows of one group are alike, so many rows of few groups are worth little more than these groups
    groups = {group for group in splits.validation.groups or () if group is not None}
    if splits.group_column and not splits.validation_file and not splits.folds and len(groups) < MIN_VALIDATION_GROUPS:
        yield Finding(
            text=f"The validation rows come from {format_quantity(len(groups), 'group')} of {splits.group_column!r} "
            "alone, so they say little about other groups. Hold back more rows with `val_size`.",
            weight=0.3,
        )


def check_repeats(rows: int, counts: Mapping[str, Any], mapping: LabelMapping | None) -> Iterator[Finding]:
    """Find many repeated and conflicting texts, and many rows that are left out.

    Args:
        rows: the number of rows with a text.
        counts: the counts of the summary.
        mapping: the classes of the labels; None if they are unknown.
    """
    repeated, conflicting = counts["repeated"] / rows, counts["conflicting"] / rows
    if repeated >= MIN_REPEATED_SHARE:
        yield Finding(
            text=f"{format_share(repeated)} of the rows repeat the text of another row. Equal texts stay on one side "
            "of the split.",
            weight=repeated / 2,
        )
    if conflicting >= MIN_REPEATED_SHARE / 10:
        yield Finding(
            text=f"{format_share(conflicting)} of the rows hold a text that also occurs with another label. No model "
            "can be right about both. Check how these texts were labelled.",
            weight=conflicting,
            level="warning" if conflicting >= MIN_REPEATED_SHARE else "note",
        )
    unknown = next(iter(counts["label_unknown"]), None)
    example = "" if unknown is None else f", such as {unknown!r},"
    # The middle of a scale of stars is left out on purpose. The cure makes a class of it.
    middle = None if mapping is None else suggest_middle(mapping, counts["label_unknown"])
    classes = "`stars` or `labels_map`" if middle is None else format_setting(middle)
    # Rows that are left out, by the reason
    for count, condition, cure in (
        (counts["blank"], "hold no text", "Check `text_column`"),
        (counts["label_missing"], "have no label", "Check `label_column`"),
        (
            counts["label_unknown_rows"],
            f"have a label of no class{example}",
            f"Check `label_column`, or give them a class with {classes}",
        ),
    ):
        share = count / counts["rows"]
        if share >= MIN_REPEATED_SHARE:
            yield Finding(text=f"{format_share(share)} of the rows {condition} and are left out. {cure}.", weight=share)


def check_class_mixes(splits: ReviewSplits) -> Iterator[Finding]:
    """Find files whose classes are mixed in another way than those of the training rows."""
    training = splits.count_classes(splits.training) / len(splits.training)
    for name, rows in splits.files():
        shares = splits.count_classes(rows) / len(rows)
        # The total variation distance: the share of rows that would need another class. Few rows differ by chance.
        distance = float(np.abs(shares - training).sum() / 2)
        if distance >= MAX_MIX_DISTANCE and len(rows) >= MIN_USABLE_VALIDATION:
            code = int(np.abs(shares - training).argmax())
            yield Finding(
                text=f"{format_share(shares[code])} of the rows of {name} are {splits.labels[code]!r}, but "
                f"{format_share(training[code])} of the training rows. Accuracy and calibration hold for a mix like "
                f"that of {name}.",
                weight=distance / 2,
            )
