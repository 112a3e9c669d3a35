"""Finds the columns that scoring added to a table, and reads the label and the score of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment_batch.data.columns import decode_dictionary, drop_blanks, read_column
from sentiment_batch.data.scored_names import name_score_column
from sentiment_batch.errors import InputError, listed

if TYPE_CHECKING:
    Scores = npt.NDArray[np.float32]

DEFAULT_PREFIX = "sentiment"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredColumns:
    """The columns that a summary reads."""

    label: str
    """The column of the labels."""
    score: str | None
    """The column with the probability of each row's label; None if the table has none."""
    assumed: bool = False
    """True if nobody named the column of the labels, and it has not the usual name."""

    def read_scores(self, batch: pa.RecordBatch, start: int) -> Scores:
        """The score of each row (n,); NaN if there is none.

        Args:
            batch: some rows.
            start: the number of the first row, for messages.

        Raises:
            InputError: a value is no number from 0 to 1.
        """
        if self.score is None:
            return np.full(batch.num_rows, np.nan, dtype=np.float32)
        values = drop_blanks(decode_dictionary(read_column(batch, self.score)[0]))
        try:
            # In float32, because `score` writes that, and 0.7 of a CSV file must be 0.7 of a Parquet file.
            scores: Scores = np.asarray(values.cast(pa.float64()).fill_null(np.nan)).astype(np.float32)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                f"column {self.score!r} holds something that is no number in the rows from {start:,} on (rows counted "
                f"from 0): {error}. Repair it, or name the column of the labels with `prefix`."
            ) from error
        if len(wrong := np.flatnonzero((scores < 0) | (scores > 1))):
            raise InputError(
                f"column {self.score!r} holds {scores[wrong[0]]} in row {start + wrong[0]:,} (rows counted from 0), "
                "which is no probability. Name the column of the labels with `prefix`."
            )
        return scores


def find_scored_columns(schema: pa.Schema, prefix: str | None, default: str = DEFAULT_PREFIX) -> ScoredColumns:
    """Find the columns that scoring added.

    Args:
        schema: the columns of the table.
        prefix: the column of the labels as the user named it; None finds it.
        default: the name to look for first.

    Raises:
        InputError: there is no such column, or several columns could be meant.
    """
    names: Sequence[str] = schema.names
    if prefix is not None and prefix not in names:
        raise InputError.no_column(prefix, names, "prefix")
    for wanted in (prefix, default, DEFAULT_PREFIX):
        if wanted is not None and wanted in names:
            return _make_columns(names, wanted)
    # Scoring adds two columns whose names belong together, such as `sentiment` and `sentiment_score`.
    found = [name for name in dict.fromkeys(names) if name_score_column(name) in names]
    if len(found) == 1:
        return _make_columns(names, found[0], assumed=True)
    problem = f"{listed(found)} could all be it" if found else f"there is no column {default!r}"
    raise InputError(
        f"cannot tell which column holds the labels: {problem}. Score the table first, or name the column with "
        f"`prefix`; the columns are {listed(names)}."
    )


def _make_columns(names: Sequence[str], label: str, *, assumed: bool = False) -> ScoredColumns:
    if list(names).count(label) > 1:
        raise InputError(f"several columns are called {label!r}. Rename them so that `prefix` can name one.")
    score = name_score_column(label)
    return ScoredColumns(label=label, score=score if list(names).count(score) == 1 else None, assumed=assumed)
