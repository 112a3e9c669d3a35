"""Puts scores back beside the rows they belong to: logits of distinct texts in, annotated record batches out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment_batch.errors import UsageError, listed

Floats = npt.NDArray[np.float32]
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


def softmax(logits: Floats) -> Floats:
    """Probabilities (n, K) of logits (n, K), computed in float64; NaN stays NaN."""
    with np.errstate(invalid="ignore"):  # of an infinite logit comes NaN, as of NaN
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True, initial=-np.inf)
    powers = np.exp(shifted)
    result: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


def combine(logits: Floats, owners: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Floats:
    """One row of logits per text: the mean over its segments, weighted by their tokens.

    Args:
        logits: (S, K) per segment.
        owners: (S,) the text of each segment, in rising order, every text at least once.
        lengths: (S,) tokens per segment.

    Returns:
        (N, K) in float32; for a text of one segment the very logits of it, since float64 holds their product exactly.
    """
    texts, first = np.unique(owners, return_index=True)
    if len(texts) == len(owners):
        return logits
    weighted = np.add.reduceat(logits.astype(np.float64) * lengths[:, None], first, axis=0)
    result: Floats = (weighted / np.add.reduceat(lengths, first)[:, None]).astype(np.float32)
    return result
