"""Tables are written completely or not at all, with the right types."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import math

import numpy as np
import pyarrow as pa
import pytest
from conftest import open_writer, read, write
from sentiment_batch_sql.sqlite import SQLiteFile

from sentiment_batch import OutputError

ROWS = pa.table({"id": [1, 2], "review": ["good", None]})
COLUMNS = {
    "postgresql": "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
    " WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum",
    "sqlite": "SELECT name, type FROM pragma_table_info('t')",
    "duckdb": "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't'"
    " ORDER BY ordinal_position",
}
TYPES = {  # each with a value, and what it is in PostgreSQL, SQLite and DuckDB
    "nothing": (pa.null(), None, "text", "TEXT", "VARCHAR"),
    "flag": (pa.bool_(), True, "boolean", "BOOLEAN", "BOOLEAN"),
    "tiny": (pa.int8(), -128, "smallint", "INTEGER", "TINYINT"),
    "large": (pa.uint64(), 2**64 - 1, "numeric", "TEXT", "UBIGINT"),
    "half": (pa.float16(), 1.5, "real", "REAL", "FLOAT"),
    "real": (pa.float64(), 0.1, "double precision", "REAL", "DOUBLE"),
    "price": (pa.decimal128(10, 2), decimal.Decimal("1.50"), "numeric(10,2)", "TEXT", "DECIMAL(10,2)"),
    "huge": (pa.decimal256(50, 2), decimal.Decimal("1.50"), "numeric(50,2)", "TEXT", "VARCHAR"),
    "text": (pa.string_view(), "ü", "text", "TEXT", "VARCHAR"),
    "label": (pa.dictionary(pa.int8(), pa.string()), "good", "text", "TEXT", "VARCHAR"),
    "bytes": (pa.binary(2), b"\0\xff", "bytea", "BLOB", "BLOB"),
    "day": (pa.date64(), datetime.date(2020, 1, 2), "date", "TEXT", "DATE"),
    "time": (pa.time32("s"), datetime.time(10, 11, 12), "time without time zone", "TEXT", "TIME"),
    "naive": (pa.timestamp("ms"), datetime.datetime(2020, 1, 2), "timestamp without time zone", "TEXT", "TIMESTAMP_MS"),
    "zoned": (
        pa.timestamp("ns", "Europe/Paris"),
        datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
        "timestamp with time zone",
        "TEXT",
        "TIMESTAMP WITH TIME ZONE",
    ),
    "lapse": (pa.duration("ms"), datetime.timedelta(seconds=90), "interval", "TEXT", "INTERVAL"),
    "numbers": (pa.large_list(pa.uint16()), [1, None], "integer[]", "TEXT", "USMALLINT[]"),
    "words": (pa.list_(pa.string()), ["a", None], "text[]", "TEXT", "VARCHAR[]"),
    "pairs": (pa.list_(pa.struct({"a": pa.int8()})), [{"a": 1}], "json", "TEXT", "STRUCT(a TINYINT)[]"),
    "map": (pa.map_(pa.string(), pa.float32()), [("k", 1.5)], "json", "TEXT", "MAP(VARCHAR, FLOAT)"),
}


@pytest.mark.parametrize("rows", [1, 0])
def test_every_type_has_its_column(db, rows):
    arrays = [pa.array([value, None], kind).slice(0, rows) for kind, value, *_ in TYPES.values()]
    write(db.url("table=t"), pa.table(arrays, names=list(TYPES)))
    place = 2 + ["postgresql", "sqlite", "duckdb"].index(db.kind)
    assert dict(db.rows(COLUMNS[db.kind])) == {name: types[place] for name, types in TYPES.items()}
    assert read(db.url("table=t")).num_rows == rows


@pytest.mark.parametrize("kind", [pa.float32(), pa.float16()])
def test_sqlite_holds_the_digits_of_short_floats(make_db, kind):
    db, values = make_db("sqlite"), np.array([0.6352, 1.0, -0.1, 1e-4, math.inf, 3.0e4], kind.to_pandas_dtype())
    write(db.url("table=t"), pa.table({"score": pa.array([*values, None], kind)}))
    found = [score for (score,) in db.rows("SELECT score FROM t")]
    assert found[-1] is None
    assert np.array(found[:-1], values.dtype).tolist() == values.tolist()
    if kind == pa.float32():
        assert found == [0.6352, 1.0, -0.1, 0.0001, math.inf, 30000.0, None]


def test_types_of_postgresql_alone_come_back(pg):
    pg.run("CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TABLE t (a uuid, b mood, c numeric(10, 2), d jsonb)")
    pg.run("ALTER TABLE t ADD e bit(3), ADD f interval, ADD g inet[], ADD h int[]")
    pg.run(
        "INSERT INTO t VALUES ('0e7a0861-aeac-4b63-921e-94f71ec7360d', 'ok', 1.5, '{\"a\": 1}', '101', '1 mon 2 s',"
        " '{1.2.3.4/8}', '{{1},{2}}')"
    )
    before = pg.rows("SELECT t::text FROM t")
    types = pg.rows(COLUMNS["postgresql"])
    write(pg.url("table=t"), read(pg.url("table=t")), overwrite=True)
    assert pg.rows("SELECT t::text FROM t") == before
    expected = [(name, type.replace("numeric(10,2)", "numeric").replace("bit(3)", '"bit"')) for name, type in types]
    assert pg.rows(COLUMNS["postgresql"]) == expected


def test_a_mark_that_names_no_type_is_no_sql(pg):
    mark = {b"sentiment_batch_sql.type": b"postgresql:int); DROP TABLE t; --"}
    write(pg.url("table=t"), pa.table({"a": ["x"]}, pa.schema([pa.field("a", pa.string(), metadata=mark)])))
    assert pg.rows("SELECT a FROM t") == [("x",)]


def test_types_of_duckdb_alone_come_back(duck):
    sql = "SELECT uuid '0e7a0861-aeac-4b63-921e-94f71ec7360d' AS a, '{\"a\": 1}'::json AS b, '101'::bit AS c,"
    duck.run(
        f"CREATE TABLE t AS {sql} interval '1 month' AS d, '170141183460469231731687303715884105727'::hugeint AS e"
    )
    before = duck.rows("SELECT t::text FROM t"), duck.rows(COLUMNS["duckdb"])
    write(duck.url("table=t"), read(duck.url("table=t")), overwrite=True)
    assert (duck.rows("SELECT t::text FROM t"), duck.rows(COLUMNS["duckdb"])) == before


def test_nobody_sees_a_table_before_it_is_whole(db):
    made = open_writer(db.url("table=t"), ROWS.schema)
    for batch in ROWS.to_batches():
        made.write(batch)
    assert db.tables() == []
    made.commit()
    made.abort()
    assert db.rows("SELECT id, review FROM t ORDER BY id") == [(1, "good"), (2, None)]
    assert not db.leftovers()


def test_an_aborted_table_leaves_no_trace(db, tmp_path):
    made = open_writer(db.url("table=t"), ROWS.schema)
    made.write(ROWS.to_batches()[0])
    made.abort()
    made.abort()
    assert not list(tmp_path.iterdir())
    assert db.tables() == []


def test_a_table_that_is_there_stays_unless_overwrite_is_set(db):
    write(db.url("table=t"), ROWS)
    with pytest.raises(OutputError, match=r"table=t exists already\. Replace it with `overwrite=True`"):
        open_writer(db.url("table=t"), ROWS.schema)
    made = open_writer(db.url("table=t"), ROWS.slice(1).schema, overwrite=True)
    made.write(ROWS.slice(1).to_batches()[0])
    assert db.rows("SELECT count(*) FROM t") == [(2,)]
    made.commit()
    assert db.rows("SELECT id FROM t") == [(2,)]
    assert db.tables() == ["t"]
    assert not db.leftovers()


def test_a_table_that_appears_meanwhile_is_not_replaced(db):
    made = open_writer(db.url("table=t"), ROWS.schema)
    made.write(ROWS.to_batches()[0])
    db.run("CREATE TABLE t (mine int)")
    with pytest.raises(OutputError, match="exists already"):
        made.commit()
    made.abort()
    assert db.rows("SELECT mine FROM t") == []
    assert db.tables() == ["t"]
    assert not db.leftovers()


def test_a_view_is_never_replaced(db):
    db.run("CREATE TABLE a (id int)", "CREATE VIEW t AS SELECT * FROM a")
    with pytest.raises(OutputError, match="is a view, which is never replaced"):
        open_writer(db.url("table=t"), ROWS.schema, overwrite=True)
    assert db.tables() == ["a", "t"]


@pytest.mark.parametrize(
    ("needing", "statement"),
    [("needy", "CREATE VIEW needy AS SELECT * FROM t"), ("needy", "CREATE TABLE needy (id int REFERENCES t)")],
)
def test_a_table_that_others_need_is_not_replaced(pg, needing, statement):
    pg.run("CREATE TABLE t (id int PRIMARY KEY)", statement)
    with pytest.raises(OutputError, match=rf"is needed by {needing}, so it is not replaced"):
        open_writer(pg.url("table=t"), ROWS.schema, overwrite=True)


def test_odd_names_are_written(db):
    names = ['the "best"', "Größe", "a.b", "SELECT", "with space", "it's", "100%", "{x}", "$1", "rowid"]
    table = pa.table([[1]] * len(names), names=names)
    write(db.url('table="my.own ""t"""'), table)
    assert read(db.url('table="my.own ""t"""')).column_names == names


