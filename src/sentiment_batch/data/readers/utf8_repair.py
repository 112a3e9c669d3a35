"""Finds the strings of an Arrow column that are not UTF-8, and replaces their bad bytes by U+FFFD."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

BadStrings = dict[int, bytes]
"""The bytes of the first bad string of each row that has one, by the row's number in the array."""

_BINARY_TYPES = {
    pa.string(): pa.binary(),
    pa.large_string(): pa.large_binary(),
    pa.string_view(): pa.binary_view(),
}


def repair_utf8(column: pa.Array) -> tuple[pa.Array, BadStrings]:
    """`column` with U+FFFD for bytes that are not UTF-8, and the bad strings by row.

    Bad bytes that no row shows, such as those under a null, are repaired but not returned.

    Args:
        column: an array of any type, valid or not. The cost of a slice depends only on its own rows.

    Raises:
        pa.ArrowInvalid: something else than UTF-8 is wrong.
        pa.ArrowNotImplementedError: bad strings are inside a nested type that cannot be repaired.
    """
    if is_valid(column):
        return column, {}
    kind = column.type
    if kind in _BINARY_TYPES:
        return _repair_strings(column)
    if isinstance(column, pa.ExtensionArray):
        storage, found = repair_utf8(column.storage)
        return pa.ExtensionArray.from_storage(kind, storage), found
    for applies, repair in _NESTED:
        if applies(kind):
            # What lies under a null is no value of a row, so it is not reported
            array, found = repair(column)
            return array, {row: value for row, value in found.items() if column[row].is_valid}
    raise pa.ArrowNotImplementedError(f"strings inside {kind} that are not UTF-8 cannot be repaired")


def describe_bad_utf8(value: bytes, place: str = "") -> str:
    """What is wrong with `value`, as a sentence without full stop; `place` may be such as ` in column 'a'`."""
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{value[error.start]:02x} at offset {error.start:,}{place} is not UTF-8"
    return "its bytes are not UTF-8"


def is_valid(data: pa.Array | pa.RecordBatch) -> bool:
    """True if everything in `data` is valid; False if strings are not UTF-8, which may hide other damage.

    Numbers, dates and times out of the range of their type are valid. They are harmless, and pyarrow reads them.

    Raises:
        pa.ArrowInvalid: something else is invalid.
    """
    if isinstance(data, pa.RecordBatch):
        return all([is_valid(column) for column in data.columns])  # a list, because all of them are validated
    try:
        # The full validation also checks the range of times and decimals, which would refuse values that are harmless
        data.validate(full=not _holds_only_numbers(data.type))
    except pa.ArrowInvalid as error:
        if "Invalid UTF8" not in str(error):  # pyarrow has no exception class for bad strings
            raise
        return False
    return True


def _holds_only_numbers(kind: pa.DataType) -> bool:
    """True for numbers, dates and times, and for structs of these."""
    if pa.types.is_struct(kind):
        return all(_holds_only_numbers(field.type) for field in kind)
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind))


def _repair_strings(column: pa.Array) -> tuple[pa.Array, BadStrings]:
    as_bytes = _BINARY_TYPES[column.type]
    raw = column.view(as_bytes)
    raw.validate(full=True)  # wrong lengths would make the next line read outside the buffers
    values: list[bytes | None] = raw.to_pylist()
    found: BadStrings = {}
    # ASCII is valid UTF-8 and needs no decoder. Other strings are compared with what a decoder makes of them.
    for row, value in enumerate(values):
        if value is not None and not value.isascii():
            new = value.decode("utf-8", "replace").encode()
            if new != value:
                found[row], values[row] = value, new
    array = pa.array(values, as_bytes)
    if isinstance(array, pa.ChunkedArray):  # U+FFFD takes three bytes for each bad one
        raise pa.ArrowInvalid("the strings of a batch outgrow 2 GB with U+FFFD in place of bytes that are not UTF-8")
    return array.view(column.type), found


def _repair_dictionary(column: pa.Array) -> tuple[pa.Array, BadStrings]:
    values, bad = repair_utf8(column.dictionary)
    array = pa.DictionaryArray.from_arrays(column.indices, values, ordered=column.type.ordered)
    # `from_arrays` above has checked that every index has an entry.
    # A null index points at entry 0 here. The caller drops the null rows again.
    at = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(np.isin(at, list(bad)))
    return array, {int(row): bad[int(at[row])] for row in rows}


def _repair_struct(column: pa.Array) -> tuple[pa.Array, BadStrings]:
    parts = [repair_utf8(column.field(index)) for index in range(column.type.num_fields)]
    array = pa.StructArray.from_arrays([part for part, _ in parts], fields=list(column.type), mask=column.is_null())
    found: BadStrings = {}
    for _, bad in parts:
        found = bad | found  # the first of several bad fields is reported
    return array, found


def _repair_list(column: pa.Array) -> tuple[pa.Array, BadStrings]:
    offsets, (first, last) = _rebase_offsets(column, column.values)
    values, bad = repair_utf8(column.values[first:last])
    array = type(column).from_arrays(offsets, values, type=column.type, mask=column.is_null())
    return array, _find_owners(offsets, bad)


def _repair_map(column: pa.Array) -> tuple[pa.Array, BadStrings]:
    offsets, (first, last) = _rebase_offsets(column, column.keys)
    keys, bad_keys = repair_utf8(column.keys[first:last])
    items, bad_items = repair_utf8(column.items[first:last])
    array = pa.MapArray.from_arrays(offsets, keys, items, type=column.type, mask=column.is_null())
    return array, _find_owners(offsets, bad_items | bad_keys)


def _repair_fixed_size_list(column: pa.Array) -> tuple[pa.Array, BadStrings]:
    size = column.type.list_size
    values, bad = repair_utf8(column.values[column.offset * size : (column.offset + len(column)) * size])
    array = pa.FixedSizeListArray.from_arrays(values, type=column.type, mask=column.is_null())
    return array, {place // size: bad[place] for place in sorted(bad, reverse=True)}


def _rebase_offsets(column: pa.Array, values: pa.Array) -> tuple[pa.Array, tuple[int, int]]:
    """The offsets of a list or map counted from its own first value, and the range of its values.

    Raises:
        pa.ArrowInvalid: offsets lie outside `values`, or decrease.
    """
    offsets = column.offsets.to_numpy()
    if offsets[0] < 0 or offsets[-1] > len(values) or (np.diff(offsets) < 0).any():
        raise pa.ArrowInvalid("the offsets of a list point outside its values")
    return pa.array(offsets - offsets[0], column.offsets.type), (int(offsets[0]), int(offsets[-1]))


def _find_owners(offsets: pa.Array, bad: BadStrings) -> BadStrings:
    """The bad values by the list that holds them; the first one of each list."""
    # A later item of a `dict` replaces an earlier one. So the first bad value of each list must come last.
    places = sorted(bad, reverse=True)
    # `side="right"` passes over empty lists, which begin at the same place and hold nothing
    owners = np.searchsorted(offsets.to_numpy(), places, side="right") - 1
    return {int(owner): bad[place] for owner, place in zip(owners, places, strict=True)}


_Repair = Callable[[pa.Array], tuple[pa.Array, BadStrings]]
_NESTED: tuple[tuple[Callable[[pa.DataType], bool], _Repair], ...] = (
    (pa.types.is_dictionary, _repair_dictionary),
    (pa.types.is_struct, _repair_struct),
    (pa.types.is_list, _repair_list),
    (pa.types.is_large_list, _repair_list),
    (pa.types.is_map, _repair_map),
    (pa.types.is_fixed_size_list, _repair_fixed_size_list),
)
