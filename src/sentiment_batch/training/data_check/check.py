"""The data check before training: counts rows and collects findings, as plain values for sentiment_batch.json.

It stops nothing. What it stores holds no text of the data, because model folders are published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.training.data_check.findings import sort_findings
from sentiment_batch.training.data_check.group_leaks import check_groups, count_shared_groups, find_group_columns
from sentiment_batch.training.data_check.overlaps import check_overlaps, count_equal_texts, find_overlaps
from sentiment_batch.training.data_check.row_counts import (
    check_class_mixes,
    check_class_sizes,
    check_repeats,
    check_validation,
)
from sentiment_batch.training.data_check.text_quality import check_text_quality

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import LabelledRows
    from sentiment_batch.labels.mapping import EncodedLabels, LabelMapping
    from sentiment_batch.training.dataset import ReviewSplits, TextIndex
    from sentiment_batch.training.split import IntArray


def count_rows(
    reviews: Sequence[LabelledRows],
    mapping: LabelMapping,
    encoded: EncodedLabels,
    splits: ReviewSplits,
    index: TextIndex,
) -> dict[str, Any]:
    """What is counted before the data check, as plain values."""
    training, folds = splits.training, splits.folds
    return {
        "sources": [one.name for one in reviews],
        "rows": sum(len(one.texts) + one.num_blank for one in reviews),
        "mapping": str(mapping),
        "blank": sum(one.num_blank for one in reviews),
        "label_missing": encoded.num_missing,
        "label_missing_written": encoded.named_missing,
        "label_unknown": encoded.named_unknown,
        "label_unknown_rows": encoded.num_unknown,
        "training_rows": len(training),
        "validation_rows": len(splits.validation),
        "folds": folds.number if folds else None,
        "classes": dict(zip(splits.labels, splits.count_classes(training).tolist(), strict=True)),
        "fingerprint": _hash_data(index.fingerprints(training), training.codes),
    }


def check_data(
    splits: ReviewSplits, counts: dict[str, Any], mapping: LabelMapping, *, weighted: bool
) -> dict[str, Any]:
    """Count what is unusual, and collect the findings.

    Args:
        splits: the rows of the run.
        counts: what is counted already, with `rows` (all that were read), `blank`, `label_missing`,
            `label_unknown_rows` and `conflicting` among it.
        mapping: the classes of the labels.
        weighted: true if the run uses class weights.

    Returns:
        `counts` and all that the check adds to it, as plain values.
    """
    # Counts of repeated texts, and of texts that files have in common
    all_rows = splits.all_rows
    num_texts = len(np.unique(all_rows.equal))
    summary = {
        **counts,
        "test_rows": len(splits.test) if splits.test is not None else 0,
        "repeated": len(all_rows) - num_texts,
        "nearly_repeated": num_texts - len(np.unique(all_rows.near)),
        "overlap_with_validation": (
            count_equal_texts(splits.training, splits.validation) if splits.validation_file else 0
        ),
        "overlap_with_test": count_equal_texts(splits.training, splits.test) if splits.test else 0,
        "overlaps": find_overlaps(splits),
    }
    # Columns that look like groups, if the user has named none: on both sides of the split, and of each other file
    candidates = {}
    if not splits.group_column:
        pairs = [("", *splits.first_split())] if not splits.validation_file else []
        pairs += [(name, splits.training, rows) for name, rows in splits.files()]
        candidates = {name: find_group_columns(training, rows) for name, training, rows in pairs}
    findings = [
        *check_class_sizes(splits.labels, splits.count_classes(splits.training), weighted=weighted),
        *check_validation(splits),
        *check_text_quality(splits),
        *check_repeats(len(all_rows), summary, mapping),
        *check_overlaps(summary["overlaps"]),
        *check_class_mixes(splits),
        *check_groups(splits, candidates),
    ]
    likely = {name or "held back": [one.to_json() for one in found] for name, found in candidates.items() if found}
    groups = None
    if splits.group_column:
        groups = _count_groups(splits)
    elif likely:
        groups = {"column": None, "likely": likely}
    # The lengths need the tokenizer of the base, so `add_lengths` puts them in their place later
    return summary | {"groups": groups, "lengths": None, "findings": [one.to_json() for one in sort_findings(findings)]}


def _count_groups(splits: ReviewSplits) -> dict[str, Any]:
    """The named group column, its numbers of groups and of rows without one, and the rows of shared groups by file."""
    groups = splits.all_rows.groups or []
    return {
        "column": splits.group_column,
        "groups": len({group for group in groups if group is not None}),
        "rows_without": sum(group is None for group in groups),
        "shared": {name: count_shared_groups(splits.training, rows) for name, rows in splits.files()},
    }


def _hash_data(fingerprints: Sequence[bytes], codes: IntArray) -> str:
    """A digest of the training rows that does not depend on their order.

    Args:
        fingerprints: (N,) the fingerprints of the texts.
        codes: (N,) class numbers.
    """
    parts = sorted(text + bytes([code % 256]) for text, code in zip(fingerprints, codes.tolist(), strict=True))
    return hashlib.sha256(b"".join(parts)).hexdigest()
