"""Reads labelled reviews from a path, from a frame, or from rows that were read before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.labelled_rows import LabelledRows, read_labelled_rows
from sentiment_batch.frames.open_table import open_table

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions


def read_reviews(
    table: Any, *, input_format: str | None = None, read_options: ReadOptions | None = None, **columns: Any
) -> LabelledRows:
    """The labelled rows of `table`.

    Args:
        table: a path, a frame, or rows that were read before, which are returned as they are.
        input_format: the format of a file; None derives it from the name.
        read_options: how a file is read; None takes the defaults.
        columns: the columns to read, as `read_labelled_rows` takes them.

    Raises:
        InputError: the table cannot be read, or a column is missing.
    """
    if isinstance(table, LabelledRows):
        return table
    with open_table(table, input_format=input_format, read_options=read_options) as opened:
        return read_labelled_rows(opened.reader, opened.location or opened.name, **columns)


def read_measured_rows(table: Any, choose_model: Callable[[], str], **options: Any) -> LabelledRows:
    """The labelled rows to measure a model on. Columns that are not named are those of its training.

    Args:
        table: a path or a frame.
        choose_model: gives the folder or Hub id of the model. It is called only if a column is not named.
        options: the columns and the format, as `read_reviews` takes them.

    Raises:
        InputError: the table cannot be read, or a column is missing.
        ModelError: the model cannot be found.
    """
    from sentiment_batch.scoring.trained_columns import read_trained_columns, read_trained_label

    return read_reviews(
        table,
        trained=lambda: read_trained_columns(choose_model()),
        trained_label=lambda: read_trained_label(choose_model()),
        **options,
    )
