"""Finds texts that two tables of a run have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.training.data_check.findings import MIN_LEAK_SHARE, TOO_GOOD, Finding, format_share

if TYPE_CHECKING:
    from sentiment_batch.training.dataset import ReviewSet, ReviewSplits

MAX_OVERLAPS = 20
"""Pairs of tables to train on that are listed."""
MIN_TWICE_SHARE = 0.5
"""Share of common rows from which on two tables to train on look like the same table. A smaller overlap does no harm,
because equal texts stay on one side of the split."""


def count_equal_texts(known: ReviewSet, other: ReviewSet) -> int:
    """The number of rows of `other` whose text is also in `known`."""
    return int(np.isin(other.equal, known.equal).sum())


def find_overlaps(splits: ReviewSplits) -> list[dict[str, Any]]:
    """The pairs of tables with equal or nearly equal texts, as plain values.

    Each has the names of the tables (`of` and `with`), their `kind`, the number of `rows` of the first one with an
    equal text in the second, their `share`, how many have an `other_label`, and how many more are `nearly` equal.
    """
    classes = len(splits.labels)
    overlaps = [_compare(*pair, classes) | {"kind": "training"} for pair in _pair_training_tables(splits)]
    for name, rows in splits.files():
        kind = "test" if rows is splits.test else "validation"
        overlaps.append(_compare(name, rows, "the training rows", splits.training, classes) | {"kind": kind})
    if splits.test is not None and splits.folds is None:
        names = splits.test_file or "the test rows", splits.validation_file or "the validation rows"
        overlap = _compare(names[0], splits.test, names[1], splits.validation, classes)
        overlaps.append(overlap | {"kind": "validation and test"})
    return [one for one in overlaps if one["rows"] or one["nearly"]]


def check_overlaps(overlaps: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Find overlaps that may make figures too good, and tables that were given twice."""
    for overlap in overlaps:
        is_training = overlap["kind"] == "training"
        sentence = f"{_describe_rows(overlap)}{_describe_details(overlap)}."
        if is_training and overlap["share"] >= MIN_TWICE_SHARE:
            text = f"{sentence} Check whether the same rows were given twice."
            yield Finding(text=text, weight=overlap["share"] / 2)
        elif not is_training:
            leaks = overlap["share"] >= MIN_LEAK_SHARE
            trained_on = overlap["kind"] != "validation and test"
            yield Finding(
                text=f"{sentence} {TOO_GOOD}" if leaks else sentence,
                weight=0.5 + overlap["share"] / 2 if leaks else overlap["share"],
                level="warning" if leaks and trained_on else "note",
            )


def _describe_rows(overlap: Mapping[str, Any]) -> str:
    """The beginning of the finding, such as `20 validation rows hold a text that is also trained on`."""
    kind, count = overlap["kind"], overlap["rows"] or overlap["nearly"]
    rows, verb = ("row", "holds") if count == 1 else ("rows", "hold")
    subject = {"training": f"{rows} of {overlap['of']}", "validation": f"validation {rows}"}.get(kind, f"test {rows}")
    known = {"training": f"in {overlap['with']}, too", "validation and test": "also validated on"}
    nearly = "" if overlap["rows"] else "nearly "
    return f"{count:,} {subject} {verb} {nearly}a text that is {known.get(kind, 'also trained on')}"


def _describe_details(overlap: Mapping[str, Any]) -> str:
    """The numbers in brackets, such as ` (4.0 %; 5 with another label; 3 more nearly)`; empty if there are none."""
    details = [format_share(overlap["share"])] if overlap["rows"] else []
    details += [f"{overlap['other_label']:,} with another label"] if overlap["other_label"] else []
    details += [f"{overlap['nearly']:,} more nearly"] if overlap["nearly"] and overlap["rows"] else []
    return f" ({'; '.join(details)})" if details else ""


def _pair_training_tables(splits: ReviewSplits) -> list[tuple[str, ReviewSet, str, ReviewSet]]:
    """Each table to train on with an earlier one that has texts in common with it; the largest overlaps first."""
    all_rows, count = splits.all_rows, len(splits.tables)
    if count < 2:
        return []
    # The first table that holds each text. Rows of a later table with that text overlap with it.
    first = np.full(int(all_rows.near.max()) + 1, count)
    np.minimum.at(first, all_rows.near, all_rows.files)
    earlier = first[all_rows.near]
    repeats = earlier < all_rows.files
    # A pair of tables as one number, so that one sort counts the rows of each pair
    pairs, rows = np.unique(earlier[repeats] * count + all_rows.files[repeats], return_counts=True)
    largest = pairs[np.argsort(-rows, kind="stable")][:MAX_OVERLAPS].tolist()
    numbers = [divmod(pair, count) for pair in largest]
    tables = {table: all_rows.take(np.flatnonzero(all_rows.files == table)) for pair in numbers for table in pair}
    return [(splits.tables[late], tables[late], splits.tables[early], tables[early]) for early, late in numbers]


def _compare(name: str, other: ReviewSet, known_name: str, known: ReviewSet, classes: int) -> dict[str, Any]:
    """What rows of `other` have in common with those of `known`."""
    equal = np.isin(other.equal, known.equal)
    # Text and class as one number
    same_label = np.isin(other.equal * classes + other.codes, known.equal * classes + known.codes)
    return {
        "of": name,
        "with": known_name,
        "rows": int(equal.sum()),
        "share": round(float(equal.mean()), 4),
        "other_label": int((equal & ~same_label).sum()),
        "nearly": int((~equal & np.isin(other.near, known.near)).sum()),
    }
