"""What a database cannot hold or take is refused in one line, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import resource
import stat

import pyarrow as pa
import pytest
from conftest import open_writer, read, write

from sentiment_batch import OutputError, UsageError

ROWS = pa.table({"id": [1, 2], "review": ["good", None]})


def test_a_schema_of_sqlite_is_refused(lite):
    write(lite.url("table=main.t"), ROWS)
    with pytest.raises(UsageError, match="SQLite has no schema 'own'"):
        open_writer(lite.url("table=own.t"), ROWS.schema)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.month_day_nano_interval(), "month_day_nano_interval"),
        (pa.dense_union([pa.field("a", pa.int8())]), "union"),
        (pa.list_(pa.month_day_nano_interval()), "month_day_nano_interval"),
    ],
)
def test_a_type_without_a_form_is_refused_by_name(db, tmp_path, kind, message):
    with pytest.raises(OutputError, match=f"a database cannot hold the column 'odd': .*{message}.*`columns`"):
        open_writer(db.url("table=t"), pa.schema([("odd", kind)]))
    assert not list(tmp_path.iterdir())


def test_names_that_postgresql_would_cut_are_refused(pg):
    for table, column in (("t", "ü" * 32), ("t" * 64, "a"), ("t", "")):
        with pytest.raises(OutputError, match=r"must have 1 to 63 bytes.*Rename it"):
            open_writer(pg.url(f"table={table}"), pa.schema([(column, pa.int8())]))
    write(pg.url(f"table={'t' * 63}"), pa.table({"ü" * 31: [1]}))
    assert pg.tables() == ["t" * 63]


def test_columns_of_one_name_are_refused(db):
    with pytest.raises(OutputError, match=r"cannot have two columns named 'a'\. Leave one out with `columns`"):
        open_writer(db.url("table=t"), pa.schema([("a", pa.int8()), ("a", pa.int8())]))
    if db.kind != "postgresql":  # where names that differ in case only are equal
        with pytest.raises(OutputError, match=r"ignores the case of names, so '[aA]' is there twice"):
            open_writer(db.url("table=t"), pa.schema([("a", pa.int8()), ("A", pa.int8())]))


def test_names_with_nul_characters_are_never_cut(db, duck):
    with pytest.raises(OutputError, match=r"cannot hold the column 'a\\x00b': its name has a NUL character\. Leave it"):
        open_writer(db.url("table=t"), pa.schema([("a\0b", pa.int8())]))
    write(duck.url("table=t"), pa.table({"x": [{"a\0b": 1}]}))
    assert read(duck.url("table=t"))["x"].to_pylist() == [r'{"a\u0000b": 1}']


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("a\0b", pa.string()),
        (1, pa.timestamp("ns")),
        (1, pa.time64("ns")),
        (1, pa.duration("ns")),
        (2**40, pa.timestamp("s")),
    ],
)
def test_a_value_that_postgresql_cannot_hold_is_an_error(pg, value, kind):
    table = pa.table({"odd": pa.array([value], kind)})
    if kind == pa.timestamp("s"):
        table = pa.table({"odd": pa.array([2**62], pa.int64()).cast(kind)})
    with pytest.raises(OutputError, match=r"cannot be written: .*`columns`"):
        write(pg.url("table=t"), table)
    assert pg.tables() == []


def test_a_location_takes_a_table_alone(lite):
    for rest in ("", "query=SELECT 1", "table=t&key=id"):
        with pytest.raises(UsageError, match=r"Write \?table=NAME"):
            open_writer(lite.url(rest), ROWS.schema)


def test_a_server_that_stops_is_reported_and_nothing_is_left(server, pg):
    made = open_writer(pg.url("table=t"), ROWS.schema)
    made.write(ROWS.to_batches()[0])
    server.stop()
    try:
        with pytest.raises(OutputError, match=r"cannot be written: .*Check that the server runs") as error:
            made.write(ROWS.to_batches()[0])
        assert "\n" not in str(error.value)
        made.abort()
    finally:
        server.start()
    assert pg.tables() == []


def test_a_missing_permission_to_write_is_reported(pg):
    pg.run("DROP ROLE IF EXISTS bob", "CREATE ROLE bob LOGIN", "CREATE TABLE t (id int)", "GRANT SELECT ON t TO bob")
    with pytest.raises(OutputError, match=r"permission denied for schema public\. Ask for the permission"):
        open_writer(pg.url("table=u").replace("postgres@", "bob@"), ROWS.schema)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
def test_a_file_that_may_not_be_written_is_reported(lite):
    write(lite.url("table=t"), ROWS)
    path = lite.path
    path.chmod(stat.S_IREAD)
    with pytest.raises(OutputError, match="you must not write it"):
        open_writer(lite.url("table=u"), ROWS.schema)


def test_a_folder_that_may_not_be_written_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path))  # as on a read-only file system
    for kind in ("sqlite", "duckdb"):
        with pytest.raises(OutputError, match=r"you must not write into the folder .*\. Name another\."):
            open_writer(f"{kind}:///{tmp_path}/a.db?table=t", ROWS.schema)


def test_a_folder_that_is_missing_is_reported(tmp_path):
    for kind in ("sqlite", "duckdb"):
        with pytest.raises(OutputError, match=r"there is no folder .*nowhere\. Create it"):
            open_writer(f"{kind}:///{tmp_path}/nowhere/a.db?table=t", ROWS.schema)


def test_a_file_that_another_program_locked_is_reported(lite, monkeypatch):
    from sentiment_batch_sql import sqlite

    monkeypatch.setattr(sqlite, "_LOCK_TIMEOUT", "PRAGMA busy_timeout = 10")
    write(lite.url("table=t"), ROWS)
    with contextlib.closing(lite.connection()) as other:
        other.run("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match=r"locked\. Close the program that has it open"):
            write(lite.url("table=u"), ROWS)
    assert lite.tables() == ["t"]
    assert not lite.leftovers()


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_full_disk_is_reported_and_nothing_is_left(make_db, kind, tmp_path):
    db = make_db(kind)
    write(db.url("table=small"), ROWS)
    texts = pa.table({"text": [os.urandom(500).hex() for _ in range(4_000)]})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write(db.url("table=t"), texts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert db.tables() == ["small"]
    assert not db.leftovers()
