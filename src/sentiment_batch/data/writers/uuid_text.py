"""Turns columns of UUIDs, which Arrow stores as 16 bytes, into their usual text for formats of text."""

from __future__ import annotations

import uuid

import pyarrow as pa

_NAME = "arrow.uuid"


def replace_uuid_types(schema: pa.Schema) -> pa.Schema:
    """`schema` with text in place of UUIDs. UUIDs inside of lists and objects stay."""
    fields = [field.with_type(pa.string()) if _is_uuid(field.type) else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


def format_uuids(batch: pa.RecordBatch) -> pa.RecordBatch:
    """`batch` with the text of its UUIDs, such as `123e4567-e89b-12d3-a456-426614174000`."""
    if not any(map(_is_uuid, batch.schema.types)):
        return batch
    columns = [_format(column) if _is_uuid(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=replace_uuid_types(batch.schema))


def _is_uuid(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name == _NAME


def _format(column: pa.ExtensionArray) -> pa.Array:
    values = column.storage.to_pylist()
    return pa.array([None if value is None else str(uuid.UUID(bytes=value)) for value in values], pa.string())
