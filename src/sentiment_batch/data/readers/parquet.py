"""Reads Parquet row group by row group: a file, a folder with hive partitions, or a glob, here or behind a URL."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment_batch.data.readers.dataset_files import find_files
from sentiment_batch.data.readers.file_signatures import refuse_other_formats
from sentiment_batch.data.readers.parquet_schema import SchemaAdapter, infer_partition_fields, unify_schemas
from sentiment_batch.data.readers.source import Source
from sentiment_batch.data.readers.text_formats import refuse_text
from sentiment_batch.data.readers.validate import validate_batch, translate_read_errors
from sentiment_batch.errors import InputError
from sentiment_batch.records import Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentiment_batch.records import ReadOptions

PARQUET_ENDINGS = (".parquet", ".pq")
MAX_ROWS_PER_PARQUET_BATCH = 4096
"""Most rows of a batch."""
MAX_BATCH_BYTES = 1 << 25
"""A batch of rows of average size stays below this."""
MAX_MEAN_ROW_BYTES = 1 << 29
"""A row group whose rows are larger than this on average is refused: not one row would fit with what is made of it."""
SAMPLE_ROWS = 16
"""Rows of a group that are read first to see how large they are unpacked."""
_BUFFER = 1 << 20
"""Bytes of each column that are read at once; without a buffer pyarrow reads the whole column of a row group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Footer:
    """What the end of a file says about it."""

    schema: pa.Schema
    groups: list[tuple[int, int]]
    """Rows, and rows of a batch, of each row group."""
    dictionaries: list[str]
    """The columns to read with another index type than theirs; see `_dictionaries`."""


class ParquetReader:
    """A `Reader` of Parquet: one split for each row group.

    Args:
        location: a file, a folder, a glob, their URL, or `-` for standard input.
        options: what to do with rows whose strings are not UTF-8.

    Raises:
        InputError: nothing is there, a file is damaged, or the files' columns do not go together.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._on_bad_row = options.on_bad_row
        self._files = find_files(location, PARQUET_ENDINGS)
        self.locations = [file.location for file in self._files]
        """The files that a folder or glob stands for."""
        whole_folder = any(file.startswith(location.rstrip("/") + "/") for file in self.locations)
        self._cure = "only Parquet is read from whole folders. Name one file" if whole_folder else None
        self._sources = [Source(file.location) for file in self._files]
        self._metadata: dict[int, Any] = {}
        try:
            footers = [self._footer(index) for index in range(len(self._files))]
            self._dictionaries = [footer.dictionaries for footer in footers]
            names = [source.name for source in self._sources]
            partitions = infer_partition_fields([file.partitions for file in self._files])
            self.schema = unify_schemas([footer.schema for footer in footers], names, partitions)
        except BaseException:
            self.close()
            raise
        self._splits = _splits(footers, names)
        self.num_rows: int | None = sum(rows for footer in footers for rows, _ in footer.groups)

    def splits(self) -> Sequence[Split]:
        """The row groups of all files, in the files' natural order."""
        return self._splits

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows of one row group."""
        index, group, batch_rows = map(int, split.key)
        conform = SchemaAdapter(self.schema, self._files[index].partitions, split.label)
        rows = 0
        with self._opened(index, self._dictionaries[index]) as file:
            with translate_read_errors(split.label):
                fitting = min(batch_rows, _unpacked_rows(file, group)) if batch_rows > SAMPLE_ROWS else batch_rows
                decoded = file.iter_batches(batch_size=fitting, row_groups=[group])
            while True:
                with translate_read_errors(split.label):
                    batch = next(decoded, None)
                if batch is None:
                    break
                batch = validate_batch(batch, split.label, first=rows, on_bad_row=self._on_bad_row)
                rows += batch.num_rows
                yield conform(batch)
        if rows != split.num_rows:
            raise InputError(f"{split.label} holds {rows:,} rows where the file says {split.num_rows:,}. Get it again.")

    def close(self) -> None:
        """Close all files."""
        for source in self._sources:
            source.close()

    @contextlib.contextmanager
    def _opened(self, index: int, dictionaries: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
        """One file; parsing its footer is saved when it is the one that was opened last."""
        stream = self._sources[index].open_random()
        try:
            with translate_read_errors(self._sources[index].name):
                metadata = self._metadata.get(index)
                file = pq.ParquetFile(
                    stream,
                    metadata=metadata,
                    read_dictionary=list(dictionaries),
                    buffer_size=_BUFFER,
                    pre_buffer=False,
                    page_checksum_verification=True,
                )
                self._metadata = {index: file.metadata}
            yield file
        finally:
            stream.close()

    def _footer(self, index: int) -> _Footer:
        source = self._sources[index]
        head = source.head()
        refuse_other_formats(source.name, head, own="parquet", cure=self._cure)
        if not head.startswith((b"PAR1", b"PARE")):
            refuse_text(source.name, head, self._cure)
            raise InputError(f"{source.name} is {'empty' if not head else 'not a Parquet file'}. Check what it is.")
        with self._opened(index) as file, translate_read_errors(source.name):
            groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
            return _Footer(
                schema=file.schema_arrow,
                groups=[(group.num_rows, _batch_rows(group, source.name)) for group in groups],
                dictionaries=_dictionaries(file.schema_arrow),
            )


def _dictionaries(schema: pa.Schema) -> list[str]:
    """The dictionaries of strings that do not have the index type in which Parquet files are decoded.

    Left alone, pyarrow converts them itself, and refuses a whole row group for a string that is not UTF-8. `Conform`
    converts them too, after the strings were looked at; it finds columns by their name.
    """
    if len(set(schema.names)) < len(schema):
        return []
    return [
        field.name
        for field in schema
        if pa.types.is_dictionary(field.type)
        and field.type.index_type != pa.int32()
        and field.type.value_type in (pa.string(), pa.large_string())
        and "." not in field.name  # a dot would name a part of a struct
    ]


def _batch_rows(group: Any, name: str) -> int:
    """How many rows of a row group make a batch, going by their average size."""
    if group.num_rows < 0 or group.total_byte_size < 0:
        raise InputError(f"{name} is damaged: a row group has less than nothing in it. Get the file again.")
    average = int(group.total_byte_size) // max(int(group.num_rows), 1)
    if average > MAX_MEAN_ROW_BYTES:
        raise InputError(
            f"{name} has rows of {average / 1e9:.1f} GB, too large to be read. Leave that column out of it."
        )
    return max(1, min(MAX_ROWS_PER_PARQUET_BATCH, int(group.num_rows), MAX_BATCH_BYTES // max(average, 1)))


def _unpacked_rows(file: pq.ParquetFile, group: int) -> int:
    """How many rows make a batch, going by the size of the first ones: long values that repeat take no room in a file.

    The footer does not tell: it counts a value of the dictionary once, however many rows have it.
    """
    sample = next(file.iter_batches(batch_size=SAMPLE_ROWS, row_groups=[group]), None)
    if sample is None or not sample.num_rows:
        return MAX_ROWS_PER_PARQUET_BATCH
    return max(1, MAX_BATCH_BYTES * int(sample.num_rows) // max(int(sample.nbytes), 1))


def _splits(footers: list[_Footer], names: list[str]) -> tuple[Split, ...]:
    found: list[Split] = []
    for index, (footer, name) in enumerate(zip(footers, names, strict=True)):
        for group, (rows, batch_rows) in enumerate(footer.groups):
            label, key = f"{name}, row group {group}", (index, group, batch_rows)
            found.append(Split(index=len(found), label=label, num_rows=rows, key=key))
    return tuple(found)
