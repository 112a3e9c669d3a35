"""Reads Arrow IPC files and streams, and Feather. The first bytes of a file decide which of them it is."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence

import pyarrow as pa

from sentiment_batch.data.readers.base import MAX_ROWS_PER_BATCH
from sentiment_batch.data.readers.read_errors import iterate_translated, translate_read_errors
from sentiment_batch.data.readers.sniff import refuse_other_formats, refuse_text
from sentiment_batch.data.readers.source import Source
from sentiment_batch.data.readers.validate import strings_are_valid, validate_batch
from sentiment_batch.errors import InputError
from sentiment_batch.files.filesystems import is_read_once
from sentiment_batch.locations import compression_of, without_password
from sentiment_batch.records import ReadOptions, Split

logger = logging.getLogger("sentiment_batch")

_CONTINUATION = b"\xff\xff\xff\xff"
"""The marker before the length of each message of a stream. The last message has the length 0."""
_MAX_LEGACY_SCHEMA_BYTES = 1 << 24
"""A stream from before Arrow 0.15 begins with the length of its schema, which is smaller than this."""


class ArrowReader:
    """A `Reader` of Arrow IPC: one split for each record batch of a file, or one for a whole stream or compressed file.

    Args:
        location: a path, an fsspec URL, or `-` for standard input.
        options: the function that is called for rows with strings that are not UTF-8.

    Raises:
        InputError: the file is missing, damaged or of another kind.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._source = Source(location)
        self._name = self._source.name
        self._on_bad_row = options.on_bad_row
        self._selected: frozenset[str] | None = None
        try:
            with translate_read_errors(self._name):
                self._layout = _open_layout(self._source)
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
        """The record batches of a file, or the whole stream or compressed file."""
        return self._splits

    def select_columns(self, names: Iterable[str]) -> None:
        """Take only these columns from now on; the others are null. Damage in the others does no harm."""
        self._selected = frozenset(names)

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows of one split, at most `MAX_ROWS_PER_BATCH` in a batch. Cutting batches copies nothing."""
        rows = 0
        with contextlib.closing(self._layout.read(split.index)) as found:
            for batch in iterate_translated(found, split.label):
                for piece in self._cut(batch, split.label, rows):
                    if not piece.schema.equals(self.schema, check_metadata=True):
                        piece = pa.RecordBatch.from_arrays(piece.columns, schema=self.schema)
                    rows += piece.num_rows
                    yield piece

    def _cut(self, batch: pa.RecordBatch, where: str, first: int) -> Iterator[pa.RecordBatch]:
        """The validated rows of a batch, in pieces; `first` is the number of its first row in the split."""
        # An unread column of a mapped file stays on the disk, and its damage is never seen
        if self._selected is not None:
            columns = [
                column if name in self._selected else pa.nulls(len(column), column.type)
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            batch = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
        pieces = (batch.slice(start, MAX_ROWS_PER_BATCH) for start in range(0, batch.num_rows, MAX_ROWS_PER_BATCH))
        # The whole batch is validated first, because each slice holds the whole dictionary.
        if strings_are_valid(batch, where):
            yield from pieces
            return
        for piece in pieces:
            yield validate_batch(piece, where, first=first, on_bad_row=self._on_bad_row)
            first += piece.num_rows

    def close(self) -> None:
        """Close the file. Batches that were read stay valid."""
        self._source.close()


class _IpcFile:
    """The file format, also called Feather V2. Its footer lists the offset of each batch.

    It is open from the first split that is read to the last one, because a data set may have more files than a process
    may hold open.
    """

    parts: Sequence[int]
    """A number for each split. In the other layouts it is None, because they have a single split."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()  # the reader caches dictionaries and is not documented as thread-safe
        self._open: tuple[pa.NativeFile, pa.RecordBatchFileReader] | None = None
        with source.open_random(memory_map=True) as stream:
            file = pa.ipc.open_file(stream)
            self.schema = file.schema
            self.parts = range(file.num_record_batches)
            # Counting reads the head of each batch. In a mapped file that is cheap; over a network it takes many
            # requests.
            mapped = isinstance(stream, pa.MemoryMappedFile) and hasattr(file, "count_rows")
            self.num_rows: int | None = file.count_rows() if mapped else None

    def read(self, part: int) -> Generator[pa.RecordBatch, None, None]:
        # The file stays open until its last batch, because opening it for each batch would parse the footer each time.
        with self._lock:
            stream, file = self._open = self._open or self._open_again()
            batch = file.get_batch(part)
            if part == self.parts[-1]:
                stream.close()
                self._open = None
        yield batch

    def _open_again(self) -> tuple[pa.NativeFile, pa.RecordBatchFileReader]:
        stream = self._source.open_random(memory_map=True)
        file = pa.ipc.open_file(stream)
        # The splits were made from the first footer, so another file under the name must not be read with them
        if file.schema != self.schema or file.num_record_batches != len(self.parts):
            raise InputError(
                f"{self._source.name}: the file changed while it was read. Run again once no program writes to it."
            )
        return stream, file


