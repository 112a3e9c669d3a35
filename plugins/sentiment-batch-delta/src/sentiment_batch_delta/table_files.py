"""Lists the data files of one version of a table, in an order that never changes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from sentiment_batch import InputError
from sentiment_batch.reading import natural_sort_key

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from sentiment_batch_delta.url import TableUrl


@dataclass(frozen=True, kw_only=True, slots=True)
class TableFile:
    """A Parquet file of a table."""

    name: str
    """Its path in the table's folder, for messages."""
    path: str
    """Its absolute path."""
    rows: int | None
    """Its number of rows; None if the log does not know it."""
    partition: dict[str, pa.Scalar] = field(repr=False)
    """The values of the columns that are not in the file, by name."""


def list_files(table: DeltaTable, url: TableUrl) -> list[TableFile]:
    """The files of a table: those of earlier commits first, then by the numbers in their names.

    The order of the log is no help, because it changes with a checkpoint.

    Raises:
        InputError: a file lies on another machine.
    """
    actions = pa.table(table.get_add_actions())
    columns = {name: actions[name].to_pylist() for name in ("path", "modification_time", "num_records")}
    partitions = actions["partition"].to_pylist() if "partition" in actions.column_names else [{}] * actions.num_rows
    schema = pa.schema(table.schema().to_arrow())
    rows = zip(*columns.values(), partitions, strict=True)
    return [
        _make_file(url, path, records, partition, schema)
        for path, _, records, partition in sorted(rows, key=lambda row: (row[1], natural_sort_key(row[0])))
    ]


def _make_file(url: TableUrl, path: str, rows: int | None, partition: dict[str, Any], schema: pa.Schema) -> TableFile:
    name = unquote(path)
    parts = urlsplit(path)
    if parts.scheme not in ("", "file"):
        raise InputError(f"{url.shown} has the file {name}, which is not on this machine. Copy the table.")
    file_path = os.path.join(url.path, unquote(parts.path) if parts.scheme else name)
    values = {key: pa.scalar(value, schema.field(key).type) for key, value in partition.items()}
    return TableFile(name=name, path=file_path, rows=rows, partition=values)
