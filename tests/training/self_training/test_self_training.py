"""Runs with unlabelled texts or an ensemble: what they gain, what is published, and that they resume anywhere."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.settings import TrainSettings
from sentiment_batch.training import loop, run, trainings
from sentiment_batch.training.checkpoint.state import TrainState
from sentiment_batch.training.job import TrainJob
from sentiment_batch.training.self_training import unlabelled as reading
from sentiment_batch.training.self_training.gain import SelfTraining
from tests.training.file_change_failures import Killed, ending_at
from tests.training.run_results import names, result, sha256_of
from tests.training.self_training.conftest import LEARNS

ALL_SURE = {"unlabelled_confidence": 0.5}
"""So that models that have hardly learned anything are teachers."""
QUICK = {"epochs": 2, "batch_size": 27, "report": False, "baseline": False}
"""The settings of runs of a few steps."""


def read_meta(trained) -> dict:
    return json.loads((Path(trained.path) / "sentiment_batch.json").read_text(encoding="utf-8"))


# What is gained


def test_texts_that_tell_of_new_words_are_kept(train, planted, caplog):
    caplog.set_level(logging.INFO)
    trained = train(rows=planted.rows, val=planted.val, unlabelled=planted.linked, **LEARNS | {"report": True})
    found = trained.self_training
    assert found.kept
    assert found.gain > 0.03
    assert trained.validation.accuracy == found.accuracy
    assert 200 < sum(found.sure.values()) <= found.unlabelled["texts"] == 400
    assert read_meta(trained)["self_training"] == json.loads(json.dumps(found.to_json()))
    assert "2 trainings, and 400 texts to label once. This takes up to 7.3 times" in caplog.text
    assert f"of 400 unlabelled texts {sum(found.sure.values())} are sure: " in caplog.text
    assert f"unlabelled texts: gained {found.gain:.3f} accuracy, kept" in caplog.text
    page = (Path(trained.path) / "report.html").read_text(encoding="utf-8")
    assert f"Unlabelled texts: gained {found.gain:.3f} accuracy, kept" in page
    assert not Path(f"{trained.path}.training").exists()


def test_texts_that_mislead_are_left_out(train, planted):
    chosen = {"val": planted.val, **LEARNS}
    taught = train("taught", planted.rows, unlabelled=planted.misleading, unlabelled_weight=5.0, **ALL_SURE, **chosen)
    assert not taught.self_training.kept
    assert "gained nothing, left out" in taught.self_training.verdict
    assert result(taught)[:-1] == result(train("plain", planted.rows, **chosen))[:-1]


def test_without_a_sure_text_nothing_is_trained_twice(train, pool, caplog):
    caplog.set_level(logging.INFO)
    taught = train("taught", unlabelled=pool(), unlabelled_confidence=1.0, **QUICK)
    assert "no label of any text has a probability of 1 or more, left out" in taught.self_training.verdict
    assert "the student" not in caplog.messages
    assert result(taught)[:-1] == result(train("plain", **QUICK))[:-1]


@pytest.mark.parametrize("kept", [True, False])
def test_with_folds_the_last_training_is_taught_if_it_gains(train, pool, monkeypatch, kept):
    monkeypatch.setattr(SelfTraining, "kept", kept)
    chosen = {"folds": 2, **QUICK}
    taught = train("taught", unlabelled=pool(), **ALL_SURE, **chosen)
    plain = train("plain", **chosen)
    assert taught.self_training.rows == taught.validation.rows == 60
    assert (result(taught)[:-1] == result(plain)[:-1]) is not kept
    assert taught.validation.accuracy == getattr(taught.self_training, "accuracy" if kept else "accuracy_without")


def test_an_ensemble_teaches_one_model(train, caplog):
    caplog.set_level(logging.INFO)
    trained = train(ensemble=2, **QUICK)
    found = trained.self_training
    assert (found.ensemble, found.unlabelled, found.rows) == (2, None, 6)
    for task in ("teacher 1 of 2", "teacher 2 of 2", "the student"):
        assert task in caplog.messages
    assert "3 trainings. This takes up to 3.0 times as long" in caplog.text


def test_an_ensemble_of_each_fold_teaches_with_texts(train, pool):
    trained = train(ensemble=2, folds=2, unlabelled=pool(), **QUICK, **ALL_SURE)
    assert (trained.self_training.ensemble, trained.folds) == (2, 2)
    assert trained.self_training.verdict.startswith("unlabelled texts and the ensemble of 2: ")


def test_a_student_that_diverges_is_left_out(train, pool, monkeypatch):
    def break_second(setup, *arguments, fit=loop.fit):
        history = fit(setup, *arguments)
        return [] if arguments[-1] == "the student" else history

    monkeypatch.setattr(trainings, "fit", break_second)
    taught = train("taught", unlabelled=pool(), **ALL_SURE, **QUICK)
    assert "the training on them diverged, left out" in taught.self_training.verdict
    assert sha256_of(Path(taught.path)) == sha256_of(Path(train("plain", **QUICK).path))


# What is refused


@pytest.mark.parametrize(
    "chosen", [{"ensemble": 1}, {"unlabelled_limit": 0}, {"unlabelled_confidence": 1.5}, {"unlabelled_weight": 0.0}]
)
def test_settings_that_make_no_sense_are_refused(chosen):
    (name,) = chosen
    with pytest.raises(UsageError, match=f"`{name}`"):
        TrainSettings(**chosen)


def test_a_setting_of_unlabelled_texts_needs_their_table():
    with pytest.raises(UsageError, match=r"`unlabelled_weight` is about unlabelled texts\. Name their table"):
        TrainJob(reviews=["a.csv"], settings=TrainSettings(unlabelled_weight=0.3))


# Resumed


@pytest.mark.parametrize(("kept", "ends"), [(True, (2, 4, 9)), (False, (5, 7))])
def test_a_run_interrupted_with_any_model_ends_the_same(train, interrupted, often, pool, monkeypatch, kept, ends):
    monkeypatch.setattr(SelfTraining, "kept", kept)
    chosen = {"unlabelled": pool(20), **QUICK, **ALL_SURE}
    whole = result(train("whole", **chosen))
    for steps in ends:  # four steps teach, six follow
        interrupted(steps, f"model{steps}", **chosen)
        assert result(train(f"model{steps}", resume=True, **chosen)) == whole


def test_a_run_with_folds_interrupted_anywhere_ends_the_same(train, interrupted, often, pool, monkeypatch):
    monkeypatch.setattr(SelfTraining, "kept", True)
    chosen = {"unlabelled": pool(20), "folds": 2, **QUICK, **ALL_SURE}
    whole = result(train("whole", **chosen))
    for steps in (3, 5, 10, 13):  # two teachers of four steps each, two students, and the last training
        interrupted(steps, f"model{steps}", **chosen)
        assert result(train(f"model{steps}", resume=True, **chosen)) == whole


@pytest.mark.parametrize("place", ["label_texts", "Students", "measure_all"])
def test_a_run_interrupted_between_trainings_ends_the_same(train, pool, monkeypatch, place):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    chosen = {"unlabelled": pool(20), "ensemble": 2, **QUICK, **ALL_SURE}
    whole = result(train("whole", **chosen))
    with monkeypatch.context() as patch:
        patch.setattr(run if place == "measure_all" else trainings, place, interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(**chosen)
    assert result(train(resume=True, **chosen)) == whole


def test_a_resumed_run_does_not_read_the_table_again(train, interrupted, often, pool, tmp_path, monkeypatch):
    path = tmp_path / "pool.parquet"
    pq.write_table(pool(), path)
    chosen = {"unlabelled": str(path), **QUICK, **ALL_SURE}
    whole = result(train("whole", **chosen))
    interrupted(7, **chosen)
    assert {"teacher", "unlabelled.parquet"} < set(names(tmp_path / "model.training"))
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_fill", pytest.fail)
        assert result(train(resume=True, **chosen)) == whole
    assert names(tmp_path) == ["model", "pool.parquet", "whole"]


def test_a_table_that_changed_is_noticed_by_a_resumed_run(train, interrupted, often, pool, tmp_path):
    path = tmp_path / "pool.parquet"
    pq.write_table(pool(), path)
    chosen = {"unlabelled": str(path), **QUICK, **ALL_SURE}
    interrupted(7, **chosen)
    pq.write_table(pool(39), path)
    with pytest.raises(OutputError, match=r"something has changed \(the unlabelled texts: sha256"):
        train(resume=True, **chosen)


def test_a_teacher_that_was_changed_is_never_published(train, interrupted, often, pool, tmp_path):
    interrupted(7, unlabelled=pool(), **QUICK, **ALL_SURE)
    weights = tmp_path / "model.training" / "teacher" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(OutputError, match=r"teacher is damaged.*`restart=True`\.$"):
        train(resume=True, unlabelled=pool(), **QUICK, **ALL_SURE)


def test_a_finished_run_reports_its_gain_again(train, pool):
    first = train(unlabelled=pool(), **QUICK, **ALL_SURE)
    again = train(unlabelled=pool(), resume=True, **QUICK, **ALL_SURE)
    assert again.to_json() == first.to_json()
    assert again.self_training == first.self_training


def test_a_run_killed_at_any_file_change_ends_the_same(train, often, pool, tmp_path, monkeypatch, end_points):
    monkeypatch.setattr(TrainState, "seconds", 0.0)
    monkeypatch.setattr(SelfTraining, "kept", False)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    path = tmp_path / "pool.parquet"
    pq.write_table(pool(), path)
    chosen = {"unlabelled": str(path), **QUICK, "epochs": 1, "batch_size": 54, **ALL_SURE}
    whole = result(train("whole", **chosen))
    with ending_at(None) as changes:
        train("counted", **chosen)
    for end in end_points(changes.count, every=15):
        output = tmp_path / f"model{end}"
        with contextlib.suppress(Killed), ending_at(end):
            train(output.name, **chosen)
        assert result(train(output.name, resume=True, **chosen)) == whole, end
        assert not output.with_name(f"model{end}.training").exists()