class _CompressedIpcFile:
    """A compressed file, of which each pass makes a temporary copy. So all its batches are one split."""

    num_rows: int | None = None
    parts: Sequence[int | None] = (None,)

    def __init__(self, source: Source) -> None:
        self._location = source.location
        # The copy is removed at once. Each pass makes its own, so that none lies on the disk in between.
        with contextlib.closing(Source(self._location)) as copy:
            self.schema = _IpcFile(copy).schema

    def read(self, part: int) -> Generator[pa.RecordBatch, None, None]:
        with contextlib.closing(Source(self._location)) as copy:
            file = _IpcFile(copy)
            for number in file.parts:
                yield from file.read(number)


class _IpcStream:
    """The stream format: batches one after the other. Dictionaries may change between them."""

    num_rows: int | None = None
    parts: Sequence[int | None] = (None,)

    def __init__(self, source: Source) -> None:
        self._source = source
        with source.open() as stream, pa.ipc.open_stream(stream) as reader:
            self.schema = reader.schema

    def read(self, part: int) -> Generator[pa.RecordBatch, None, None]:
        with self._source.open() as stream:
            tracking = _TrackingStream(stream)
            with pa.ipc.open_stream(tracking) as reader:
                yield from reader
            if not tracking.is_complete():
                logger.warning(
                    "%s ends without the end mark of Arrow streams; if its writer was interrupted, rows are missing",
                    without_password(self._source.name),
                )


class _TrackingStream(io.RawIOBase):
    """A stream that remembers the last bytes that were read.

    pyarrow does not notice that a stream was cut between two batches.
    """

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._last = b""
        self._legacy = not stream.peek(4).startswith(_CONTINUATION)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._last = (self._last + data[-8:])[-8:]
        return data

    def is_complete(self) -> bool:
        """True if the last bytes are the end mark of a stream."""
        # Before Arrow 0.15 the end mark was four zero bytes, with which any batch may end.
        return self._legacy or self._last == _CONTINUATION + b"\0\0\0\0"


class _FeatherV1:
    """The Feather format before 2020, which later versions of pyarrow no longer read."""

    parts: Sequence[int | None] = (None,)

    def __init__(self, source: Source) -> None:
        import pyarrow.feather

        with warnings.catch_warnings(), source.open_random(memory_map=True) as file:
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            self._table = pyarrow.feather.read_table(file)
        source.close()  # with its temporary copy, if it was compressed
        self.schema = self._table.schema
        self.num_rows: int | None = self._table.num_rows

    def read(self, part: int) -> Generator[pa.RecordBatch, None, None]:
        yield from self._table.to_batches(max_chunksize=MAX_ROWS_PER_BATCH)


def _open_layout(source: Source) -> _IpcFile | _CompressedIpcFile | _IpcStream | _FeatherV1:
    head = source.head()
    refuse_other_formats(source.name, head, own="arrow")
    if head.startswith(b"ARROW1"):
        # Standard input has its copy already, so its batches can be read in any order
        is_packed = compression_of(source.location) is not None and not is_read_once(source.location)
        return _CompressedIpcFile(source) if is_packed else _IpcFile(source)
    if head.startswith(b"FEA1"):
        return _FeatherV1(source)
    if head.startswith(_CONTINUATION):
        return _IpcStream(source)
    refuse_text(source.name, head)
    # Text is refused before: its first four letters would be a length, too
    if 0 < int.from_bytes(head[:4], "little") < _MAX_LEGACY_SCHEMA_BYTES:
        return _IpcStream(source)
    raise InputError(f"{source.name} is {'not Arrow or Feather' if head else 'empty'}. Check what it is.")
