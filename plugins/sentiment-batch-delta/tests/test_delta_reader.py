"""Reads tables that other programs have made: any version, file by file, and refuses what would be read wrongly."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROWS, open_reader, read, with_protocol
from deltalake import DeltaTable

from sentiment_batch import InputError, UsageError


def refuse(location, **options):
    """The message with which a location is refused."""
    with pytest.raises(InputError) as caught:
        read(location, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert location.partition("?")[0] in message
    return message


def test_any_version_can_be_read(table):
    table.make().make(ROWS.slice(0, 1), mode="append").make(ROWS.slice(2), mode="overwrite")
    counts = [read(table.url(f"?version={version}")).num_rows for version in range(3)]
    assert counts == [3, 4, 1]
    assert read(table.url()).equals(read(table.url("?version=2")))


def test_each_file_is_a_split_in_the_order_of_commits(table):
    for number in range(12):
        table.make(pa.table({"id": [number, number]}), mode="append")
    reader = open_reader(table.url())
    assert [split.num_rows for split in reader.splits()] == [2] * 12
    assert read(table.url())["id"].to_pylist() == [number // 2 for number in range(24)]


def test_a_checkpoint_changes_no_split_and_no_state(table):
    for number in range(5):
        table.make(pa.table({"id": [number]}), mode="append")
    before = open_reader(table.url())
    table.open().create_checkpoint()
    for version in range(5):
        table.commit(version).unlink()
    after = open_reader(table.url())
    assert before.splits() == after.splits()
    assert before.identity() == after.identity()
    assert read(table.url())["id"].to_pylist() == list(range(5))


def test_a_reader_keeps_its_version_while_others_write(table):
    table.make()
    reader = open_reader(table.url())
    state = reader.identity()
    table.make(ROWS, mode="overwrite").make(ROWS, mode="append")
    rows = [batch for split in reader.splits() for batch in reader.batches(split)]
    assert pa.Table.from_batches(rows).num_rows == 3
    assert reader.identity() == state != open_reader(table.url()).identity()


def test_a_new_table_at_the_same_place_has_another_state(table):
    first = open_reader(table.make().url()).identity()
    table.path.rename(table.folder / "old")
    assert open_reader(table.make().url()).identity() != first


@pytest.mark.parametrize("values", [["x/ä %", "y"], [1, None], [datetime.date(2024, 2, 29), None], [True, False]])
def test_partitions_are_columns(table, values):
    rows = pa.table({"id": range(4), "part of it": values * 2})
    table.make(rows, partition_by=["part of it"])
    found = read(table.url())
    assert found.schema == pa.schema([("id", pa.int64()), rows.schema.field("part of it")])
    assert sorted(found.to_pylist(), key=lambda row: row["id"]) == rows.to_pylist()
    assert found.num_rows == 4


def test_a_column_that_a_file_lacks_is_null(table):
    table.make().make(ROWS.append_column("stars", pa.array([5, 4, 3])), mode="append", schema_mode="merge")
    assert read(table.url())["stars"].to_pylist() == [None, None, None, 5, 4, 3]


def test_old_timestamps_of_spark_keep_their_years(table):
    moments = [datetime.datetime(9999, 12, 31), datetime.datetime(1, 1, 1), None]
    table.make(pa.table({"at": pa.array(moments, pa.timestamp("us"))}))
    (path,) = table.path.glob("*.parquet")
    pq.write_table(pq.read_table(path), path, use_deprecated_int96_timestamps=True, store_schema=False)
    assert read(table.url())["at"].to_pylist() == moments


def test_bad_strings_are_reported_with_the_row_of_the_file(table):
    table.make(pa.table({"review": ["good"] * 8}))
    (path,) = table.path.glob("*.parquet")
    bad = pa.array([b"good"] * 5 + [b"\xff"] + [b"good"] * 2).cast(pa.string(), safe=False)
    pq.write_table(pa.table({"review": bad}), path, row_group_size=4)
    found = []
    assert read(table.url(), on_bad_row=found.append).num_rows == 8
    assert [problem.row for problem in found] == [5]
    with pytest.raises(InputError, match=f"{path.name}, row group 1.* is not UTF-8"):
        read(table.url())


def test_counts_that_the_log_does_not_know_are_unknown(table):
    table.make()
    table.change_commit(0, lambda action: action.get("add", {}).pop("stats", None) and None)
    reader = open_reader(table.url())
    assert (reader.num_rows, [split.num_rows for split in reader.splits()]) == (None, [None])
    assert read(table.url()).num_rows == 3


def test_a_file_with_other_rows_than_the_log_says_is_damaged(table):
    table.make()
    (path,) = table.path.glob("*.parquet")
    pq.write_table(ROWS.slice(0, 2), path)
    assert "holds 2 rows, but the log announces 3" in refuse(table.url())


def test_a_file_that_is_gone_is_named(table):
    table.make()
    (path,) = table.path.glob("*.parquet")
    path.unlink()
    assert f"file {path.name} is gone, perhaps because old files were removed" in refuse(table.url())


def test_a_column_of_another_type_is_named(table):
    table.make()
    (path,) = table.path.glob("*.parquet")
    pq.write_table(pa.table({"id": ["x", "y", "z"], "review": ["a", "b", "c"]}), path)
    assert "column 'id'" in refuse(table.url())


def test_what_is_no_table_is_named(table):
    assert "is no Delta Lake table: there is no folder" in refuse(table.url())
    table.path.mkdir()
    assert "has no log of commits" in refuse(table.url())
    (table.path / "_delta_log").mkdir()
    assert "has no log of commits" in refuse(table.url())
    (table.folder / "file").touch()
    assert "is a file" in refuse(f"delta://{table.folder / 'file'}")


def test_a_version_that_is_not_there_is_named(table):
    assert "has no version 7. The newest one is 0" in refuse(table.make().url("?version=7"))
    table.make(ROWS, mode="append").open().create_checkpoint()
    table.commit(0).unlink()
    assert "cannot be read" in refuse(table.url("?version=0"))


@pytest.mark.parametrize("damage", ["{", "garbage", '{"commitInfo": 7}\n{"add": []}'])
def test_a_damaged_log_is_one_line(table, damage):
    table.make().make(ROWS, mode="append").commit(1).write_text(damage)
    assert "Restore the table" in refuse(table.url())


def test_an_empty_commit_is_damage_and_no_commit_without_rows(table):
    table.make().make(ROWS, mode="append").commit(1).write_text("")
    assert "the commit 00000000000000000001.json is empty" in refuse(table.url())


@pytest.mark.parametrize("protocol", [(4, 8), (3, 7, "aNewThing"), (3, 7, "typeWidening")])
def test_newer_features_are_refused_by_name(table, protocol):
    table.make().change_commit(0, with_protocol(*protocol))
    message = refuse(table.url())
    assert (protocol[2] if len(protocol) > 2 else "version 4") in message
    assert "program that supports it" in message


def test_deletion_vectors_are_refused(table):
    table.make(configuration={"delta.enableDeletionVectors": "true"})
    assert read(table.url()).num_rows == 3, "no file has one yet"
    place = {"storageType": "u", "pathOrInlineDv": "vBn[lx{q8@P<9BNH/isA", "offset": 1, "sizeInBytes": 36}
    table.change_commit(
        0, lambda action: action.get("add", {}).update(deletionVector=place | {"cardinality": 1}) if action else None
    )
    assert "deletion vectors" in refuse(table.url())


def test_columns_with_other_names_in_the_files_are_refused(table):
    table.make().change_commit(0, with_protocol(2, 5))
    table.change_commit(
        0,
        lambda action: (
            action["metaData"]["configuration"].update({"delta.columnMapping.mode": "name"})
            if "metaData" in action
            else None
        ),
    )
    message = refuse(table.url())
    assert "columnMapping" in message or "olumn mapping" in message


def test_a_mode_is_for_outputs(table):
    with pytest.raises(UsageError, match="has a mode, which is for an output"):
        open_reader(table.make().url("?mode=append"))


def test_reading_changes_nothing(table):
    table.make()
    before = sorted(os.walk(table.path))
    read(table.url())
    assert sorted(os.walk(table.path)) == before
    assert DeltaTable(table.path).version() == 0
    assert Path(table.path).exists()
