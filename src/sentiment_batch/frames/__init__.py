"""Frames of any library in, the same kind out: each kind says how it becomes Arrow and how it takes new columns.

No library is imported that the caller does not have: a frame tells its kind by the names of its classes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.columns import to_column_names
from sentiment_batch.data.labelled_rows import detect_text_columns
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError
from sentiment_batch.frames import arrow, dask, duckdb, narwhals, polars, spark
from sentiment_batch.frames.arrow import ArrowFrame
from sentiment_batch.frames.base import SAMPLE_ROWS
from sentiment_batch.frames.pandas import PandasFrame
from sentiment_batch.frames.polars import PolarsFrame

if TYPE_CHECKING:
    from sentiment_batch.frames.base import Frame
    from sentiment_batch.scoring.scorer import Scorer

_UNREAD: dict[tuple[str, str], Callable[[Any, Scorer, Sequence[str]], Any]] = {
    ("dask", "DataFrame"): dask.annotate,
    ("dask", "Series"): dask.annotate,
    ("duckdb", "DuckDBPyRelation"): duckdb.annotate,
    ("narwhals", "DataFrame"): narwhals.annotate,
    ("narwhals", "LazyFrame"): narwhals.annotate,
    ("polars", "LazyFrame"): polars.annotate,
    ("pyarrow", "RecordBatchReader"): arrow.annotate,
    ("pyspark", "DataFrame"): spark.annotate,
}
"""Frames whose rows are not at hand, by library and class; all others are tables in memory."""


def annotate_frame(frame: Any, scorer: Scorer, text_column: str | Sequence[str] | None) -> Any:
    """`frame` with its scores; the same kind comes out.

    Args:
        frame: of any kind.
        scorer: the model.
        text_column: the column or columns of the text; found by name if None.

    Raises:
        InputError: it is no frame, or has no such column, or that holds no text.
        UsageError: a column has the name of an added one.
    """
    chosen = to_column_names(text_column)
    for kind in type(frame).__mro__:
        annotate = _UNREAD.get((kind.__module__.partition(".")[0].lstrip("_"), kind.__name__))
        if annotate is not None:
            return annotate(frame, scorer, chosen)
    wrapped = wrap(frame)
    scorer.added.check(wrapped.names)
    texts = detect_text_columns(TableReader(wrapped.table(rows=SAMPLE_ROWS)), chosen)
    return wrapped.with_columns(scorer.columns_for(wrapped.table(texts).to_batches(), texts))


def wrap(frame: Any) -> Frame:
    """The kind of `frame`, which holds its rows.

    Raises:
        InputError: it is no frame that is known, or holds no rows yet.
    """
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(frame, (pandas.DataFrame, pandas.Series)):
        return PandasFrame(frame)
    if polars is not None and isinstance(frame, (polars.DataFrame, polars.Series)):
        return PolarsFrame(frame)
    if isinstance(frame, (pa.Array, pa.ChunkedArray)):
        return ArrowFrame(pa.table({"text": frame}))
    if isinstance(frame, (pa.Table, pa.RecordBatch)) or hasattr(frame, "__arrow_c_stream__"):
        return ArrowFrame(frame)
    if polars is not None and isinstance(frame, polars.LazyFrame):
        raise InputError("a polars LazyFrame holds no rows yet. Call .collect() on it first.")
    raise InputError(
        f"a {type(frame).__name__} is no frame. Give a pandas, polars or pyarrow table or series, anything with "
        "__arrow_c_stream__, or a pandas.Series of your texts."
    )
