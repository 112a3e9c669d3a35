"""Scoring in int8: the labels of float32, or float32 itself, for all rows of a run."""

from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import random
import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch import Scorer, train
from sentiment_batch.data import formats, readers, writers
from sentiment_batch.errors import DeviceError, ModelError, UsageError
from sentiment_batch.files.cache import cache_folder
from sentiment_batch.model import device
from sentiment_batch.model.forward import int8_calibration, int8_labels, int8_setup
from sentiment_batch.model.forward.int8_labels import Int8LabelError, Int8Strategy
from sentiment_batch.model.torch_operators import has_fast_int8
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.scoring.backends import model_start
from sentiment_batch.scoring.output.journal import Journal
from sentiment_batch.scoring.pipeline import ScoreJob, score_table
from sentiment_batch.settings import ScoreSettings
from tests.rare_models import write_rare_model
from tests.thread_engine import Plugin

pytestmark = pytest.mark.skipif(not has_fast_int8(), reason="this CPU has no fast products of 8-bit integers")

WORDS = ["the", "film", "was", "great", "and", "boring", "but", "slow", "music", "loved", "it", "not", "bad"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "cache"))


def texts(count, seed=1):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 40))) for _ in range(count)]


def load(folder, dtype="int8", **options):
    return Scorer.load(str(folder), device="cpu", dtype=dtype, probabilities=True, decimals=7, **options)


def scores(scorer, some):
    """The probabilities, and the labels."""
    found = scorer(pd.DataFrame({"text": some}))
    return found.filter(regex="^sentiment_(negative|positive)$").to_numpy(), found["sentiment"].tolist()


@pytest.fixture
def flipped(monkeypatch):
    """An int8 whose labels are all wrong, with a narrow band, and an audit of every text."""
    logits = Int8Strategy.logits
    monkeypatch.setattr(Int8Strategy, "logits", lambda self, *arguments: -logits(self, *arguments))
    monkeypatch.setattr(int8_calibration, "BAND_DEVIATIONS", 0.01)
    monkeypatch.setattr(int8_calibration, "BAND_MAXIMA", 0.01)
    monkeypatch.setattr(int8_labels, "TEXTS_PER_AUDIT", 1)


@pytest.mark.parametrize("long_text", ["head", "windows"])
def test_labels_are_those_of_float32_and_probabilities_are_near(tiny_model, long_text):
    some = texts(400)
    with load(tiny_model, long_text=long_text, max_length=16) as fast:
        found, labels = scores(fast, some)
        assert fast.dtype.value == "int8"
        assert "labels as in float32" in fast.dtype.reason
        assert 0 < fast.counts.scored_twice < len(set(some))
    with load(tiny_model, "float32", long_text=long_text, max_length=16) as exact:
        expected, right = scores(exact, some)
    assert labels == right
    assert 0 < np.abs(found - expected).max() < 0.1


def test_a_text_has_the_same_scores_whatever_its_neighbours(tiny_model):
    some = texts(60)
    with load(tiny_model, deterministic=True) as fast:
        together, _ = scores(fast, some)
        alone = np.concatenate([scores(fast, [text])[0] for text in some[:10]])
    assert np.array_equal(together[:10], alone)


def test_the_calibration_is_the_same_each_time_and_is_cached(tiny_model, monkeypatch):
    with load(tiny_model) as first:
        calibrated = first.description.int8
    (path,) = (cache_folder() / int8_setup.CACHE_FOLDER).rglob("*.json")
    content = path.read_bytes()
    path.unlink()
    with load(tiny_model) as again:
        assert again.description.int8 == calibrated
    assert path.read_bytes() == content
    monkeypatch.setattr(int8_setup, "calibrate_int8", None)
    with load(tiny_model) as read:
        assert read.description.int8 == calibrated


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"content": {}, "sha256": ""}', None])
def test_a_damaged_record_or_another_models_is_made_anew(tiny_model, make_model, damage):
    folder = cache_folder() / int8_setup.CACHE_FOLDER
    load(tiny_model).close()
    (path,) = folder.rglob("*.json")
    content = path.read_bytes()
    if damage is None:
        load(make_model("negative", "positive", seed=8)).close()
        damage = next(other.read_bytes() for other in folder.rglob("*.json") if other != path)
    path.write_bytes(damage)
    load(tiny_model).close()
    assert path.read_bytes() == content


