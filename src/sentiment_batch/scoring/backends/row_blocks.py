"""Cuts a stream of record batches into windows of rows to score together: where they end depends on the rows alone.

For rows so wide that `HELD_BYTES` cuts them it depends on the batches too, which a reader gives alike each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import texts_of

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.records import Problem

WINDOW_ROWS = 8_192
"""Enough for batches of nearly equal lengths."""
WINDOW_BYTES = 32 * 2**20
"""Of text; a window of fewer rows where they are long."""
HELD_BYTES = 64 * 2**20
"""Of all columns: wide rows do not pile up while a window fills."""

TEXTS = pa.schema({"text": pa.large_string()})


@dataclass(kw_only=True, slots=True)
class Window:
    """Some rows of the input, in order."""

    start: int = 0
    """The number of the first row in the input."""
    batches: list[pa.RecordBatch] = field(default_factory=list)
    """Their columns, as they came from the reader; never copied together, so that no type can change."""
    texts: list[pa.LargeStringArray] = field(default_factory=list)
    """The text of each row, an array per batch."""
    rows: int = 0
    text_bytes: int = 0
    held_bytes: int = 0
    known: Floats | None = None
    """(rows, K) what an earlier run made of these rows, so that nothing is left to do; None where nobody did."""

    def add(self, batch: pa.RecordBatch, texts: pa.LargeStringArray, text_bytes: int) -> None:
        """Take some rows."""
        self.batches.append(batch)
        self.texts.append(texts)
        self.rows += batch.num_rows
        self.text_bytes += text_bytes
        self.held_bytes += batch.nbytes

    def pack_texts(self) -> bytes:
        """The texts alone, for another process; of a slice no more than the slice, unlike a pickle of it."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, TEXTS) as stream:
            for texts in self.texts:
                stream.write_batch(pa.record_batch([texts], schema=TEXTS))
        packed: bytes = sink.getvalue().to_pybytes()
        return packed

    @classmethod
    def of_texts(cls, packed: bytes) -> Window:
        """A window that knows its texts and none of its columns."""
        batches = list(pa.ipc.open_stream(packed))
        return cls(texts=[batch.column(0) for batch in batches], rows=sum(batch.num_rows for batch in batches))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cutting:
    """How a stream is cut into windows, beside what the rows themselves say."""

    start: int = 0
    """The number in the input of the stream's first row."""
    part_rows: int | None = None
    """No window crosses a multiple of this, so that the windows after a part are the same however it came about."""
    known: Callable[[int, int], Floats | None] = lambda start, rows: None
    """The probabilities of so many rows from a number on, where an earlier run left them."""
    on_bad_row: Callable[[Problem], None] | None = None
    """Told of texts that are not UTF-8, by their number in the input; None makes them an error."""


def windows(
    batches: Iterable[pa.RecordBatch], text_columns: Sequence[str], cutting: Cutting | None = None
) -> Iterator[Window]:
    """The rows of `batches`, divided into windows; no row is lost or moved."""
    cutting = cutting or Cutting()
    window = Window(start=cutting.start)
    seen = cutting.start
    for batch in batches:
        texts = texts_of(batch, text_columns, start=seen, on_bad_row=cutting.on_bad_row)
        lengths = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        start = 0
        while start < batch.num_rows:
            stop = _fitting(ends, start, window, batch.num_rows, cutting.part_rows)
            if stop == start:  # full
                yield _finished(window, cutting)
                window = Window(start=seen + start)
                continue
            window.add(batch.slice(start, stop - start), texts[start:stop], int(ends[stop] - ends[start]))
            start = stop
        seen += batch.num_rows
        if window.held_bytes > HELD_BYTES:
            yield _finished(window, cutting)
            window = Window(start=seen)
    if window.rows:
        yield _finished(window, cutting)


def _finished(window: Window, cutting: Cutting) -> Window:
    window.known = cutting.known(window.start, window.rows)
    return window


def _fitting(
    ends: np.ndarray[tuple[int], np.dtype[np.int64]], start: int, window: Window, rows: int, part_rows: int | None
) -> int:
    """The end of the run of rows from `start` that still fits into the window; at least one row into an empty one."""
    most = WINDOW_ROWS if part_rows is None else min(WINDOW_ROWS, part_rows - window.start % part_rows)
    room = WINDOW_BYTES - window.text_bytes
    by_bytes = int(np.searchsorted(ends, ends[start] + room, side="right")) - 1
    stop = min(by_bytes, start + most - window.rows, rows)
    return max(stop, start + 1 if window.rows == 0 else start)
