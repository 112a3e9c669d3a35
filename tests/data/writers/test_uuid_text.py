"""UUIDs are written as their usual text in CSV and JSON lines."""

from __future__ import annotations

import io
import uuid

import pyarrow as pa
import pytest

from sentiment_batch.data.writers.csv import CsvEncoder
from sentiment_batch.data.writers.jsonl import JsonLinesEncoder
from sentiment_batch.errors import OutputError
from sentiment_batch.records import WriteOptions

ONE = uuid.UUID("123e4567-e89b-12d3-a456-426614174000")
COLUMN = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([ONE.bytes, None], pa.binary(16)))


def encode(encoder, *columns, names):
    stream = io.BytesIO()
    batch = pa.record_batch(list(columns), names=names)
    writer = encoder(stream, batch.schema, WriteOptions())
    writer.write(batch)
    writer.close()
    return stream.getvalue().decode()


def test_a_column_of_uuids_has_a_text():
    assert encode(CsvEncoder, COLUMN, pa.array([1, 2]), names=["id", "n"]) == f"id,n\n{ONE},1\n,2\n"
    assert encode(JsonLinesEncoder, COLUMN.slice(1), names=["id"]) == '{"id": null}\n'
    assert encode(JsonLinesEncoder, COLUMN, names=["id"]) == f'{{"id": "{ONE}"}}\n{{"id": null}}\n'


@pytest.mark.parametrize("encoder", [CsvEncoder, JsonLinesEncoder])
def test_uuids_inside_of_lists_and_plain_bytes_are_refused(encoder):
    for kind in (pa.list_(pa.uuid()), pa.binary(16)):
        with pytest.raises(OutputError, match=r"fixed_size_binary\[16\].* has no exact form as text"):
            encoder(io.BytesIO(), pa.schema([("id", kind)]), WriteOptions())
