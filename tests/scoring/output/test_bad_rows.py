"""Rows that are malformed, or whose text fails alone, end the run by name; or stay in their place and are listed."""

from __future__ import annotations

import base64
import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sentiment_batch.errors import DeviceError, InputError, ModelError, UsageError
from sentiment_batch.model.probabilities import average_segments
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output.journal import Journal
from sentiment_batch.scoring.pipeline import score_table

LINES = [
    b"id,text,city",
    b"0,the film was great,Oslo",
    b"1,caf\xe9 was great,Bergen",
    b"2,too few",
    b"3,a b c,Oslo,too,many",
    b"4,,Oslo",
    b"5,the film was dull,Vard\xf8",
]


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    return path


@pytest.fixture
def score(scorer, tmp_path):
    def score(source, out="out.csv", **options):
        job = ScoreJob(source=str(source), destination=f"{tmp_path}/{out}", quiet=True)
        return score_table(dataclasses.replace(job, **options), lambda: scorer)

    return score


def listed(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_malformed_row_ends_the_run_with_its_line_and_the_cure(score, bad, tmp_path):
    with pytest.raises(InputError, match=r"bad\.csv, line 3.*`on_bad_row="):
        score(bad)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


@pytest.mark.parametrize("part_rows", [1, 2, 4, 100])
def test_marked_rows_stay_in_place_and_are_listed(score, bad, tmp_path, part_rows):
    summary = score(bad, "out.parquet", on_bad_row="mark", part_rows=part_rows)
    out = pq.read_table(tmp_path / "out.parquet")
    assert out["id"].to_pylist() == ["0", "1", "2", "3", "4", "5"]
    assert out["text"].to_pylist()[1:4] == ["caf\ufffd was great", "too few", "a b c"]
    assert out["city"].to_pylist() == ["Oslo", "Bergen", "", "Oslo", "Oslo", "Vard\ufffd"]
    assert [label is None for label in out["sentiment"].to_pylist()] == [False, False, False, False, True, False]
    problems = listed(tmp_path / "out.parquet.problems.jsonl")
    assert [problem["row"] for problem in problems] == [1, 2, 3, 5]
    assert [base64.b64decode(problem["original_base64"]).rstrip(b"\n") for problem in problems] == [
        LINES[2], LINES[3], LINES[4], LINES[6],
    ]  # fmt: skip
    assert all("line" in problem["where"] and problem["reason"] for problem in problems)
    assert (summary.bad_rows, summary.rows, summary.null) == (4, 6, 1)
    assert summary.problems == str(tmp_path / "out.parquet.problems.jsonl")


@pytest.mark.parametrize("out", ["out.csv", "out/"])
@pytest.mark.parametrize("parts", [1, 2])
def test_the_list_of_a_resumed_run_is_that_of_an_unbroken_one(score, bad, tmp_path, monkeypatch, out, parts):
    score(bad, "whole-" + out, on_bad_row="mark", part_rows=2)
    real = Journal.add

    def add(self, part, problems=b""):
        real(self, part, problems)
        if len(self.parts) == parts:
            raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", add)
        with pytest.raises(ZeroDivisionError):
            score(bad, out, on_bad_row="mark", part_rows=2)
    assert score(bad, out, on_bad_row="mark", part_rows=2).bad_rows == 4
    name = out.rstrip("/") + ".problems.jsonl"
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


def test_a_table_without_bad_rows_has_no_list(score, tmp_path, bad):
    score(bad, on_bad_row="mark")
    assert (tmp_path / "out.csv.problems.jsonl").exists()
    bad.write_bytes(b"text\ngreat\n")
    from sentiment_batch.records import WriteOptions

    assert score(bad, on_bad_row="mark", write=WriteOptions(overwrite=True)).problems is None
    assert not (tmp_path / "out.csv.problems.jsonl").exists()


def test_bytes_of_a_binary_text_column_are_marked_by_their_row(score, tmp_path):
    pq.write_table(pa.table({"text": pa.array([b"great", b"caf\xe9", None, b"dull"])}), tmp_path / "in.parquet")
    with pytest.raises(InputError, match="row 1"):
        score(tmp_path / "in.parquet", "out.parquet")
    score(tmp_path / "in.parquet", "out.parquet", on_bad_row="mark")
    (problem,) = listed(tmp_path / "out.parquet.problems.jsonl")
    assert (problem["row"], base64.b64decode(problem["original_base64"])) == (1, b"caf\xe9")
    assert pq.read_table(tmp_path / "out.parquet")["text"].to_pylist()[1] == b"caf\xe9"


def test_standard_output_has_no_place_for_the_list(score, bad):
    with pytest.raises(UsageError, match='`on_bad_row="mark"` lists the bad rows'):
        score(bad, destination="-", on_bad_row="mark")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": ["good", "the slow film", None, "dull", "the slow film"]}), path)
    return path


def without_numbers(patch):
    """A model that gives no numbers for texts of five tokens."""
    real = average_segments

    def without(logits, owners, lengths):
        combined = np.array(real(logits, owners, lengths))
        combined[lengths == 5] = np.inf
        return combined

    patch.setattr("sentiment_batch.scoring.backends.local.average_segments", without)


def test_a_text_without_numbers_is_named_by_its_row(score, table, tmp_path, monkeypatch):
    without_numbers(monkeypatch)
    with pytest.raises(
        ModelError, match=r"row 1 \(counted from 0\): the model gives no numbers.*`on_bad_row=\"mark\"`"
    ):
        score(table)


def test_a_text_without_numbers_is_marked_wherever_it_stands(score, table, tmp_path, monkeypatch):
    without_numbers(monkeypatch)
    summary = score(table, "out.parquet", on_bad_row="mark")
    out = pq.read_table(tmp_path / "out.parquet")
    assert [label is None for label in out["sentiment"].to_pylist()] == [False, True, True, False, True]
    problems = listed(tmp_path / "out.parquet.problems.jsonl")
    assert [problem["row"] for problem in problems] == [1, 4]
    assert base64.b64decode(problems[0]["original_base64"]) == b"the slow film"
    assert (summary.bad_rows, summary.null) == (2, 1)


def test_a_model_without_any_numbers_is_the_models_fault(scorer, score, table, monkeypatch):
    real = average_segments
    monkeypatch.setattr(
        "sentiment_batch.scoring.backends.local.average_segments", lambda *arguments: real(*arguments) * np.nan
    )
    monkeypatch.setattr(scorer.backend, "_gave_numbers", False)
    with pytest.raises(ModelError, match="its weights are damaged"):
        score(table, on_bad_row="mark")


@pytest.fixture
def small_memory(scorer, monkeypatch):
    """A device whose memory does not hold a text of five tokens, even alone."""
    from sentiment_batch.scoring.backends import local

    class FailingStrategy:
        def __init__(self, strategy):
            self._strategy = strategy

        def __getattr__(self, name):
            return getattr(self._strategy, name)

        def logits(self, tokens, rows):
            if (tokens.lengths[rows] == 5).any():
                raise torch.OutOfMemoryError("too much")
            return self._strategy.logits(tokens, rows)

    import contextlib

    monkeypatch.setattr(local, "open_thread_pool", lambda *arguments, **options: contextlib.nullcontext())
    monkeypatch.setattr(scorer.backend, "strategy", FailingStrategy(scorer.backend.strategy))
    monkeypatch.setattr(scorer.backend, "_budget", local.Budget(64))


@pytest.mark.usefixtures("small_memory")
def test_a_text_too_large_for_the_memory_is_marked(score, table, tmp_path):
    with pytest.raises(DeviceError, match=r"row 1 \(counted from 0\): the memory of cpu does not hold one text of 5"):
        score(table, "out.parquet")
    score(table, "out.parquet", on_bad_row="mark")
    out = pq.read_table(tmp_path / "out.parquet")
    assert [label is None for label in out["sentiment"].to_pylist()] == [False, True, True, False, True]
    assert "does not hold one text of 5 tokens" in listed(tmp_path / "out.parquet.problems.jsonl")[0]["reason"]
