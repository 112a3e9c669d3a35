"""Frames of any library in, the same kind out: each kind says how it becomes Arrow and how it takes new columns.

No library is imported that the caller does not have: a frame's library is found in `sys.modules`.
"""

from __future__ import annotations

import decimal
import numbers
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from sentiment_batch.errors import InputError
from sentiment_batch.inputs import text_columns_of
from sentiment_batch.readers.table import TableReader

if TYPE_CHECKING:
    from sentiment_batch.assemble import Columns, Floats

Score = Callable[[Iterable[pa.RecordBatch], Sequence[str]], "Iterator[tuple[pa.RecordBatch, Floats]]"]
"""Rows and their text columns in, rows with their probabilities out: `Scorer.probabilities`."""
Added = dict[str, pa.ChunkedArray]
"""New columns by name, in order."""
SAMPLE_ROWS = 200
"""Rows looked at to find the column of texts."""


class Frame(Protocol):
    """One kind of frame."""

    names: list[str]
    """The names of its columns, which no added one may have."""

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """The columns (all if None) of the first rows (all if None) as Arrow."""
        ...

    def with_columns(self, added: Added) -> Any:
        """A new frame of the same kind with further columns; this one stays as it is."""
        ...


def annotate_frame(frame: Any, text_column: str | Sequence[str] | None, added: Columns, score: Score) -> Any:
    """`frame` with its scores; the same kind comes out.

    Args:
        frame: of any kind.
        text_column: the column or columns of the text; found by name if None.
        added: the columns to add.
        score: gives the probabilities to fill them with.

    Raises:
        InputError: it is no frame, or has no such column, or that holds no text.
        UsageError: a column has the name of an added one.
    """
    narwhals = sys.modules.get("narwhals")
    if narwhals is not None and isinstance(frame, narwhals.DataFrame):
        return narwhals.from_native(annotate_frame(frame.to_native(), text_column, added, score), eager_only=True)
    chosen = names_of(text_column)
    if isinstance(frame, pa.RecordBatchReader):
        return _annotate_stream(frame, chosen, added, score)
    wrapped = wrap(frame)
    added.check(wrapped.names)
    texts = text_columns_of(TableReader(wrapped.table(rows=SAMPLE_ROWS)), chosen)
    batches = wrapped.table(texts).to_batches()
    parts = [added.arrays(probabilities) for _, probabilities in score(batches, texts)]
    # Of no rows, still the right types: the list of labels is part of them.
    parts = parts or [added.arrays(np.empty((0, len(added.labels)), dtype=np.float32))]
    fields = added.fields()
    columns = {field.name: pa.chunked_array([part[n] for part in parts], field.type) for n, field in enumerate(fields)}
    return wrapped.with_columns(columns)


def names_of(text_column: object) -> tuple[str, ...]:
    """The columns that a user names: one name, several, or none; pandas columns may be named by numbers."""
    if text_column is None:
        return ()
    return tuple(map(str, text_column)) if isinstance(text_column, (list, tuple)) else (str(text_column),)


def wrap(frame: Any) -> Frame:
    """The kind of `frame`.

    Raises:
        InputError: it is no frame that is known.
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


class PandasFrame:
    """A pandas DataFrame, or a Series, which becomes one."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame if frame.ndim == 2 else frame.to_frame("text" if frame.name is None else frame.name)
        self.names = [str(name[0]) if isinstance(name, tuple) else str(name) for name in self._frame.columns]

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """Only the columns asked for are converted: others may hold what Arrow has no type for."""
        frame = self._frame if rows is None else self._frame.head(rows)
        places = [place for place, name in enumerate(self.names) if columns is None or name in columns]
        arrays = [_pandas_column(frame.iloc[:, place], self.names[place], columns is None) for place in places]
        return pa.table(arrays, names=[self.names[place] for place in places])

    def with_columns(self, added: Added) -> Any:
        """Values go in by position, so that a repeated or nested index does no harm."""
        import pandas as pd

        annotated = self._frame.copy()
        rest = ("",) * (annotated.columns.nlevels - 1)
        for plain, column in added.items():
            name = (plain, *rest) if rest else plain
            array = _one_array(column)
            if pa.types.is_dictionary(column.type):
                codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
                annotated[name] = pd.Categorical.from_codes(codes, categories=array.dictionary.to_pylist())
            else:
                annotated[name] = array.to_numpy(zero_copy_only=False)
        return annotated


