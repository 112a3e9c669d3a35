"""Cross-validation of few rows: which rows validate where, what the run leaves, and that it can be resumed anywhere."""

from __future__ import annotations

import itertools
import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.errors import UsageError
from sentiment_batch.settings import TrainSettings
from sentiment_batch.training import loop, trainings
from sentiment_batch.training import prepare as preparing
from sentiment_batch.training.checkpoint.history import HistoryEntry
from sentiment_batch.training.folds import FinishedFold, average_histories
from sentiment_batch.training.job import TrainJob
from sentiment_batch.training.prepare import prepare
from sentiment_batch.training.split import assign_folds
from tests.training.run_results import result

FOLDS = {"folds": 3, "epochs": 2}


def entry(step: int, loss: float, *, best: bool = False, seconds: float = 1.0) -> HistoryEntry:
    figures = dict.fromkeys(("training_loss", "accuracy", "macro_f1", "learning_rate"), 0.5)
    return HistoryEntry(epoch=step / 10, step=step, validation_loss=loss, seconds=seconds, best=best, **figures)


def finished(*losses: float) -> FinishedFold:
    """A fold whose validations, ten steps apart, have these losses."""
    lowest = min(losses)
    history = [entry(10 * n, loss, best=loss == lowest) for n, loss in enumerate(losses, 1)]
    return FinishedFold(history=history, logits_NK=np.zeros((1, 2), dtype=np.float32))


# Which rows validate where


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 2), st.none() | st.integers(0, 8)), min_size=1, max_size=80
    ),
    folds=st.integers(2, 6),
    grouped=st.booleans(),
)
def test_no_text_and_no_group_is_trained_on_in_its_fold(rows, folds, grouped):
    texts, codes, groups = (list(column) for column in zip(*rows, strict=True))
    keys, codes_N = [b"%02d" % text for text in texts], np.array(codes)
    found = assign_folds(keys, codes_N, groups if grouped else None, folds)
    assert sorted(found.training) == list(range(len(rows))), "all rows train"
    place = {row: n for n, row in enumerate(found.training.tolist())}
    of_validation = found.folds.training_N[[place[row] for row in found.validation.tolist()]]
    assert (of_validation == found.folds.validation_M).all()
    assert set(found.folds.validation_M) == set(range(found.folds.number))
    for fold in range(found.folds.number):
        trained = found.training[found.folds.training_N != fold]
        held = found.validation[found.folds.validation_M == fold]
        assert not {keys[row] for row in trained} & {keys[row] for row in held}
        assert set(codes_N[trained]) == set(codes), "each class is trained on"
        if grouped and not len(found.between):
            assert not {groups[row] for row in trained} & {groups[row] for row in held} - {None}


def test_each_row_validates_once_and_folds_are_alike():
    codes_N = np.arange(203) % 3 // 2  # two thirds of one class
    found = assign_folds([b"%03d" % n for n in range(203)], codes_N, None, 5)
    assert sorted(found.validation) == list(range(203))
    for fold in range(5):
        rows = found.validation[found.folds.validation_M == fold]
        assert abs(len(rows) - 203 / 5) < 2
        assert abs(codes_N[rows].sum() - codes_N.sum() / 5) < 2


def test_folds_do_not_depend_on_the_order_of_the_rows():
    keys, codes_N = [b"%03d" % (n % 90) for n in range(100)], np.arange(100) % 90 % 2
    order = np.random.default_rng(0).permutation(100)
    found = assign_folds(keys, codes_N, None, 4)
    other = assign_folds([keys[n] for n in order], codes_N[order], None, 4)
    assert [keys[row] for row in found.training] == [keys[order[row]] for row in other.training]
    assert (found.folds.training_N == other.folds.training_N).all()


# When there are folds


def test_few_rows_have_folds_and_many_have_none(reviews, monkeypatch):
    monkeypatch.setattr(preparing, "FOLDS_BY_ROWS", ((50, 5), (100, 3)))
    few, many, val = reviews(99), reviews(100), reviews(20, start=500)
    assert prepare([reviews(49)], TrainSettings()).folds.number == 5
    assert prepare([few], TrainSettings()).folds.number == 3
    assert prepare([many], TrainSettings()).folds is None
    assert prepare([many], TrainSettings(folds=4)).folds.number == 4
    assert prepare([few], TrainSettings(), val=val).folds is None
    assert prepare([few], TrainSettings(val_size=0.2)).folds is None
    assert prepare([few], TrainSettings(folds=0)).folds is None


@pytest.mark.parametrize("chosen", [{"folds": 1}, {"folds": -1}, {"folds": 3, "val_size": 0.1}])
def test_folds_that_make_no_sense_are_refused(chosen):
    with pytest.raises(UsageError, match="`folds`"):
        TrainSettings(**chosen)


@pytest.mark.parametrize("chosen", [{"folds": 3}, {"val_size": 0.2}])
def test_held_back_rows_and_a_table_exclude_each_other(chosen):
    with pytest.raises(UsageError, match=f"`{next(iter(chosen))}` and a validation table exclude each other"):
        TrainJob(reviews=["a.csv"], val="b.csv", settings=TrainSettings(**chosen))


