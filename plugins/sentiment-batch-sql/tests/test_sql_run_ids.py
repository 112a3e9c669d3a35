"""A table keeps the ID of the run that has written it, and nothing else changes for whoever reads the table."""

from __future__ import annotations

import pyarrow as pa
import pytest
import sentiment_batch_sql
from conftest import read, write

from sentiment_batch import OutputError, Registry

ROWS = pa.table({"id": [1, 2], "review": ["good", None]})
RUN = "0a1b2c3d"
NAMES = ['"my.table"', '"o\'brien"', '"a ""b"""', "GROSS", '"/* written by sentiment-batch, run 77 */"']


def find(location):
    registry = Registry()
    sentiment_batch_sql.register_writers(registry)
    return registry.named("sql").find_run_id(location)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_any_name_keeps_the_id(db, name):
    location = db.url(f"table={name}")
    assert find(location) is None
    write(location, ROWS)
    assert find(location) is None, "a run without an ID leaves no comment"
    write(location, ROWS, overwrite=True, run_id=RUN)
    assert find(location) == RUN
    assert read(location).to_pylist() == ROWS.to_pylist()
    assert db.leftovers() == []


def test_the_schema_is_that_of_the_table(make_db):
    for kind in ("postgresql", "duckdb"):
        db = make_db(kind)
        db.run("CREATE SCHEMA own")
        write(db.url("table=own.t"), ROWS, run_id=RUN)
        write(db.url("table=t"), ROWS, run_id="77")
        assert [find(db.url(f"table={name}")) for name in ("own.t", "t", "own.other")] == [RUN, "77", None]


def test_a_table_or_comment_of_others_has_no_id(db):
    db.run("CREATE TABLE t (n int)", "CREATE VIEW v AS SELECT n FROM t")
    assert [find(db.url(f"table={name}")) for name in ("t", "v")] == [None, None]
    if db.kind != "sqlite":
        ours = f"written by sentiment-batch, run {RUN}"
        for comment in ("mine", f"not {ours}", f"{ours}!"):
            db.run(f"COMMENT ON TABLE t IS '{comment}'")
            assert find(db.url("table=t")) is None


def test_a_column_that_looks_like_the_comment_is_no_id(lite):
    name = f"/* written by sentiment-batch, run {RUN} */"
    write(lite.url("table=t"), pa.table({name: [1], f"{name})": [2]}))
    assert find(lite.url("table=t")) is None
    write(lite.url("table=t"), pa.table({name: [1]}), overwrite=True, run_id="77")
    assert find(lite.url("table=t")) == "77"


def test_the_comment_changes_no_column(lite):
    declared = []
    for run_id in (None, RUN):
        write(lite.url("table=t"), ROWS, overwrite=True, run_id=run_id)
        declared.append(lite.rows("SELECT name, type, \"notnull\", pk FROM pragma_table_info('t')"))
    assert declared[0] == declared[1]
    lite.run("ALTER TABLE t ADD COLUMN more TEXT", "ALTER TABLE t RENAME TO u")
    assert lite.rows("SELECT id, review, more FROM u") == [(1, "good", None), (2, None, None)]


def test_an_id_of_other_signs_is_refused(db):
    location = db.url("table=t")
    with pytest.raises(OutputError, match="letters and digits"):
        write(location, ROWS, run_id="x */ ); DROP TABLE t")
    assert db.tables() == []


def test_a_damaged_database_is_one_line(lite):
    lite.path.write_bytes(b"no database" * 100)
    with pytest.raises(OutputError, match="Check the path"):
        find(lite.url("table=t"))
