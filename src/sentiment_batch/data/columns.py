"""Finds the text, label and group columns of a table and hands their values over as text; knows no files."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.errors import InputError, listed
from sentiment_batch.records import JSON_MARK, Problem

TEXT_NAMES = ("text", "review", "reviewtext", "content", "body", "comment", "sentence")
"""Names that a column of texts goes by, best first, in lower case and without `_`, `-` and blanks."""
LABEL_NAMES = ("label", "sentiment", "target", "class", "stars", "rating", "score")
"""Names that a column of labels goes by, best first."""
MIN_MEAN_TEXT_LENGTH = 20
"""Mean length from which a column without a known name is taken for one of texts."""


def find_text_columns(schema: pa.Schema, chosen: Sequence[str] = (), sample: pa.RecordBatch | None = None) -> list[str]:
    """The names of the columns that hold the text.

    Args:
        schema: the table's columns.
        chosen: what the user named; several are joined by a blank line.
        sample: some rows, to tell a column of long texts by its values when no name is known.

    Raises:
        InputError: a chosen column is not there, holds no text, or none can be found.
    """
    if chosen:
        for name in chosen:
            _check_text(schema, name)
        return list(chosen)
    counts = collections.Counter(schema.names)
    once = [field for field in schema if counts[field.name] == 1]
    # A column of nothing but nulls has no type of its own; it is one of texts by its name alone.
    texts = [field.name for field in once if holds_text(field.type) or _is_named_null(field)]
    for known in TEXT_NAMES:
        for name in texts:
            if _plain(name) == known:
                return [name]
    strings = [name for name in texts if not _is_binary(schema.field(name).type)]
    candidates = [name for name in strings if sample is not None and _mean_length(sample, name) >= MIN_MEAN_TEXT_LENGTH]
    if len(candidates) == 1:
        return candidates
    if len(texts) == 1 and len(schema) == 1:
        return texts
    odd = [field for field in once if _plain(field.name) in TEXT_NAMES and field.name not in texts]
    why = "none has a usual name or holds long texts"
    if candidates:
        why = f"{listed(candidates)} could all be it"
    elif twice := [name for name in counts if counts[name] > 1 and _plain(name) in TEXT_NAMES]:
        why = f"{twice[0]!r} is there {counts[twice[0]]} times"
    elif odd:
        why = f"{odd[0].name!r} holds {odd[0].type}, which is no text"
    raise InputError(
        f"cannot tell which column holds the text: {why}. Name it with --text-column; "
        f"the columns are {listed(schema.names)}."
    )


def find_label_column(schema: pa.Schema, chosen: str | None = None) -> str:
    """The name of the column that holds the labels.

    Raises:
        InputError: the chosen column is not there, or none can be found.
    """
    if chosen is not None:
        return check_column(schema, chosen, "label_column")
    for known in LABEL_NAMES:
        for name in schema.names:
            if _plain(name) == known and schema.names.count(name) == 1:
                return str(name)
    raise InputError(
        "cannot tell which column holds the labels. Name it with --label-column; "
        f"the columns are {listed(schema.names)}."
    )


def check_column(schema: pa.Schema, name: str, setting: str) -> str:
    """`name`, if it is the name of exactly one column; `setting` is the setting that named it.

    Raises:
        InputError: no column has the name, or several do.
    """
    count = schema.names.count(name)
    if count == 0:
        raise InputError.no_column(name, schema.names, setting)
    if count > 1:
        raise InputError(f"{count} columns are called {name!r}. Rename them so that `{setting}` can name one.")
    return name


def holds_text(data_type: pa.DataType) -> bool:
    """Whether a column of this type can hold texts: strings of any kind, dictionaries of them, and bytes."""
    if pa.types.is_dictionary(data_type):
        return holds_text(data_type.value_type)
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(kind(data_type) for kind in kinds) or _is_binary(data_type)


def extract_texts(
    batch: pa.RecordBatch,
    names: Sequence[str],
    start: int = 0,
    on_bad_row: Callable[[Problem], None] | None = None,
) -> pa.LargeStringArray:
    """The text of each row, null where there is none; several columns are joined by a blank line.

    Args:
        batch: some rows.
        names: the columns, as `find_text` gives them.
        start: the number of the first row in the input, from 0, for messages.
        on_bad_row: told, in order, of each row with a value that is not UTF-8, which gets U+FFFD for its bad
            bytes; None makes it an error.

    Raises:
        InputError: a value is not UTF-8; the message names the row.
    """
    bad: dict[int, list[tuple[str, bytes]]] = {}
    columns = [_as_text(batch.column(name), batch.schema.field(name), bad) for name in names]
    if bad and on_bad_row is None:
        row, values = min(bad.items())
        raise InputError(
            f"column {values[0][0]!r} holds bytes that are not UTF-8 in row {start + row:,} (rows counted from 0). "
            "Mend the row, decode the column before scoring, or keep such rows with --on-bad-row mark."
        )
    for row, values in sorted(bad.items()):
        if on_bad_row is not None:
            on_bad_row(_problem(start + row, values))
    if len(columns) == 1:
        return columns[0]
    # A null or blank part leaves no blank line behind: only the parts that hold something are joined.
    parts = [pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column) for column in columns]
    joined = parts[0]
    for part in parts[1:]:
        # Not null_handling="skip": that leaves out the rows whose parts are all null, and moves up those below.
        both = pc.binary_join_element_wise(joined, part, pa.scalar("\n\n", pa.large_string()))
        joined = pc.coalesce(both, joined, part)
    return joined


def extract_values(batch: pa.RecordBatch, name: str) -> list[object]:
    """The values of a column as Python's; strings that stand as JSON text are those that the text means."""
    values: list[object] = batch.column(name).to_pylist()
    return list(map(_unquoted, values)) if holds_json(batch.schema.field(name)) else values


