"""Tables, record batches and streams of pyarrow, and frames of libraries that give an Arrow stream."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.column_paths import describe_type
from sentiment_batch.data.columns import holds_text, to_single_array
from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.errors import InputError
from sentiment_batch.frames.base import SAMPLE_ROWS, find_texts

if TYPE_CHECKING:
    from sentiment_batch.frames.base import Added
    from sentiment_batch.scoring.scorer import Scorer


class ArrowFrame:
    """A pyarrow table or record batch, or any frame with `__arrow_c_stream__`.

    A frame of another library comes back as its own class if that has a method `from_arrow`, else as a pyarrow table.
    """

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._table = pa.Table.from_batches([frame]) if isinstance(frame, pa.RecordBatch) else pa.table(frame)
        self.names: list[str] = list(self._table.schema.names)

    def table(self, columns: Sequence[str] | None = None, rows: int | None = None) -> pa.Table:
        """The first rows of the table, without a copy."""
        table = self._table if rows is None else self._table.slice(0, rows)
        return table if columns is None else table.select(columns)

    def with_columns(self, added: Added) -> Any:
        """A new frame of the same kind; the metadata of its schema stay."""
        table = self._table
        for name, column in added.items():
            table = table.append_column(pa.field(name, column.type), column)
        return self._convert_back(table)

    def take_rows(self, rows: Sequence[int], *, without: Collection[str]) -> ArrowFrame:
        """Take rows, see `Frame.take_rows`."""
        places = [place for place, name in enumerate(self.names) if name not in without]
        slices = [self._table.select(places).slice(row, 1) for row in rows]  # Arrow cannot take rows of views
        taken = pa.concat_tables(slices) if slices else self._table.select(places).slice(0, 0)
        return ArrowFrame(self._convert_back(taken))

    def _convert_back(self, table: pa.Table) -> Any:
        """`table` as a frame of the same kind; a table if its class cannot be made from Arrow."""
        if isinstance(self._frame, pa.RecordBatch):
            # A record batch has no chunks
            arrays = [to_single_array(column) for column in table.columns]
            return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
        convert = getattr(type(self._frame), "from_arrow", None)
        try:
            return table if convert is None else convert(table)
        except TypeError:  # its from_arrow needs more than a table
            return table


def annotate_arrow_stream(stream: pa.RecordBatchReader, scorer: Scorer, chosen: Sequence[str]) -> pa.RecordBatchReader:
    """A stream with scores. They are computed while the stream is read.

    Its first rows are read at once if no text column is named, because they may show which column holds the text.
    """
    added = scorer.added
    schema = added.append_to_schema(stream.schema)
    # A stream can be read only once, so rows that were looked at are put back in front of it
    first, batches = (None, stream) if chosen else peek_rows(stream)
    texts = find_texts(scorer, stream.schema.empty_table() if first is None else first, chosen, stream)
    scored = scorer.probabilities(batches, texts)
    return pa.RecordBatchReader.from_batches(schema, (added.append_to_batch(*rows) for rows in scored))


def peek_rows(batches: Iterable[pa.RecordBatch]) -> tuple[pa.Table | None, Iterator[pa.RecordBatch]]:
    """The first rows of a stream, and the stream from its beginning. The rows are None if it has no batches."""
    source, read = iter(batches), []
    for batch in source:
        read.append(batch)
        if sum(one.num_rows for one in read) >= SAMPLE_ROWS:
            break
    return pa.Table.from_batches(read).slice(0, SAMPLE_ROWS) if read else None, chain(read, source)


def to_text_table(texts: Any) -> pa.Table:
    """A table with the column `text`, which holds texts.

    Args:
        texts: (N,) an array or another sequence of texts.

    Raises:
        InputError: it holds something else than texts.
    """
    if isinstance(texts, str | bytes):
        raise InputError("this is a single text. Give several in an array, as in pyarrow.array([text]).")
    try:
        table = pa.table({"text": replace_surrogates(texts)})
    except (pa.ArrowException, TypeError, ValueError, LookupError) as error:
        raise InputError(
            f"an object of the type {type(texts).__name__} is no array of texts. Give one, such as a column of a table."
        ) from error
    kind = table.schema.field("text").type
    if not holds_text(kind) and not pa.types.is_null(kind):
        raise InputError(f"the array holds {describe_type(kind)}, not text. Convert its values to text first.")
    return table
