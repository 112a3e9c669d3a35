"""Outputs behind URLs: finished parts stay on this machine, and only complete outputs are sent."""

from __future__ import annotations

import dataclasses
import os

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.formats import find_writer_format
from sentiment_batch.data.readers.dataset import names_several_files
from sentiment_batch.errors import OutputError
from sentiment_batch.records import WriteOptions
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output.journal import Journal
from sentiment_batch.scoring.output.paths import locate_output
from sentiment_batch.scoring.output.verify import verify_output
from sentiment_batch.scoring.pipeline import score_table


def test_a_password_does_not_move_what_lies_beside_an_output():
    paths = locate_output("sftp://ann:te?a*@host/out.csv?versionId=1", find_writer_format("out.csv"))
    assert paths.manifest == "sftp://ann:te?a*@host/out.csv.manifest.json"
    assert not names_several_files("sftp://ann:te?a*@host/in.csv?versionId=1")


@pytest.fixture
def store():
    memory = fsspec.filesystem("memory")
    with memory.open("/store/in.parquet", "wb") as file:
        pq.write_table(pa.table({"id": range(50), "text": [f"film {n}" for n in range(50)]}), file)
    yield memory
    memory.rm("/store", recursive=True)


@pytest.fixture
def score(scorer, store):
    def score(out, **options):
        job = ScoreJob(
            source="memory://store/in.parquet", destination=f"memory://store/{out}", quiet=True, part_rows=20
        )
        return score_table(dataclasses.replace(job, **options), lambda: scorer)

    return score


def cut_off(score, out, monkeypatch):
    real = Journal.add

    def add(self, part, problems=b""):
        real(self, part, problems)
        if len(self.parts) == 2:
            raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", add)
        with pytest.raises(ZeroDivisionError):
            score(out)


@pytest.mark.parametrize("out", ["out.parquet", "out.csv.gz", "out/"])
def test_a_run_is_resumed_and_its_output_is_complete(score, store, monkeypatch, out):
    before = store.find("/store")
    cut_off(score, out, monkeypatch)
    assert store.find("/store") == before
    assert score(out).rows_resumed == 40
    found = verify_output(f"memory://store/{out}")
    assert (found.rows, found.input) == (50, "memory://store/in.parquet has the same number of rows")
    score("whole-" + out)
    assert contents(store, out) == contents(store, "whole-" + out)


def contents(store, out):
    path = f"/store/{out}".rstrip("/")
    return {name.removeprefix(path): store.cat(name) for name in store.find(path)}


@pytest.mark.parametrize("out", ["out.parquet", "out/"])
def test_an_existing_output_stays_without_overwrite(score, store, monkeypatch, out):
    score(out)
    sound = contents(store, out)
    with pytest.raises(OutputError, match="exists already"):
        score(out, on_bad_row="fail", limit=30)
    assert contents(store, out) == sound
    assert score(out, limit=30, write=WriteOptions(overwrite=True)).rows == 30
    assert verify_output(f"memory://store/{out}").rows == 30
    from sentiment_batch.data.formats import find_writer_format

    work = locate_output(f"memory://store/{out}", find_writer_format(f"memory://store/{out}")).work_folder
    assert not os.path.exists(work)


def test_a_folder_has_no_parts_of_an_older_and_longer_one(score, store):
    score("out/")
    score("out/", limit=30, write=WriteOptions(overwrite=True))
    assert sorted(contents(store, "out/")) == ["/_SUCCESS", "/part-00000.parquet", "/part-00001.parquet"]


def test_a_storage_that_refuses_is_one_line_and_a_run_resumes(score, store, monkeypatch):
    def refused(self, *arguments, **options):
        raise PermissionError("no such key")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put_file", refused)
        for out in ("out.parquet", "out/"):
            with pytest.raises(OutputError, match="no such key"):
                score(out)
    assert score("out.parquet").rows_resumed == 50
    assert score("out/").rows_resumed == 50


def test_files_of_others_in_a_folder_are_left_alone(score, store):
    for name in ("year=2020/part-0001.parquet", "part-00000.parquet"):
        store.pipe_file(f"/store/out/{name}", b"theirs")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="holds other things"):
            score("out/", write=WriteOptions(overwrite=overwrite))
    assert set(contents(store, "out/").values()) == {b"theirs"}


def test_a_folder_whose_upload_was_interrupted_is_sent_again(score, store, monkeypatch):
    score("out/")
    real = type(store).put_file

    def cut(self, source, target, *arguments, **options):
        if target.endswith("_SUCCESS"):
            raise ConnectionError("gone")
        real(self, source, target, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put_file", cut)
        with pytest.raises(OutputError, match="gone"):
            score("out/", limit=30, write=WriteOptions(overwrite=True))
    assert "/_SUCCESS" not in contents(store, "out/")
    assert score("out/", limit=30, write=WriteOptions(overwrite=True)).rows_resumed == 30
    assert sorted(contents(store, "out/")) == ["/_SUCCESS", "/part-00000.parquet", "/part-00001.parquet"]
    assert verify_output("memory://store/out/").rows == 30


@pytest.mark.parametrize("url", ["memory://", "memory:///", "memory://?token=secret", "memory:////?x"])
def test_a_storage_without_a_place_in_it_is_no_output(url):
    from sentiment_batch.data.formats import find_writer_format

    with pytest.raises(OutputError, match="no output can be written to"):
        locate_output(url, find_writer_format("out.csv"))