def test_fewer_folds_than_asked_for_are_told(train, reviews, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    rows = reviews(40)
    trained = train(rows=replace(rows, groups=["a", "a", "b", "b"] * 10), folds=5, epochs=1)
    assert trained.folds == 2
    assert "2 folds instead of 5, because there are so few groups" in caplog.text


# What the folds decide


def test_the_history_is_the_mean_of_the_folds_at_each_step():
    history = average_histories([finished(0.5, 0.3, 0.6), finished(0.7, 0.5, 0.4)])
    assert [(one.step, one.best) for one in history] == [(10, False), (20, False), (30, True)]
    assert [one.validation_loss for one in history] == pytest.approx([0.6, 0.4, 0.5])
    assert [one.seconds for one in history] == [2.0, 2.0, 2.0]


def test_all_trainings_of_a_run_have_as_many_epochs(train, reviews, monkeypatch):
    """Else one temperature would have to fit states of different certainty, and a last model that is none of them."""
    taken, fit = [], trainings.fit

    def record(classifier, training, validation, config, schedule, *rest):
        history = fit(classifier, training, validation, config, schedule, *rest)
        saved = [one.step for one in history if one.best]
        taken.append((len(training), len(history), saved, schedule.epochs, schedule.steps))
        return history

    monkeypatch.setattr(trainings, "fit", record)
    # At this rate a state of the middle has the lowest loss, and a patience of 1 would end the training there.
    trained = train("model", reviews(60), learning_rate=0.05, folds=3, epochs=6, patience=1)
    *folds, last = taken
    steps = 6 * math.ceil(40 / 18)
    assert folds == [(40, 6, [steps], 6, steps)] * 3
    assert last == (60, 0, [], 6, 6 * math.ceil(60 / 18))
    assert trained.best == trained.history[-1]
    assert any(one.validation_loss < trained.best.validation_loss for one in trained.history)


def test_a_fold_that_ends_without_a_loss_ends_the_run(train, reviews, monkeypatch):
    validations, validate = itertools.count(1), loop.validate

    def diverge(classifier, texts, config):
        found = validate(classifier, texts, config)
        last_of_second = next(validations) == 4
        return found._replace(calibrated_loss=math.nan) if last_of_second else found

    monkeypatch.setattr(loop, "validate", diverge)
    with pytest.raises(UsageError, match="diverged: its loss is not a number"):
        train("model", reviews(60), folds=3, epochs=2)


# The run


def test_a_run_with_folds_is_measured_on_all_rows_and_says_so(train, reviews, caplog):
    with caplog.at_level(logging.INFO):
        trained = train("model", reviews(60), learning_rate=0.01, folds=3, epochs=10)
    meta = json.loads((Path(trained.path) / "sentiment_batch.json").read_text(encoding="utf-8"))
    assert meta["validation"] == {"kind": "folds", "folds": 3, "rows": 60}
    assert trained.validation.rows == meta["metrics"]["validation"]["rows"] == 60
    assert meta["data"]["training_rows"] == meta["data"]["validation_rows"] == 60
    assert trained.validation.accuracy > 0.8
    assert trained.calibration.rows == 60
    assert trained.best in trained.history
    assert trained.baseline.comparisons["validation"].rows == 60
    assert trained.folds == 3
    assert "means over the folds; * the last step" in caplog.text
    assert caplog.text.count(" (saved)") == 3
    assert "best so far" not in caplog.text
    assert "60 of them validate in turn, in 3 folds" in caplog.text
    assert "4 trainings" in caplog.text
    assert "training on all rows for 40 steps, as many epochs as the folds" in caplog.text
    assert not Path(f"{trained.path}.training").exists()


def test_a_split_and_a_file_are_named_as_well(train, reviews):
    kinds = [train("split"), train("file", val=reviews(20, start=300))]
    found = [json.loads((Path(one.path) / "sentiment_batch.json").read_text(encoding="utf-8")) for one in kinds]
    assert [one["validation"]["kind"] for one in found] == ["split", "file"]


def test_a_row_is_predicted_by_a_model_that_has_not_seen_it(train, reviews):
    """Labels drawn by lot cannot be predicted, however well they can be learned by heart."""
    rows = reviews(80)
    drawn = np.random.default_rng(0).permutation(rows.labels).tolist()
    rows.labels[:] = drawn
    trained = train("model", rows, learning_rate=0.01, folds=4, epochs=12)
    assert trained.validation.accuracy < 0.7


def test_a_run_with_folds_repeats(train):
    assert result(train("one", **FOLDS))[:-1] == result(train("two", **FOLDS))[:-1]


@pytest.mark.parametrize("steps", [1, 5, 8, 13, 18, 23])
def test_a_run_that_is_interrupted_in_any_training_ends_the_same(steps, train, interrupted, often):
    whole = result(train("whole", **FOLDS))
    interrupted(steps, **FOLDS)
    assert result(train(resume=True, **FOLDS)) == whole


def test_a_finished_run_with_folds_reports_its_figures_again(train):
    first = train(**FOLDS)
    again = train(resume=True, **FOLDS)
    assert again.to_json() == first.to_json()
