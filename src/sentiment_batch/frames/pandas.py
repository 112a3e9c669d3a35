"""Converts frames and series of pandas to Arrow, and adds columns to them."""

from __future__ import annotations

import collections
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.columns import holds_text, to_single_array
from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.frames.values import Metadata, convert_values, join_columns

if TYPE_CHECKING:
    from sentiment_batch.frames.base import Added


class PandasFrame:
    """A pandas DataFrame, or a Series, which becomes one."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame if frame.ndim == 2 else frame.to_frame("text" if frame.name is None else frame.name)
        self.names = _name_columns(self._frame.columns)

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """The first rows as Arrow; only the given columns are converted, because others may have no Arrow type."""
        converted = {
            place: _to_arrow(self._frame.iloc[:, place], rows, name, strict=columns is not None)
            for place, name in enumerate(self.names)
            if columns is None or name in columns
        }
        return join_columns([(self.names[place], *column) for place, column in converted.items()])

    def with_columns(self, added: Added) -> Any:
        """A new frame; values are set by position, so that the index may repeat or be nested."""
        import pandas as pd

        annotated = self._frame.copy()
        rest = ("",) * (annotated.columns.nlevels - 1)
        for plain, column in added.items():
            # With nested columns, each name is a tuple of all levels
            name = (plain, *rest) if rest else plain
            array = to_single_array(column)
            if pa.types.is_dictionary(column.type):
                # The indices become the codes of the categories, so no string is made for a row. -1 is no label.
                codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
                annotated[name] = pd.Categorical.from_codes(codes, categories=array.dictionary.to_pylist())
            else:
                annotated[name] = array.to_numpy(zero_copy_only=False)
        return annotated

    def take_rows(self, rows: Sequence[int], *, without: Collection[str]) -> PandasFrame:
        """Take rows with their index, see `Frame.take_rows`."""
        places = [place for place, name in enumerate(self.names) if name not in without]
        return PandasFrame(self._frame.iloc[list(rows), places])


def add_index(frame: Any, source: Any) -> Any:
    """A pandas frame of some rows of `source` with the index as its first columns; any other frame as it is.

    An index that only counts the rows of `source` becomes no column, nor does a level with the name of a column.
    """
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(frame, pandas.DataFrame):
        return frame
    index, names = frame.index, _name_columns(frame.columns)
    if isinstance(source.index, pandas.RangeIndex) and source.index.name is None:
        return frame
    frame = frame.copy()
    # Each level is inserted at the front, so the last level comes first
    for place in reversed(range(index.nlevels)):
        plain = "index" if index.nlevels == 1 else f"level_{place}"  # as reset_index names them
        name = plain if index.names[place] is None else index.names[place]
        if str(name) not in names:
            frame.insert(0, name, index.get_level_values(place))
    return frame


def _name_columns(columns: Any) -> list[str]:
    """The names of the columns as text, with U+FFFD for half a surrogate pair, which Arrow lacks.

    A nested name is its first level if that is unique, else all joined by dots.
    """
    nested = [name if isinstance(name, tuple) else (name,) for name in columns]
    counts = collections.Counter(name[0] for name in nested)
    whole = [".".join(str(level) for level in name if level != "") for name in nested]
    plain = [str(name[0]) if counts[name[0]] == 1 else joined for name, joined in zip(nested, whole, strict=True)]
    return [replace_surrogates(name) for name in plain]


def _to_arrow(series: Any, sample_rows: int | None, name: str, *, strict: bool) -> tuple[pa.Array, Metadata]:
    """One pandas column as Arrow, and its marks; see `convert_values`.

    Args:
        series: the column.
        sample_rows: the number of rows to convert; None for all.
        name: the name of the column, for messages.
        strict: as for `convert_values`.

    Raises:
        InputError: as `convert_values` raises it.
    """
    whole, series = series, _to_plain(series if sample_rows is None else series.head(sample_rows))
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeEncodeError):
        return convert_values(series, name, strict=strict)
    # A column of objects without a value, or without rows, may hold text. pandas makes floats that are all NaN of
    # empty cells; such a column holds text if its name says so.
    if array.null_count == len(array):
        if series.dtype == object or not len(array):
            return pa.nulls(len(array), pa.large_string()), {}
        return pa.nulls(len(array)) if pa.types.is_floating(array.type) else array, {}
    # The first rows of a column of objects may be numbers and later ones texts, as pandas reads a mixed column
    is_sample = sample_rows is not None and series.dtype == object and not holds_text(array.type)
    if getattr(array.type, "extension_name", "") == "arrow.uuid" or (is_sample and _holds_some_text(whole)):
        return convert_values(series, name, strict=False)
    return array, {}


def _holds_some_text(series: Any) -> bool:
    """True if there is a text in a column of objects, whose first values are none."""
    kind = sys.modules["pandas"].api.types.infer_dtype(series, skipna=True)
    return kind.startswith("mixed") and any(isinstance(value, str) for value in series)


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
