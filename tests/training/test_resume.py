"""A run that is interrupted, wherever that is, and resumed ends with the weights and the history of one that is not."""

from __future__ import annotations

import itertools
import logging
import random

import numpy as np
import pytest
import torch

from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.files.lock import LOCK_FILES
from sentiment_batch.training import components, loop, run
from sentiment_batch.training.checkpoint import state_file, work_folder
from sentiment_batch.training.checkpoint.model_folders import hash_stock_files
from tests.training.run_results import files, names, result

STEPS = 9
"""Of the runs here: three epochs of three."""


# Interrupted between steps


def test_saving_a_state_at_every_step_changes_nothing(train, whole, often):
    assert result(train()) == whole


@pytest.mark.parametrize("steps", range(1, STEPS))
def test_a_run_resumed_at_any_step_ends_as_if_nothing_had_been(train, interrupted, whole, often, tmp_path, steps):
    interrupted(steps)
    assert state_file.read_state(tmp_path / "model.training")["step"] == steps
    assert result(train(resume=True)) == whole
    assert names(tmp_path) == ["model", "whole"]


@pytest.mark.parametrize("steps", [2, 4, 8])
def test_a_run_cut_off_between_states_resumes_from_the_earlier(train, interrupted, whole, caplog, steps):
    caplog.set_level(logging.INFO, "sentiment_batch")
    interrupted(steps)
    caplog.clear()
    assert result(train(resume=True)) == whole
    told = f"resuming from step {steps // 3 * 3} of 9" if steps > 3 else "there is no state to resume from"
    assert told in caplog.text


def test_a_run_interrupted_again_and_again_still_arrives(train, interrupted, whole, often):
    for _ in range(STEPS - 1):
        interrupted(1, resume=True)
    assert result(train(resume=True)) == whole


def test_a_resumed_run_knows_which_best_model_its_state_has(interrupted, often, tmp_path):
    interrupted(4)
    interrupted(1, resume=True)
    work = tmp_path / "model.training"
    assert state_file.read_state(work)["step"] == 5
    assert state_file.read_state(work)["best"] == hash_stock_files(work / "best")


@pytest.mark.parametrize("best", [0, 1])
def test_early_stopping_and_the_best_survive_an_interruption(train, interrupted, often, monkeypatch, caplog, best):
    caplog.set_level(logging.INFO, "sentiment_batch")
    monkeypatch.setattr(loop, "is_best", lambda loss, history: len(history) <= best)
    expected = result(train("whole", patience=1))
    assert len(expected[1]) == best + 2
    assert "stopped early: no better validation loss in the last 1 validations" in caplog.text
    for steps in range(1, 3 * len(expected[1])):
        interrupted(steps, f"model{steps}", patience=1)
        assert result(train(f"model{steps}", patience=1, resume=True)) == expected


