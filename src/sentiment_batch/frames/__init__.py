"""Annotates frames of any library. Each kind of frame has a class that converts it to Arrow and adds columns to it.

Kinds are found by the names of their classes, so no library is imported that the caller does not use.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.column_paths import find_root
from sentiment_batch.data.columns import to_column_names
from sentiment_batch.data.text_columns import find_text_columns
from sentiment_batch.errors import InputError
from sentiment_batch.frames import arrow, distributed, duckdb, huggingface, polars
from sentiment_batch.frames.arrow import ArrowFrame
from sentiment_batch.frames.base import SAMPLE_ROWS, find_texts, warn_of_unlike_texts
from sentiment_batch.frames.huggingface import HuggingFaceDataset
from sentiment_batch.frames.pandas import PandasFrame
from sentiment_batch.frames.polars import PolarsFrame

if TYPE_CHECKING:
    from sentiment_batch.frames.base import Frame
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")


def _annotate_narwhals(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """The frame of another library that narwhals wraps, with its scores and wrapped again."""
    return sys.modules["narwhals"].from_native(scorer(frame.to_native(), text_column=chosen))


_LAZY: dict[tuple[str, str], Callable[[Any, Scorer, Sequence[str]], Any]] = {
    ("dask", "DataFrame"): distributed.annotate_dask,
    ("dask", "Series"): distributed.annotate_dask,
    ("datasets", "DatasetDict"): huggingface.annotate_splits,
    ("datasets", "IterableDataset"): huggingface.annotate_streamed,
    ("datasets", "IterableDatasetDict"): huggingface.annotate_splits,
    ("duckdb", "DuckDBPyRelation"): duckdb.annotate_duckdb,
    ("narwhals", "DataFrame"): _annotate_narwhals,
    ("narwhals", "LazyFrame"): _annotate_narwhals,
    ("narwhals", "Series"): _annotate_narwhals,
    ("polars", "LazyFrame"): polars.annotate_lazy_polars,
    ("pyarrow", "RecordBatchReader"): arrow.annotate_arrow_stream,
    ("pyspark", "DataFrame"): distributed.annotate_spark,
}
"""Frames whose rows are not in memory, by library and class; all other frames are tables in memory."""


_SCORED_AT_ONCE = {
    ("datasets", "DatasetDict"),
    ("duckdb", "DuckDBPyRelation"),
    ("narwhals", "DataFrame"),
    ("narwhals", "Series"),
}
"""The kinds among them that are scored at once, and not when their rows are requested."""


_MATERIALIZE = {"dask": "compute", "polars": "collect", "pyspark": "toPandas"}
"""The method that gives the rows of a frame whose rows are not in memory, by library."""


def is_deferred(frame: Any) -> bool:
    """True if the rows of a frame are scored after the call that annotates it."""
    return bool(set(_list_kinds(frame)) & (_LAZY.keys() - _SCORED_AT_ONCE))


def _list_kinds(frame: Any) -> list[tuple[str, str]]:
    """The library and the name of the class of a frame, then those of its base classes."""
    # The name of a module in C may begin with an underscore, such as `_duckdb`
    return [(kind.__module__.partition(".")[0].lstrip("_"), kind.__name__) for kind in type(frame).__mro__]


def annotate_frame(frame: Any, scorer: Scorer, text_column: str | Sequence[str] | None) -> Any:
    """A frame with its scores, of the same kind as the given one.

    Args:
        frame: a frame of any kind, or a list of texts, which gives a frame of pandas.
        scorer: the model.
        text_column: the column or columns of the text; found by name if None.

    Raises:
        InputError: it is no frame, or has no such column, or the column holds no text.
        UsageError: a column has the name of an added one.
    """
    chosen = to_column_names(text_column)
    for kind in _list_kinds(frame):
        annotate = _LAZY.get(kind)
        if annotate is not None:
            return annotate(frame, scorer, chosen)
    wrapped = wrap_frame(frame_texts(frame) if isinstance(frame, list | tuple) else frame)
    # A clash of names is reported before anything is converted or scored
    scorer.added.check_names(wrapped.names)
    first = wrapped.table(rows=SAMPLE_ROWS)
    texts = find_texts(scorer, first, chosen, frame)
    # Convert only the columns of the text: others may have no Arrow type, and a copy of them would cost memory
    table = wrapped.table(list(dict.fromkeys(find_root(first.schema, name) for name in texts)))
    find_text_columns(table.schema, texts)  # the first rows may have been empty
    with warn_of_unlike_texts(scorer):
        added = scorer.columns_for(table.to_batches(), texts)
    return wrapped.with_columns(added)


def frame_texts(texts: Sequence[Any]) -> Any:
    """A pandas DataFrame with the column `text`.

    Raises:
        InputError: one of the texts is neither text nor None.
    """
    import pandas as pd

    for place, text in enumerate(texts):
        if text is not None and not isinstance(text, str):
            raise InputError(
                f"item {place} of the {type(texts).__name__} is no text but of the type {type(text).__name__}."
            )
    return pd.DataFrame({"text": pd.Series(texts, dtype=object)})


def wrap_frame(frame: Any) -> Frame:
    """A frame in memory as a `Frame`.

    Raises:
        InputError: it is no known frame, or its rows are not in memory yet.
    """
    # A library that was never imported cannot have made the frame, so none is imported here
    pandas, polars, datasets = (sys.modules.get(name) for name in ("pandas", "polars", "datasets"))
    if pandas is not None and isinstance(frame, (pandas.DataFrame, pandas.Series)):
        return PandasFrame(frame)
    if polars is not None and isinstance(frame, (polars.DataFrame, polars.Series)):
        return PolarsFrame(frame)
    if datasets is not None and isinstance(frame, datasets.Dataset):
        return HuggingFaceDataset(frame)
    if isinstance(frame, (pa.Array, pa.ChunkedArray)):
        return ArrowFrame(pa.table({"text": frame}))
    # Asked after the others, because frames of pandas and polars have an Arrow stream, too
    if isinstance(frame, (pa.Table, pa.RecordBatch)) or hasattr(frame, "__arrow_c_stream__"):
        return ArrowFrame(frame)
    # The rest are errors. Each says how to get a frame from what was given.
    library = type(frame).__module__.partition(".")[0]
    if library in _MATERIALIZE:
        call = _MATERIALIZE[library]
        raise InputError(f"a {library} {type(frame).__name__} holds no rows yet. Call .{call}() on it first.")
    if type(frame).__module__.startswith("datasets."):  # these are streams and dictionaries of splits
        cure = 'Give a data set of it, such as data["train"].'
        if not isinstance(frame, dict):
            cure = "Make a data set of its rows first, such as datasets.Dataset.from_list(list(data))."
        raise InputError(f"an object of the type {type(frame).__name__} is no single table in memory. {cure}")
    if isinstance(frame, str | os.PathLike):
        raise InputError(
            f"{str(frame)[:80]!r} is no frame. Give a text in a list, as in [text]. Read a file into a frame first, or "
            "annotate it with the command sentiment-batch score."
        )
    others = "" if isinstance(frame, list | tuple) else ", or a list of texts"  # which only some callers take
    raise InputError(
        f"an object of the type {type(frame).__name__} is no frame. Give a pandas, polars or pyarrow table or series, "
        f"or anything with __arrow_c_stream__{others}."
    )
