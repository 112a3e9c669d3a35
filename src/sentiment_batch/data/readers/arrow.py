"""Reads Arrow IPC files and streams, and Feather; which of them it is, the first bytes tell."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from sentiment_batch.data.readers.file_signatures import refuse_other_formats
from sentiment_batch.data.readers.source import Source
from sentiment_batch.data.readers.text_formats import refuse_text
from sentiment_batch.data.readers.validate import validate_batch, translate_read_errors, strings_are_valid
from sentiment_batch.errors import InputError
from sentiment_batch.records import Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")

MAX_ROWS_PER_BATCH = 1 << 13
"""Most rows of a batch; larger ones are cut, which copies nothing."""
_CONTINUED = b"\xff\xff\xff\xff"
"""Before the length of each message of a stream; the last one has the length 0."""
_LEGACY_BYTES = 1 << 24
"""A stream from before Arrow 0.15 begins with the length of its schema, which is below this."""


class ArrowReader:
    """A `Reader` of Arrow IPC: a split for each record batch of a file, one in all for a stream.

    Args:
        location: a path, an fsspec URL, or `-` for standard input.
        options: what to do with rows whose strings are not UTF-8.

    Raises:
        InputError: the file is missing, damaged, or of another kind.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._source = Source(location)
        self._name = self._source.name
        self._on_bad_row = options.on_bad_row
        try:
            with translate_read_errors(self._name):
                self._layout = _layout(self._source)
                self.schema = self._layout.schema
                self.num_rows = self._layout.num_rows
        except BaseException:
            self.close()
            raise
        self._splits = tuple(
            Split(index=index, label=self._name if part is None else f"{self._name}, batch {part}", key=(index,))
            for index, part in enumerate(self._layout.parts)
        )

    def splits(self) -> Sequence[Split]:
        """The record batches of a file, or the whole of a stream."""
        return self._splits

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows of one split, at most `ROWS` in a batch."""
        rows = 0
        with contextlib.closing(self._layout.read(split.index)) as found:
            while True:
                with translate_read_errors(split.label):
                    batch = next(found, None)
                if batch is None:
                    return
                for piece in self._pieces(batch, split.label, rows):
                    if not piece.schema.equals(self.schema, check_metadata=True):
                        piece = pa.RecordBatch.from_arrays(piece.columns, schema=self.schema)
                    rows += piece.num_rows
                    yield piece

    def _pieces(self, batch: pa.RecordBatch, where: str, first: int) -> Iterator[pa.RecordBatch]:
        """The rows of a batch that begins at row `first` of its split, checked."""
        pieces = (batch.slice(start, MAX_ROWS_PER_BATCH) for start in range(0, batch.num_rows, MAX_ROWS_PER_BATCH))
        if strings_are_valid(batch, where):  # looked at as a whole: a slice has the whole dictionary, to be checked every time
            yield from pieces
            return
        for piece in pieces:
            yield validate_batch(piece, where, first=first, on_bad_row=self._on_bad_row)
            first += piece.num_rows

    def close(self) -> None:
        """Close the file; batches that were read stay valid."""
        self._source.close()


class _Layout(Protocol):
    """One of the ways in which the format is laid out."""

    schema: pa.Schema
    num_rows: int | None
    parts: Sequence[int | None]
    """A number for each split; None where there is one in all."""

    def read(self, part: int) -> Any:
        """A generator of the record batches of one split."""


class _File:
    """The file format, also known as Feather V2: a footer tells where each batch is."""

    def __init__(self, source: Source) -> None:
        stream = source.open_random(memory_map=True)
        self._file = pa.ipc.open_file(stream)
        self._lock = threading.Lock()  # the reader remembers dictionaries, and promises nothing to several threads
        self.schema = self._file.schema
        self.parts: Sequence[int | None] = range(self._file.num_record_batches)
        # Counting reads the head of each batch: next to nothing in a mapped file, many requests over a network.
        mapped = isinstance(stream, pa.MemoryMappedFile) and hasattr(self._file, "count_rows")
        self.num_rows: int | None = self._file.count_rows() if mapped else None

    def read(self, part: int) -> Iterator[pa.RecordBatch]:
        with self._lock:
            batch = self._file.get_batch(part)
        yield batch


class _Stream:
    """The stream format: batches one after the other, between which dictionaries may change."""

    num_rows: int | None = None
    parts: Sequence[int | None] = (None,)

    def __init__(self, source: Source) -> None:
        self._source = source
        with source.open() as stream, pa.ipc.open_stream(stream) as reader:
            self.schema = reader.schema

    def read(self, part: int) -> Iterator[pa.RecordBatch]:
        with self._source.open() as stream:
            watched = _Watched(stream)
            with pa.ipc.open_stream(watched) as reader:
                yield from reader
            if not watched.ended():
                logger.warning(
                    "%s ends without the mark that Arrow streams end with; if its writer was cut off, rows are missing",
                    self._source.name,
                )


class _Watched(io.RawIOBase):
    """A stream that remembers the last bytes that were read: one cut between two batches looks whole otherwise."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._last = b""
        self._legacy = not stream.peek(4).startswith(_CONTINUED)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._last = (self._last + data[-8:])[-8:]
        return data

    def ended(self) -> bool:
        # Before Arrow 0.15 the mark was four zeros, which any batch may end with.
        return self._legacy or self._last == _CONTINUED + b"\0\0\0\0"


class _FeatherV1:
    """The format of Feather before 2020, which later versions of pyarrow no longer read."""

    parts: Sequence[int | None] = (None,)

    def __init__(self, source: Source) -> None:
        import pyarrow.feather

        with warnings.catch_warnings(), source.open_random(memory_map=True) as file:
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            self._table = pyarrow.feather.read_table(file)
        self.schema = self._table.schema
        self.num_rows: int | None = self._table.num_rows

    def read(self, part: int) -> Iterator[pa.RecordBatch]:
        yield from self._table.to_batches(max_chunksize=MAX_ROWS_PER_BATCH)


def _layout(source: Source) -> _Layout:
    head = source.head()
    refuse_other_formats(source.name, head, own="arrow")
    if head.startswith(b"ARROW1"):
        return _File(source)
    if head.startswith(b"FEA1"):
        return _FeatherV1(source)
    if head.startswith(_CONTINUED) or 0 < int.from_bytes(head[:4], "little") < _LEGACY_BYTES:
        return _Stream(source)
    refuse_text(source.name, head)
    raise InputError(f"{source.name} is {'not Arrow or Feather' if head else 'empty'}. Check what it is.")