def test_a_band_that_proves_too_narrow_ends_int8_for_all_rows(tiny_model, flipped, caplog):
    some = texts(50)
    with load(tiny_model) as fast, caplog.at_level(logging.WARNING, logger="sentiment_batch"):
        found, labels = scores(fast, some)
        assert fast.dtype.value == "float32"
    assert "All rows are scored again in float32" in caplog.text
    with load(tiny_model, "float32") as exact:
        expected, right = scores(exact, some)
    assert labels == right
    assert np.array_equal(found, expected)
    with load(tiny_model) as later:  # it is remembered
        assert (later.dtype.value, later.dtype.reason) == ("float32", "in int8 an audit found another label")


def test_a_table_starts_over_in_float32_and_mixes_nothing(tiny_model, flipped, tmp_path, caplog):
    pd.DataFrame({"text": texts(300)}).to_parquet(tmp_path / "in.parquet")
    settings = ScoreSettings(device="cpu", dtype="int8", decimals=7)

    def run(name, settings, **options):
        source, destination = str(tmp_path / "in.parquet"), str(tmp_path / name)
        options = {"model": str(tiny_model), "part_rows": 100, "quiet": True} | options
        score_table(ScoreJob(source=source, destination=destination, settings=settings, **options))
        return pd.read_parquet(destination)

    with caplog.at_level(logging.WARNING, logger="sentiment_batch"):
        found = run("fast.parquet", settings)
    assert "starts over in float32" in caplog.text
    pd.testing.assert_frame_equal(found, run("exact.parquet", dataclasses.replace(settings, dtype="float32")))
    assert not [path for path in tmp_path.iterdir() if "scoring" in path.name]


@pytest.mark.parametrize("out", ["out.parquet", "out/"])
def test_all_workers_of_an_engine_start_over(tiny_model, flipped, tmp_path, monkeypatch, out):
    plugins = Plugins((readers, writers, Plugin()), entry_points=list)
    monkeypatch.setattr(formats, "get_plugins", lambda: plugins)
    pq.write_table(pa.table({"text": texts(95)}), tmp_path / "in.parquet", row_group_size=33)
    written = {}
    for place, dtype in (("fast", "int8"), ("exact", "float32")):
        settings = ScoreSettings(dtype=dtype, engine="threads", device="cpu")
        options = {"model": str(tiny_model), "part_rows": 10, "quiet": True, "settings": settings}
        job = ScoreJob(source=str(tmp_path / "in.parquet"), destination=f"{tmp_path}/{place}-{out}", **options)
        assert score_table(job).dtype == "float32"
        path = tmp_path / f"{place}-{out}"
        files = sorted(path.glob("part-*")) if path.is_dir() else [path]
        written[place] = [file.read_bytes() for file in files]
    assert written["fast"] == written["exact"]


