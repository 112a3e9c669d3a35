"""Frames and series of polars, lazy ones too."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.column_paths import find_root
from sentiment_batch.data.columns import OBJECT_MARK, to_single_array
from sentiment_batch.errors import InputError
from sentiment_batch.frames.base import find_texts
from sentiment_batch.frames.values import Metadata, convert_values, join_columns

if TYPE_CHECKING:
    from sentiment_batch.frames.base import Added
    from sentiment_batch.scoring.scorer import Scorer

_WIDE = ("Int128", "UInt128")
"""The integers that Arrow lacks, as polars names them. Old versions of polars lack them, too."""


class PolarsFrame:
    """A polars DataFrame, or a Series, which becomes one."""

    def __init__(self, frame: Any) -> None:
        is_series = type(frame).__name__ == "Series"
        self._frame = frame.to_frame(frame.name or "text") if is_series else frame
        self.names: list[str] = list(self._frame.columns)

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """The first rows as Arrow, without a copy where polars and Arrow store values in the same way."""
        frame = self._frame if rows is None else self._frame.head(rows)
        frame = frame if columns is None else frame.select(columns)
        try:
            # Arrow takes most types as they are. Otherwise, each column is converted by itself.
            if sys.modules["polars"].Object not in frame.dtypes:
                return frame.to_arrow()
        except pa.ArrowInvalid:  # a type that Arrow lacks, such as Int128
            pass
        return join_columns([(one.name, *_to_arrow(one, strict=columns is not None)) for one in frame])

    def with_columns(self, added: Added) -> Any:
        """A new frame; labels become an Enum, the polars type for a fixed list of categories."""
        polars = sys.modules["polars"]
        series = []
        for name, column in added.items():
            if pa.types.is_dictionary(column.type):
                array = to_single_array(column)
                kind = polars.Enum(array.dictionary.to_pylist())
                series.append(polars.Series(name, array.dictionary_decode().to_pylist(), dtype=kind))
            else:
                series.append(polars.Series(name, polars.from_arrow(column)))
        return self._frame.with_columns(series)

    def take_rows(self, rows: Sequence[int], *, without: Collection[str]) -> PolarsFrame:
        """Take rows, see `Frame.take_rows`."""
        return PolarsFrame(self._frame.select([name for name in self.names if name not in without])[list(rows)])


def annotate_lazy_polars(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """A lazy frame with its scores, which are computed when it is collected, in pieces if the engine streams.

    The scores are one expression, so that polars knows what it needs: rows that a later filter drops are not scored,
    and nothing is scored if no later step uses a score. The expression gives a struct, so that each text is scored once
    for all columns.
    """
    polars = sys.modules["polars"]
    # The types alone decide here, because a row would start the whole query
    empty = polars.DataFrame(schema=frame.collect_schema())
    schema = PolarsFrame(empty).table().schema
    texts = find_texts(scorer, schema, chosen, frame)
    added = scorer(empty, text_column=texts).select(scorer.added.names)
    roots = dict.fromkeys(find_root(schema, name) for name in texts)
    scores = polars.struct(list(roots)).map_batches(
        partial(_score_structs, scorer, texts), return_dtype=polars.Struct(added.schema), is_elementwise=True
    )
    # The struct takes the name of its first field, so that unnesting it leaves no further column behind
    first = added.columns[0]
    return frame.with_columns(scores.alias(first)).with_columns(polars.col(first).struct.unnest())


def _score_structs(scorer: Scorer, texts: Sequence[str], rows: Any) -> Any:
    """Take a series of structs with the text columns, and return a series of structs with the added columns."""
    return scorer(rows.struct.unnest(), text_column=texts).select(scorer.added.names).to_struct(rows.name)


def _to_arrow(series: Any, *, strict: bool) -> tuple[pa.Array | pa.ChunkedArray, Metadata]:
    """One polars column as Arrow, and its marks. Arrow has no integers of 128 bits.

    They become text with all digits. If `strict`, they are refused as texts, and those inside of others become floats.

    Raises:
        InputError: `strict`, and the values are no texts.
    """
    polars = sys.modules["polars"]
    if series.dtype == polars.Object:  # Arrow would get the addresses of the objects
        return convert_values(series.to_list(), series.name, strict=strict)
    if strict and _is_wide(series.dtype):
        raise InputError(
            f"column {series.name!r} holds {series.dtype}, not text. Convert the column to text, or name another with "
            "`text_column`."
        )
    known = series.cast(_replace_wide(series.dtype, polars.Float64() if strict else polars.String()))
    try:
        array = known.to_frame().to_arrow().column(0)
    except pa.ArrowInvalid:  # another type that Arrow lacks
        return convert_values(series.to_list(), series.name, strict=strict)
    return array, {OBJECT_MARK: b"1"} if _is_wide(series.dtype) else {}


def _is_wide(kind: Any) -> bool:
    return str(kind) in _WIDE


def _replace_wide(kind: Any, other: Any) -> Any:
    """A type with `other` for all integers of 128 bits in it."""
    polars = sys.modules["polars"]
    if _is_wide(kind):
        return other
    if isinstance(kind, polars.List):
        return polars.List(_replace_wide(kind.inner, other))
    if isinstance(kind, polars.Array):
        return polars.Array(_replace_wide(kind.inner, other), kind.size)
    if isinstance(kind, polars.Struct):
        return polars.Struct({field.name: _replace_wide(field.dtype, other) for field in kind.fields})
    return kind
