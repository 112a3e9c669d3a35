"""Any failure in a run ends it at once, is raised unchanged, and leaves neither an output nor a thread."""

from __future__ import annotations

import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sentiment_batch.model.forward import packed
from sentiment_batch.model.probabilities import average_segments
from sentiment_batch.records import WriteOptions
from sentiment_batch.scoring import annotate, pipeline
from sentiment_batch.scoring.added_columns import AddedColumns
from sentiment_batch.scoring.backends import row_blocks
from sentiment_batch.scoring.pipeline import ScoreJob, score_table
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.tokenization import tokenizer

AT_ONCE = 5.0
"""Seconds; all of the model's work would take minutes, so that this is no measure of the machine."""
ROWS = 20_000


class FaultError(Exception):
    """What goes wrong."""


class Slow:
    """A way through the model that takes long for every batch, unless the test is over."""

    def __init__(self, strategy, seconds):
        self._strategy = strategy
        self._seconds = seconds
        self.over = threading.Event()
        self.batches = 0

    def __getattr__(self, name):
        return getattr(self._strategy, name)

    def logits(self, tokens, rows):
        self.batches += 1
        self.over.wait(self._seconds)
        return self._strategy.logits(tokens, rows)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "in.parquet"
    table = pa.table({"id": range(ROWS), "text": [f"film {n} was great" for n in range(ROWS)]})
    pq.write_table(table, path, row_group_size=100)
    return path


@pytest.fixture
def slow(tiny_model, monkeypatch):
    """A scorer whose model takes a twentieth of a second for a batch of four texts, in two threads: for minutes."""
    monkeypatch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", 400)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with Scorer.load(tiny_model, device="cpu", dtype="float32", batch_tokens=40) as scorer:
        scorer.backend.strategy = Slow(scorer.backend.strategy, 0.05)
        yield scorer
        scorer.backend.strategy.over.set()
    torch.set_num_threads(before)


def at(number, real, error):
    """`real`, which fails at its call of that number."""
    calls = []

    def call(*arguments, **options):
        calls.append(1)
        if len(calls) == number:
            raise error
        return real(*arguments, **options)

    return call


def reading(patch, scorer, error):
    real = annotate.read_rows

    def rows(*arguments):
        for number, batch in enumerate(real(*arguments)):
            if number == 9:
                raise error
            yield batch

    patch.setattr(annotate, "read_rows", rows)


def tokenizing(patch, scorer, error):
    patch.setattr(tokenizer.TextTokenizer, "__call__", at(2, tokenizer.TextTokenizer.__call__, error))


def packing(patch, scorer, error):
    patch.setattr(packed, "build_pack", at(7, packed.build_pack, error))


def model(patch, scorer, error):
    patch.setattr(scorer.backend.strategy, "logits", at(7, scorer.backend.strategy.logits, error))


def progress(patch, scorer, error):
    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        update = staticmethod(at(5, lambda more: None, error))

    patch.setattr(pipeline, "show_progress", lambda *arguments, **options: Bar())


def combining(patch, scorer, error):
    scorer.backend.strategy.over.set()  # it comes after the model has done a window
    patch.setattr("sentiment_batch.scoring.backends.local.average_segments", at(2, average_segments, error))


def assembling(patch, scorer, error):
    scorer.backend.strategy.over.set()
    patch.setattr(AddedColumns, "arrays", at(2, AddedColumns.arrays, error))


def writing(patch, scorer, error):
    _with_writer(patch, scorer, error, "write", 2)


def finishing(patch, scorer, error):
    _with_writer(patch, scorer, error, "commit", 1)


def _with_writer(patch, scorer, error, method, number):
    scorer.backend.strategy.over.set()
    real = pipeline.formats.open_writer

    def opened(*arguments, **options):
        writer = real(*arguments, **options)
        patch.setattr(writer, method, at(number, getattr(writer, method), error))
        return writer

    patch.setattr(pipeline.formats, "open_writer", opened)


STAGES = (reading, tokenizing, packing, model, progress, combining, assembling, writing, finishing)


@pytest.mark.parametrize("error", [FaultError("a bug"), KeyboardInterrupt()], ids=["fault", "interrupt"])
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_fault_in_any_stage_ends_the_run_and_leaves_nothing(slow, source, tmp_path, monkeypatch, stage, error):
    before = set(threading.enumerate())
    with monkeypatch.context() as patch:
        stage(patch, slow, error)
        limit = 1_000 if stage is finishing else None  # it comes after all rows
        job = ScoreJob(source=str(source), destination=str(tmp_path / "out.parquet"), limit=limit, quiet=True)
        started = time.monotonic()
        with pytest.raises(type(error)) as caught:
            score_table(job, lambda: slow)
        seconds = time.monotonic() - started
    assert caught.value is error
    if stage is not finishing:  # by then all is done
        assert seconds < AT_ONCE
        assert slow.backend.strategy.batches < ROWS / 8
    # Finished parts stay in the hidden work folder.
    assert [path.name for path in tmp_path.iterdir()] == ([".out.parquet.scoring"] if stage is finishing else [])
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"tqdm_monitor"}


@pytest.mark.parametrize("ending", ["csv", "jsonl.gz", "arrow"])
def test_a_fault_leaves_the_table_that_was_there(slow, source, tmp_path, monkeypatch, ending):
    out = tmp_path / f"out.{ending}"
    out.write_text("what was there")
    writing(monkeypatch, slow, FaultError("a bug"))
    job = ScoreJob(source=str(source), destination=str(out), write=WriteOptions(overwrite=True), quiet=True)
    with pytest.raises(FaultError):
        score_table(job, lambda: slow)
    assert out.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [out]


def test_after_a_fault_the_same_scorer_scores(slow, source, tmp_path, monkeypatch):
    slow.backend.strategy.over.set()
    job = ScoreJob(source=str(source), destination=str(tmp_path / "out.parquet"), limit=1_000, quiet=True)
    with monkeypatch.context() as patch:
        model(patch, slow, FaultError("a bug"))
        with pytest.raises(FaultError):
            score_table(job, lambda: slow)
    assert score_table(job, lambda: slow).rows == 1_000
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 1_000


def test_a_long_tokenization_ends_when_the_run_is_over(slow, source, tmp_path, monkeypatch):
    """The tokenizer checks again and again whether the run is over."""
    busy, ended = threading.Event(), threading.Event()
    real = tokenizer.TextTokenizer.__call__
    calls = []

    def long(self, texts, check=None):
        calls.append(1)
        if len(calls) < 2:
            return real(self, texts, check)
        busy.set()
        try:
            while not ended.wait(0.01):
                check()
        finally:
            ended.set()
        raise AssertionError("nobody stopped it")

    def interrupted(*arguments):
        assert busy.wait(30)
        raise FaultError("of the writer")

    slow.backend.strategy.over.set()
    monkeypatch.setattr(tokenizer.TextTokenizer, "__call__", long)
    monkeypatch.setattr(AddedColumns, "arrays", interrupted)
    with pytest.raises(FaultError, match="of the writer"):
        score_table(ScoreJob(source=str(source), destination=str(tmp_path / "out.csv"), quiet=True), lambda: slow)
    assert ended.is_set()
