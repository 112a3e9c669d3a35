"""Encodes record batches as Arrow IPC, in the file format (Feather) or the stream format."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from sentiment_batch.errors import OutputError

if TYPE_CHECKING:
    from sentiment_batch.records import WriteOptions


class ArrowEncoder:
    """Encodes batches as uncompressed Arrow IPC, so that readers can map the file into memory.

    In the file format a dictionary may grow but not change. If the dictionaries of batches differ, the batches are
    rewritten: known values keep their index, and new values are appended.

    Args:
        stream: takes the bytes. It need not seek.
        schema: the columns.
        options: the settings of the output. None concerns Arrow.
        streaming: write the stream format, which can be read while it is written.
    """

    def __init__(self, stream: BinaryIO, schema: pa.Schema, options: WriteOptions, *, streaming: bool = False) -> None:
        self._grow = not streaming and any(_has_dictionary(field.type) for field in schema)
        how = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=self._grow)
        opener = pa.ipc.new_stream if streaming else pa.ipc.new_file
        self._writer = opener(stream, schema, options=how)
        self._known: pa.RecordBatch | None = None  # a batch without rows that holds the dictionaries so far
        self._written = False

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows as one record batch."""
        if not self._grow:
            self._writer.write_batch(batch)
            return
        if self._known is not None:
            batch = _extend_dictionaries(self._known, batch) if batch.num_rows else self._known
        if batch.num_rows:
            batch = batch if self._written else _with_entries(batch)
            self._writer.write_batch(batch)
            self._written = True
        self._known = batch.slice(0, 0)

    def close(self) -> None:
        """Write the end of the format. The dictionaries are written even if there are no rows."""
        if self._known is not None and not self._written:
            self._writer.write_batch(self._known)
        self._writer.close()


def _with_entries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with an unused entry in each empty dictionary, because pyarrow cannot append to an empty one."""
    for index, column in enumerate(batch.columns):
        if _has_empty_dictionary(column):
            with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
                both = pa.chunked_array([_one_row(column.type).slice(0, 0), column])
                filled = pa.table({"": both}).unify_dictionaries().column(0).chunk(1)
                batch = batch.set_column(index, batch.schema.field(index), filled)
    return batch


def _has_empty_dictionary(column: pa.Array) -> bool:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return not len(column.dictionary)
    if not _has_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        return False
    if pa.types.is_struct(kind):
        return any(_has_empty_dictionary(column.field(position)) for position in range(kind.num_fields))
    return any(map(_has_empty_dictionary, [column.keys, column.items] if pa.types.is_map(kind) else [column.values]))


def _one_row(kind: pa.DataType) -> pa.Array:
    """One row of the type, in which every dictionary has an entry."""
    if pa.types.is_dictionary(kind):
        entry = pa.array([0], pa.int32()).cast(kind.value_type)
        return pa.DictionaryArray.from_arrays(pa.array([0], kind.index_type), entry, ordered=kind.ordered)
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays([_one_row(field.type) for field in kind], fields=list(kind))
    if pa.types.is_map(kind):
        keys, items = _one_row(kind.key_type).slice(0, 0), _one_row(kind.item_type).slice(0, 0)  # no key may be null
        return pa.MapArray.from_arrays([0, 0], keys, items, kind)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(
            pa.concat_arrays([_one_row(kind.value_type)] * kind.list_size), type=kind
        )
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays([0, 1], _one_row(kind.value_type), kind)
    if pa.types.is_large_list(kind):
        return pa.LargeListArray.from_arrays([0, 1], _one_row(kind.value_type), kind)
    return pa.nulls(1, kind)


def _extend_dictionaries(known: pa.RecordBatch, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with dictionaries that begin with all values of the dictionaries in `known`."""
    try:
        return pa.Table.from_batches([known, batch]).unify_dictionaries().to_batches()[-1]
    except pa.ArrowNotImplementedError:  # dictionaries of nested values; the writer fails if they do differ
        return batch
    except pa.ArrowInvalid as error:
        raise OutputError(
            "the dictionary of a column has more values than its index type can count. Write Parquet, or the Arrow "
            "stream format (.arrows)."
        ) from error


def _has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _has_dictionary(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return True
    return pa.types.is_nested(kind) and any(_has_dictionary(kind.field(index).type) for index in range(kind.num_fields))
