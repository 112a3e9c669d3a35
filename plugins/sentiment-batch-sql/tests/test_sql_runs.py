"""Complete runs of the command line with a database as input, output or both: rows, resuming, secrets."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import PASSWORD
from sentiment_batch_sql import key_ranges, reader

from sentiment_batch import InputError

FROM_ROOT = "run from the root of sentiment-batch's repository"
runs = pytest.importorskip("tests.plugin_runs", reason=FROM_ROOT)
crash = pytest.importorskip("tests.crashes", reason=FROM_ROOT)
vocabulary, tiny_base, make_model, tiny_model = runs.vocabulary, runs.tiny_base, runs.make_model, runs.tiny_model
cli, score, _own_places, CPU = runs.cli, runs.score, runs._own_places, runs.CPU


@pytest.fixture(scope="module")
def runner():
    made = crash.Runner()
    yield made
    made.close()


def fill(db, rows=100, *, table="reviews"):
    """A table of reviews whose ids are not in order."""
    numbers = {
        "postgresql": f"SELECT i FROM generate_series(0, {rows - 1}) AS s(i)",
        "sqlite": f"WITH s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < {rows - 1}) SELECT i FROM s",
        "duckdb": f"SELECT i FROM range({rows}) AS s(i)",
    }[db.kind]
    db.run(
        f"CREATE TABLE {table} (id bigint PRIMARY KEY, review text, stars int)",
        f"INSERT INTO {table} SELECT (i * 7919) % {rows}, 'a good film, number ' || i, i % 5 FROM ({numbers}) AS n",
    )


@pytest.mark.parametrize("key", [(), ("--key", "id")])
def test_a_table_is_scored_into_another_of_the_same_database(db, score, key):
    fill(db)
    score(db.url("table=reviews"), db.url("table=scored"), *key)
    before = "SELECT id, review, stars FROM reviews ORDER BY id"
    assert db.rows("SELECT id, review, stars FROM scored ORDER BY id") == db.rows(before)
    ((scored,),) = db.rows("SELECT count(*) FROM scored WHERE sentiment IN ('positive', 'negative')")
    assert scored == 100
    assert db.tables() == ["reviews", "scored"]


def test_a_table_is_scored_into_itself(db, score):
    fill(db)
    assert "exists already" in score(db.url("table=reviews"), db.url("table=reviews"), fails=True)
    score(db.url("table=reviews"), db.url("table=reviews"), "--overwrite", "--key", "id")
    ids = [id for (id,) in db.rows("SELECT id FROM reviews WHERE sentiment IS NOT NULL")]
    assert sorted(ids) == list(range(100))


def test_a_limit_in_place_is_refused_and_loses_no_row(db, score):
    fill(db)
    said = score(db.url("table=reviews"), db.url("table=reviews"), "--overwrite", "--limit", "10", fails=True)
    assert "--limit leaves out a part of it, which would be lost" in said
    assert db.rows("SELECT count(*) FROM reviews") == [(100,)]


def test_a_limit_releases_the_input(db, score):
    fill(db)
    score(db.url("table=reviews"), db.url("table=scored"), "--limit", "10")
    assert db.rows("SELECT count(*) FROM scored") == [(10,)]
    score(db.url("table=reviews"), db.url("table=reviews"), "--overwrite")
    assert db.rows("SELECT count(*) FROM reviews") == [(100,)]


def test_a_query_is_scored_into_a_file(db, score, tmp_path):
    fill(db)
    query = "SELECT id, upper(review) AS review FROM reviews WHERE id < 50 -- half of it"
    score(db.url(), tmp_path / "out.parquet", "--query", query, "--key", "id")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names[:2] == ["id", "review"]
    assert table["id"].to_pylist() == list(range(50))
    assert table["review"][0].as_py().startswith("A GOOD FILM")


def failing(monkeypatch, at):
    """Let the reader fail in one range. Returns the list of the ranges begun, and a function that repairs it."""
    begun, real, broken = [], reader.SqlReader.batches, [True]

    def batches(self, split):
        begun.append(split.index)
        if split.index == at and broken:
            raise InputError("the server fell over. Pick it up.")
        yield from real(self, split)

    monkeypatch.setattr(key_ranges, "MAX_ROWS_PER_RANGE", 100)
    monkeypatch.setattr(reader.SqlReader, "batches", batches)
    return begun, broken.clear


def test_a_resumed_run_reads_no_range_twice(db, score, tmp_path, monkeypatch):
    fill(db, 3_000)
    begun, repair = failing(monkeypatch, at=25)
    out = f"{tmp_path}/out/"
    run = (db.url("table=reviews"), out, "--key", "id", "--part-rows", "100", "--text-column", "review")
    assert "the server fell over" in score(*run, fails=True)
    assert begun == list(range(26))
    done = len(list(tmp_path.glob(".out.scoring/data/*")))
    assert 0 < done < 26
    begun.clear()
    repair()
    score(*run)
    assert begun == list(range(done, 30))
    assert pq.read_table(out)["id"].to_pylist() == list(range(3_000))


def test_a_run_over_other_rows_is_not_resumed(pg, score, tmp_path, monkeypatch):
    fill(pg, 3_000)
    _, repair = failing(monkeypatch, at=25)
    run = (pg.url("table=reviews"), f"{tmp_path}/out/", "--key", "id", "--part-rows", "100")
    score(*run, fails=True)
    repair()
    pg.run("INSERT INTO reviews VALUES (10000, 'a late one', 3)")
    assert "--restart" in score(*run, fails=True)
    score(*run, "--restart")
    assert pq.read_table(f"{tmp_path}/out/").num_rows == 3_001


def test_a_row_that_was_changed_in_its_place_is_noticed(db, score, tmp_path, monkeypatch):
    """Otherwise the row would have the score of its old text."""
    fill(db, 3_000)
    _, repair = failing(monkeypatch, at=25)
    run = (
        db.url("table=reviews"),
        f"{tmp_path}/out.csv",
        "--key",
        "id",
        "--part-rows",
        "100",
        "--columns",
        "id,review",
    )
    score(*run, fails=True)
    repair()
    db.run("UPDATE reviews SET review = 'another film, number 7' WHERE id = 7")
    assert "--restart" in score(*run, fails=True)
    score(*run, "--restart")
    assert '\n7,"another film, number 7",' in (tmp_path / "out.csv").read_text()


def test_an_empty_table_with_a_key_is_released(db, score):
    fill(db, 1, table="reviews")
    db.run("DELETE FROM reviews")
    score(db.url("table=reviews"), db.url("table=reviews"), "--overwrite", "--key", "id", "--text-column", "review")
    assert db.rows("SELECT count(*), count(sentiment) FROM reviews") == [(0, 0)]


def test_a_killed_run_leaves_nothing_and_can_be_resumed(db, runner, tiny_model):
    fill(db, 3_000)
    run = ("score", db.url("table=reviews"), db.url("table=scored"), "-m", tiny_model, *CPU, "--part-rows", "100")
    run += ("--key", "id")
    killed = runner.run(*run, disk={"kill_at": 20, "only": ["fsync"]})
    assert killed["status"] == -signal.SIGKILL, killed
    time.sleep(0.1)  # until the server notices
    assert db.tables() == ["reviews"]
    done = runner.run(*run)
    assert done["status"] == 0, done["err"]
    assert "resuming after" in done["err"]
    assert db.rows("SELECT count(*), count(DISTINCT id) FROM scored") == [(3_000, 3_000)]
    assert db.tables() == ["reviews", "scored"]
    assert not db.leftovers()


def test_nothing_secret_is_ever_shown(server, pg, score, tmp_path, monkeypatch):
    from urllib.parse import quote

    fill(pg)
    pg.run("DROP ROLE IF EXISTS ann", f"CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}'", "GRANT SELECT ON reviews TO ann")
    pg.run("GRANT ALL ON SCHEMA public TO ann")
    place = f"127.0.0.1:{server.port}/postgres?table="
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "cache"))
    messages = []
    for user in ("ann:$SHOP_PASSWORD", f"ann:{quote(PASSWORD, safe='')}"):
        url = f"postgresql://{user}@{place}"
        out = tmp_path / f"out{len(messages)}.parquet"
        messages += [score(url + "reviews", out, "--verbose")]
        messages += [score(out, url + f"scored{len(messages)}", "--verbose", "--columns", "id,review")]
        messages += [score(url + "nowhere", out, "--overwrite", "--verbose", fails=True)]
        messages += [score(url + "reviews", "/nowhere/out.parquet", "--verbose", fails=True)]
        messages += [score(url + "reviews&sslmode=" + quote(PASSWORD, safe=""), out, "--verbose", fails=True)]
        messages += [score(out, url + "reviews", "--verbose", "--columns", "id,review", fails=True)]
    monkeypatch.setenv("SHOP_PASSWORD", wrong := PASSWORD + "wrong")
    messages += [
        score(f"postgresql://ann:$SHOP_PASSWORD@{place}reviews", tmp_path / "b.parquet", "--verbose", fails=True)
    ]
    assert "Check user and password" in messages[-1]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    # The manifest holds the location of the input.
    assert any(b"ann:***@" in data or b"$SHOP_PASSWORD" in data for data in files)
    for secret in (PASSWORD, quote(PASSWORD, safe=""), wrong, PASSWORD.partition("/")[0]):
        assert not [text for text in messages if secret in text]
        assert not [data for data in files if secret.encode() in data]


def test_a_server_that_stops_ends_a_run_in_one_line(server, pg, score, tmp_path):
    fill(pg, 5_000)
    opened = threading.Event()
    real = reader.SqlReader.batches

    def batches(self, split):
        found = real(self, split)
        yield next(found)
        opened.set()
        server.stop()
        yield from found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader.SqlReader, "batches", batches)
        patch.setattr(key_ranges, "MAX_ROWS_PER_RANGE", 1_000)
        try:
            message = score(pg.url("table=reviews"), tmp_path / "out.parquet", "--key", "id", fails=True)
        finally:
            server.start()
    assert opened.is_set()
    assert "cannot be read" in message
    assert "server" in message
    assert "Traceback" not in message
    assert not Path(tmp_path / "out.parquet").exists()
