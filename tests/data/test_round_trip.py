"""What is written reads back equal, types and nulls included; what a format cannot say, it says in its documented form.

Each test writes through the writer and reads through the reader, by the name of the file, as a run does.
"""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentiment_batch.data.readers.header_names import make_distinct
from sentiment_batch.errors import InputError
from sentiment_batch.records import JSON_MARK
from tests.arrow_tables import BYTES, EXTENSIONS, PLAIN, TEXT, tables, types
from tests.comparable_schemas import contents, described, exact, parquet_refuses, text_refuses
from tests.data.writers.helpers import same
from tests.round_trips import read, written
from tests.value_parsers import in_csv, in_json, loads, storable, unpacked

PACKED = [*TEXT, pa.int64(), pa.float32(), pa.int8(), pa.bool_(), pa.date32()]
EVERY = types([*PLAIN, *BYTES, *EXTENSIONS], [*PACKED, pa.binary()])
SAYABLE = types([*PLAIN, *EXTENSIONS], PACKED)
"""Types that have an exact form as text."""
INTEGERS = (pa.int64(), pa.uint64())
COMPRESSED = st.sampled_from(["", "", "", "", ".gz", ".bz2", ".xz", ".zst"])
UNHURRIED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
EXAMPLES = settings(max_examples=100, derandomize=True, suppress_health_check=UNHURRIED)


@pytest.fixture(autouse=True)
def _no_sync(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # half of the time, and no power cut is due


def as_foreseen(path, refusals):
    """Whether the table was refused where it must be, and only where it may be, which None among the refusals says."""
    refusals = list(refusals)
    return path is None if True in refusals else path is not None or None in refusals


@EXAMPLES
@given(tables(EVERY, repeated=True, least=0))
@pytest.mark.parametrize("ending", [".arrow", ".arrows"])
def test_arrow_gives_back_schema_and_values(tmp_path, ending, table):
    back = read(written(tmp_path / f"a{ending}", table.to_batches(), table.schema))
    assert described(back.schema) == described(table.schema)
    assert contents(back) == contents(table)


@EXAMPLES
@given(tables(EVERY, repeated=True, least=1))
def test_parquet_gives_back_values_and_schema(tmp_path, table):
    path = written(tmp_path / "a.parquet", table.to_batches(), table.schema)
    assert as_foreseen(path, map(parquet_refuses, table.schema.types))
    if path is not None:
        back = read(path)
        assert described(back.schema, parquet=True) == described(table.schema, parquet=True)
        assert contents(back) == contents(table)


@EXAMPLES
@given(tables(SAYABLE, calendar=True, repeated=True), COMPRESSED)
def test_csv_gives_back_the_text_of_every_value(tmp_path, table, compressed):
    path = written(tmp_path / f"a.csv{compressed}", table.to_batches(), table.schema)
    assert as_foreseen(path, map(text_refuses, table.schema.types))
    if path is None:
        return
    back = read(path)
    assert back.schema == pa.schema([(name, pa.string()) for name in make_distinct(table.schema.names)])
    assert back.num_rows == table.num_rows
    for column, texts in zip(table.columns, back.columns, strict=True):
        for scalar, text in zip(column, texts.to_pylist(), strict=True):
            value = storable(exact(scalar), json=False)
            assert text == "" if value is None else in_csv(text, column.type) == value
    again = read(written(tmp_path / "a.csv", back.to_batches(), back.schema))
    assert again.equals(back)


@EXAMPLES
@given(tables(SAYABLE, calendar=True), COMPRESSED)
def test_json_lines_give_back_every_value_that_json_can_say(tmp_path, table, compressed):
    path = written(tmp_path / "a.jsonl", table.to_batches(), table.schema)
    assert as_foreseen(path, map(text_refuses, table.schema.types))
    if path is None:
        return
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    rows = [loads(line) for line in lines]
    assert all(list(row) == table.schema.names for row in rows)
    for field, column in zip(table.schema, contents(table), strict=True):
        message = [in_json(row[field.name], field.type) for row in rows]
        assert message == [storable(value, json=True) for value in column]
    path = written(tmp_path / f"a.jsonl{compressed}", table.to_batches(), table.schema)
    if not lines:
        with pytest.raises(InputError, match="holds no objects"):
            read(path)
        return
    back = read(path)
    assert back.schema.names == table.schema.names
    plain = [json.loads(line) for line in lines]
    for field, original in zip(back.schema, table.schema, strict=True):
        values = back.column(field.name).to_pylist()
        if field.metadata and JSON_MARK in field.metadata:
            values = [None if value is None else json.loads(value) for value in values]
        assert same(loose(values), loose([row[original.name] for row in plain]))
        assert field.type in json_types(original.type, values)
    again = read(written(tmp_path / "a.jsonl", back.to_batches(), back.schema))
    assert again.schema.equals(back.schema, check_metadata=True)
    assert again.equals(back)


def loose(value):
    """Whole numbers as floats: in a list that holds both they are."""
    if isinstance(value, list):
        return [loose(item) for item in value]
    if isinstance(value, dict):
        return {name: loose(item) for name, item in value.items()}
    return float(value) if type(value) is int and abs(value) <= 2**53 else value


def json_types(kind, values):
    """The types that a column may come back with."""
    kind = unpacked(kind)
    if all(value is None for value in values):
        return [pa.null()]
    if pa.types.is_integer(kind):
        return [pa.int64() if max(value or 0 for value in values) < 2**63 else pa.uint64()]
    if pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return [pa.float64() if pa.types.is_floating(kind) else pa.bool_()]
    if pa.types.is_nested(kind) or pa.types.is_decimal(kind):
        return AnyType()
    return [pa.string()]


class AnyType:
    """What is nested and what is decimal has the type that its values have in JSON."""

    def __contains__(self, kind):
        return True
