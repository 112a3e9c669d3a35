"""A run that was killed just after it had published its table is finished by the same command, and by no other."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

import pytest
from conftest import read
from test_sql_runs import cli, fill, make_model, score, shared, tiny_base, tiny_model, vocabulary

from sentiment_batch.scoring.output import journal, run_record, targets
from sentiment_batch.scoring.output.journal import Journal

__all__ = ["cli", "make_model", "score", "tiny_base", "tiny_model", "vocabulary"]
_own_places = shared._own_places
DONE = "was complete already; an earlier run ended just after it"


class KilledError(Exception):
    """What ends a run."""


def killed(*arguments, **options):
    raise KilledError


def ends_by_kill():
    return pytest.raises(KilledError)


@contextlib.contextmanager
def kill_before_commit(monkeypatch):
    """End the run in this block just before its transaction ends."""
    with monkeypatch.context() as patch, ends_by_kill():
        patch.setattr(targets.FileTarget, "publish", killed)
        yield


@contextlib.contextmanager
def kill_after_commit(monkeypatch, remove=lambda journal: None):
    """End the run in this block when it has published its table, before it clears up."""

    def die(journal):
        remove(journal)
        journal._lock.release()  # as the end of a process does
        raise KilledError

    with monkeypatch.context() as patch, ends_by_kill():
        patch.setattr(Journal, "_remove", die)
        yield


@contextlib.contextmanager
def kill_while_clearing(monkeypatch):
    """End the run in this block when it has removed its work folder, but not its record."""
    with monkeypatch.context() as patch:
        patch.setattr(journal, "remove_run_record", lambda folder: None)
        with kill_after_commit(monkeypatch, Journal._remove):
            yield


def list_unfinished():
    return os.listdir(Path(os.environ["SENTIMENT_BATCH_CACHE"]) / "scoring")


@pytest.fixture(autouse=True)
def _own_cache(_own_places, monkeypatch, tmp_path):
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def table(tmp_path):
    """A CSV file."""
    path = tmp_path / "in.csv"
    path.write_text("id,review\n" + "".join(f"{n},a good film\n" for n in range(20)))
    return path


@pytest.mark.parametrize("end", [kill_after_commit, kill_while_clearing])
@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_the_same_command_finishes_a_killed_run(db, score, table, monkeypatch, end, options):
    command = (table, db.url("table=scored"), "--verbose", *options)
    if options:
        db.run("CREATE TABLE scored (n int)")
    with end(monkeypatch):
        score(*command)
    rows = read(db.url("table=scored"))
    assert rows.num_rows == 20
    assert list_unfinished() != []
    monkeypatch.setattr(sys.modules["sentiment_batch_sql.writer"], "SqlWriter", killed)  # nothing is written again
    assert DONE in score(*command)
    assert read(db.url("table=scored")).equals(rows)
    assert list_unfinished() == []
    monkeypatch.undo()


def test_a_finished_run_leaves_nothing_and_is_refused_again(db, score, table):
    score(table, db.url("table=scored"))
    assert "exists already" in score(table, db.url("table=scored"), fails=True)


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_a_run_killed_before_its_commit_is_resumed(db, score, table, monkeypatch, options):
    command = (table, db.url("table=scored"), "--verbose", *options)
    if options:
        with kill_after_commit(monkeypatch):
            score(*command)
        assert DONE in score(*command)  # the table of an older run has another ID
    with kill_before_commit(monkeypatch):
        score(*command)
    again = score(*command)
    assert "resuming after 20 rows" in again
    assert DONE not in again
    assert read(db.url("table=scored")).num_rows == 20
    assert list_unfinished() == []


def test_another_command_is_not_taken_for_the_killed_one(db, score, table, monkeypatch):
    out = db.url("table=scored")
    with kill_after_commit(monkeypatch):
        score(table, out)
    assert "exists already" in score(table, out, "--limit", "7", fails=True)
    assert DONE in score(table, out, "--verbose"), "the refusal has changed nothing"
    with kill_after_commit(monkeypatch):
        score(table, out, "--overwrite")
    assert DONE not in score(table, out, "--limit", "7", "--overwrite", "--verbose")
    assert read(out).num_rows == 7


def test_a_table_of_others_is_not_taken_for_that_of_the_run(db, score, table, monkeypatch):
    out = db.url("table=scored")
    with kill_after_commit(monkeypatch):
        score(table, out)
    db.run("DROP TABLE scored", "CREATE TABLE scored (n int)")
    assert "exists already" in score(table, out, fails=True)
    assert read(out).num_rows == 0
    db.run("DROP TABLE scored")
    assert DONE not in score(table, out, "--verbose")
    assert read(out).num_rows == 20


@pytest.mark.parametrize("key", [(), ("--key", "id")])
def test_a_killed_run_in_place_is_finished(db, score, monkeypatch, key):
    fill(db)
    command = (db.url("table=reviews"), db.url("table=reviews"), "--overwrite", "--verbose", *key)
    with kill_after_commit(monkeypatch):
        score(*command)
    assert DONE in score(*command)
    assert db.rows("SELECT count(*) FROM reviews WHERE sentiment IS NOT NULL") == [(100,)]
    assert list_unfinished() == []


def test_a_killed_run_in_place_refuses_another_command(db, score, monkeypatch):
    fill(db)
    command = (db.url("table=reviews"), db.url("table=reviews"), "--overwrite")
    with kill_after_commit(monkeypatch):
        score(*command)
    assert "--limit was not given and is 7" in score(*command, "--limit", "7", fails=True)
    assert db.rows("SELECT count(*) FROM reviews") == [(100,)]


def test_a_killed_run_within_a_database_is_finished(db, score, monkeypatch):
    fill(db)
    command = (db.url("table=reviews"), db.url("table=scored"), "--verbose")
    with kill_after_commit(monkeypatch):
        score(*command)
    assert DONE in score(*command)
    assert list_unfinished() == []


def test_new_rows_are_scored_after_a_killed_run(db, score, monkeypatch):
    fill(db)
    command = (db.url("table=reviews"), db.url("table=scored"), "--overwrite", "--key", "id", "--verbose")
    with kill_after_commit(monkeypatch):
        score(*command)
    db.run("INSERT INTO reviews VALUES (1000, 'a new film', 3)")
    assert DONE not in score(*command)
    assert db.rows("SELECT count(*) FROM scored") == [(101,)]
    assert list_unfinished() == []


def test_a_record_that_cannot_be_written_publishes_nothing(db, score, table, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(run_record.atomic, "replace_file", fail)
        message = score(table, db.url("table=scored"), fails=True)
    assert "the disk is full" in message
    assert len(message.splitlines()) == 1
    assert db.tables() == []


def fail(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
