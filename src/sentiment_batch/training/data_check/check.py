"""The data check before training: divided rows in, counts and findings for sentiment_batch.json out, and said.

It stops nothing, and what it gives to be stored holds no text of the data: model folders are published.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.training.data_check import data_findings, wording
from sentiment_batch.training.data_check.findings import by_weight
from sentiment_batch.training.data_check.group_leaks import likely_groups, shared_rows
from sentiment_batch.training.data_check.lengths import lengths, of_lengths

if TYPE_CHECKING:
    from sentiment_batch.tokenization.ragged import Tokens
    from sentiment_batch.tokenization.tokenizer import TextPolicy
    from sentiment_batch.training.dataset import Coded, Divided

logger = logging.getLogger("sentiment_batch")

MOST_OVERLAPS = 20
"""Pairs of tables that are listed."""


def check(found: Divided, counts: dict[str, Any], *, weighted: bool) -> dict[str, Any]:
    """Count what is odd, and find what is worth a sentence.

    Args:
        found: the rows of the run.
        counts: what is known already, among it `rows` (all that were read), `blank`, `label_missing`,
            `label_unknown_rows` and `conflicting`.
        weighted: whether classes are weighed already.

    Returns:
        `counts` and all that the check adds to it: plain values.
    """
    pool = found.pool
    once = len(np.unique(pool.equal))
    summary = {
        **counts,
        "test_rows": len(found.test) if found.test is not None else 0,
        "repeated": len(pool) - once,
        "nearly_repeated": once - len(np.unique(pool.near)),
        "overlap_with_validation": _equal(found.training, found.validation) if found.validation_file else 0,
        "overlap_with_test": _equal(found.training, found.test) if found.test else 0,
        "overlaps": _overlaps(found),
    }
    likely = (
        {name: likely_groups(found.training, other) for name, other in _held(found)} if not found.group_column else {}
    )
    findings = [
        *data_findings.of_classes(found, weighted=weighted),
        *data_findings.of_validation(found),
        *data_findings.of_texts(found),
        *data_findings.of_repeats(found, summary),
        *data_findings.of_overlaps(summary["overlaps"]),
        *data_findings.of_mixes(found),
        *data_findings.of_groups(found, likely),
    ]
    named = {name or "held back": [one.to_json() for one in columns] for name, columns in likely.items() if columns}
    groups = _groups(found) if found.group_column else {"column": None, "likely": named} if named else None
    return summary | {"groups": groups, "lengths": None, "findings": [one.to_json() for one in by_weight(findings)]}


def tell(summary: dict[str, Any], conflicts: Sequence[str] = ()) -> None:
    """Say what was found, in lines of 80 columns.

    Args:
        summary: of `check`.
        conflicts: some texts with several labels; they are said, and not stored.
    """
    logger.info("%s", "\n".join(["data check", *wording.block(summary, conflicts)]))
    wording.tell_findings(summary["findings"])


def with_lengths(summary: dict[str, Any], tokens: Tokens, policy: TextPolicy, positions: int) -> dict[str, Any]:
    """The summary with the lengths of the training texts, which are said.

    Args:
        summary: of `check`.
        tokens: of the training rows, cut by the policy.
        policy: how much of a text is kept, and which part.
        positions: tokens that the encoder takes at most.
    """
    found = lengths(tokens, policy)
    logger.info("%s", "\n".join(wording.of_lengths(found, policy.long_text)))
    findings = [one.to_json() for one in of_lengths(found, positions)]
    wording.tell_findings(findings)
    return summary | {"lengths": found, "findings": summary["findings"] + findings}


def _held(found: Divided) -> Iterable[tuple[str, Coded]]:
    """The rows that measure, by the name of their file, "" for those held back."""
    if not found.validation_file:
        yield "", found.validation
    yield from found.files()


def _equal(known: Coded, other: Coded) -> int:
    """Rows of `other` whose text is also among the known."""
    return int(np.isin(other.equal, known.equal).sum())


def _overlaps(found: Divided) -> list[dict[str, Any]]:
    """Pairs of tables with equal or nearly equal texts."""
    classes = len(found.labels)
    listed = [_overlap(*pair, classes) | {"kind": "training"} for pair in _tables(found)]
    for name, other in found.files():
        kind = "test" if other is found.test else "validation"
        listed.append(_overlap(name, other, "the training rows", found.training, classes) | {"kind": kind})
    if found.test is not None:
        pair = (found.test_file or "the test rows", found.test, found.validation_file or "the validation rows")
        listed.append(_overlap(*pair, found.validation, classes) | {"kind": "validation and test"})
    return [one for one in listed if one["rows"] or one["nearly"]]


def _tables(found: Divided) -> list[tuple[str, Coded, str, Coded]]:
    """Each table to train on with those before it, where they have texts in common."""
    pool = found.pool
    if len(found.tables) < 2:
        return []
    first = np.full(int(pool.near.max()) + 1, len(found.tables))
    np.minimum.at(first, pool.near, pool.files)
    earlier = first[pool.near]
    later = earlier < pool.files
    pairs, counts = np.unique(earlier[later] * len(found.tables) + pool.files[later], return_counts=True)
    most = [
        divmod(pair, len(found.tables)) for pair in pairs[np.argsort(-counts, kind="stable")][:MOST_OVERLAPS].tolist()
    ]
    of = {table: pool.take(np.flatnonzero(pool.files == table)) for pair in most for table in pair}
    return [(found.tables[late], of[late], found.tables[early], of[early]) for early, late in most]


def _overlap(name: str, other: Coded, known_name: str, known: Coded, classes: int) -> dict[str, Any]:
    """What rows of `other` have in common with the known ones."""
    equal = np.isin(other.equal, known.equal)
    same_label = np.isin(other.equal * classes + other.codes, known.equal * classes + known.codes)
    return {
        "of": name,
        "with": known_name,
        "rows": int(equal.sum()),
        "share": round(float(equal.mean()), 4),
        "other_label": int((equal & ~same_label).sum()),
        "nearly": int((~equal & np.isin(other.near, known.near)).sum()),
    }


def _groups(found: Divided) -> dict[str, Any]:
    held = found.pool.groups or []
    return {
        "column": found.group_column,
        "groups": len({group for group in held if group is not None}),
        "rows_without": sum(group is None for group in held),
        "shared": {name: shared_rows(found.training, other) for name, other in found.files()},
    }
