"""Complete runs of the command line with a table as input, output or both: rows, versions, resuming after a kill."""

from __future__ import annotations

import sys

import pyarrow as pa
import pytest
from conftest import read

runs = pytest.importorskip("tests.plugin_runs", reason="run from the root of sentiment-batch's repository")
targets = pytest.importorskip("sentiment_batch.scoring.output.targets")
vocabulary, tiny_base, make_model, tiny_model = runs.vocabulary, runs.tiny_base, runs.make_model, runs.tiny_model
cli, score, reviews_file, _own_places, _own_cache = (
    getattr(runs, name) for name in ("cli", "score", "reviews_file", "_own_places", "_own_cache")
)
DONE, kill_after_commit, kill_before_commit = runs.DONE, runs.kill_after_commit, runs.kill_before_commit
killed, list_unfinished = runs.killed, runs.list_unfinished
pytestmark = pytest.mark.usefixtures("_own_cache")
REVIEWS = pa.table({"id": range(20), "review": [f"a good film, number {number}" for number in range(20)]})


def test_a_table_is_scored_into_another(table, score, tmp_path):
    table.make(REVIEWS.slice(0, 9)).make(REVIEWS.slice(9), mode="append")
    out = f"delta://{table.folder / 'scored'}"
    score(table.url(), out)
    found = read(out)
    assert found.select(["id", "review"]).equals(REVIEWS)
    assert set(found["sentiment"].to_pylist()) <= {"positive", "negative"}
    assert found.schema.names[2:] == ["sentiment", "sentiment_score"]
    assert "exists already" in score(table.url(), out, fails=True)
    score(table.url("?version=0"), out, "--overwrite")
    assert (read(out).num_rows, read(f"{out}?version=0").num_rows) == (9, 20)
    assert list_unfinished() == []


def test_a_table_is_scored_into_itself(table, score):
    table.make(REVIEWS)
    score(table.url(), table.url(), "--overwrite")
    assert read(table.url()).select(["id", "review"]).equals(REVIEWS)
    assert read(table.url()).num_columns == 4
    assert read(table.url("?version=0")).equals(REVIEWS)


def test_rows_are_added_run_by_run(table, score, reviews_file):
    for times in (1, 2):
        score(reviews_file, table.url("?mode=append"))
        assert read(table.url()).num_rows == 20 * times
    assert table.version() == 1


def test_a_relative_path_is_below_the_current_folder(table, score, reviews_file, monkeypatch):
    monkeypatch.chdir(table.folder)
    score(reviews_file, "delta://table/")
    assert read(table.url()).num_rows == 20
    assert list_unfinished() == []


def test_relative_paths_in_two_folders_are_two_outputs(table, score, reviews_file, monkeypatch, tmp_path):
    monkeypatch.chdir(table.folder)
    with kill_after_commit(monkeypatch):
        score(reviews_file, "delta://table")
    monkeypatch.chdir(tmp_path)
    assert DONE not in score(reviews_file, "delta://table", "--verbose")
    assert read(f"delta://{tmp_path}/table").num_rows == 20


@pytest.mark.parametrize("mode", ["", "?mode=append"])
def test_the_same_command_finishes_a_killed_run(table, score, reviews_file, monkeypatch, mode):
    command = (reviews_file, table.url(mode), "--verbose", *(() if mode else ("--overwrite",)))
    table.make(read_scored(table, score, reviews_file))
    with kill_after_commit(monkeypatch):
        score(*command)
    table.make(read(table.url()).slice(0, 1), mode="append")  # another program adds rows meanwhile
    rows = read(table.url())
    monkeypatch.setattr(
        sys.modules["sentiment_batch_delta.writer"], "DeltaWriter", runs.killed
    )  # nothing is written again
    assert DONE in score(*command)
    assert read(table.url()).equals(rows)
    assert list_unfinished() == []


def read_scored(table, score, reviews_file):
    """The rows of a reviews_file, scored."""
    out = f"delta://{table.folder / 'other'}"
    score(reviews_file, out)
    return read(out)


@pytest.mark.parametrize("mode", ["", "?mode=append"])
def test_a_run_killed_before_its_commit_is_resumed(table, score, reviews_file, monkeypatch, mode):
    command = (reviews_file, table.url(mode), "--verbose")
    with kill_before_commit(monkeypatch):
        score(*command)
    again = score(*command)
    assert "resuming after 20 rows" in again
    assert DONE not in again
    assert read(table.url()).num_rows == 20
    assert list_unfinished() == []


def test_a_killed_run_in_place_is_finished(table, score, monkeypatch):
    command = (table.make(REVIEWS).url(), table.url(), "--overwrite", "--verbose")
    with kill_after_commit(monkeypatch):
        score(*command)
    assert DONE in score(*command)
    assert read(table.url()).num_columns == 4
    assert table.version() == 1


def test_a_table_that_others_replaced_is_not_taken_for_it(table, score, reviews_file, monkeypatch):
    with kill_after_commit(monkeypatch):
        score(reviews_file, table.url())
    table.make(REVIEWS, mode="overwrite", schema_mode="overwrite")
    assert "exists already" in score(reviews_file, table.url(), fails=True)
    assert read(table.url()).equals(REVIEWS)


def test_another_command_adds_no_rows_before_the_killed_one(table, score, reviews_file, monkeypatch):
    out = table.url("?mode=append")
    with kill_after_commit(monkeypatch):
        score(reviews_file, out)
    message = score(reviews_file, out, "--limit", "7", fails=True)
    assert "Run that command again first, or forget it with --restart." in message
    assert DONE in score(reviews_file, out, "--verbose"), "the refusal has changed nothing"
    with kill_after_commit(monkeypatch):
        score(reviews_file, out)
    score(reviews_file, out, "--limit", "7", "--restart")
    assert read(table.url()).num_rows == 47
    assert list_unfinished() == []


def test_a_newer_version_is_not_resumed(table, score, monkeypatch, tmp_path):
    out = f"delta://{table.folder / 'scored'}"
    table.make(REVIEWS)
    with kill_before_commit(monkeypatch):
        score(table.url(), out)
    table.make(REVIEWS, mode="append")
    assert "'version': 0" in score(table.url(), out, fails=True)
    score(table.url(), out, "--restart")
    assert read(out).num_rows == 40


def test_rows_added_meanwhile_are_not_replaced(table, score, monkeypatch):
    table.make(REVIEWS)
    real = targets.FileTarget.publish

    def add_first(target):
        table.make(REVIEWS, mode="append")
        real(target)

    with monkeypatch.context() as patch:
        patch.setattr(targets.FileTarget, "publish", add_first)
        message = score(table.url(), table.url(), "--overwrite", fails=True)
    assert "was changed by another program since version 0, so it is not replaced" in message
    assert read(table.url()).num_rows == 40
    assert table.list_orphans() == []
