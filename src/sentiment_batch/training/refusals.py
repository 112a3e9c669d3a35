"""Refuses labelled rows that a classifier cannot learn from, with the reason and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.errors import InputError, listed
from sentiment_batch.labels.stars import format_setting, suggest_meaning
from sentiment_batch.labels.values import find_numbers, is_placeholder_label
from sentiment_batch.report.formatting import format_quantity

if TYPE_CHECKING:
    from sentiment_batch.labels.mapping import EncodedLabels, LabelMapping
    from sentiment_batch.training.dataset import ReviewSet, ReviewSplits
    from sentiment_batch.training.split import IntArray


def refuse_equal_texts(all_rows: ReviewSet) -> None:
    """Refuse rows whose texts cannot tell one class from another.

    Raises:
        InputError: all texts are equal, or each has several labels.
    """
    if len(np.unique(all_rows.equal)) == 1:
        raise InputError(
            f"all {len(all_rows):,} rows hold the same text. Name the column with the reviews with `text_column`."
        )
    # Text and class as one number: then equal pairs are found by one sort
    classes = int(all_rows.codes.max()) + 1
    texts, counts = np.unique(np.unique(all_rows.equal * classes + all_rows.codes) // classes, return_counts=True)
    if len(np.unique(all_rows.codes)) > 1 and (counts > 1).all():
        raise InputError(
            f"each of the {len(texts):,} different texts occurs with several labels. Check `text_column` and "
            "`label_column`, or correct the labels."
        )


def explain_placeholders(mapping: LabelMapping) -> str | None:
    """The message if all labels are placeholders such as `LABEL_0`, which scoring refuses; else None."""
    if not all(map(is_placeholder_label, mapping.labels)):
        return None
    names = ("negative", "positive") if len(mapping.labels) == 2 else ("negative", "neutral", "positive")
    example = ",".join(f"{label}={name}" for label, name in zip(mapping.labels, names, strict=False))
    return (
        f"the labels {listed(mapping.labels)} are placeholders. Say what they mean, as in "
        f"{format_setting(example, 'labels_map')}."
    )


def refuse_single_class(codes: IntArray, mapping: LabelMapping, encoded: EncodedLabels, *, sampled: bool) -> None:
    """Refuse rows of a single class, and labels without a meaning.

    Args:
        codes: (N,) the class numbers of the rows to train on.
        mapping: how the labels were read.
        encoded: all labels as class numbers.
        sampled: true if `limit` has left out some rows.

    Raises:
        InputError: there are fewer than two classes, or their names are placeholders.
    """
    if placeholders := explain_placeholders(mapping):
        raise InputError(placeholders)
    present = [mapping.labels[code] for code in np.unique(codes)]
    if len(present) >= 2:
        return
    # Say why there are too few classes: the limit, the meaning of the numbers, or another column
    readable = np.unique(encoded.codes[encoded.codes >= 0])
    if sampled and len(readable) > 1:
        raise InputError(f"`limit` leaves only rows of {present[0]!r}; a classifier needs two classes. Raise `limit`.")
    rows = f" ({format_quantity(int((encoded.codes >= 0).sum()), 'row')})"
    what = f"only {present[0]!r}{rows}" if present else "no known label"
    read = "" if present == [str(mapping)] else f", read as {mapping}"
    unknown = f"; {listed(encoded.unknown, 5)} is unknown or too rare" if encoded.unknown else ""
    cure = "Give rows of another class too, or name another column with `label_column`."
    if encoded.missing:
        unknown += f"; {listed(encoded.missing, 5)} counts as no label, unless `labels_map` gives it one"
    # With 1, because the labels that were read may all be one number, and a meaning needs two
    numbers = find_numbers(encoded.unknown) | {1.0}
    if mapping.kind in {"numbers", "stars"} and len(numbers) > 1:
        meaning = format_setting(suggest_meaning(numbers))
        cure = f"Check `label_column`, or say what the numbers mean, such as {meaning}."
    raise InputError(f"the label column contains {what}{read}{unknown}; a classifier needs two classes. {cure}")


def refuse_small_split(splits: ReviewSplits, num_conflicting: int) -> None:
    """Refuse rows of which none validates, or that leave a single class to train on.

    Args:
        splits: the rows after the split.
        num_conflicting: the number of rows whose text has several labels.

    Raises:
        InputError: there are too few different texts or groups.
    """
    if len(splits.labels) >= 2 and len(splits.validation):
        return
    what, cure = "texts", "Give more rows"
    detail = f" ({num_conflicting:,} rows have a text with several labels)" if num_conflicting else ""
    if splits.group_column and splits.all_rows.groups:
        groups = len({group for group in splits.all_rows.groups if group is not None})
        detail = (
            f": the {len(splits.all_rows):,} rows form {format_quantity(groups, 'group')} by {splits.group_column!r}"
        )
        what, cure = "groups", "Leave `group_column` out, name another column"
    raise InputError(
        f"there are too few different {what} to hold some back for validation{detail}. {cure}, or give a `val_file`."
    )
