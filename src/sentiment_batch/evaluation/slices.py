"""A classifier on parts of its rows: predictions and what divides them in, the figures of each part out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.evaluation.intervals import of_share
from sentiment_batch.evaluation.metrics import calibration_error, measure

if TYPE_CHECKING:
    import pyarrow as pa

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
    probabilities_NK: Floats, codes_N: Codes, labels: Sequence[str], values_N: pa.DictionaryArray
) -> list[dict[str, Any]]:
    """The parts by the value of a column, as `by_length` has them; the most frequent values first.

    Args:
        probabilities_NK: of each row and label.
        codes_N: the true classes.
        labels: the K names.
        values_N: as `values.words_of` gives them.
    """
    numbers_N = values_N.indices.fill_null(len(values_N.dictionary)).to_numpy(zero_copy_only=False)
    counts = np.bincount(numbers_N)
    frequent = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    apart = frequent if len(frequent) == MOST_VALUES + 1 else frequent[:MOST_VALUES]  # one more is no "others"
    part_of = np.full(len(counts), len(apart))
    part_of[apart] = np.arange(len(apart))
    part_N = part_of[numbers_N]
    names = _titles([_name(values_N.dictionary, number) for number in apart.tolist()])
    if len(frequent) > len(apart):
        names.append(f"{len(frequent) - len(apart):,} other values")
    found = [_figures(name, probabilities_NK, codes_N, labels, part_N == part) for part, name in enumerate(names)]
    by_rows = sorted(found[: len(apart)], key=lambda one: (-one["rows"], one["group"]))
    return by_rows + found[len(apart) :]


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


def _name(dictionary: pa.LargeStringArray, number: int) -> str:
    """How a value of the column is called; a missing or an empty one too."""
    if number == len(dictionary):
        return "(none)"
    name: str = dictionary[number].as_py() or "(empty)"
    half = MOST_CHARACTERS // 2
    return name if len(name) <= MOST_CHARACTERS else f"{name[: half - 1]}…{name[-half:]}"


def _titles(names: Sequence[str]) -> list[str]:
    """The names, those that are the same once they are short with a number."""
    seen: Counter[str] = Counter()
    titles = []
    for name in names:
        seen[name] += 1
        titles.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return titles
