"""Puts scores back beside the rows they belong to: logits of distinct texts in, annotated record batches out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment_batch.errors import UsageError, listed

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats

NEUTRAL = "neutral"


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The columns that scoring adds: their names, types and rounding."""

    labels: tuple[str, ...]
    """The model's labels in its order."""
    prefix: str
    probabilities: bool
    decimals: int
    neutral_band: float | None = None
    """Rows whose probabilities are all below this are called neutral, by a model of two labels."""
    plain: bool = False
    """The labels are strings, for engines that know no dictionaries of them."""

    def __post_init__(self) -> None:
        if self.neutral_band is None:
            return
        if NEUTRAL in map(str.casefold, self.labels):
            raise UsageError(
                f"the model has the label neutral itself ({listed(self.labels)}). Leave --neutral-band out."
            )
        if len(self.labels) != 2:
            raise UsageError(
                f"--neutral-band is for a model of two labels; this one has {listed(self.labels)}. Leave it out."
            )

    @property
    def sentiments(self) -> tuple[str, ...]:
        """What a row can be called, in order: the model's labels, and neutral between them where there is a band."""
        return self.labels if self.neutral_band is None else (self.labels[0], NEUTRAL, self.labels[1])

    @property
    def names(self) -> list[str]:
        """The names of the added columns in order."""
        names = [self.prefix, f"{self.prefix}_score"]
        return names + ([f"{self.prefix}_{label}" for label in self.labels] if self.probabilities else [])

    def check(self, taken: Sequence[str]) -> None:
        """Make sure that no added column has the name of one of the input's.

        Raises:
            UsageError: one has; the message names `--prefix`.
        """
        clash = [name for name in self.names if name in set(taken)]
        if clash:
            raise UsageError(
                f"the input has the columns {listed(clash)} already. Give the added columns another name with "
                f"--prefix, such as --prefix predicted."
            )
        if len(set(self.names)) < len(self.names):
            raise UsageError(
                f"the added columns {listed(self.names)} are not all different, for a label is called as one of them "
                "ends. Leave --probabilities out, or rename the labels with --labels."
            )

    def fields(self) -> list[pa.Field]:
        """The Arrow fields of the added columns."""
        types = [pa.string() if self.plain else pa.dictionary(self._index_type, pa.string())]
        types += [pa.float32()] * (len(self.names) - 1)
        return [pa.field(name, data_type) for name, data_type in zip(self.names, types, strict=True)]

    def beside(self, schema: pa.Schema) -> pa.Schema:
        """The columns of `schema` and then the added ones; its metadata stay.

        Raises:
            UsageError: an added column has the name of another; the message names `--prefix`.
        """
        self.check(schema.names)
        return pa.schema([*schema, *self.fields()], metadata=schema.metadata)

    def annotated(self, batch: pa.RecordBatch, probabilities: Floats) -> pa.RecordBatch:
        """Some rows, and their added columns; `probabilities` as for `arrays`."""
        schema = self.beside(batch.schema)
        return pa.RecordBatch.from_arrays([*batch.columns, *self.arrays(probabilities)], schema=schema)

    def arrays(self, probabilities: Floats) -> list[pa.Array]:
        """The added columns.

        The score is the probability of the likeliest label, also in a row that is called neutral; there it is below the
        band's edge, as the model knows no probability of neutral.

        Args:
            probabilities: (n, K) per row and label; a row of NaN where there was no text to score.
        """
        empty = np.isnan(probabilities).any(axis=1)
        best = np.where(empty, 0, np.nan_to_num(probabilities, nan=0.0).argmax(axis=1))
        rounded = np.round(probabilities, self.decimals)
        indices = pa.array(self._called(best, probabilities), mask=empty, type=self._index_type)
        labels = pa.DictionaryArray.from_arrays(indices, pa.array(self.sentiments, pa.string()))
        arrays = [labels.dictionary_decode() if self.plain else labels]
        scores = np.take_along_axis(rounded, best[:, None], axis=1)[:, 0]
        arrays.append(pa.array(scores, mask=empty, type=pa.float32()))
        if self.probabilities:
            arrays += [pa.array(rounded[:, k], mask=empty, type=pa.float32()) for k in range(len(self.labels))]
        return arrays

    @property
    def _index_type(self) -> pa.DataType:
        return pa.int8() if len(self.sentiments) < 128 else pa.int32()

    def _called(self, best: npt.NDArray[np.int64], probabilities: Floats) -> npt.NDArray[np.int64]:
        """The places in `sentiments` (n,); unrounded probabilities decide, so that the decimals change no label."""
        if self.neutral_band is None:
            return best
        return np.where(probabilities.max(axis=1) < self.neutral_band, 1, 2 * best)
