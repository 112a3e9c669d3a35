"""A classifier on parts of its rows: predictions and what divides them in, the figures of each part out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.intervals import of_share
from sentiment_batch.metrics import calibration_error, measure
from sentiment_batch.visible import one_line

Floats = npt.NDArray[np.floating[Any]]
Codes = npt.NDArray[np.int64]

LENGTHS = (16, 32, 64, 128, 256, 512)
"""Tokens, special ones included, up to which a text belongs to a bucket."""
MOST_VALUES = 20
"""Values of a column that are measured apart, the most frequent; the rows of all others make one more part."""
MOST_CHARACTERS = 60
"""Of a value's name."""


def by_length(
    probabilities_NK: Floats,
    codes_N: Codes,
    labels: Sequence[str],
    lengths_N: npt.NDArray[np.int64],
    cut_N: npt.NDArray[np.bool_],
) -> list[dict[str, Any]]:
    """The parts by length: `group`, `rows`, `accuracy`, its `interval`, `macro_f1`, `calibration_error` and `cut`.

    Args:
        probabilities_NK: of each row and label.
        codes_N: the true classes.
        labels: the K names.
        lengths_N: tokens of each text before it was cut.
        cut_N: whether it was.
    """
    bucket_N = np.searchsorted(LENGTHS, lengths_N)
    names = [f"{low + 1}-{high} tokens" for low, high in zip((0, *LENGTHS), LENGTHS, strict=False)]
    names.append(f"over {LENGTHS[-1]} tokens")
    found = []
    for bucket in np.unique(bucket_N).tolist():
        inside = bucket_N == bucket
        found.append(
            _figures(names[bucket], probabilities_NK, codes_N, labels, inside) | {"cut": int(cut_N[inside].sum())}
        )
    return found


def by_value(
    probabilities_NK: Floats, codes_N: Codes, labels: Sequence[str], values_N: Sequence[object]
) -> list[dict[str, Any]]:
    """The parts by the value of a column, as `by_length` has them; the most frequent values first."""
    shown = [_name(value) for value in values_N]
    counts = Counter(shown)
    frequent = sorted(counts, key=lambda name: (-counts[name], name))
    apart = {name: number for number, name in enumerate(frequent[:MOST_VALUES])}
    part_N = np.array([apart.get(name, len(apart)) for name in shown])
    found = [_figures(name, probabilities_NK, codes_N, labels, part_N == number) for name, number in apart.items()]
    if len(frequent) > len(apart):
        name = f"{len(frequent) - len(apart):,} other values"
        found.append(_figures(name, probabilities_NK, codes_N, labels, part_N == len(apart)))
    return found


def table(what: str, groups: Sequence[Mapping[str, Any]]) -> str:
    """The parts as text."""
    names = [one_line(group["group"]) for group in groups]
    width = max(16, len(one_line(what)), *(len(name) for name in names))
    lines = [f"{one_line(what):{width}}     rows  accuracy  [95 %]            macro F1  calibration error"]
    for name, group in zip(names, groups, strict=True):
        low, high = group["interval"]
        cut = f"  {group['cut']:,} cut" if group.get("cut") else ""
        lines.append(
            f"{name:{width}}  {group['rows']:7,}  {group['accuracy']:8.4f}  [{low:.4f}, {high:.4f}]  "
            f"{group['macro_f1']:8.4f}  {group['calibration_error']:17.4f}{cut}"
        )
    return "\n".join(lines)


def _figures(
    name: str, probabilities_NK: Floats, codes_N: Codes, labels: Sequence[str], inside_N: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    probabilities, codes = probabilities_NK[inside_N], codes_N[inside_N]
    one = measure(probabilities, codes, labels)
    hits = sum(row[place] for place, row in enumerate(one.confusion))
    return {
        "group": name,
        "rows": one.rows,
        "accuracy": one.accuracy,
        "interval": of_share(hits, one.rows),
        "macro_f1": one.macro_f1,
        "calibration_error": calibration_error(probabilities, codes),
    }


def _name(value: object) -> str:
    """How a value of the column is called; a missing one too."""
    if value is None or value != value:  # only NaN is not itself
        return "(none)"
    name = str(value)
    return name if len(name) <= MOST_CHARACTERS else name[: MOST_CHARACTERS - 3] + "..."
