"""Reads labelled reviews from a path, from a frame, or from rows that were read before."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch import frames
from sentiment_batch.data import formats
from sentiment_batch.data.labelled_rows import LabelledRows, read_labelled_rows
from sentiment_batch.data.readers.table import TableReader

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
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
    reader: Reader
    if isinstance(table, str | Path):
        name = str(table)
        reader = formats.open_reader(name, format=input_format, options=read_options)
    else:
        name = f"the {type(table).__name__}"
        reader = TableReader(frames.wrap_frame(table).table())
    with contextlib.closing(reader):
        return read_labelled_rows(reader, name, **columns)


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
