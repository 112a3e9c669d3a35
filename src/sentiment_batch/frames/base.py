"""What the kinds of frames have in common."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from sentiment_batch.data.input_description import InputDescription, log_description
from sentiment_batch.data.readers.table import TableReader

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")

Added = dict[str, pa.ChunkedArray]
"""New columns by name, in their order."""
SAMPLE_ROWS = 200
"""Rows of a frame that are looked at to find the column of texts."""


class Frame(Protocol):
    """A frame in memory, of one kind."""

    names: list[str]
    """The names of its columns, which no added column may have."""

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """The first rows of the frame as Arrow.

        Args:
            columns: the columns to convert, None for all.
            rows: the number of rows, None for all.
        """
        ...

    def with_columns(self, added: Added) -> Any:
        """A new frame of the same kind with further columns; this one is not changed."""
        ...

    def take_rows(self, rows: Sequence[int], *, without: Collection[str]) -> Frame:
        """Some rows as a new frame.

        Args:
            rows: their places, in the order to take them in.
            without: the names of the columns to leave out.
        """
        ...


def find_texts(scorer: Scorer, rows: pa.Table | pa.Schema, chosen: Sequence[str], frame: object) -> list[str]:
    """The text columns of a frame. They are logged if the user did not name them.

    Args:
        scorer: the model.
        rows: the first rows of the frame. Or its schema if no row is known, so that only names and types decide.
        chosen: the columns that the user named.
        frame: the frame, whose class the log names.

    Raises:
        InputError: a chosen column is missing or holds no text, or no text column was found.
    """
    found = scorer.choose_text_columns(rows if isinstance(rows, pa.Schema) else TableReader(_join_chunks(rows)), chosen)
    if not chosen:
        assumed = ("text_columns",) * found.assumed
        log_description(f"the {type(frame).__name__}", InputDescription(text_columns=found.names, assumed=assumed))
    return list(found.names)


def _join_chunks(rows: pa.Table) -> pa.Table:
    """Rows without chunks, because a first chunk of few rows would not show which column holds the text."""
    try:
        return rows.combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # a type whose chunks Arrow cannot join
        return rows


@contextlib.contextmanager
def warn_of_unlike_texts(scorer: Scorer) -> Iterator[None]:
    """Log a warning if the texts that `scorer` scores in this context are unlike those of the training."""
    # A copy, because the counts of a scorer grow from call to call, and only those of this call matter
    before = dataclasses.replace(scorer.counts)
    yield
    if (check := scorer.judge_texts(before)).unlike_reasons:
        logger.warning("%s", check)
