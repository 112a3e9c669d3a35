"""Converts frames and series of pandas to Arrow, and adds columns to them."""

from __future__ import annotations

import collections
import decimal
import numbers
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sentiment_batch.data.columns import to_single_array
from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.errors import InputError

if TYPE_CHECKING:
    from sentiment_batch.frames.base import Added


class PandasFrame:
    """A pandas DataFrame, or a Series, which becomes one."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame if frame.ndim == 2 else frame.to_frame("text" if frame.name is None else frame.name)
        self.names = _name_columns(self._frame.columns)

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """The first rows as Arrow; only the given columns are converted, because others may have no Arrow type."""
        frame = self._frame if rows is None else self._frame.head(rows)
        places = [place for place, name in enumerate(self.names) if columns is None or name in columns]
        arrays = [_to_arrow(frame.iloc[:, place], self.names[place], columns is None) for place in places]
        return pa.table(arrays, names=[self.names[place] for place in places])

    def with_columns(self, added: Added) -> Any:
        """A new frame; values are set by position, so that the index may repeat or be nested."""
        import pandas as pd

        annotated = self._frame.copy()
        rest = ("",) * (annotated.columns.nlevels - 1)
        for plain, column in added.items():
            name = (plain, *rest) if rest else plain
            array = to_single_array(column)
            if pa.types.is_dictionary(column.type):
                codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
                annotated[name] = pd.Categorical.from_codes(codes, categories=array.dictionary.to_pylist())
            else:
                annotated[name] = array.to_numpy(zero_copy_only=False)
        return annotated

    def take_rows(self, rows: Sequence[int], *, without: Collection[str]) -> PandasFrame:
        """Some rows, with their index."""
        places = [place for place, name in enumerate(self.names) if name not in without]
        return PandasFrame(self._frame.iloc[list(rows), places])


def _name_columns(columns: Any) -> list[str]:
    """The names of the columns as text. A nested name is its first level if that is unique, else all joined by dots."""
    nested = [name if isinstance(name, tuple) else (name,) for name in columns]
    counts = collections.Counter(name[0] for name in nested)
    whole = [".".join(str(level) for level in name if level != "") for name in nested]
    return [str(name[0]) if counts[name[0]] == 1 else joined for name, joined in zip(nested, whole, strict=True)]


def _to_arrow(series: Any, name: str, lenient: bool) -> pa.Array:
    """One pandas column as Arrow; numbers among texts become text, as in a CSV.

    Args:
        series: the column.
        name: its name, for messages.
        lenient: give null for a value that has no Arrow type; enough to find out which columns hold text.

    Raises:
        InputError: `lenient` is False, and a value is neither text nor a number.
    """
    series = _to_plain(series)
    try:
        array = pa.array(series, from_pandas=True)
        # A column of objects without a value, or without rows, may hold text. pandas makes floats that are all NaN of
        # empty cells; such a column holds text if its name says so.
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
            values.append(str(replace_surrogates(value)))
        elif isinstance(value, (numbers.Real, decimal.Decimal, np.bool_)):
            values.append(None if value != value else str(value))  # a NaN is not equal to itself
        elif lenient or _is_null(value):
            values.append(None)
        else:
            raise InputError(
                f"column {name!r} holds a value of the type {type(value).__name__} in row {row} (counted from 0), not "
                "a text. Convert the column to text, or name another with `text_column`."
            )
    texts = not lenient or any(isinstance(value, str) for value in series)
    return pa.array(values, pa.large_string()) if texts else pa.nulls(len(series))


def _to_plain(series: Any) -> Any:
    """The column without the types that Arrow cannot hold, or holds as numbers and objects that nobody would recognize.

    Periods and intervals, also as categories, become texts such as `2026-04` and `(0, 10]`.
    """
    pandas = sys.modules["pandas"]
    if isinstance(series.dtype, pandas.SparseDtype):
        return series.sparse.to_dense()
    categories = getattr(series.dtype, "categories", None)
    kind = series.dtype if categories is None else categories.dtype
    if isinstance(kind, (pandas.PeriodDtype, pandas.IntervalDtype)):
        return series.astype(object).map(str, na_action="ignore")
    return series


def _is_null(value: object) -> bool:
    pandas = sys.modules["pandas"]
    return value is None or value is pandas.NA or value is pandas.NaT