def _as_text(column: pa.Array, field: pa.Field, bad: dict[int, list[tuple[str, bytes]]]) -> pa.LargeStringArray:
    """A column as text; values that are not UTF-8 go to `bad` under the number of their row in it."""
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.large_string())
    column = _decoded(column)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    try:
        text = column.cast(pa.large_string())
        text.validate(full=True)  # a Parquet string column may hold any bytes; nothing before this has looked at them
    except (pa.ArrowInvalid, UnicodeDecodeError):
        text = _mended(column, field.name, bad)
    return pa.array(map(_unquoted, text.to_pylist()), pa.large_string()) if holds_json(field) else text


def _mended(column: pa.Array, name: str, bad: dict[int, list[tuple[str, bytes]]]) -> pa.LargeStringArray:
    values: list[bytes | None] = column.cast(pa.large_binary()).to_pylist()
    texts = []
    for row, value in enumerate(values):
        text = None if value is None else value.decode("utf-8", "replace")
        if value is not None and text is not None and "\ufffd" in text and text.encode() != value:
            bad.setdefault(row, []).append((name, value))
        texts.append(text)
    return pa.array(texts, pa.large_string())


def _problem(row: int, values: Sequence[tuple[str, bytes]]) -> Problem:
    """What to tell of a row that has some values that are not UTF-8."""
    names = ", ".join(repr(name) for name, _ in values)
    where = f"column{'s' * (len(values) > 1)} {names}, row {row:,}"
    reasons = []
    for name, value in values:
        try:
            value.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = f"byte 0x{value[error.start]:02x} at offset {error.start:,}"
            reasons.append(f"{byte} in column {name!r} is not UTF-8")
    return Problem(row=row, where=where, reason="; ".join(reasons), original=b"\n\n".join(value for _, value in values))


def holds_json(field: pa.Field) -> bool:
    """Whether a column of strings holds JSON text, as one does whose values had no type in common."""
    return bool(field.metadata and JSON_MARK in field.metadata)


def _unquoted(value: object) -> object:
    """A string in JSON text without its quotes and escapes; all else stays as it stands."""
    if not isinstance(value, str) or not value.startswith('"'):
        return value
    try:
        text = str(json.loads(value))
    except ValueError:  # another program changed the values and kept the column's metadata
        return value
    # Half a surrogate pair, which JSON can escape but UTF-8 cannot hold, becomes U+FFFD.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _check_text(schema: pa.Schema, name: str) -> None:
    check_column(schema, name, "text_column")
    data_type = schema.field(name).type
    if not holds_text(data_type) and not pa.types.is_null(data_type):
        raise InputError(
            f"column {name!r} holds {data_type}, not text. Name another with --text-column; "
            f"the columns of text are {listed(field.name for field in schema if holds_text(field.type))}."
        )


def _is_named_null(field: pa.Field) -> bool:
    return pa.types.is_null(field.type) and _plain(field.name) in TEXT_NAMES


def _is_binary(data_type: pa.DataType) -> bool:
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(kind(data_type) for kind in kinds)


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character not in "_- ")


def _mean_length(sample: pa.RecordBatch, name: str) -> float:
    column = _decoded(sample.column(name).slice(0, 200)).cast(pa.large_binary())  # a bad byte must not raise here
    return pc.mean(pc.binary_length(column)).as_py() or 0.0


def _decoded(column: pa.Array) -> pa.Array:
    """A dictionary column as its values; views become large values first, for Arrow cannot pick among views."""
    if not pa.types.is_dictionary(column.type):
        return column
    values = column.dictionary
    if pa.types.is_string_view(values.type) or pa.types.is_binary_view(values.type):
        values = values.cast(pa.large_binary() if _is_binary(values.type) else pa.large_string())
    return values.take(column.indices)


def to_column_names(text_column: object) -> tuple[str, ...]:
    """The columns that a user names: one name, several, or none; pandas columns may be named by numbers."""
    if text_column is None:
        return ()
    return tuple(map(str, text_column)) if isinstance(text_column, (list, tuple)) else (str(text_column),)


def to_single_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece; a single piece as it is, for joining would empty the dictionary of one without rows."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