class PolarsFrame:
    """A polars DataFrame, or a Series, which becomes one."""

    def __init__(self, frame: Any) -> None:
        is_series = type(frame).__name__ == "Series"
        self._frame = frame.to_frame(frame.name or "text") if is_series else frame
        self.names: list[str] = list(self._frame.columns)

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """Without a copy where polars and Arrow agree."""
        frame = self._frame if rows is None else self._frame.head(rows)
        try:
            return (frame if columns is None else frame.select(columns)).to_arrow()
        except pa.ArrowInvalid:  # a type that Arrow does not have, such as Int128; its values are not needed
            names = self.names if columns is None else columns
            return pa.table([_polars_column(frame[name]) for name in names], names=list(names))

    def with_columns(self, added: Added) -> Any:
        """The label becomes an Enum: polars' type for a fixed list of categories."""
        polars = sys.modules["polars"]
        series = []
        for name, column in added.items():
            if pa.types.is_dictionary(column.type):
                array = _one_array(column)
                kind = polars.Enum(array.dictionary.to_pylist())
                series.append(polars.Series(name, array.dictionary_decode().to_pylist(), dtype=kind))
            else:
                series.append(polars.Series(name, polars.from_arrow(column)))
        return self._frame.with_columns(series)


class ArrowFrame:
    """A pyarrow table or record batch, or any frame with `__arrow_c_stream__`.

    A foreign frame comes back as its own class if that has a method `from_arrow`, else as a pyarrow table.
    """

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._table = pa.Table.from_batches([frame]) if isinstance(frame, pa.RecordBatch) else pa.table(frame)
        self.names: list[str] = list(self._table.schema.names)

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """Without a copy."""
        table = self._table if rows is None else self._table.slice(0, rows)
        return table if columns is None else table.select(columns)

    def with_columns(self, added: Added) -> Any:
        """The schema's metadata stay."""
        table = self._table
        for name, column in added.items():
            table = table.append_column(pa.field(name, column.type), column)
        if isinstance(self._frame, pa.RecordBatch):
            arrays = [_one_array(column) for column in table.columns]
            return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
        if isinstance(self._frame, pa.Table):
            return table
        return _foreign(type(self._frame), table)


def _annotate_stream(
    stream: pa.RecordBatchReader, chosen: Sequence[str], added: Columns, score: Score
) -> pa.RecordBatchReader:
    """A stream in, a stream out, scored as it is read."""
    added.check(stream.schema.names)
    texts = text_columns_of(TableReader(stream.schema.empty_table()), chosen)
    schema = pa.schema([*stream.schema, *added.fields()], metadata=stream.schema.metadata)

    def annotated() -> Iterator[pa.RecordBatch]:
        for batch, probabilities in score(stream, texts):
            yield pa.RecordBatch.from_arrays([*batch.columns, *added.arrays(probabilities)], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, annotated())


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece; a single piece as it is, for joining would empty the dictionary of one without rows."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _pandas_column(series: Any, name: str, lenient: bool) -> pa.Array:
    """One pandas column as Arrow; numbers among texts are read as text, as they would be in a CSV.

    A lenient look only tells texts from other things: what has no type of Arrow comes out as null.
    """
    try:
        array = pa.array(series, from_pandas=True)
        # A column of objects without any value, or of no rows, may be of any type, so it may be of text. One of floats
        # that are all NaN is what pandas makes of empty cells: of text if its name says so.
        if array.null_count == len(array):
            if series.dtype == object or not len(array):
                return pa.nulls(len(array), pa.large_string())
            return pa.nulls(len(array)) if pa.types.is_floating(array.type) else array
        return array
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeEncodeError):
        pass
    values: list[str | None] = []
    for row, value in enumerate(series):
        if isinstance(value, str):
            values.append(value.encode("utf-8", "replace").decode("utf-8"))  # a lone surrogate becomes "?"
        elif isinstance(value, (numbers.Real, decimal.Decimal, np.bool_)):
            values.append(None if value != value else str(value))  # a NaN is not equal to itself
        elif lenient or _is_null(value):
            values.append(None)
        else:
            raise InputError(
                f"column {name!r} holds a {type(value).__name__} in row {row} (counted from 0), which is no text. "
                "Turn the column into text first, or name another with text_column."
            )
    texts = not lenient or any(isinstance(value, str) for value in series)
    return pa.array(values, pa.large_string()) if texts else pa.nulls(len(series))


def _polars_column(series: Any) -> pa.Array | pa.ChunkedArray:
    """One polars column as Arrow; nulls where Arrow has no such type."""
    try:
        return series.to_frame().to_arrow().column(0)
    except pa.ArrowInvalid:
        return pa.nulls(len(series), pa.float64())  # not of the null type, which a column of texts may have


def _is_null(value: object) -> bool:
    pandas = sys.modules["pandas"]
    return value is None or value is pandas.NA or value is pandas.NaT


def _foreign(kind: type, table: pa.Table) -> Any:
    """`table` as a frame of another library, if its class knows how."""
    duckdb = sys.modules.get("duckdb")
    if duckdb is not None and issubclass(kind, duckdb.DuckDBPyRelation):
        return duckdb.from_arrow(table)
    convert = getattr(kind, "from_arrow", None)
    try:
        return table if convert is None else convert(table)
    except TypeError:  # its from_arrow wants more than a table
        return table