def test_an_interrupted_run_is_resumed_with_the_same_bytes(tiny_model, tmp_path, monkeypatch):
    pd.DataFrame({"text": texts(300)}).to_parquet(tmp_path / "in.parquet")
    settings = ScoreSettings(device="cpu", dtype="int8")

    def run(name):
        options = {"model": str(tiny_model), "part_rows": 100, "quiet": True, "settings": settings}
        return score_table(ScoreJob(source=str(tmp_path / "in.parquet"), destination=f"{tmp_path}/{name}", **options))

    whole = run("whole.csv").scored_twice
    add = Journal.add

    def add_once(self, *arguments):
        add(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", add_once)
        with pytest.raises(KeyboardInterrupt):
            run("again.csv")
    summary = run("again.csv")
    assert (summary.rows_resumed, summary.scored_twice) == (100, whole)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_what_cannot_be_written_again_ends_with_a_cure(tiny_model, flipped, tmp_path, capsysbinary):
    pd.DataFrame({"text": texts(30)}).to_csv(tmp_path / "in.csv", index=False)
    settings = ScoreSettings(device="cpu", dtype="int8")
    job = ScoreJob(
        source=str(tmp_path / "in.csv"), destination="-", model=str(tiny_model), settings=settings, quiet=True
    )
    with pytest.raises(ModelError, match='Score with `dtype="float32"`'):
        score_table(job)
    assert capsysbinary.readouterr().out.splitlines() == [b"text,sentiment,sentiment_score"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("by_number", [True, False])
def test_a_pipe_gets_no_row_twice(tiny_model, flipped, tmp_path, by_number):
    pd.DataFrame({"text": texts(30)}).to_csv(tmp_path / "in.csv", index=False)
    options = {"model": str(tiny_model), "settings": ScoreSettings(device="cpu", dtype="int8"), "quiet": True}
    os.mkfifo(tmp_path / "pipe.csv")
    incoming = os.open(tmp_path / "pipe.csv", os.O_RDONLY | os.O_NONBLOCK)
    outgoing = os.open(tmp_path / "pipe.csv", os.O_WRONLY)
    destination = f"/dev/fd/{outgoing}" if by_number else str(tmp_path / "pipe.csv")
    job = ScoreJob(source=str(tmp_path / "in.csv"), destination=destination, output_format="csv", **options)
    try:
        with pytest.raises(ModelError, match='Score with `dtype="float32"`'):
            score_table(job)
        assert os.read(incoming, 2**16).splitlines() == [b"text,sentiment,sentiment_score"]
    finally:
        os.close(incoming)
        os.close(outgoing)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("source", ["pipe.csv", "pip*.csv"])
def test_a_pipe_is_not_read_twice(tiny_model, flipped, tmp_path, source):
    os.mkfifo(tmp_path / "pipe.csv")
    content = pd.DataFrame({"text": texts(30)}).to_csv(index=False)
    writer = threading.Thread(target=(tmp_path / "pipe.csv").write_text, args=[content])
    writer.start()
    options = {"model": str(tiny_model), "settings": ScoreSettings(device="cpu", dtype="int8"), "quiet": True}
    with pytest.raises(ModelError, match='Score with `dtype="float32"`'):
        score_table(ScoreJob(source=str(tmp_path / source), destination=str(tmp_path / "out.csv"), **options))
    writer.join()
    assert not (tmp_path / "out.csv").exists()


def test_the_error_survives_the_way_from_a_worker():
    error = pickle.loads(pickle.dumps(Int8LabelError(0.5, 0.25)))
    assert (error.margin, error.band, str(error)) == (0.5, 0.25, str(Int8LabelError(0.5, 0.25)))


def test_equal_texts_are_audited_alike_and_some_are(scorer):
    some = texts(3_000)
    audited = int8_labels.find_audited(scorer.tokenizer(some))
    assert 3 <= audited.sum() <= 40
    assert int8_labels.find_audited(scorer.tokenizer(some[::-1])).tolist() == audited.tolist()[::-1]


def test_a_machine_without_fast_products_says_so(tiny_model, monkeypatch):
    monkeypatch.setattr(int8_setup, "has_fast_int8", lambda: False)
    with pytest.raises(UsageError, match=r"VNNI.*Set it to auto or float32"):
        load(tiny_model)


def test_a_model_that_cannot_be_packed_says_so(tmp_path):
    write_rare_model("mpnet", tmp_path / "model", limit=64)
    with pytest.raises(UsageError, match="models that can be packed"):
        load(tmp_path / "model")


@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_training_refuses_dtypes_that_are_for_scoring(tmp_path, dtype):
    with pytest.raises(UsageError, match=f"`dtype` is '{dtype}'; it must be one of auto, float32, bfloat16"):
        train(tmp_path / "nowhere.csv", output=tmp_path / "model", dtype=dtype)


def test_a_missing_device_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(DeviceError, match="cuda:99"):
        train(tmp_path / "nowhere.csv", output=tmp_path / "model", device="cuda:99")


@pytest.fixture
def no_bfloat16(monkeypatch):
    """A CPU whose fastest float is float32; the tiny model counts as one that gains by int8."""
    monkeypatch.setattr(device, "prefer_bfloat16", lambda device: (False, "Intel CPU without AMX"))
    monkeypatch.setattr(int8_calibration, "prefer_bfloat16", lambda device: (False, "Intel CPU without AMX"))
    monkeypatch.setattr(model_start, "prefer_bfloat16", lambda device: (False, "Intel CPU without AMX"))
    monkeypatch.setattr(int8_setup, "MIN_WIDTH", 1)
    monkeypatch.setattr(int8_setup, "MAX_NEAR_BORDER_SHARE", 1.0)


def test_auto_takes_int8_where_float32_is_the_fastest_float(tiny_model, no_bfloat16):
    with load(tiny_model, "auto") as chosen:
        assert chosen.dtype.value == "int8"
        assert chosen.dtype.reason.startswith("Intel CPU without AMX; labels as in float32")


def test_auto_leaves_int8_where_it_gains_nothing(tiny_model, no_bfloat16, monkeypatch):
    monkeypatch.setattr(int8_setup, "MAX_NEAR_BORDER_SHARE", 0.0)
    with load(tiny_model, "auto") as chosen:
        assert chosen.dtype.value == "float32"
        assert "of the check texts would be scored again after int8" in chosen.dtype.reason
    monkeypatch.setattr(int8_setup, "MIN_WIDTH", 256)
    with load(tiny_model, "auto") as chosen:
        assert str(chosen.dtype) == "float32 (Intel CPU without AMX; the model is too small to gain by int8)"


def test_auto_prints_to_standard_output_in_float32(tiny_model, no_bfloat16, tmp_path, capfd):
    pd.DataFrame({"text": texts(5)}).to_csv(tmp_path / "in.csv", index=False)
    settings = ScoreSettings(device="cpu")
    source = str(tmp_path / "in.csv")
    job = ScoreJob(source=source, destination="-", model=str(tiny_model), settings=settings, quiet=True)
    assert score_table(job).dtype == "float32"
    assert len(capfd.readouterr().out.splitlines()) == 6


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_auto_writes_to_a_pipe_in_float32(tiny_model, no_bfloat16, tmp_path):
    pd.DataFrame({"text": texts(5)}).to_csv(tmp_path / "in.csv", index=False)
    os.mkfifo(tmp_path / "pipe.csv")
    incoming = os.open(tmp_path / "pipe.csv", os.O_RDONLY | os.O_NONBLOCK)
    options = {"model": str(tiny_model), "settings": ScoreSettings(device="cpu"), "quiet": True}
    try:
        job = ScoreJob(source=str(tmp_path / "in.csv"), destination=str(tmp_path / "pipe.csv"), **options)
        assert score_table(job).dtype == "float32"
        assert len(os.read(incoming, 2**16).splitlines()) == 6
    finally:
        os.close(incoming)
    assert score_table(dataclasses.replace(job, destination=str(tmp_path / "out.csv"))).dtype == "int8"


def test_a_stream_is_scored_in_full_after_an_int8_of_auto(tiny_model, no_bfloat16, flipped):
    batches = pa.table({"text": texts(300)}).to_batches(max_chunksize=100)
    with load(tiny_model, "auto") as scorer:
        assert scorer.dtype.value == "int8"
        columns = scorer.columns_for(iter(batches), ["text"])
        assert scorer.dtype.value == "float32"
        assert len(columns["sentiment"]) == 300
