"""Frames and series of polars, lazy ones too."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.column_paths import find_root
from sentiment_batch.data.columns import to_single_array
from sentiment_batch.frames.values import Metadata, convert_values, join_columns

if TYPE_CHECKING:
    from sentiment_batch.frames.base import Added
    from sentiment_batch.scoring.scorer import Scorer


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
            if sys.modules["polars"].Object not in frame.dtypes:
                return frame.to_arrow()
        except pa.ArrowInvalid:  # a type that Arrow lacks, such as Int128; its values are not needed
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
        """Some rows."""
        return PolarsFrame(self._frame.select([name for name in self.names if name not in without])[list(rows)])


def annotate_lazy_polars(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """A lazy frame with its scores, which are computed when it is collected, in pieces if the engine streams.

    The scores are one expression, so that polars knows what it needs: rows that a later filter drops are not scored,
    and nothing is scored if no later step uses a score. The expression gives a struct, so that each text is scored once
    for all columns.
    """
    polars = sys.modules["polars"]
    empty = polars.DataFrame(schema=frame.collect_schema())
    schema = PolarsFrame(empty).table().schema
    texts = scorer.choose_text_columns(schema, chosen).names
    added = scorer(empty, text_column=texts).select(scorer.added.names)
    roots = dict.fromkeys(find_root(schema, name) for name in texts)
    scores = polars.struct(list(roots)).map_batches(
        partial(_score_structs, scorer, texts), return_dtype=polars.Struct(added.schema), is_elementwise=True
    )
    first = added.columns[0]
    return frame.with_columns(scores.alias(first)).with_columns(polars.col(first).struct.unnest())


def _score_structs(scorer: Scorer, texts: Sequence[str], rows: Any) -> Any:
    """Take a series of structs with the text columns, and return a series of structs with the added columns."""
    return scorer(rows.struct.unnest(), text_column=texts).select(scorer.added.names).to_struct(rows.name)


def _to_arrow(series: Any, *, strict: bool) -> tuple[pa.Array | pa.ChunkedArray, Metadata]:
    """One polars column as Arrow, and its marks. If Arrow has no such type, all values are null."""
    if series.dtype == sys.modules["polars"].Object:  # Arrow would get the addresses of the objects
        return convert_values(series.to_list(), series.name, strict=strict)
    try:
        return series.to_frame().to_arrow().column(0), {}
    except pa.ArrowInvalid:
        return pa.nulls(len(series), pa.float64()), {}  # not the null type, which a column of texts may have