def test_a_schema_may_be_named(pg, duck):
    for db in (pg, duck):
        db.run("CREATE SCHEMA own")
        write(db.url("table=own.t"), ROWS)
        assert db.rows("SELECT id FROM own.t") == [(1,), (2,)]
        with pytest.raises(OutputError, match="nowhere"):
            write(db.url("table=nowhere.t"), ROWS)


def test_a_committed_table_of_sqlite_outlives_a_power_cut(lite):
    opened = SQLiteFile(ROWS.schema).open(str(lite.path), write=True)
    with contextlib.closing(opened):
        assert opened.rows("PRAGMA synchronous") == [(3,)]  # EXTRA: the journal's name is gone from the disk, too


def test_many_rows_are_copied(db):
    table = pa.table({"id": range(200_000), "review": [f"a review with the number {n}" for n in range(200_000)]})
    write(db.url("table=t"), table)
    assert db.rows("SELECT count(*), min(id), max(id), count(DISTINCT review) FROM t") == [
        (200_000, 0, 199_999, 200_000)
    ]


def test_durations_of_either_sign_are_intervals(pg):
    ticks = [0, 1, -1, -8546807977, 259200000005, 2**63 - 1, -(2**63), None]
    write(pg.url("table=t"), pa.table({"n": range(len(ticks)), "d": pa.array(ticks, pa.duration("us"))}))
    query = "SELECT (extract(epoch FROM d) * 1000000)::bigint FROM t ORDER BY n"
    assert [value for (value,) in pg.rows(query)] == ticks


@pytest.mark.parametrize("names", [["rowid"], ["rowid", "OID", "_rowid_"]])
def test_columns_named_like_a_row_number_do_not_sort_rows(lite, names):
    write(lite.url("table=t"), pa.table({name: [3, 1, 2] for name in names}))
    assert lite.rows(f'SELECT "{names[0]}" FROM t') == [(3,), (1,), (2,)]
