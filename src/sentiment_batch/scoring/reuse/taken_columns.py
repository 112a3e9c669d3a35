"""Restores probabilities from the columns that an earlier run added. They give the same columns again.

The output holds rounded probabilities, and often only that of the label. What is missing is filled in so that
`AddedColumns.arrays` gives the same labels and numbers. Rows for which it does not are left to the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import decode_dictionary, holds_text
from sentiment_batch.errors import InputError, listed

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.added_columns import AddedColumns

_SUM_TOLERANCE = 1e-5
"""Largest difference of the sum of unrounded probabilities from 1, which comes from float32."""

Places = npt.NDArray[np.int64]


def restore_probabilities(added: AddedColumns, columns: Sequence[pa.Array]) -> Floats:
    """Probabilities that give the same added columns.

    Args:
        added: the columns that the scorer adds.
        columns: those columns of the earlier output, each (rows,), in their order, as any format gives them.

    Returns:
        (rows, labels), NaN for a row without a label, and for a row whose columns no probabilities give.

    Raises:
        InputError: a label is none of the model's, or a number cannot be read.
    """
    sentiments = find_sentiments(added, columns[0])
    numbers = [_read_numbers(column, name) for column, name in zip(columns[1:], added.names[1:], strict=True)]
    score, given = numbers[0], numbers[1:]
    # 1. Probabilities near those of the model: as they stand in the table, or filled in from the score
    probabilities = np.stack(given, axis=1) if given else _fill_in(score, sentiments, added)
    best = _find_best(added, sentiments, probabilities)
    # 2. Undo what rounding can do: it moves a score over the border of the band, or makes two labels equal
    _fit_to_band(added, sentiments, best, probabilities)
    _lift(best, probabilities)
    # 3. Keep only rows for which the detour gives the same columns again, and whose numbers a model can give.
    #    The highest of n probabilities is at least 1/n, and all of them add up to 1.
    rounding = 0.5 * 10.0**-added.decimals + _SUM_TOLERANCE
    is_sound = _give_same(added, probabilities, sentiments, numbers)
    is_sound &= (score >= 1 / len(added.labels) - rounding) & (score <= 1)
    if given:
        total = np.stack(given, axis=1).sum(axis=1, dtype=np.float64)
        is_sound &= np.abs(total - 1) <= rounding * len(given)
    probabilities[~is_sound] = np.nan
    return probabilities


def find_sentiments(added: AddedColumns, column: pa.Array) -> Places:
    """The index of each row's label in `added.sentiments`, (rows,); -1 for a row without a label.

    Raises:
        InputError: there is another label, or something that is no text.
    """
    try:
        labels = decode_dictionary(column).cast(pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"column {added.prefix!r} holds something that is no label: {error}") from error
    places = pc.index_in(labels, pa.array(added.sentiments, pa.large_string()))
    # CSV has an empty field for null.
    unknown = labels.filter(pc.and_kleene(places.is_null(), pc.not_equal(labels, "")))
    if len(unknown):
        raise InputError(
            f"column {added.prefix!r} holds {unknown[0].as_py()!r}, but the labels of the model are "
            f"{listed(added.sentiments)}"
        )
    found: Places = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _read_numbers(column: pa.Array, name: str) -> Floats:
    """The numbers of a column (rows,), NaN for null and for an empty field."""
    values = decode_dictionary(column)
    if holds_text(values.type):
        texts = values.cast(pa.large_string())
        values = pc.if_else(pc.equal(texts, ""), None, texts)
    try:
        numbers = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"column {name!r} holds something that is no number: {error}") from error
    return np.asarray(numbers, np.float32)


def _fill_in(score: Floats, sentiments: Places, added: AddedColumns) -> Floats:
    """Probabilities (rows, labels) with the score at the label. The others share the rest, but none has more."""
    others = len(added.labels) - 1
    rest = np.minimum((1 - score) / max(1, others), score).astype(np.float32)
    probabilities = np.repeat(rest[:, None], len(added.labels), axis=1)
    # A neutral row does not say which label is likelier, and no column depends on that.
    best = sentiments if added.neutral_band is None else sentiments // 2
    rows = np.flatnonzero(sentiments >= 0)
    probabilities[rows, best[rows]] = score[rows]
    return probabilities


def _find_best(added: AddedColumns, sentiments: Places, probabilities: Floats) -> Places:
    """The place of the likeliest label (rows,), which is that of a neutral row, too; 0 for a row without a label."""
    likeliest = np.nan_to_num(probabilities, nan=0.0).argmax(axis=1)
    if added.neutral_band is None:
        return np.maximum(sentiments, 0)
    # With a band, `sentiments` counts the first label, neutral, and the second label as 0, 1 and 2
    return np.where(sentiments == 1, likeliest, np.maximum(sentiments, 0) // 2)


def _fit_to_band(added: AddedColumns, sentiments: Places, best: Places, probabilities: Floats) -> None:
    """Put probabilities (rows, labels) that were rounded over the border of the neutral band back on their side."""
    if added.neutral_band is None:
        return
    band, rows = np.float32(added.neutral_band), np.arange(len(best))
    highest = probabilities[rows, best]
    # The next smaller float32. So the comparison with the band gives the label that the table holds.
    below = np.minimum(highest, np.nextafter(band, np.float32(0)))
    probabilities[rows, best] = np.where(sentiments == 1, below, np.maximum(highest, band))


def _lift(best: Places, probabilities: Floats) -> None:
    """Make the label `best` (rows,) the only likeliest one of `probabilities` (rows, labels), despite rounding."""
    rows = np.arange(len(best))
    highest = probabilities[rows, best]
    # The next larger float32 breaks a tie. `_give_same` checks that it rounds to the same number.
    is_tied = (np.nan_to_num(probabilities, nan=0.0) >= highest[:, None]).sum(axis=1) > 1
    probabilities[rows, best] = np.where(is_tied, np.nextafter(highest, np.float32(2)), highest)


def _give_same(
    added: AddedColumns, probabilities: Floats, sentiments: Places, numbers: Sequence[Floats]
) -> npt.NDArray[np.bool_]:
    """(rows,) True for each row whose added columns equal those that these probabilities give."""
    labels, *again = added.arrays(probabilities)
    is_same: npt.NDArray[np.bool_] = find_sentiments(added, labels) == sentiments
    for column, name, number in zip(again, added.names[1:], numbers, strict=True):
        is_same &= _read_numbers(column, name) == number
    return is_same
