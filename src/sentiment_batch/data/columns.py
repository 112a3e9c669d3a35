"""Reads the values of a column, or of a path inside one: texts, labels and others.

The path `reviews.text` is the value `text` of the objects in the column `reviews`. A column whose own name holds the
dots comes first.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.data.readers.utf8_repair import describe_bad_utf8, repair_utf8
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.records import JSON_MARK, Problem

_BLANK_RANGES = (
    *((0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x1680, 0x1680)),
    *((0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0x2800, 0x2800)),
    *((0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB)),
    *((0xE0000, 0xE007F), (0xE0100, 0xE01EF)),
)
BLANK_CHARACTERS = "".join(chr(code) for first, last in _BLANK_RANGES for code in range(first, last + 1))
"""White space, control characters and characters without a width, of which a tokenizer makes nothing."""
NULL_WORDS = (
    *("\\N", "NULL", "null", "<NULL>", "<null>", "(null)", "[NULL]"),
    *("NaN", "nan", "<NA>", "NA", "N/A", "n/a", "#N/A", "None"),
)
"""What databases and data frames write for a missing value. A cell that holds one of them alone holds no text."""
_MAX_NULL_WORD_BYTES = max(map(len, NULL_WORDS))

OBJECT_MARK = b"sentiment_batch.objects"
"""Marks a string column of a frame that was made of objects, such as paths. It is no text column unless named."""
NESTED = "a list or an object"
"""What is counted beside the `NULL_WORDS`: such a value among the texts of a column of JSON text is no text."""

BadValues = dict[int, list[tuple[str, bytes]]]
"""The values that are not UTF-8 by row of the batch: the column's name and the bytes."""


def extract_texts(
    batch: pa.RecordBatch,
    names: Sequence[str],
    start: int = 0,
    on_bad_row: Callable[[Problem], None] | None = None,
    null_words: Counter[str] | None = None,
) -> pa.LargeStringArray:
    """(n,) the text of each of n rows, null if there is none. Several columns are joined by a blank line.

    Words that stand for a missing value, such as `NULL`, are no text; see `NULL_WORDS`. Nor are lists and objects.

    Args:
        batch: some rows.
        names: the text columns, as `find_text_columns` returns them.
        start: the number of the first row in the input, counted from 0; used in messages.
        on_bad_row: called in row order for each row with a value that is not UTF-8. The row stays, with U+FFFD in
            place of the bad bytes. None makes such a row an error.
        null_words: counts the words that stand for a missing value, and lists and objects as `NESTED`.

    Raises:
        InputError: a value is not UTF-8; the message names the row.
    """
    # Bad values of all columns are gathered first, so that a row with two of them is reported once
    bad: BadValues = {}
    columns = [drop_null_words(_read_text(batch, name, bad, null_words), null_words) for name in names]
    for row, values in sorted(bad.items()):
        if on_bad_row is None:
            raise InputError(
                f"column {values[0][0]!r} holds bytes that are not UTF-8 in row {start + row:,} (rows counted from 0). "
                'Repair the row, or decode the column first. In a file, `on_bad_row="mark"` keeps such rows.'
            )
        on_bad_row(_describe_problem(start + row, values))
    return columns[0] if len(columns) == 1 else _join_texts(columns)


def extract_values(batch: pa.RecordBatch, name: str) -> list[object]:
    """(n,) the values of a column in Python types. Strings in a column of JSON text lose their quotes and escapes."""
    column, is_json = read_column(batch, name)
    values: list[object] = column.to_pylist()
    return list(map(_unquote_json, values)) if is_json else values


def read_column(batch: pa.RecordBatch, name: str) -> tuple[pa.Array, bool]:
    """The values under a name or path that `find_field` finds: (n,), null where there is none.

    The second item is True if they are JSON text.

    Raises:
        KeyError: there is no such column.
    """
    path = find_path(batch.schema, name)
    if not path:
        raise KeyError(name)
    column = batch.column(path[0].name)
    # Walk down the path. Objects are a struct, or JSON text where their keys differ from row to row.
    for above, field in itertools.pairwise(path):
        if holds_json(above):
            texts = column.fill_null("null").to_pylist()
            column = pa.array([_extract_member_text(text, field.name) for text in texts], pa.string())
        else:
            column = pc.struct_field(column, [above.type.get_field_index(field.name)])
    return column, holds_json(path[-1])


