"""Turns columns of any type into JSON text, one value for each row, with exact digits and nested values as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.writers.value_text import TEXT, constant, decoded, is_text, joined, scalar_text
from sentiment_batch.errors import OutputError
from sentiment_batch.records import JSON_MARK

_CONTROL = {chr(code): json.dumps(chr(code))[1:-1] for code in range(0x20)}
_ESCAPES = {"\\": "\\\\", '"': '\\"', **_CONTROL}
"""The characters that must be escaped in a JSON string, see RFC 8259, section 7."""
_SPECIAL = r'[\x00-\x1f"\\]'


def json_text(column: pa.Array, field: pa.Field) -> pa.Array:
    """(n,) the JSON text of each of n values; `null` for a null, a NaN and an infinity.

    Args:
        column: values of any type except binary, intervals and unions.
        field: the name and the metadata of the column. Text that is marked as JSON is used unchanged.

    Raises:
        OutputError: a map has a key twice, or a date or time has no exact text.
    """
    column = decoded(column)
    kind = column.type
    if is_text(kind):
        text = _marked(column) if marked(field) else _quoted(column)
    # Maps and structs are nested types, too, so they come before the lists
    elif pa.types.is_map(kind):
        text = _map_text(column, field.name)
    elif pa.types.is_struct(kind):
        text = _struct_text(column)
    elif pa.types.is_nested(kind):
        text = _list_text(column)
    elif pa.types.is_floating(kind):
        finite = pc.is_finite(column.cast(pa.float64()))
        text = pc.if_else(finite, scalar_text(column, field.name), pa.scalar(None, TEXT))
    elif pa.types.is_temporal(kind):
        text = joined('"', scalar_text(column, field.name), '"')
    else:
        text = scalar_text(column, field.name)
    return pc.fill_null(text, constant("null"))


def marked(field: pa.Field) -> bool:
    """True if the metadata of the field mark its text as JSON."""
    return bool(field.metadata and field.metadata.get(JSON_MARK) == b"1")


def object_text(names: list[str], values: list[pa.Array], ending: str = "}") -> pa.Array:
    """JSON objects, one for each row, made of columns of JSON text."""
    parts: list[pa.Array | str] = []
    for position, (name, value) in enumerate(zip(names, values, strict=True)):
        parts += [("{" if position == 0 else ", ") + json.dumps(name, ensure_ascii=False) + ": ", value]
    return joined(*parts, ending)


def _marked(column: pa.Array) -> pa.Array:
    # A raw line break cannot occur inside a JSON string. It only separates values, so a space can replace it.
    for end in "\r\n":
        column = pc.replace_substring(column, end, " ")
    return column


def _quoted(column: pa.Array) -> pa.Array:
    column = _valid(column)
    if pc.any(pc.match_substring_regex(column, _SPECIAL)).as_py():
        # Nearly every column needs only these five replacements. The other control characters are rare.
        # The backslash comes first, because all other escapes add backslashes.
        common = '\\"\n\r\t'
        column = _escape(column, common)
        if pc.any(pc.match_substring_regex(column, r"[\x00-\x1f]")).as_py():
            column = _escape(column, [char for char in _CONTROL if char not in common])
    return joined('"', column, '"')


def _escape(column: pa.Array, characters: Iterable[str]) -> pa.Array:
    for character in characters:
        column = pc.replace_substring(column, character, _ESCAPES[character])
    return column


def _valid(column: pa.Array) -> pa.Array:
    """The same text with U+FFFD in place of bytes that are not UTF-8, because JSON cannot represent them."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.large_binary()).to_pylist()
        return pa.array([None if value is None else value.decode(errors="replace") for value in values], TEXT)
    return column


def _struct_text(column: pa.StructArray) -> pa.Array:
    fields = list(column.type)
    if fields:
        parts = zip(column.flatten(), fields, strict=True)
        text = object_text([field.name for field in fields], [json_text(part, field) for part, field in parts])
    else:
        text = pa.repeat(constant("{}"), len(column))
    return _where_valid(column, text)


def _list_text(column: pa.Array) -> pa.Array:
    # flatten() leaves out the values below a null, for lists of every type.
    return _bracketed(column, json_text(column.flatten(), column.type.value_field), "[]")


def _map_text(column: pa.MapArray, name: str) -> pa.Array:
    """An object if the keys are text, else a list of [key, value] pairs."""
    pairs = entries(column)
    keys, values = pairs.flatten().flatten()
    key_text, value_text = json_text(keys, column.type.key_field), json_text(values, column.type.item_field)
    if is_text(decoded(keys).type):
        _refuse_repeated_keys(pairs, key_text, name)
        return _bracketed(pairs, joined(key_text, ": ", value_text), "{}")
    return _bracketed(pairs, joined("[", key_text, ", ", value_text, "]"), "[]")


def entries(column: pa.MapArray) -> pa.LargeListArray:
    """The maps (n,) as lists of structs of a key and a value. A cast would damage lists of nulls among the values."""
    offsets = column.offsets.cast(pa.int64())
    first, last = offsets[0].as_py(), offsets[-1].as_py()
    parts = [part.slice(first, last - first) for part in (column.keys, column.items)]
    pairs = pa.StructArray.from_arrays(parts, fields=[column.type.key_field, column.type.item_field])
    return pa.LargeListArray.from_arrays(pc.subtract(offsets, first), pairs, mask=column.is_null())


def _refuse_repeated_keys(pairs: pa.Array, keys: pa.Array, name: str) -> None:
    """Refuse maps with a repeated key. The first of two equal names in a JSON object is lost when it is read."""
    # Group by row and key: fewer groups than keys mean that a row has a key twice
    rows = np.repeat(np.arange(len(pairs)), _lengths(pairs).to_numpy())
    if pa.table({"row": rows, "key": keys}).group_by(["row", "key"]).aggregate([]).num_rows < len(keys):
        raise OutputError(
            f"the column {name!r} holds a map with a repeated key, which JSON cannot store. Leave it out with "
            "`columns`, or write Parquet or Arrow."
        )


def _bracketed(column: pa.Array, elements: pa.Array, brackets: str) -> pa.Array:
    """One text for each list of `column`; `elements` holds the texts of all elements."""
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(_lengths(column))])
    # Join the texts of the elements list by list, with new offsets, because null lists hold no elements here
    inner = pc.binary_join(pa.LargeListArray.from_arrays(offsets, elements), constant(", "))
    return _where_valid(column, joined(brackets[0], inner, brackets[1]))


def _lengths(column: pa.Array) -> pa.Array:
    return pc.fill_null(pc.list_value_length(column), 0).cast(pa.int64())


def _where_valid(column: pa.Array, text: pa.Array) -> pa.Array:
    return pc.if_else(column.is_valid(), text, pa.scalar(None, TEXT))
