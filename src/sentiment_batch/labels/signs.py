"""Refuses label columns with minus signs, which may mean negative or no label, and asks which."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sentiment_batch.errors import UsageError, listed
from sentiment_batch.labels.stars import format_setting
from sentiment_batch.labels.values import MINUS_SIGNS, normalize_word
from sentiment_batch.labels.words import find_side
from sentiment_batch.report.formatting import format_quantity

SIGN_LABELS = {
    **{sign: "very negative" if len(sign) > 1 else "negative" for sign in sorted(MINUS_SIGNS)},
    **dict.fromkeys(("=", "+/-", "+-", "-+", "±"), "neutral"),
    "+": "positive",
    "++": "very positive",
}
"""What signs mean as labels."""
MIN_SHARE_OF_SIGNS = 0.05
"""Minus signs in a smaller share of the rows are no labels beside words."""


def check_signs(counts: Mapping[str, int], signs: Mapping[str, int], column: str, known: Collection[str] = ()) -> None:
    """Refuse a column in which minus signs may be the negative labels, because they count as no label otherwise.

    Args:
        counts: the number of rows of each canonical value.
        signs: the number of rows of each minus sign.
        column: the column's name.
        known: values and labels that have a meaning already.

    Raises:
        UsageError: other labels are signs, too, or the words lack a negative one and the minus signs are frequent.
    """
    # Minus signs are likely labels beside other signs, or where words lack a negative one and minus signs are frequent
    rows = sum(signs.values())
    others = {word for value in counts if (word := normalize_word(value)) in SIGN_LABELS}
    sides = set(map(find_side, counts))
    lacking = "positive" in sides and "negative" not in sides
    is_frequent = rows >= MIN_SHARE_OF_SIGNS * (rows + sum(counts.values()))
    if not rows or not (others or (lacking and is_frequent)) or not set(signs).isdisjoint(known):
        return
    meaning = ",".join(f"{sign}={label}" for sign, label in SIGN_LABELS.items() if sign in others.union(signs))
    raise UsageError(
        f"column {column!r} holds {listed(sorted(signs))} in {format_quantity(rows, 'row')}, which may be the negative "
        f"label or stand for no label. If it is a label, use {format_setting(meaning, 'labels_map')}. If it is none, "
        f"use {format_setting(','.join(sorted(signs)), 'no_answer')}, or name another column with `label_column`."
    )
