"""Counts rows by label, by the values of columns and by period, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sentiment_batch.errors import InputError
from sentiment_batch.labels.values import fold_word

if TYPE_CHECKING:
    import pyarrow as pa

    Codes = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

MAX_VALUES = 10_000
"""Different values of a column. A column with more, such as an id, is refused."""
MAX_LABELS = 200
"""Different labels of a table."""
MAX_CELLS = 200_000
"""Combinations of values that are counted, each with its own label."""


class ValueNumbers:
    """Gives each different value of a column a number from 1 on; a row without a value has the number 0.

    Args:
        column: the name of the column, for messages.
        setting: the setting that named it.
        max_values: how many different values there may be.
        blank_is_missing: count blank texts as rows without a value.
        spellings: known values. A value that differs from one of them by case or blanks alone is counted as that one.
    """

    def __init__(
        self,
        column: str,
        setting: str,
        max_values: int = MAX_VALUES,
        *,
        blank_is_missing: bool = False,
        spellings: Sequence[str] = (),
    ) -> None:
        self._column, self._setting, self._max_values = column, setting, max_values
        self._numbers: dict[str, int] = {}
        self._missing = {""} if blank_is_missing else set()
        known = {fold_word(one): one for one in spellings}
        # If two known values are one word, only the exact spelling counts
        self._known = known if len(known) == len(spellings) else {}
        self.respelt: dict[str, str] = {}
        """The values that were counted as known ones, by the spelling of the table."""

    @property
    def names(self) -> list[str | None]:
        """The value of each number."""
        return [None, *self._numbers]

    def encode(self, values: pa.DictionaryArray) -> Codes:
        """The number of the value of each row, (n,).

        Raises:
            InputError: there are too many different values.
        """
        numbers = self._numbers
        table = [
            0 if name is None or name in self._missing else numbers.setdefault(self._name(name), len(numbers) + 1)
            for name in values.dictionary.to_pylist()
        ]
        if len(numbers) > self._max_values:
            raise InputError(
                f"column {self._column!r} has more than {self._max_values:,} different values, which are too many for "
                f"a summary. Name another column with `{self._setting}`."
            )
        # A null gets the number of the entry after the last, which is 0.
        indices = values.indices.fill_null(len(table)).to_numpy(zero_copy_only=False)
        codes: Codes = np.array([*table, 0], dtype=np.int64)[indices]
        return codes

    def _name(self, value: str) -> str:
        """The value in the spelling that is known."""
        known = self._known.get(fold_word(value), value) if self._known else value
        if known != value:
            self.respelt[value] = known
        return known


@dataclass(kw_only=True, slots=True, eq=False)
class LabelCounts:
    """What was counted in some rows, for each of L labels."""

    rows: Floats
    """(L,) rows with the label."""
    scores: Floats
    """(L,) the sum of their scores."""
    scored: Floats
    """(L,) the number of these rows that have a score."""
    unsure: Floats
    """(L,) the number of these rows whose score is below the limit."""
    no_text: int = 0
    """Rows without a label."""

    @classmethod
    def empty(cls, labels: int) -> LabelCounts:
        """No rows, for L labels."""
        rows, scores, scored, unsure = np.zeros((4, labels))
        return cls(rows=rows, scores=scores, scored=scored, unsure=unsure)

    def add(self, label: int | None, values: Floats) -> None:
        """Add rows of a label, or without one; `values` (4,) are its rows, scores, scored rows and unsure rows."""
        if label is None:
            self.no_text += int(values[0])
            return
        for array, value in zip((self.rows, self.scores, self.scored, self.unsure), values, strict=True):
            array[label] += value


@dataclass(kw_only=True, slots=True, eq=False)
class CellCounts:
    """Counts rows by their key: the number of the label, then the number of the value of each column."""

    unsure_below: float
    """The score below which the model is unsure of a row."""
    _keys: Codes = field(default_factory=lambda: np.full(1, -1), init=False)
    """(C,) the keys so far, in rising order; the first one is of no row."""
    _sums: Floats = field(default_factory=lambda: np.zeros((1, 4)), init=False)
    """(C, 4) their rows, scores, scored rows and unsure rows."""

    def add(self, codes: Sequence[Codes], scores: npt.NDArray[np.float32]) -> None:
        """Count some rows.

        Args:
            codes: for the label and for each column, the number of each row's value (n,).
            scores: the scores (n,), NaN where there is none.

        Raises:
            InputError: there are too many combinations.
        """
        # A key is a number whose digits, to the base `MAX_VALUES` + 1, are the numbers of the values. Four of them, the
        # most that there are, stay below 2**63.
        keys = np.zeros(len(scores), dtype=np.int64)
        for column in codes:
            keys = keys * (MAX_VALUES + 1) + column
        # Each sum of a batch is one `bincount`, without a Python loop over the rows.
        unique, inverse = np.unique(keys, return_inverse=True)
        is_scored = ~np.isnan(scores)
        weights = (
            None,
            np.where(is_scored, scores, 0.0),
            is_scored,
            is_scored & (scores < np.float32(self.unsure_below)),
        )
        sums = np.stack([np.bincount(inverse, weight, len(unique)) for weight in weights], axis=1)
        # Most batches hold no new key, so the arrays seldom grow.
        places = np.searchsorted(self._keys, unique)
        if not np.array_equal(self._keys[np.minimum(places, len(self._keys) - 1)], unique):
            self._add_keys(unique)
            places = np.searchsorted(self._keys, unique)
        self._sums[places] += sums

    def _add_keys(self, unique: Codes) -> None:
        """Make room for new keys. They stay sorted, because `add` finds them by binary search.

        Raises:
            InputError: there are too many keys.
        """
        keys = np.union1d(self._keys, unique)
        if len(keys) > MAX_CELLS:
            raise InputError(
                f"the columns have more than {MAX_CELLS:,} combinations of values, which are too many for a summary. "
                "Name fewer columns with `by`, or a longer period with `every`."
            )
        sums = np.zeros((len(keys), 4))
        sums[np.searchsorted(keys, self._keys)] = self._sums
        self._keys, self._sums = keys, sums

    def items(self, columns: int) -> Iterator[tuple[tuple[int, ...], Floats]]:
        """Each key as the numbers of its label and of the values of its columns, with its sums (4,)."""
        for key, sums in zip(self._keys[1:].tolist(), self._sums[1:], strict=True):
            numbers = [key // (MAX_VALUES + 1) ** place % (MAX_VALUES + 1) for place in range(columns, -1, -1)]
            yield tuple(numbers), sums
