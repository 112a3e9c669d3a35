"""Finds columns by name or path, and explains what is inside of columns that hold objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.data.columns import find_path, holds_json
from sentiment_batch.data.readers.json_types import replace_surrogates

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader

MAX_TYPE_LENGTH = 80
"""Number of characters that messages show of a type."""
_MIN_KEYS = 3
"""An object with this many equal objects inside counts as a list of rows, each under a key of its own."""
_MAX_SAMPLE_ROWS = 20
"""Rows whose JSON text is parsed to see what it holds."""


def find_field(schema: pa.Schema, name: str) -> pa.Field | None:
    """The field of a column, or of a value inside it, under the given name or path; None if there is none.

    The field has the value's own type, and `name` for its name. A value inside of JSON text is JSON text, too.
    """
    path = find_path(schema, name)
    return path[-1].with_name(name) if path else None


def find_root(schema: pa.Schema, name: str) -> str:
    """The name of the column in which the value with this name or path is; `name` if there is none."""
    path = find_path(schema, name)
    return str(path[0].name) if path else name


def select_columns(reader: Reader, names: Iterable[str]) -> None:
    """Make all later batches null in other columns than those with the given names or paths, if the reader can do so.

    Such a reader need not read the other columns.
    """
    if select := getattr(reader, "select_columns", None):
        select(list(dict.fromkeys(path[0].name for name in names if (path := find_path(reader.schema, name)))))


def list_paths(fields: Iterable[pa.Field], above: str = "") -> Iterator[tuple[str, pa.Field]]:
    """The names and fields of the columns, and after each column of objects the paths and fields of what is inside."""
    for field in fields:
        yield above + field.name, field
        if pa.types.is_struct(field.type):
            yield from list_paths(field.type, f"{above}{field.name}.")


def explain_rows_inside(schema: pa.Schema, name: str = "") -> str | None:
    """Which column holds several rows in one row, as a sentence with the cure, or None.

    Args:
        schema: the table's columns.
        name: a path; only the columns on the way to it are looked at. Empty for all columns.
    """
    for path, field in list_paths(schema):
        if name and not name.startswith(f"{path}."):
            continue
        # Rows lie in a list of objects, or in one object with equal objects under ids as keys
        what, inside = None, list(field.type) if pa.types.is_struct(field.type) else []
        if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            what = "a list of objects in each row"
        elif len(inside) >= _MIN_KEYS and pa.types.is_struct(inside[0].type) and len({one.type for one in inside}) == 1:
            what = f"an object under each of {len(inside):,} keys"
        if what is not None:
            return f"{path!r} holds {what}. Make a row of each object first; for JSON with jq -c '.{path}[]'"
    return None


def infer_json_types(schema: pa.Schema, sample: pa.RecordBatch) -> pa.Schema:
    """`schema` with the types of the objects and lists for those columns of JSON text that hold nothing else.

    Args:
        schema: the table's columns.
        sample: some rows.
    """
    for place, field in enumerate(schema):
        if not holds_json(field):
            continue
        # The parsed values of some rows show the type that Arrow would infer for all
        texts = sample.column(place).slice(0, _MAX_SAMPLE_ROWS).to_pylist()
        try:
            kind = pa.array([replace_surrogates(json.loads(text)) for text in texts if text is not None]).type
        except (ValueError, TypeError, OverflowError, RecursionError):  # values of several types, or nested too deeply
            continue
        if pa.types.is_nested(kind):
            schema = schema.set(place, pa.field(field.name, kind))
    return schema


def describe_type(data_type: pa.DataType) -> str:
    """The name of a type, cut to `MAX_TYPE_LENGTH` characters."""
    name = str(data_type)
    return name if len(name) <= MAX_TYPE_LENGTH else f"{name[:MAX_TYPE_LENGTH]}…"
