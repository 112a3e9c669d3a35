"""Writes tables, and reads them back with other programs: the values and types that are kept or refused."""

from __future__ import annotations

import contextlib
import decimal
import os

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROWS, open_writer, read, refuse, write
from sentiment_batch_delta import data_files

from sentiment_batch import UsageError

LABELS = pa.DictionaryArray.from_arrays(pa.array([2, None, 0], pa.int8()), ["negative", "neutral", "positive"])
TYPES = pa.table(
    {
        "id": [1, 2, 3],
        "sentiment": LABELS,
        "score": pa.array([0.5, None, 0.25], pa.float32()),
        "local": pa.array([0, None, 1_700_000_000_000_001], pa.timestamp("us")),
        "instant": pa.array([0, None, 1_700_000_000_001], pa.timestamp("ms", "America/St_Johns")),
        "price": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-2.25")], pa.decimal128(9, 2)),
        "large": pa.array(["", None, "größer 😀"], pa.large_string()),
        "unsigned": pa.array([0, None, 2**64 - 1], pa.uint64()),
        "words": [["a", None], None, []],
        "place": [{"city": "Bonn", "visits": 3}, None, {"city": None, "visits": 0}],
        "nothing": pa.nulls(3),
        "raw": pa.array([b"\xff\x00", None, b""], pa.large_binary()),
    }
)


def test_other_programs_read_every_value(table):
    write(table.url(), TYPES)
    expected = TYPES.set_column(7, "unsigned", TYPES["unsigned"].cast(pa.decimal128(20, 0))).to_pylist()
    assert read(table.url()).to_pylist() == expected
    assert pl.read_delta(str(table.path)).to_dicts() == expected
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        paths = [str(path) for path in table.path.glob("*.parquet")]
        found = connection.sql(f"SELECT * FROM read_parquet({paths!r})").to_arrow_table()
    instants = found["instant"].cast(pa.timestamp("us", "UTC"))
    assert found.set_column(4, "instant", instants).to_pylist() == expected


def test_columns_have_the_types_of_the_format(table):
    write(table.url(), TYPES)
    kinds = {field.name: field.type for field in table.open().schema().fields}
    plain = {name: kind.type for name, kind in kinds.items() if name not in ("words", "place")}
    assert plain == {
        "id": "long",
        "sentiment": "string",
        "score": "float",
        "local": "timestamp_ntz",
        "instant": "timestamp",
        "price": "decimal(9,2)",
        "large": "string",
        "unsigned": "decimal(20,0)",
        "nothing": "string",
        "raw": "binary",
    }


def test_a_table_can_be_replaced_by_other_columns(table):
    table.make()
    write(table.url(), TYPES.drop(["local"]), overwrite=True)
    assert read(table.url()).num_columns == 11
    assert read(table.url("?version=0")).equals(ROWS)
    assert pl.read_delta(str(table.path)).height == 3
    assert table.list_orphans() == []


def test_rows_are_added_in_one_commit(table):
    write(table.url("?mode=append"), ROWS)
    table.make(ROWS, mode="append")
    write(table.url("?mode=append"), ROWS.select(["review", "id"]))
    assert (table.version(), read(table.url())["id"].to_pylist()) == (2, [1, 2, 3] * 3)
    assert pl.read_delta(str(table.path)).height == 9


def test_the_history_names_the_run(table):
    write(table.url(), ROWS, run_id="3f2a")
    write(table.url(), ROWS, overwrite=True)
    found = [commit["userMetadata"] for commit in table.open().history()]
    assert found == ["written by sentiment-batch", "written by sentiment-batch, run 3f2a"]
    assert str(table.path) in table.read_commit(0)[0]["commitInfo"]["operationParameters"]["location"]


def test_many_rows_are_several_files_in_order(table, monkeypatch):
    monkeypatch.setattr(data_files, "MAX_ROWS_PER_FILE", 7)
    write(table.url(), pa.table({"id": range(100)}))
    assert len(list(table.path.glob("*.parquet"))) == 15
    assert read(table.url())["id"].to_pylist() == list(range(100))
    monkeypatch.setattr(data_files, "MAX_BYTES_PER_FILE", 1)
    write(table.url(), pa.table({"id": range(20)}), overwrite=True)
    assert read(table.url())["id"].to_pylist() == list(range(20))


def test_memory_does_not_grow_with_the_rows(table):
    batch = pa.record_batch({"review": [f"{row} ".ljust(1_000, "x") for row in range(1_000)]})
    made, held = open_writer(table.url(), batch.schema), []
    for _ in range(300):
        made.write(batch)
        held.append(pa.total_allocated_bytes())
    made.commit()
    assert max(held[150:]) <= 1.2 * max(held[:150])


def test_pages_have_checksums(table):
    write(table.url(), pa.table({"review": [f"a good film, number {row}" for row in range(1_000)]}))
    (path,) = table.path.glob("*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.time32("s"), pa.duration("ms"), pa.decimal256(60, 4), pa.decimal128(5, -2), pa.month_day_nano_interval()),
        *(pa.struct([]), pa.list_view(pa.string()), pa.map_(pa.int8(), pa.list_(pa.timestamp("ms")))),
    ],
)
def test_types_that_it_lacks_are_refused_by_column(table, kind):
    message = refuse(table.url(), pa.table({"id": [1], "odd one": pa.nulls(1, kind)}))
    assert "Delta Lake cannot hold the column 'odd one': " in message
    assert not table.path.exists()


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1], pa.timestamp("ns")),
        pa.array([[{"at": 1}]], pa.list_(pa.struct([("at", pa.timestamp("ns", "UTC"))]))),
        pa.array([2**60], pa.timestamp("s")),
    ],
    ids=["nanoseconds", "nested", "seconds"],
)
def test_values_that_would_change_are_refused_by_column(table, values):
    message = refuse(table.url(), pa.table({"odd one": values}))
    assert "the column 'odd one'" in message
    assert "Leave the column out" in message
    assert table.list_orphans() == [] if table.path.exists() else os.listdir(table.folder) == []


def test_names_that_differ_in_case_are_refused(table):
    assert "ignores the case of names" in refuse(table.url(), ROWS.append_column("ID", ROWS["id"]))
    nested = pa.table({"one": [{"a": 1, "A": 2}]})
    assert "the column 'one'" in refuse(table.url(), nested)


def test_a_table_that_exists_is_refused_with_the_choices(table):
    message = refuse(table.make().url(), ROWS)
    assert "exists already. Replace it with `overwrite=True`, add rows with ?mode=append" in message


def test_settings_that_exclude_each_other_are_refused(table):
    with pytest.raises(UsageError, match="adds rows, but `overwrite=True` replaces them"):
        write(table.url("?mode=append"), ROWS, overwrite=True)
    with pytest.raises(UsageError, match="names a version, which can only be read"):
        write(table.url("?version=0"), ROWS)


def test_columns_that_need_a_feature_are_refused_by_name(table):
    table.make()
    message = refuse(table.url(), TYPES, overwrite=True)
    assert "lacks the feature timestampNtz, which the column 'local' needs" in message
    assert read(table.url()).equals(ROWS), "deltalake itself makes a table that nobody can open"


def test_no_rows_are_a_commit_too(table):
    for mode, options in (("", {}), ("?mode=append", {}), ("", {"overwrite": True})):
        write(table.url(mode), ROWS.slice(0, 0), **options)
    assert (table.version(), read(table.url()).num_rows) == (2, 0)
    write(table.make(ROWS, mode="append").url(), ROWS.slice(0, 0), overwrite=True)
    assert read(table.url()).equals(ROWS.slice(0, 0))
