"""Encodes record batches as Arrow IPC, in the file format (Feather) or the stream format."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa

from sentiment_batch.errors import OutputError, reason

if TYPE_CHECKING:
    from sentiment_batch.records import WriteOptions

_OWN_BUFFERS = (
    (pa.types.is_list, 2),
    (pa.types.is_large_list, 2),
    (pa.types.is_map, 2),
    (pa.types.is_fixed_size_list, 1),
    (pa.types.is_list_view, 3),
    (pa.types.is_large_list_view, 3),
)
"""How many buffers an array of each type of lists has of its own; those of its values come after them."""


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
        # A stream may replace a dictionary. A file may only append to it, as a delta (Arrow IPC format, dictionary
        # messages).
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
        # A batch without rows is not written, but its dictionary counts for the batches after it.
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
        if not all(map(len, _list_dictionaries(column))):
            with contextlib.suppress(pa.ArrowNotImplementedError):
                batch = batch.set_column(index, batch.schema.field(index), _replace(column, column, _add_entry))
    return batch


def _add_entry(column: pa.DictionaryArray, _known: pa.DictionaryArray) -> pa.DictionaryArray:
    """The column with an unused entry if its dictionary is empty."""
    if len(column.dictionary):
        return column
    try:
        entry = pa.array([0], pa.int32()).cast(column.type.value_type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # no number can become such a value
        entry = pa.nulls(1, column.type.value_type)
    return pa.DictionaryArray.from_arrays(column.indices, entry, ordered=column.type.ordered)


def _extend_dictionaries(known: pa.RecordBatch, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with dictionaries that begin with all values of the dictionaries in `known`."""
    columns = map(_extend_column, known.columns, batch.columns, batch.schema.names)
    return pa.RecordBatch.from_arrays(list(columns), schema=batch.schema)


def _extend_column(known: pa.Array, column: pa.Array, name: str) -> pa.Array:
    if _can_follow(known, column):
        return column
    there = "Write Parquet, or the Arrow stream format (.arrows)."
    try:
        try:
            return _replace(column, known, _append_entries)
        except pa.ArrowNotImplementedError:  # unions and run ends, which pyarrow can change if all values differ
            unified = pa.chunked_array([known, column]).unify_dictionaries().chunk(1)
            if _can_follow(known, unified):
                return unified
            raise
    except pa.ArrowInvalid as error:
        why = "has more values than its index type can count"
        raise OutputError(f"the dictionary of column {name!r} {why}. {there}") from error
    except pa.ArrowNotImplementedError as error:
        why = "has other values in a later part of the table, which pyarrow cannot append"
        raise OutputError(f"the dictionary of column {name!r} {why}: {reason(error)}. {there}") from error


def _can_follow(known: pa.Array, column: pa.Array) -> bool:
    """True if each dictionary begins with all entries of the one in `known`, and none has to grow that is empty."""
    pairs = list(zip(_list_dictionaries(known), _list_dictionaries(column), strict=True))
    return all(new.slice(0, len(old)).equals(old) and bool(len(old) or not len(new)) for old, new in pairs)


def _append_entries(column: pa.DictionaryArray, known: pa.DictionaryArray) -> pa.DictionaryArray:
    """The column with the dictionary of `known`, to which the values are appended that it lacks.

    Entries that are null or equal to an earlier one are never appended. pyarrow's `unify_dictionaries` would refuse
    null entries, drop equal ones from the known dictionary, and change values of float16.
    """
    old, kind = known.dictionary, column.type
    if _has_dictionary(kind.value_type):
        raise pa.ArrowNotImplementedError("its values are dictionaries")
    # Encode both dictionaries together: equal values get equal codes, and the values of the old one come first
    both = pa.concat_arrays([old, column.dictionary]).dictionary_encode()
    codes, places = np.unique(both.indices.slice(0, len(old)).fill_null(-1).to_numpy(), return_index=True)
    places = places[codes >= 0]  # of each value in the old dictionary; codes are given in the order of the values
    added = both.dictionary.slice(len(places))
    places = pa.array(np.concatenate([places, len(old) + np.arange(len(added))]), pa.int64())
    # Two steps for each row: its entry gives the code of the value, and the code gives the new place
    indices = places.take(both.indices.slice(len(old))).take(column.indices)
    dictionary = pa.concat_arrays([old, added]) if len(added) else old
    pa.scalar(max(len(dictionary) - 1, 0)).cast(kind.index_type)  # fails if the index type cannot count so far
    return pa.DictionaryArray.from_arrays(indices.cast(kind.index_type), dictionary, ordered=kind.ordered)


def _list_dictionaries(column: pa.Array) -> list[pa.Array]:
    """The dictionaries in a column, also those inside lists, structs and so on."""
    if not _has_dictionary(column.type):
        return []
    if pa.types.is_dictionary(column.type):
        return [column.dictionary]
    return [found for child in _list_children(column) for found in _list_dictionaries(child)]


def _list_children(column: pa.Array) -> list[pa.Array]:
    """The arrays inside an array that holds others."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return [column.storage]
    if pa.types.is_map(kind):
        return [column.keys, column.items]
    if pa.types.is_struct(kind) or pa.types.is_union(kind):
        return [column.field(position) for position in range(kind.num_fields)]
    return [column.values]


def _replace(
    column: pa.Array, known: pa.Array, change: Callable[[pa.DictionaryArray, pa.DictionaryArray], pa.DictionaryArray]
) -> pa.Array:
    """The column with each array of a dictionary in it replaced.

    Args:
        column: the column.
        known: a column of the same type.
        change: makes an array with as many rows from one of the column and the one at its place in `known`.

    Raises:
        pa.ArrowNotImplementedError: dictionaries are inside a type that is not put together again.
    """
    kind = column.type
    if not _has_dictionary(kind):
        return column
    if pa.types.is_dictionary(kind):
        return change(column, known)
    children = [
        _replace(child, other, change)
        for child, other in zip(_list_children(column), _list_children(known), strict=True)
    ]
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, children[0])
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=column.is_null())
    if pa.types.is_map(kind):
        children = [pa.StructArray.from_arrays(children, fields=[kind.key_field, kind.item_field])]
    buffers = next((number for applies, number in _OWN_BUFFERS if applies(kind)), None)
    if buffers is None:
        raise pa.ArrowNotImplementedError(f"dictionaries inside {kind}")
    # The rows of a list stay as they are. Its own buffers are taken over, and only its values are replaced.
    own = column.buffers()[:buffers]
    return pa.Array.from_buffers(kind, len(column), own, offset=column.offset, children=children)


def _has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _has_dictionary(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return True
    return pa.types.is_nested(kind) and any(_has_dictionary(kind.field(index).type) for index in range(kind.num_fields))
