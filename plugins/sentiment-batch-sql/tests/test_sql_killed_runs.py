"""A run that was killed just after it had published its table is finished by the same command, and by no other."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

import pytest
from conftest import read
from test_sql_runs import cli, fill, make_model, runs, score, tiny_base, tiny_model, vocabulary

from sentiment_batch.scoring.output import journal, run_record
from sentiment_batch.scoring.output.journal import Journal

__all__ = ["cli", "make_model", "score", "tiny_base", "tiny_model", "vocabulary"]
_own_places, _own_cache, reviews_file = runs._own_places, runs._own_cache, runs.reviews_file
DONE, kill_after_commit, kill_before_commit = runs.DONE, runs.kill_after_commit, runs.kill_before_commit
killed, list_unfinished = runs.killed, runs.list_unfinished
pytestmark = pytest.mark.usefixtures("_own_cache")


@contextlib.contextmanager
def kill_while_clearing(monkeypatch):
    """End the run in this block when it has removed its work folder, but not its record."""
    with monkeypatch.context() as patch:
        patch.setattr(journal, "remove_run_record", lambda folder: None)
        with kill_after_commit(monkeypatch, Journal._remove):
            yield


@pytest.mark.parametrize("end", [kill_after_commit, kill_while_clearing])
@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_the_same_command_finishes_a_killed_run(db, score, reviews_file, monkeypatch, end, options):
    command = (reviews_file, db.url("table=scored"), "--verbose", *options)
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


def test_a_finished_run_leaves_nothing_and_is_refused_again(db, score, reviews_file):
    score(reviews_file, db.url("table=scored"))
    assert "exists already" in score(reviews_file, db.url("table=scored"), fails=True)


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_a_run_killed_before_its_commit_is_resumed(db, score, reviews_file, monkeypatch, options):
    command = (reviews_file, db.url("table=scored"), "--verbose", *options)
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


def test_another_command_is_not_taken_for_the_killed_one(db, score, reviews_file, monkeypatch):
    out = db.url("table=scored")
    with kill_after_commit(monkeypatch):
        score(reviews_file, out)
    assert "exists already" in score(reviews_file, out, "--limit", "7", fails=True)
    assert DONE in score(reviews_file, out, "--verbose"), "the refusal has changed nothing"
    with kill_after_commit(monkeypatch):
        score(reviews_file, out, "--overwrite")
    assert DONE not in score(reviews_file, out, "--limit", "7", "--overwrite", "--verbose")
    assert read(out).num_rows == 7


def test_a_table_of_others_is_not_taken_for_that_of_the_run(db, score, reviews_file, monkeypatch):
    out = db.url("table=scored")
    with kill_after_commit(monkeypatch):
        score(reviews_file, out)
    db.run("DROP TABLE scored", "CREATE TABLE scored (n int)")
    assert "exists already" in score(reviews_file, out, fails=True)
    assert read(out).num_rows == 0
    db.run("DROP TABLE scored")
    assert DONE not in score(reviews_file, out, "--verbose")
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


def test_a_record_that_cannot_be_written_publishes_nothing(db, score, reviews_file, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(run_record.atomic, "replace_file", fail)
        message = score(reviews_file, db.url("table=scored"), fails=True)
    assert "the disk is full" in message
    assert len(message.splitlines()) == 1
    assert db.tables() == []


def fail(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
