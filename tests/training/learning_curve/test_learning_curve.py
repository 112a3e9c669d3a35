"""Runs with a learning curve: what it holds, that it changes no model, and that they resume anywhere."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest

from sentiment_batch.evaluation.intervals import difference_interval, share_interval
from sentiment_batch.training import loop, trainings
from tests.training.run_results import page, result, sha256_of

QUICK = {"epochs": 2, "batch_size": 16, "report": False, "baseline": False, "learning_curve": True}
LEARNS = {"epochs": 10, "learning_rate": 0.01, "learning_curve": True}


def read_meta(trained) -> dict:
    return json.loads((Path(trained.path) / "sentiment_batch.json").read_text(encoding="utf-8"))


def rows_of(curve) -> list[int]:
    return [one.rows for one in curve.points]


@pytest.mark.parametrize("folds", [0, 3])
def test_a_curve_changes_no_model(train, reviews, folds):
    plain = train("plain", reviews(90), folds=folds, **QUICK | {"learning_curve": False})
    curve = train("curve", reviews(90), folds=folds, **QUICK)
    assert result(curve)[:-1] == result(plain)[:-1]
    assert plain.learning_curve is None
    assert read_meta(plain)["learning_curve"] is None
    full = 60 if folds else 80
    assert rows_of(curve.learning_curve) == [round(full / 4), round(full / 2), full]


def test_the_curve_is_printed_stored_and_shown(train, reviews, caplog):
    caplog.set_level(logging.INFO)
    trained = train(rows=reviews(90), folds=3, **LEARNS)
    curve = trained.learning_curve
    assert "learning curve: 6 more trainings, on 15 and 30 rows, which take about as long as" in caplog.text
    assert [one for one in caplog.messages if "rows of the learning curve" in one] == [
        f"{rows} rows of the learning curve, fold {fold} of 3" for rows in (15, 30) for fold in (1, 2, 3)
    ]
    assert curve.validation_rows == trained.validation.rows == 90
    last = curve.points[-1]
    assert (last.rows, last.accuracy, last.macro_f1) == (60, trained.validation.accuracy, trained.validation.macro_f1)
    assert last.baseline_accuracy == trained.baseline.comparisons["validation"].accuracy
    assert last.accuracy_interval == tuple(share_interval(round(90 * last.accuracy), 90))
    assert curve.gain == last.accuracy - curve.points[1].accuracy
    assert read_meta(trained)["learning_curve"] == json.loads(json.dumps(curve.to_json()))
    assert trained.to_json()["learning_curve"] == curve.to_json()
    shown = page(Path(trained.path)).replace("\u00a0", " ")
    assert "Accuracy by number of labelled rows" in shown
    assert f"F{curve.verdict[1:]}." in shown


def test_the_last_point_of_a_split_is_the_published_model(train, reviews):
    trained = train(rows=reviews(120), val_size=0.3, **LEARNS, baseline=False)
    curve = trained.learning_curve
    assert curve.points[-1].accuracy == trained.validation.accuracy
    assert curve.points[-1].rows == read_meta(trained)["data"]["training_rows"]
    assert [one.baseline_accuracy for one in curve.points] == [None] * 3


def test_each_row_is_compared_with_itself(train, reviews, monkeypatch):
    """The interval is that of two models on the same rows, in their order, whatever the fold of each."""
    taken = []

    def record(setup, models, validation_NK, baseline):
        taken.append([logits_NK.argmax(axis=1) == setup.data.validation.codes for _, logits_NK in models])
        return measure(setup, models, validation_NK, baseline)

    from sentiment_batch.training import run

    measure = run.measure_curve
    monkeypatch.setattr(run, "measure_curve", record)
    curve = train(rows=reviews(90), folds=3, **LEARNS | {"epochs": 3}).learning_curve
    ((_, half_N, full_N),) = taken
    assert curve.gain_interval == difference_interval(full_N, half_N)
    assert curve.gain == pytest.approx(full_N.mean() - half_N.mean())


def test_more_rows_are_better_where_they_tell_more(train, reviews):
    """A word that tells of the class occurs in few rows, so a quarter of them does not know most of the words."""
    rows = reviews(200)
    draw = np.random.default_rng(0)
    rows.texts[:] = [
        f"word{'ab'[label == 'positive']}{draw.integers(12)} number {n}" for n, label in enumerate(rows.labels)
    ]
    curve = train(rows=rows, folds=2, epochs=1, learning_curve=True).learning_curve
    floors = [one.baseline_accuracy for one in curve.points]
    assert floors[0] < floors[1] <= floors[2]
    assert floors[2] > 0.95


def test_too_few_rows_have_no_curve(train, reviews, caplog):
    caplog.set_level(logging.INFO)
    trained = train(rows=reviews(18), folds=3, **QUICK)
    assert trained.learning_curve is None
    assert "the rows are too few for a learning curve, so it is left out" in caplog.text


def test_a_size_whose_training_diverges_is_left_out(train, reviews, monkeypatch):
    def diverge(classifier, texts, config):
        found = validate(classifier, texts, config)
        return found._replace(calibrated_loss=math.nan) if len(trained_on) == 2 else found

    def record(classifier, training, *rest, **options):
        trained_on.append(len(training))
        return fit(classifier, training, *rest, **options)

    validate, fit, trained_on = loop.validate, trainings.fit, []
    monkeypatch.setattr(loop, "validate", diverge)
    monkeypatch.setattr(trainings, "fit", record)
    curve = train(rows=reviews(90), folds=3, **QUICK).learning_curve
    assert trained_on == [15] * 3 + [30] * 3 + [60] * 3 + [90]
    assert rows_of(curve) == [30, 60], "one fold of the first size has no logits"


@pytest.mark.parametrize("chosen", [{"folds": 3}, {}, {"ensemble": 2}, {"folds": 2, "ensemble": 2}])
def test_the_last_point_learned_from_labelled_rows_alone(train, reviews, chosen):
    taught = train("taught", reviews(90), **QUICK, **chosen)
    plain = train("plain", reviews(90), **QUICK, **chosen | ({"ensemble": None}))
    assert taught.learning_curve.to_json() == plain.learning_curve.to_json()


# Resumed


@pytest.mark.parametrize("folds", [0, 2])
def test_a_run_interrupted_in_any_training_ends_the_same(train, interrupted, often, folds):
    chosen = {"folds": folds, **QUICK}
    whole = train("whole", **chosen)
    steps = (1, 3, 7) if folds == 0 else (1, 7, 14)
    for step in steps:
        interrupted(step, f"model{step}", **chosen)
        resumed = train(f"model{step}", resume=True, **chosen)
        assert result(resumed) == result(whole)
        assert resumed.learning_curve == whole.learning_curve


def test_finished_trainings_of_the_curve_are_not_done_again(train, interrupted, monkeypatch):
    taken, fit = [], trainings.fit

    def record(classifier, training, *rest, **options):
        taken.append(len(training))
        return fit(classifier, training, *rest, **options)

    chosen = {"folds": 2, **QUICK}
    interrupted(5, **chosen)  # two trainings of a quarter take a step in each of two epochs
    monkeypatch.setattr(trainings, "fit", record)
    train(resume=True, **chosen)
    assert taken == [15, 15, 30, 30, 60]


def test_a_finished_run_reports_its_curve_again(train):
    first = train(folds=2, **QUICK)
    again = train(folds=2, resume=True, **QUICK)
    assert again.to_json() == first.to_json()
    assert sha256_of(Path(again.path)) == sha256_of(Path(first.path))