@pytest.mark.parametrize("patience", [None, 1])
def test_a_run_interrupted_after_its_last_step_is_only_published(train, monkeypatch, patience):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    if patience:
        monkeypatch.setattr(loop, "is_best", lambda loss, history: not history)
    expected = result(train("whole", patience=patience))
    assert len(expected[1]) == (2 if patience else 3)
    with monkeypatch.context() as patch:
        patch.setattr(run, "measure_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(patience=patience)
    monkeypatch.setattr(loop, "take_step", pytest.fail)
    assert result(train(patience=patience, resume=True)) == expected


def test_part_sizes_and_class_weights_survive_an_interruption(train, interrupted, often, monkeypatch):
    class Small(loop.MicroBatches):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.max_tokens = 50

    chosen = {"class_weights": "auto", "dtype": "bfloat16"}
    with monkeypatch.context() as patch:
        patch.setattr(loop, "MicroBatches", Small)
        expected = result(train("whole", **chosen))
        interrupted(4, **chosen)
    assert result(train(resume=True, **chosen)) == expected != result(train("large", **chosen))


@pytest.mark.parametrize("steps", [2, 7])
def test_the_average_of_the_weights_survives(train, interrupted, often, steps):
    chosen = {"weight_average": 0.8, "layer_decay": 0.7, "label_smoothing": 0.1}
    expected = result(train("whole", **chosen))
    interrupted(steps, **chosen)
    assert result(train(resume=True, **chosen)) == expected != result(train("without"))


@pytest.mark.parametrize("steps", [1, 5, 8])
def test_a_resumed_run_crops_the_same_parts(train, reviews, interrupted, often, steps):
    rows = reviews()
    rows.texts[:] = [f"{text} {'and so on ' * 15}" for text in rows.texts]
    chosen = {"rows": rows, "random_crops": 0.7}
    expected = result(train("whole", **chosen))
    interrupted(steps, **chosen)
    assert result(train(resume=True, **chosen)) == expected != result(train("without", rows=rows, random_crops=0.0))


def test_a_run_without_crops_is_not_continued_with_them(train, reviews, interrupted, often, monkeypatch):
    rows = reviews()
    rows.texts[:] = [f"{text} {'and so on ' * 15}" for text in rows.texts]
    with monkeypatch.context() as older:
        older.setattr(components, "MIN_ROWS_WITHOUT_CROPS", 0)
        interrupted(4, rows=rows)
    with pytest.raises(OutputError, match=r"something has changed \(`random_crops`: not set before, 0\.7 now\)"):
        train(rows=rows, resume=True)
    assert train(rows=rows, resume=True, random_crops=0.0).history


def test_a_model_is_called_saved_once_it_can_be_resumed(train, caplog, monkeypatch, tmp_path):
    caplog.set_level(logging.INFO, "sentiment_batch")
    save, states = work_folder.WorkFolder.save_state, []

    def save_or_fail(*arguments):
        if states:
            raise KeyboardInterrupt
        assert "epoch 1:" not in caplog.text
        states.append(save(*arguments))

    monkeypatch.setattr(work_folder.WorkFolder, "save_state", save_or_fail)
    with pytest.raises(KeyboardInterrupt):
        train()
    assert "epoch 1:" in caplog.text
    assert "best so far, saved" in caplog.text
    assert "epoch 2:" not in caplog.text
    assert (tmp_path / "model.training" / "best").exists()


def test_a_resumed_run_restores_the_random_generators(train, interrupted, often):
    interrupted(4)
    torch.manual_seed(99)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    train(resume=True)
    assert torch.get_rng_state().equal(states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert random.getstate() == states[2]


# What is said


def test_an_interrupted_run_is_not_deleted_or_resumed_unasked(train, interrupted, whole, often, tmp_path):
    interrupted(4)
    before = files(tmp_path / "model.training")
    for _ in range(2):
        with pytest.raises(
            OutputError, match=r"at step 4 of 9\. Continue it with `resume=True`, or .* over with `restart=True`\.$"
        ):
            train()
    kept = files(tmp_path / "model.training")
    for one in (before, kept):
        for name in LOCK_FILES:
            one.pop(tmp_path / "model.training" / name)
    assert kept == before
    assert result(train(seed=7, restart=True)) != whole
    assert names(tmp_path) == ["model", "whole"]


def test_a_run_is_not_deleted_for_one_that_cannot_begin(train, interrupted, whole, often, reviews):
    interrupted(4)
    with pytest.raises(UsageError):
        train(restart=True, max_length=65)
    assert result(train(resume=True)) == whole


def test_both_at_once_are_refused(train):
    with pytest.raises(UsageError, match=r"`resume=True` .* `restart=True`"):
        train(resume=True, restart=True)


def test_after_an_interruption_it_is_said_how_to_go_on(interrupted, often, tmp_path, caplog):
    interrupted(2)
    assert "It can score texts already" not in caplog.text
    saved = f"the run is saved in {tmp_path / 'model.training'}. Repeat it with `resume=True` to continue from step"
    assert f"{saved} 2 of 9" in caplog.text
    caplog.clear()
    interrupted(2, resume=True)
    assert "the best model so far is in" in caplog.text
    assert f"{saved} 4 of 9" in caplog.text


def test_a_finished_run_without_a_report_says_that_it_gets_none(train, caplog):
    train(report=False)
    train(resume=True)
    assert "has no report, and gets one only if it is trained anew" in caplog.text


def test_a_finished_run_is_finished_and_stays_as_it_is(train, caplog, tmp_path, reviews):
    caplog.set_level(logging.INFO, "sentiment_batch")
    first = result(train(test=reviews(10, start=100)))
    before = files(tmp_path)
    assert result(train(test=reviews(10, start=100), resume=True)) == first
    assert files(tmp_path) == before
    assert "is finished already" in caplog.text
    assert "has no report" not in caplog.text
    with pytest.raises(OutputError, match=r"was finished with other settings, rows.*`overwrite=True`"):
        train(resume=True, seed=7)
    assert files(tmp_path) == before


def test_other_test_rows_of_a_finished_run_are_not_ignored(train, tmp_path, reviews):
    train()
    with pytest.raises(UsageError, match=r"without test rows, .* sentiment-batch evaluate, or .*`overwrite=True`"):
        train(test=reviews(10, start=100), resume=True)
    train(test=reviews(10, start=100), overwrite=True)
    with pytest.raises(UsageError, match="with other test rows"):
        train(test=reviews(12, start=100), resume=True)
    assert train(resume=True).test is not None


def test_a_best_model_changed_or_removed_is_never_published(train, interrupted, often, tmp_path):
    interrupted(4)
    weights = tmp_path / "model.training" / "best" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(OutputError, match=r"best is damaged.*`restart=True`\.$"):
        train(resume=True)


def test_a_machine_that_may_compute_other_last_bits_is_named(train, interrupted, often, monkeypatch, caplog):
    interrupted(4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    train(resume=True)
    assert "the run began on another machine" in caplog.text


# From Python


def test_from_python(reviews_csv, tiny_base, tmp_path, monkeypatch):
    import sentiment_batch

    chosen = {"base": str(tiny_base), "device": "cpu", "dtype": "float32", "epochs": 2, "folds": 0, "quiet": True}
    whole = result(sentiment_batch.train(reviews_csv, tmp_path / "whole", **chosen))
    validate, calls = loop.validate, itertools.count(1)

    def interrupted(*arguments):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return validate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "validate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sentiment_batch.train(reviews_csv, tmp_path / "model", **chosen)
    with pytest.raises(OutputError, match="at step 4 of 8"):
        sentiment_batch.train(reviews_csv, tmp_path / "model", **chosen)
    assert result(sentiment_batch.train(reviews_csv, tmp_path / "model", resume=True, **chosen)) == whole
