"""Compares the columns of new rows with those of the table that is to take them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from deltalake import Schema

from sentiment_batch import OutputError
from sentiment_batch_delta.storage_types import holds_local_timestamps

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa
    from deltalake import DeltaTable

    from sentiment_batch_delta.url import TableUrl

LOCAL_TIMESTAMPS = "timestampNtz"
"""The feature of tables that have timestamps without a zone."""
_MAX_NAMES = 5
"""Maximum number of columns that a message names."""


def check_same_columns(table: DeltaTable, schema: pa.Schema, url: TableUrl, *, with_nulls: Collection[str]) -> None:
    """Make sure that rows can be added to a table.

    Args:
        table: the table.
        schema: the storage types of the rows.
        url: the table, for messages.
        with_nulls: the names of the columns that hold a null.

    Raises:
        OutputError: a column is missing on one side or has another type, or must not be null.
    """
    ours = {field.name: _read_type(field) for field in Schema.from_arrow(schema).fields}
    theirs = {field.name: _read_type(field) for field in table.schema().fields}
    for names, what in ((theirs.keys() - ours.keys(), "also has"), (ours.keys() - theirs.keys(), "lacks")):
        if names:
            shown = ", ".join(map(repr, sorted(names)[:_MAX_NAMES]))
            raise OutputError(
                f"{url.shown} {what} the columns {shown}, so the rows cannot be added. Choose the same columns with "
                "`columns`, or name another table."
            )
    for name, kind in ours.items():
        if kind != theirs[name]:
            raise OutputError(
                f"{url.shown} has the type {_show(theirs[name])} in the column {name!r}, but the rows have "
                f"{_show(kind)}. Leave it out of both, or name another table."
            )
    for field in table.schema().fields:
        if not field.nullable and field.name in with_nulls:
            raise OutputError(
                f"{url.shown} takes no null in the column {field.name!r}, but a row has one. Fill it, or name "
                "another table."
            )


def check_timestamps(table: DeltaTable, schema: pa.Schema, url: TableUrl) -> None:
    """Make sure that a table may get columns of timestamps without a zone, which are a feature of newer tables.

    Raises:
        OutputError: it may not.
    """
    if LOCAL_TIMESTAMPS in (table.protocol().reader_features or ()):
        return
    for field in schema:
        if holds_local_timestamps(field.type):
            raise OutputError(
                f"{url.shown} lacks the feature {LOCAL_TIMESTAMPS}, which the column {field.name!r} needs for "
                "timestamps without a zone. Add the feature to the table, or name another table."
            )


def _read_type(field: Any) -> Any:
    """The type of a column in plain values, without comments and other metadata."""
    return _without_metadata(json.loads(field.to_json())["type"])


def _without_metadata(kind: Any) -> Any:
    if isinstance(kind, list):
        return [_without_metadata(one) for one in kind]
    if isinstance(kind, dict):
        return {name: _without_metadata(value) for name, value in kind.items() if name != "metadata"}
    return kind


def _show(kind: Any) -> str:
    return kind if isinstance(kind, str) else json.dumps(kind)