def find_path(fields: pa.Schema | pa.StructType, name: str) -> tuple[pa.Field, ...]:
    """The column that `name` begins with, and the fields inside it down to the one at its end; empty if none fits."""
    # A whole name comes before a path, because names such as `review.text` exist, too
    found = find_places(fields, name)
    if found:
        return (fields.field(found[0]),)
    # Only the heads of the name are looked up. Listing the fields of a wide table for each of its columns would take
    # quadratic time.
    heads = [name[:end] for end, character in enumerate(name) if character == "."]
    for place in sorted(place for head in heads for place in find_places(fields, head)):
        field = fields.field(place)
        rest = name.removeprefix(f"{field.name}.")
        if holds_json(field):
            return (field, pa.field(rest, pa.string(), metadata={JSON_MARK: b"1"}))
        below = find_path(field.type, rest) if pa.types.is_struct(field.type) else ()
        if below:
            return (field, *below)
    return ()


def find_places(fields: pa.Schema | pa.StructType, name: str) -> list[int]:
    """The places of the columns, or of the fields of a struct, that have exactly this name, in their order."""
    try:
        return sorted(fields.get_all_field_indices(name))
    except UnicodeEncodeError:  # an argument of a command that is not UTF-8; no column can have such a name
        return []


def is_blank(text: str) -> bool:
    """True if a text holds nothing that can be seen."""
    return not text.strip(BLANK_CHARACTERS)


def is_scored(text: str) -> bool:
    """True if a text gets a score: it is neither blank nor one of the `NULL_WORDS`."""
    return text not in NULL_WORDS and not is_blank(text)


def drop_null_words(texts: pa.LargeStringArray, found: Counter[str] | None = None) -> pa.LargeStringArray:
    """`texts` (n,) with null for each of the `NULL_WORDS`, which are counted in `found`."""
    # Nearly all texts are longer than these words. The test of the length spares the comparison.
    short = pc.less_equal(pc.binary_length(texts), _MAX_NULL_WORD_BYTES)
    if not pc.any(short).as_py():
        return texts
    words = texts.filter(short)
    words = words.filter(pc.is_in(words, pa.array(NULL_WORDS, pa.large_string())))
    if not len(words):
        return texts
    if found is not None:
        found.update(words.to_pylist())
    return pc.if_else(pc.is_in(texts, words.unique()), None, texts)


def describe_null_words(found: Counter[str]) -> str:
    """A sentence about what `extract_texts` counted, with the numbers of cells.

    >>> describe_null_words(Counter({"NULL": 12, "n/a": 1}))
    "words for a missing value count as no text: 'NULL' (12), 'n/a' (1)"
    """
    words = [f"{word!r} ({count:,})" for word, count in found.most_common() if word != NESTED]
    kinds = ["words for a missing value"] if words else []
    if NESTED in found:
        kinds.append("lists and objects")
        words.append(f"{NESTED} ({found[NESTED]:,})")
    return f"{' and '.join(kinds)} count as no text: {', '.join(words)}"


def holds_text(data_type: pa.DataType) -> bool:
    """True if a column of this type can hold texts: any type of string, bytes, or an encoding of these."""
    if pa.types.is_dictionary(data_type) or pa.types.is_run_end_encoded(data_type):
        return holds_text(data_type.value_type)
    return data_type in (pa.string(), pa.large_string(), pa.string_view()) or is_binary(data_type)


def is_binary(data_type: pa.DataType) -> bool:
    """True for the types of bytes with a variable length."""
    return data_type in (pa.binary(), pa.large_binary(), pa.binary_view())


def holds_json(field: pa.Field) -> bool:
    """True for a string column of JSON text. The JSON lines reader makes one if the values share no Arrow type."""
    return bool(field.metadata and JSON_MARK in field.metadata)


def drop_blanks(values: pa.Array) -> pa.Array:
    """The values of a column of texts, with null for blank ones; other values as they are."""
    if not holds_text(values.type):
        return values
    texts = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
    return pc.if_else(pc.equal(texts, ""), None, texts)


def decode_dictionary(column: pa.Array) -> pa.Array:
    """A column of a dictionary or of run ends as its plain values; any other column as it is."""
    if pa.types.is_dictionary(column.type):
        values, indices = decode_dictionary(column.dictionary), column.indices
    elif pa.types.is_run_end_encoded(column.type):  # run_end_decode of pyarrow supports few types
        rows = np.arange(column.offset, column.offset + len(column))
        values = decode_dictionary(column.values)
        indices = pa.array(np.searchsorted(column.run_ends.to_numpy(), rows, side="right"))
    else:
        return column
    if pa.types.is_string_view(values.type) or pa.types.is_binary_view(values.type):
        # Arrow has no `take` for views.
        values = values.cast(pa.large_binary() if is_binary(values.type) else pa.large_string())
    return values.take(indices)


