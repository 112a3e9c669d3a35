"""The rows of a table from any row on, and the columns that come out of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.errors import InputError

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.scoring.added_columns import Columns
    from sentiment_batch.scoring.output.bad_rows import Problems


def rows_from(reader: Reader, start: int, problems: Problems) -> Iterator[pa.RecordBatch]:
    """The rows of the input from a number on; splits that lie before it are not even read where their size is known."""
    row = 0
    for split in reader.splits():
        if split.num_rows is not None and row + split.num_rows <= start:
            row += split.num_rows
            continue
        problems.begin_split(row)
        for batch in reader.batches(split):
            if row + batch.num_rows > start:
                yield batch.slice(max(0, start - row))
            row += batch.num_rows
    if row < start:
        raise InputError(
            f"the input gave {row:,} rows where an earlier run had {start:,} of it. Start over with --restart."
        )


def limited(batches: Iterator[pa.RecordBatch], limit: int | None, start: int) -> Iterator[pa.RecordBatch]:
    """Those of `batches`, which begin with the row numbered `start`, that are among the first `limit`; None for all."""
    left = None if limit is None else max(0, limit - start)
    for batch in batches:
        yield batch if left is None else batch.slice(0, left)
        if left is not None:
            left -= min(left, batch.num_rows)
            if left == 0:
                return


def places(schema: pa.Schema, keep: Sequence[str]) -> list[int]:
    """The kept columns by place, so that repeated names of an input stay apart; all where none is named."""
    return [schema.get_field_index(name) for name in keep] or list(range(len(schema)))


def output_schema(schema: pa.Schema, keep: Sequence[str], added: Columns) -> pa.Schema:
    """The kept columns of `schema`, then those that are added, under its metadata."""
    inputs = [schema.field(place) for place in places(schema, keep)]
    return pa.schema([*inputs, *added.fields()], metadata=schema.metadata)
