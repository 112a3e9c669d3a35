"""Reads Parquet by row groups: a file, a folder with hive partitions or a glob, local or behind a URL."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment_batch.data.readers import PARQUET_SUFFIXES
from sentiment_batch.data.readers.dataset_files import find_files
from sentiment_batch.data.readers.int96 import INT96_UNITS, choose_int96_unit
from sentiment_batch.data.readers.parquet_schema import adapt_batch, infer_partition_fields, unify_schemas
from sentiment_batch.data.readers.read_errors import iterate_translated, translate_read_errors
from sentiment_batch.data.readers.sniff import refuse_other_formats, refuse_text
from sentiment_batch.data.readers.source import Source
from sentiment_batch.data.readers.validate import validate_batch
from sentiment_batch.errors import InputError
from sentiment_batch.records import ReadOptions, Split

MAX_ROWS_PER_PARQUET_BATCH = 4096
"""Largest number of rows of a batch."""
MAX_BATCH_BYTES = 1 << 25
"""Largest size of a batch of rows of average size."""
MAX_MEAN_ROW_BYTES = 1 << 29
"""Row groups with larger rows on average are refused, because not even one row and its copies would fit in memory."""
MAX_SAMPLED_ROWS = 16
"""Number of rows of a row group that are decoded first to measure their size."""
_BUFFER = 1 << 20
"""Number of bytes of each column that are read at once. Without a buffer pyarrow reads whole columns of a row group."""


class ParquetReader:
    """A `Reader` of Parquet, with one split for each row group.

    Args:
        location: a file, a folder, a glob, their URL, or `-` for standard input.
        options: the function that is called for rows with strings that are not UTF-8.
        int96_unit: the unit of timestamps that are stored in 96 bits, as old programs do it; None takes the finest one
            that holds all of them.

    Raises:
        InputError: there are no files, a file is damaged, or the columns of the files are incompatible.
    """

    def __init__(self, location: str, options: ReadOptions, *, int96_unit: str | None = None) -> None:
        self._on_bad_row = options.on_bad_row
        self._int96_unit = int96_unit or "ns"
        self._files = find_files(location, PARQUET_SUFFIXES)
        self.locations = [file.location for file in self._files]
        """The files in the folder or glob."""
        self._sources = [Source(file.location) for file in self._files]
        self._metadata: dict[int, Any] = {}
        try:
            # All footers are read at once. They hold the schema, the number of rows and the size of each row group.
            footers = [self._read_footer(index) for index in range(len(self._files))]
            # All files must have one unit, so the coarsest one that some file needs is taken for all
            if int96_unit is None and (coarser := self._find_coarser_unit([schema for schema, _ in footers])):
                self._int96_unit = coarser
                footers = [self._read_footer(index) for index in range(len(self._files))]
            schemas = [schema for schema, _ in footers]
            self._dictionaries = list(map(_find_dictionaries, schemas))
            names = [source.name for source in self._sources]
            partitions = infer_partition_fields([file.partitions for file in self._files])
            self.schema = unify_schemas(schemas, names, partitions)
            # A column of the file that is not selected must not get its values from the name of the folder.
            self._partitions = [
                {name: value for name, value in file.partitions.items() if name not in schema.names}
                for file, schema in zip(self._files, schemas, strict=True)
            ]
        except BaseException:
            self.close()
            raise
        self._splits = _make_splits(names, [groups for _, groups in footers])
        self.num_rows: int | None = sum(rows for _, groups in footers for rows, _ in groups)
        self._selected: frozenset[str] | None = None

    def splits(self) -> Sequence[Split]:
        """The row groups of all files, in the natural order of the files."""
        return self._splits

    def select_columns(self, names: Iterable[str]) -> None:
        """Read only these columns from now on; the others are null. Damage in columns that are not read does no harm.

        Columns with equal names cannot be distinguished, so a table with such names is read as a whole.
        """
        self._selected = frozenset(names) if len(set(self.schema.names)) == len(self.schema) else None

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows of one row group.

        Raises:
            InputError: the row group is damaged, or holds another number of rows than its footer announces.
        """
        index, group, batch_rows = map(int, split.key)
        rows = 0
        with self._open(index, self._dictionaries[index]) as file:
            with translate_read_errors(split.label):
                columns = [name for name in file.schema_arrow.names if name in (self._selected or ())] or None
                # Decode a few rows first, because rows may be much larger decoded than in the file.
                if batch_rows > MAX_SAMPLED_ROWS:
                    batch_rows = min(batch_rows, _measure_batch_rows(file, group, columns))
                decoded = file.iter_batches(batch_size=batch_rows, row_groups=[group], columns=columns)
            for batch in iterate_translated(decoded, split.label):
                batch = validate_batch(batch, split.label, first=rows, on_bad_row=self._on_bad_row)
                rows += batch.num_rows
                yield adapt_batch(batch, self.schema, self._partitions[index], split.label)
        # Damage may leave rows out without an error of pyarrow
        if rows != split.num_rows:
            raise InputError(
                f"{split.label} holds {rows:,} rows, but its footer announces {split.num_rows:,}. Get the file again."
            )

    def close(self) -> None:
        """Close all files."""
        for source in self._sources:
            source.close()

    def _find_coarser_unit(self, schemas: Sequence[pa.Schema]) -> str | None:
        """The unit of timestamps in 96 bits, if nanoseconds do not hold all of them."""
        units = {
            choose_int96_unit(functools.partial(self._open, index), self._sources[index].name)
            for index, schema in enumerate(schemas)
            if any("timestamp[ns" in str(field.type) for field in schema)  # else nothing has to be opened again
        }
        unit = max(units, key=list(INT96_UNITS).index, default="ns")
        return None if unit == "ns" else unit

    @contextlib.contextmanager
    def _open(
        self, index: int, dictionaries: Sequence[str] = (), *, int96_unit: str | None = None
    ) -> Iterator[pq.ParquetFile]:
        """Open one file. Its footer is not parsed again if it is the file that was opened last."""
        # The file is open only while it is read. A data set may have more files than can be open at once.
        stream = self._sources[index].open_random()
        try:
            with translate_read_errors(self._sources[index].name):
                file = pq.ParquetFile(
                    stream,
                    metadata=self._metadata.get(index),
                    read_dictionary=list(dictionaries),
                    buffer_size=_BUFFER,
                    pre_buffer=False,
                    # Without it 135 of 300 flipped bits gave other values without an error, with it none did
                    page_checksum_verification=True,
                    coerce_int96_timestamp_unit=int96_unit or self._int96_unit,
                )
                # Row groups are read file by file, so one footer in memory is enough
                self._metadata = {index: file.metadata}
            yield file
        finally:
            stream.close()

    def _read_footer(self, index: int) -> tuple[pa.Schema, list[tuple[int, int]]]:
        """The columns of a file, and the number of rows and the batch size of each of its row groups."""
        source = self._sources[index]
        # The first bytes are checked before pyarrow sees the file, because its errors do not name other formats
        head = source.head()
        refuse_other_formats(source.name, head, own="parquet")
        if not head.startswith((b"PAR1", b"PARE")):
            refuse_text(source.name, head)
            raise InputError(f"{source.name} is {'empty' if not head else 'not a Parquet file'}. Check what it is.")
        with self._open(index) as file, translate_read_errors(source.name):
            groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
            return file.schema_arrow, [(group.num_rows, _estimate_batch_rows(group, source.name)) for group in groups]