def to_single_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one array."""
    # `combine_chunks` would drop the dictionary of a single chunk without rows.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _read_text(
    batch: pa.RecordBatch, name: str, bad: BadValues, null_words: Counter[str] | None
) -> pa.LargeStringArray:
    """A column as text; lists and objects are null. Values that are not UTF-8 are repaired and added to `bad`."""
    column, is_json = read_column(batch, name)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.large_string())
    column = decode_dictionary(column)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    try:
        text = column.cast(pa.large_string())
        text.validate(full=True)  # strings of Arrow and Parquet files may hold any bytes, and nothing has checked them
    except (pa.ArrowInvalid, UnicodeDecodeError):
        text, found = repair_utf8(column.cast(pa.large_binary()).view(pa.large_string()))
        for row, value in found.items():
            bad.setdefault(row, []).append((name, value))
    if not is_json:
        return text
    # The text of a list or an object begins with a bracket, and that of a string with a quote
    nested = pc.fill_null(pc.match_substring_regex(text, r"^[\[{]"), False)
    if null_words is not None and (count := pc.sum(nested).as_py()):
        null_words[NESTED] += count
    return pa.array(map(_unquote_json, pc.if_else(nested, None, text).to_pylist()), pa.large_string())


def _join_texts(columns: Sequence[pa.LargeStringArray]) -> pa.LargeStringArray:
    """The columns' texts of each row, joined by blank lines; null and blank parts are left out."""
    parts = [
        pc.if_else(pc.equal(pc.utf8_trim(column, characters=BLANK_CHARACTERS), ""), None, column) for column in columns
    ]
    joined = parts[0]
    for part in parts[1:]:
        # `null_handling="skip"` would drop rows whose parts are all null, and shift the rows below them.
        both = pc.binary_join_element_wise(joined, part, pa.scalar("\n\n", pa.large_string()))
        joined = pc.coalesce(both, joined, part)
    return joined


def _extract_member_text(text: str, path: str) -> str | None:
    """The JSON text of the value under a path in the object that `text` holds; None if there is none."""
    try:
        value = _get_member(json.loads(text), path)
        return None if value is None else json.dumps(value)
    except (ValueError, RecursionError):
        # Another program changed the values and kept the column's metadata, or they are nested too deeply
        return None


def _get_member(value: Any, path: str) -> Any:
    """The value under a path in nested objects, or None."""
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    # A key may hold dots itself, so each key that begins the path is tried
    keys = (key for key in value if path.startswith(f"{key}."))
    return next((found for key in keys if (found := _get_member(value[key], path[len(key) + 1 :])) is not None), None)


def _unquote_json(value: object) -> object:
    """A JSON string without its quotes and escapes; any other value as it is."""
    if not isinstance(value, str) or not value.startswith('"'):
        return value
    try:
        text = str(json.loads(value))
    except ValueError:  # another program changed the values and kept the column's metadata
        return value
    return replace_surrogates(text)  # JSON can escape half of a surrogate pair, but UTF-8 cannot hold it


def _describe_problem(row: int, values: Sequence[tuple[str, bytes]]) -> Problem:
    """The record of a row with values that are not UTF-8."""
    names = ", ".join(repr(name) for name, _ in values)
    where = f"column{'s' * (len(values) > 1)} {names}, row {row:,}"
    reasons = [describe_bad_utf8(value, f" in column {name!r}") for name, value in values]
    return Problem(row=row, where=where, reason="; ".join(reasons), original=b"\n\n".join(value for _, value in values))


def to_column_names(text_column: object) -> tuple[str, ...]:
    """The column names in a user's `text_column`: None, one name or several. A pandas column name may be a number."""
    if text_column is None:
        return ()
    names = text_column if isinstance(text_column, (list, tuple)) else (text_column,)
    return tuple(replace_surrogates(str(name)) for name in names)  # as frames name such columns


def to_column_name(name: object, setting: str) -> str | None:
    """The name of a column as text, because a frame of pandas may have numbers as names.

    Raises:
        UsageError: it is no name of a column.
    """
    if name is None or isinstance(name, str):
        return None if name is None else str(replace_surrogates(name))
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    raise UsageError(f"`{setting}` is {name!r}; it must be the name of one column.")
