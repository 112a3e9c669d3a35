"""When a model is compiled, with a CPU that plays the CUDA device; and what happens if torch cannot compile."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sentiment_batch import Scorer
from sentiment_batch.errors import DeviceError
from sentiment_batch.model.forward import batches
from sentiment_batch.scoring.backends import local, multi_device
from sentiment_batch.scoring.backends.base import MUST_COMPILE
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.pipeline import score_table
from tests.scoring.cut_off import cut_off_after

ROWS = 30


@pytest.fixture
def load(tiny_model, monkeypatch):
    """Opens the tiny model on a device that is no CPU to the backend; each job is long enough to compile."""
    clock, opened = batches._Stopwatch, []
    monkeypatch.setattr(batches, "_Stopwatch", lambda device: clock("cpu"))
    monkeypatch.setattr(local, "MIN_OPERATIONS_TO_COMPILE", 1.0)

    def load(compile=None):
        opened.append(Scorer.load(str(tiny_model), device="cpu", dtype="float32", batch_tokens=128))
        backend = opened[-1].backend
        backend.strategy = dataclasses.replace(backend.strategy, device="cuda:0")
        backend._settings = dataclasses.replace(backend._settings, compile=compile)
        return opened[-1]

    yield load
    for scorer in opened:
        scorer.close()


@pytest.fixture
def compiler(monkeypatch):
    """`compiler(works)`: a stand-in for `torch.compile`. Gives the list of its calls."""
    calls = []

    def compiler(works):
        def compile_it(function, **options):
            calls.append(options)

            def compiled(*arguments):
                if not works:
                    raise RuntimeError("Failed to find C compiler")
                return function(*arguments)

            return compiled

        monkeypatch.setattr(torch, "compile", compile_it)
        return calls

    return compiler


def score(scorer, expected_rows=ROWS):
    table = pa.table({"text": [f"the film {n} was great" for n in range(ROWS)]})
    found = scorer.probabilities(table.to_batches(), ["text"], expected_rows=expected_rows)
    return np.concatenate([scores for _, scores in found])


def test_a_long_job_is_compiled_once(load, compiler):
    calls = compiler(True)
    scorer = load()
    score(scorer)
    score(scorer)
    assert (len(calls), scorer.counts.compiled) == (1, 2 * ROWS)


def test_without_a_compiler_a_long_job_goes_on_with_one_warning(load, compiler, caplog):
    calls = compiler(False)
    scorer = load()
    with caplog.at_level(logging.WARNING, "sentiment_batch"):
        found = score(scorer)
        score(scorer)
    assert np.array_equal(found, score(load(compile=False)))
    assert (len(calls), scorer.counts.compiled) == (1, 0)
    assert caplog.messages == [
        "the model is not compiled, which makes long jobs slower: torch cannot compile the model: Failed to find C "
        "compiler"
    ]


def test_without_a_compiler_a_demand_to_compile_is_an_error(load, compiler):
    compiler(False)
    scorer = load(compile=True)
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"^`compile` is True, but torch cannot .* C compiler and Triton, or lea"):
            score(scorer)


def test_rows_after_compiled_ones_are_compiled_too(load, compiler, monkeypatch):
    monkeypatch.setattr(local, "MIN_OPERATIONS_TO_COMPILE", 1e99)
    compiler(True)
    scorer = load()
    score(scorer)
    assert scorer.counts.compiled == 0
    blank = pa.table({"text": [""] * ROWS}).to_batches()
    for _ in scorer.probabilities(blank, ["text"], expected_rows=MUST_COMPILE):
        pass
    assert scorer.counts.compiled == ROWS
    compiler(False)
    with pytest.raises(DeviceError, match=r"an earlier run scored rows with a compiled model, but .*`restart=True`"):
        score(load(), MUST_COMPILE)


def test_each_of_several_devices_must_compile_then(load):
    sent = []

    class Process:
        device = "cpu"

        def score_blocks(self, blocks, expected_rows):
            sent.append(expected_rows)
            return iter(())

        def end(self):
            pass

    backend = multi_device.MultiDeviceBackend.__new__(multi_device.MultiDeviceBackend)
    backend._processes = [Process(), Process()]
    for expected in (MUST_COMPILE, 10, None):
        assert list(backend.score_blocks(iter(()), expected_rows=expected)) == []
    assert sent == [MUST_COMPILE] * 2 + [5] * 2 + [None] * 2


@pytest.mark.parametrize("first", [True, False])
def test_a_resumed_run_never_mixes_compiled_rows_and_others(load, compiler, tmp_path, first):
    pq.write_table(pa.table({"text": [f"film {n} was great" for n in range(ROWS)]}), tmp_path / "in.parquet")
    destination = str(tmp_path / "out.csv")
    job = ScoreJob(source=str(tmp_path / "in.parquet"), destination=destination, quiet=True, part_rows=10)
    compiler(first)
    with cut_off_after(1):
        score_table(job, load)
    compiler(not first)
    if first:
        with pytest.raises(DeviceError, match="an earlier run scored rows with a compiled model"):
            score_table(job, load)
        compiler(True)
    scorer = load()
    assert score_table(job, lambda: scorer).rows_resumed == 10
    assert scorer.counts.compiled == (ROWS - 10) * first
