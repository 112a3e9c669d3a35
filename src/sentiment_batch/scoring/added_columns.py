"""The columns that scoring adds to a table: probabilities in, Arrow columns with labels and scores out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.data.scored_names import name_score_column
from sentiment_batch.errors import UsageError, listed

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats

NEUTRAL = "neutral"


@dataclass(frozen=True, kw_only=True, slots=True)
class AddedColumns:
    """The columns that scoring adds: their names, types and rounding.

    Raises:
        UsageError: there is a neutral band, and the model has not two labels, or one of them is neutral. Or the prefix
            holds half a surrogate pair, which no table can hold.
    """

    labels: tuple[str, ...]
    """The model's labels in its order."""
    prefix: str
    """The name of the column of labels; the names of the other columns begin with it."""
    probabilities: bool
    """Add a column with the probability of each label."""
    decimals: int
    """Decimals of the probabilities."""
    neutral_band: float | None = None
    """A row is called neutral if all its probabilities are below this; None calls no row neutral."""
    plain: bool = False
    """Give the labels as strings, not as a dictionary, for libraries without categories."""

    def __post_init__(self) -> None:
        if self.prefix != replace_surrogates(self.prefix):
            raise UsageError(f"`prefix` is {self.prefix!r}, which holds half a surrogate pair. Write another name.")
        if self.neutral_band is None:
            return
        # Two kinds of neutral in one column could not be told apart
        if NEUTRAL in map(str.casefold, self.labels):
            raise UsageError(
                f"the model has a label neutral itself; its labels are {listed(self.labels)}. Leave `neutral_band` out."
            )
        if len(self.labels) != 2:
            raise UsageError(
                f"`neutral_band` is for a model of two labels; this one has {listed(self.labels)}. Leave it out."
            )

    @property
    def sentiments(self) -> tuple[str, ...]:
        """All names that a row can get: the labels in their order, with neutral between them if there is a band."""
        return self.labels if self.neutral_band is None else (self.labels[0], NEUTRAL, self.labels[1])

    @property
    def names(self) -> list[str]:
        """The names of the added columns in their order."""
        names = [self.prefix, name_score_column(self.prefix)]
        return names + ([f"{self.prefix}_{label}" for label in self.labels] if self.probabilities else [])

    def check_names(self, taken: Sequence[str]) -> None:
        """Check that the added columns have names that no other column has.

        Raises:
            UsageError: a name is among `taken`, or two added columns have the same name.
        """
        clashes = [name for name in self.names if name in set(taken)]
        if clashes:
            raise UsageError(
                f"the input already has the columns {listed(clashes)}. Name the added columns in another way, as in "
                '`prefix="predicted"`.'
            )
        if len(set(self.names)) < len(self.names):
            raise UsageError(
                f"two of the added columns {listed(self.names)} have the same name, because a label is named like the "
                "end of another column. Leave `probabilities=True` out, or rename the labels with `labels`."
            )

    def fields(self) -> list[pa.Field]:
        """The Arrow fields of the added columns."""
        # A dictionary stores a small number for each row, and each label only once
        types = [pa.string() if self.plain else pa.dictionary(self._index_type, pa.string())]
        types += [pa.float32()] * (len(self.names) - 1)
        return [pa.field(name, data_type) for name, data_type in zip(self.names, types, strict=True)]

    def append_to_schema(self, schema: pa.Schema) -> pa.Schema:
        """A schema with the added columns after those of `schema`, and with its metadata.

        Raises:
            UsageError: as for `check_names`.
        """
        self.check_names(schema.names)
        return pa.schema([*schema, *self.fields()], metadata=schema.metadata)

    def append_to_batch(self, batch: pa.RecordBatch, probabilities: Floats) -> pa.RecordBatch:
        """Rows with their added columns; `probabilities` as for `arrays`."""
        schema = self.append_to_schema(batch.schema)
        return pa.RecordBatch.from_arrays([*batch.columns, *self.arrays(probabilities)], schema=schema)

    def arrays(self, probabilities: Floats) -> list[pa.Array]:
        """The added columns.

        The score is the probability of the most likely label. This holds for a row that is called neutral, too: its
        score lies below the band, because the model has no probability of neutral.

        Args:
            probabilities: (rows, labels), unrounded; NaN for a row without a text.

        Returns:
            The arrays in the order of `names`, each (rows,), null for a row without a text.
        """
        empty = np.isnan(probabilities).any(axis=1)
        # Of equal probabilities, `argmax` takes the first label. A row without a text gets 0, and is null in the end.
        best = np.where(empty, 0, np.nan_to_num(probabilities, nan=0.0).argmax(axis=1))
        # Rounded once, so that the score and the column of its label hold the same number
        rounded = np.round(probabilities, self.decimals)
        indices = pa.array(self._index_sentiments(best, probabilities), mask=empty, type=self._index_type)
        labels = pa.DictionaryArray.from_arrays(indices, pa.array(self.sentiments, pa.string()))
        arrays = [labels.dictionary_decode() if self.plain else labels]
        scores = np.take_along_axis(rounded, best[:, None], axis=1)[:, 0]
        arrays.append(pa.array(scores, mask=empty, type=pa.float32()))
        if self.probabilities:
            arrays += [pa.array(rounded[:, k], mask=empty, type=pa.float32()) for k in range(len(self.labels))]
        return arrays

    @property
    def _index_type(self) -> pa.DataType:
        # Indices in 8 bits take a quarter of the memory, and their largest is 127
        return pa.int8() if len(self.sentiments) < 128 else pa.int32()

    def _index_sentiments(self, best: npt.NDArray[np.int64], probabilities: Floats) -> npt.NDArray[np.int64]:
        """The index of each row's name in `sentiments`, (rows,).

        Unrounded probabilities decide, so that no label depends on the number of decimals.
        """
        if self.neutral_band is None:
            return best
        # `sentiments` holds the first label, neutral and the second label: 0, 1 and 2. NaN is never smaller.
        return np.where(probabilities.max(axis=1) < self.neutral_band, 1, 2 * best)
