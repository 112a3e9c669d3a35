"""Tables and queries are read from one snapshot, in the order of a key. Every error is one line."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import open_reader, read
from sentiment_batch_sql import key_ranges

from sentiment_batch import InputError, UsageError

ODD_NAMES = ['the "best"', "Größe", "a.b", "SELECT", "with space", "Id", "it's", "100%", "{x}", "$1"]


def only(table):
    (column,) = table.columns
    (value,) = column.to_pylist()
    return value


def test_odd_names_are_quoted(db):
    columns = ", ".join('"{}" int'.format(name.replace('"', '""')) for name in ODD_NAMES)
    db.run(
        f'CREATE TABLE "Shop "".ü" ({columns})', f'INSERT INTO "Shop "".ü" VALUES ({", ".join("1" for _ in ODD_NAMES)})'
    )
    table = read(db.url('table="Shop "".ü"'))
    assert table.to_pylist() == [dict.fromkeys(ODD_NAMES, 1)]
    for name in ODD_NAMES:
        assert read(db.url("table=%22Shop%20%22%22.%C3%BC%22"), key=name).to_pylist() == [dict.fromkeys(ODD_NAMES, 1)]


def test_a_schema_may_be_named(pg, duck):
    for db in (pg, duck):
        db.run('CREATE SCHEMA "my.own"', 'CREATE TABLE "my.own".t AS SELECT 1 AS a')
        assert only(read(db.url('table="my.own".t'))) == 1


def test_a_key_orders_the_rows_and_cuts_them_into_ranges(db, monkeypatch):
    monkeypatch.setattr(key_ranges, "MAX_ROWS_PER_RANGE", 10)
    db.run("CREATE TABLE t (id bigint, name text)")
    db.run("INSERT INTO t VALUES " + ", ".join(f"({(7 * n) % 25}, 'it''s {(7 * n) % 25:02}')" for n in range(25)))
    for key in ("id", "name"):
        with contextlib.closing(open_reader(db.url("table=t"), key=key)) as reader:
            splits = reader.splits()
            assert [split.num_rows for split in splits] == [10, 10, 5]
            assert reader.num_rows == 25
            last = [row["id"] for batch in reader.batches(splits[2]) for row in batch.to_pylist()]
            assert last == list(range(20, 25))
            assert [
                row["id"] for split in splits for batch in reader.batches(split) for row in batch.to_pylist()
            ] == list(range(25))
    assert read(db.url("table=t&key=id"))["id"].to_pylist() == list(range(25))


@pytest.mark.parametrize(
    ("type", "values"),
    [
        ("uuid", ["'00000000-0000-0000-0000-00000000000{}'"]),
        ("timestamptz", ["'2020-01-0{} 00:00:00.000001+05'"]),
        ("numeric", ["{}.000000000000000000000000001"]),
        ("float8", ["0.1::float8 + {}"]),
        ("date", ["'2020-01-0{}'"]),
        ("text", ["E'\\\\{} '' $1'"]),
        ("char(5)", ["'{}'"]),
        ("mood", ["'m{}'"]),
        ("bytea", [r"'\x0{}'"]),
    ],
)
def test_keys_of_postgresql_may_be_of_any_type_that_has_an_order(pg, monkeypatch, type, values):
    monkeypatch.setattr(key_ranges, "MAX_ROWS_PER_RANGE", 2)
    pg.run("CREATE TYPE mood AS ENUM ('m5', 'm4', 'm3', 'm2', 'm1')", f"CREATE TABLE t (k {type}, n int)")
    pg.run("INSERT INTO t VALUES " + ", ".join(f"({values[0].format(n)}, {n})" for n in (3, 1, 5, 2, 4)))
    order = [5, 4, 3, 2, 1] if type == "mood" else [1, 2, 3, 4, 5]
    assert read(pg.url("table=t"), key="k")["n"].to_pylist() == order


KEYS = [("(1), (1)", "more than one row"), ("(1), (NULL)", "is null in a row")]


@pytest.mark.parametrize(("values", "message"), KEYS)
def test_a_key_with_nulls_or_duplicates_is_refused(db, values, message):
    db.run("CREATE TABLE t (id int)", f"INSERT INTO t VALUES {values}")
    with pytest.raises(InputError, match=f"key 'id' .*{message}.*leave out `key`"):
        open_reader(db.url("table=t"), key="id")
    with pytest.raises(InputError, match=r"no column 'ID'; did you mean 'id'.*`key`"):
        open_reader(db.url("table=t"), key="ID")


def test_a_table_without_rows_is_read(db):
    db.run("CREATE TABLE t (id int, name text)")
    for key in (None, "id"):
        assert read(db.url("table=t"), key=key).num_rows == 0


def test_the_identity_differs_between_tables_and_has_no_user(db):
    db.run("CREATE TABLE t (id int)", "INSERT INTO t VALUES (3), (1)")
    with contextlib.closing(open_reader(db.url("table=t"), key="id")) as reader:
        before = reader.identity()
    assert before["rows"] == 2
    assert "user" not in str(before)
    db.run("INSERT INTO t VALUES (2)")
    with contextlib.closing(open_reader(db.url("table=t"), key="id")) as reader:
        assert reader.identity() != before
    with contextlib.closing(open_reader(db.url("table=t"))) as reader:
        assert not hasattr(reader, "identity")


def test_a_query_keeps_its_own_order(db):
    db.run("CREATE TABLE t (id int)", f"INSERT INTO t VALUES {', '.join(f'({n * 7 % 100})' for n in range(100))}")
    query = "SELECT id FROM t ORDER BY id DESC;"
    assert read(db.url(), query=query)["id"].to_pylist() == list(range(99, -1, -1))
    assert read(db.url("query=SELECT id FROM t WHERE id %25 10 = 0 ORDER BY id"))["id"].to_pylist() == list(
        range(0, 100, 10)
    )


def test_all_ranges_come_from_one_snapshot(pg, monkeypatch):
    monkeypatch.setattr(key_ranges, "MAX_ROWS_PER_RANGE", 10)
    pg.run("CREATE TABLE t AS SELECT i AS id, 'old' AS age FROM generate_series(1, 30) AS s(i)")
    with contextlib.closing(open_reader(pg.url("table=t"), key="id")) as reader:
        ages = []
        for split in reader.splits():
            pg.run("UPDATE t SET age = 'new'", f"DELETE FROM t WHERE id = {30 - split.index}")
            ages += [row["age"] for batch in reader.batches(split) for row in batch.to_pylist()]
    assert ages == ["old"] * 30


def test_rows_that_changed_between_two_ranges_are_reported(db):
    db.run("CREATE TABLE t (id int)", "INSERT INTO t VALUES (1), (2)")
    with contextlib.closing(open_reader(db.url("table=t"), key="id")) as reader:
        (split,) = reader.splits()
        next(reader.batches(split))
        assert [batch.num_rows for batch in reader.batches(split)] == [2]
        db.run("INSERT INTO t VALUES (3)")
        with pytest.raises(InputError, match="was changed while it was read"):
            next(reader.batches(split))


def test_nothing_is_held_after_the_last_row(db):
    db.run("CREATE TABLE t (id int)", "INSERT INTO t VALUES (1), (2)")
    with contextlib.closing(open_reader(db.url("table=t"))) as reader:
        (split,) = reader.splits()
        assert list(reader.batches(split))
        db.run("DROP TABLE t")


def test_readers_may_change_threads_and_run_beside_each_other(db):
    db.run("CREATE TABLE t (id int)", f"INSERT INTO t VALUES {', '.join(f'({n})' for n in range(5_000))}")
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as threads:
        readers = [stack.enter_context(contextlib.closing(open_reader(db.url("table=t"), key="id"))) for _ in range(2)]
        together = threading.Barrier(2)

        def rows(reader):
            (split,) = reader.splits()
            batches = reader.batches(split)
            first = next(batches).num_rows
            together.wait(10)
            return first + sum(batch.num_rows for batch in batches)

        assert list(threads.map(rows, readers)) == [5_000, 5_000]


@pytest.mark.parametrize(
    "sql", ["DELETE FROM t RETURNING *", "DROP TABLE t", "SELECT 1; DROP TABLE t", "SELEC 1", "SELECT 1)"]
)
def test_a_query_that_is_no_select_is_refused_and_does_nothing(db, sql):
    db.run("CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
    with pytest.raises(InputError, match=r"cannot be read: .*Check the query") as error:
        read(db.url(), query=sql)
    assert "\n" not in str(error.value)
    assert db.rows("SELECT id FROM t") == [(1,)]


def test_a_query_cannot_write_behind_a_functions_back(pg):
    pg.run(
        "CREATE TABLE t (id int)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING 1'",
    )
    with pytest.raises(InputError, match="read-only transaction"):
        read(pg.url(), query="SELECT f() AS a")
    assert pg.rows("SELECT * FROM t") == []


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("table=nowhere", "nowhere.*Check the name"),
        ("query=SELECT nowhere FROM t", "nowhere.*Check"),
        ("query=SELECT * FROM nowhere", "nowhere.*Check the name"),
    ],
)
def test_a_missing_table_or_column_is_reported_with_advice(db, rest, message):
    db.run("CREATE TABLE t (id int)")
    with pytest.raises(InputError, match=message) as error:
        read(db.url(rest))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_missing_or_wrong_file_is_named_and_not_created(kind, tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*a\.db\. Check the path"):
        read(f"{kind}:///{tmp_path}/a.db?table=t")
    assert not list(tmp_path.iterdir())
    (tmp_path / "b.db").write_text("something else" * 1000)
    with pytest.raises(InputError, match=r"not a .*database.*Check the path"):
        read(f"{kind}:///{tmp_path}/b.db?table=t")


def test_a_server_that_is_not_there_is_reported():
    with pytest.raises(InputError, match=r"cannot be read: .*refused. Check that the server runs"):
        read("postgresql://ann@127.0.0.1:1/shop?table=t")


def test_a_missing_permission_to_read_is_reported(pg):
    pg.run("DROP ROLE IF EXISTS bob", "CREATE ROLE bob LOGIN", "CREATE TABLE t (id int)")
    with pytest.raises(InputError, match=r"permission denied for table t\. Ask for the permission"):
        read(pg.url("table=t").replace("postgres@", "bob@"))


def test_a_failure_in_the_middle_of_a_query_is_reported(pg, duck):
    for db in (pg, duck):
        source = "generate_series(0, 200000) AS s(i)" if db is pg else "range(200001) AS s(i)"
        db.run("CREATE TABLE t (a int)")
        with pytest.raises(InputError, match=r"cannot be read: .*'?x"):
            read(db.url(), query=f"SELECT CASE WHEN i > 199999 THEN 'x' ELSE '1' END::int AS a FROM {source}")


def test_a_table_or_a_query_must_be_named(lite):
    lite.run("CREATE TABLE t (id int)")
    for rest, options, message in (
        ("", {}, "names no table. Add .table=NAME"),
        ("table=t", {"query": "SELECT 1"}, "names a table, but there is also a query"),
        ("table=t&key=id", {"key": "x"}, "names another key than the setting `key`"),
    ):
        with pytest.raises(UsageError, match=message):
            open_reader(lite.url(rest), **options)


def test_columns_of_one_name_are_reported_apart_or_refused(pg, lite, duck):
    query = "SELECT 1 AS a, 2 AS a"
    with pytest.raises(InputError, match=r"two columns named 'a'\. Rename one"):
        read(pg.url(), query=query)
    for db in (lite, duck):
        db.run("CREATE TABLE t (id int)")
        table = read(db.url(), query=query)
        assert [column.to_pylist() for column in table.columns] == [[1], [2]]
        assert len(set(table.column_names)) == 2


def test_many_rows_are_streamed(db):
    series = {
        "postgresql": "generate_series(0, 199999) AS s(i)",
        "sqlite": "(WITH s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 199999) SELECT i FROM s)",
        "duckdb": "range(200000) AS s(i)",
    }[db.kind]
    db.run(f"CREATE TABLE t AS SELECT i AS id, 'a review with the number ' || i AS review FROM {series}")
    with contextlib.closing(open_reader(db.url("table=t"), key="id")) as reader:
        sizes, rows = [], 0
        for split in reader.splits():
            for batch in reader.batches(split):
                assert batch["id"][0].as_py() == rows
                rows += batch.num_rows
                sizes.append(batch.nbytes)
    assert rows == 200_000
    assert max(sizes) < 20 * 2**20