def _find_dictionaries(schema: pa.Schema) -> list[str]:
    """The dictionary columns of strings whose index type is not int32, the type in which pyarrow decodes them.

    pyarrow would convert such a column itself, and would refuse a whole row group if a string is not UTF-8. So the
    column is read with int32, and `adapt_batch` converts it after the strings were validated. It finds columns by
    name, so a schema with repeated names has none.
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


def _make_splits(names: Sequence[str], groups: Sequence[Sequence[tuple[int, int]]]) -> tuple[Split, ...]:
    """A split for each row group, because a row group is the smallest unit that can be read alone.

    Args:
        names: the names of the files.
        groups: the number of rows and the batch size of each row group, by file.
    """
    places = [(index, group) for index, of_file in enumerate(groups) for group in range(len(of_file))]
    return tuple(
        Split(
            index=number,
            label=f"{names[index]}, row group {group}",
            num_rows=groups[index][group][0],
            key=(index, group, groups[index][group][1]),
        )
        for number, (index, group) in enumerate(places)
    )


def _estimate_batch_rows(group: Any, name: str) -> int:
    """The batch size of a row group by the average size of its rows in the file."""
    if group.num_rows < 0 or group.total_byte_size < 0:
        raise InputError(f"{name} is damaged: a row group has a negative size. Get the file again.")
    average = int(group.total_byte_size) // max(int(group.num_rows), 1)
    if average > MAX_MEAN_ROW_BYTES:
        raise InputError(
            f"{name} has rows of {average / 1e9:.1f} GB, too large to be read. Leave that column out of it."
        )
    return max(1, min(MAX_ROWS_PER_PARQUET_BATCH, int(group.num_rows), MAX_BATCH_BYTES // max(average, 1)))


def _measure_batch_rows(file: pq.ParquetFile, group: int, columns: list[str] | None) -> int:
    """The batch size of a row group by the decoded size of its first rows.

    The footer is not enough, because it counts a long value in a dictionary once, however many rows have it.
    """
    sample = next(file.iter_batches(batch_size=MAX_SAMPLED_ROWS, row_groups=[group], columns=columns), None)
    if sample is None or not sample.num_rows:
        return MAX_ROWS_PER_PARQUET_BATCH
    return max(1, MAX_BATCH_BYTES * int(sample.num_rows) // max(int(sample.nbytes), 1))
