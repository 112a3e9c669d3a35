"""The figures of a classifier on parts of the rows: by the length of texts, and by the values of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.evaluation.intervals import share_interval
from sentiment_batch.evaluation.metrics import calibration_error, measure

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.model.probabilities import Floats

LENGTH_LIMITS = (16, 32, 64, 128, 256, 512)
"""The largest number of tokens of each part, special tokens included."""
MAX_VALUES = 20
"""Values of a column that are measured apart, the most frequent ones. The rows of all others make one more part."""
MAX_VALUE_NAME_LENGTH = 60
"""Characters of the name of a value."""


def measure_by_length(
    probabilities_NK: Floats,
    codes_N: Codes,
    labels: Sequence[str],
    lengths_N: npt.NDArray[np.int64],
    cut_N: npt.NDArray[np.bool_],
) -> list[dict[str, Any]]:
    """The parts by length: `group`, `rows`, `accuracy`, its `interval`, `macro_f1`, `calibration_error` and `cut`.

    Args:
        probabilities_NK: the predicted probabilities.
        codes_N: the true classes.
        labels: the K labels.
        lengths_N: the tokens of each text before it was cut.
        cut_N: true if the text was cut.
    """
    bucket_N = np.searchsorted(LENGTH_LIMITS, lengths_N)
    names = [f"{low + 1}-{high} tokens" for low, high in zip((0, *LENGTH_LIMITS), LENGTH_LIMITS, strict=False)]
    names.append(f"over {LENGTH_LIMITS[-1]} tokens")
    found = []
    for bucket in np.unique(bucket_N).tolist():
        inside = bucket_N == bucket
        found.append(
            _measure_part(names[bucket], probabilities_NK, codes_N, labels, inside) | {"cut": int(cut_N[inside].sum())}
        )
    return found


def measure_by_value(
    probabilities_NK: Floats, codes_N: Codes, labels: Sequence[str], values_N: pa.DictionaryArray
) -> list[dict[str, Any]]:
    """The parts by the value of a column, in the form of `measure_by_length`; the most frequent values first.

    Args:
        probabilities_NK: the predicted probabilities.
        codes_N: the true classes.
        labels: the K labels.
        values_N: the value of each row as text.
    """
    # Null is one more value, numbered after all others
    numbers_N = values_N.indices.fill_null(len(values_N.dictionary)).to_numpy(zero_copy_only=False)
    counts = np.bincount(numbers_N)
    frequent = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    apart = frequent if len(frequent) == MAX_VALUES + 1 else frequent[:MAX_VALUES]  # no "1 other value"
    # By the number of a value, the number of its part. All values that are not measured apart share the last part.
    part_of = np.full(len(counts), len(apart))
    part_of[apart] = np.arange(len(apart))
    part_N = part_of[numbers_N]
    # Long names are cut in their middle, so two of them may become equal
    names = _make_unique([_name_value(values_N.dictionary, number) for number in apart.tolist()])
    if len(frequent) > len(apart):
        names.append(f"{len(frequent) - len(apart):,} other values")
    found = [_measure_part(name, probabilities_NK, codes_N, labels, part_N == part) for part, name in enumerate(names)]
    by_rows = sorted(found[: len(apart)], key=lambda one: (-one["rows"], one["group"]))
    return by_rows + found[len(apart) :]


def _measure_part(
    name: str, probabilities_NK: Floats, codes_N: Codes, labels: Sequence[str], inside_N: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    probabilities, codes = probabilities_NK[inside_N], codes_N[inside_N]
    one = measure(probabilities, codes, labels)
    hits = sum(row[place] for place, row in enumerate(one.confusion))
    return {
        "group": name,
        "rows": one.rows,
        "accuracy": one.accuracy,
        "interval": share_interval(hits, one.rows),
        "macro_f1": one.macro_f1,
        "calibration_error": calibration_error(probabilities, codes),
    }


def _name_value(dictionary: pa.LargeStringArray, number: int) -> str:
    """The name of a value of the column, with words for a missing and for an empty one."""
    if number == len(dictionary):
        return "(none)"
    name: str = dictionary[number].as_py() or "(empty)"
    half = MAX_VALUE_NAME_LENGTH // 2
    return name if len(name) <= MAX_VALUE_NAME_LENGTH else f"{name[: half - 1]}…{name[-half:]}"


def _make_unique(names: Sequence[str]) -> list[str]:
    """The names; names that became equal when they were shortened get a number."""
    seen: Counter[str] = Counter()
    titles = []
    for name in names:
        seen[name] += 1
        titles.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return titles
