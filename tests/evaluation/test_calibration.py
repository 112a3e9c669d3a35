"""The temperature is the one that fits, bounded where rows cannot tell it, and never changes a label."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sentiment_batch.evaluation import calibration
from sentiment_batch.evaluation.calibration import (
    MAX_TEMPERATURE,
    MIN_CALIBRATION_ROWS,
    MIN_TEMPERATURE,
    Calibration,
    calibrate,
    fit_temperature,
    measure_calibration,
)
from sentiment_batch.model.probabilities import softmax


def drawn(rows: int, classes: int = 2, *, temperature: float, seed: int = 0):
    """Logits that are `temperature` times too large for the classes drawn from them."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (rows, classes))
    powers = np.exp(logits)
    chances = powers / powers.sum(axis=1, keepdims=True)
    codes = np.array([draw.choice(classes, p=row) for row in chances], dtype=np.int64)
    return (logits * temperature).astype(np.float32), codes


def loss(logits, codes, temperature=1.0) -> float:
    return measure_calibration((logits / np.float32(temperature)).astype(np.float32), codes)["loss"]


# The fit


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7, 6.0])
def test_the_temperature_that_made_the_logits_is_found_again(temperature, classes):
    assert fit_temperature(*drawn(20_000, classes, temperature=temperature)) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("temperature", [0.5, 1.3, 4.0])
def test_it_has_the_lowest_loss_that_another_search_finds(monkeypatch, classes, temperature):
    from scipy.optimize import minimize_scalar

    monkeypatch.setattr(calibration, "PRIOR_ROWS", 0.0)
    logits, codes = drawn(500, classes, temperature=temperature)
    best = minimize_scalar(
        lambda t: loss(logits, codes, t),
        bounds=(MIN_TEMPERATURE, MAX_TEMPERATURE),
        method="bounded",
        options={"xatol": 1e-7},
    )
    assert fit_temperature(logits, codes) == pytest.approx(best.x, rel=2e-3)


def test_the_prior_rows_are_rows_labelled_as_the_model_says():
    logits, codes = drawn(40, temperature=3.0)
    rows, parts = (
        len(codes),
        2_000,
    )  # each row again, so often with each class as the model says, ten rows' worth in all
    chances = softmax(logits).astype(np.float64)
    weights = np.concatenate([np.ones(rows), (calibration.PRIOR_ROWS / rows * chances).ravel()])
    counts = np.rint(weights * parts / weights.max()).astype(int)
    all_logits = np.concatenate([logits, np.repeat(logits, 2, axis=0)]).repeat(counts, axis=0)
    all_codes = np.concatenate([codes, np.tile([0, 1], rows)]).repeat(counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "PRIOR_ROWS", 0.0)
        without = fit_temperature(all_logits, all_codes)
    assert fit_temperature(logits, codes) == pytest.approx(without, rel=2e-3)


def test_few_rows_move_it_less_than_many():
    logits, codes = drawn(50, temperature=3.0, seed=4)
    assert 1.0 < fit_temperature(logits, codes) < fit_temperature(np.tile(logits, (40, 1)), np.tile(codes, 40))


LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(1, 80), st.integers(2, 5)), elements=st.floats(-90, 90, width=32))


@settings(max_examples=200)
@given(LOGITS, st.data())
def test_any_rows_give_a_temperature_in_bounds_and_equal_labels(logits, data):
    codes = data.draw(hnp.arrays(np.int64, len(logits), elements=st.integers(0, logits.shape[1] - 1)))
    found = calibrate(logits, codes)
    assert MIN_TEMPERATURE <= found.temperature <= MAX_TEMPERATURE
    json.dumps(found.to_json(), allow_nan=False)
    top = np.sort(softmax(logits), axis=1)
    clear = top[:, -1] - top[:, -2] > 1e-6
    cool = softmax((logits / np.float32(found.temperature)).astype(np.float32))
    assert (cool.argmax(axis=1) == softmax(logits).argmax(axis=1))[clear].all()
    assert found.after["loss"] <= found.before["loss"]


@settings(max_examples=50)
@given(st.integers(60, 400), st.integers(2, 4), st.floats(0.3, 8), st.integers(0, 99))
def test_no_temperature_a_step_away_fits_better(rows, classes, temperature, seed):
    logits, codes = drawn(rows, classes, temperature=temperature, seed=seed)
    chances = softmax(logits)

    def with_prior(t):
        own = -(chances * np.log(np.maximum(softmax((logits / t).astype(np.float32)), 1e-38))).sum(axis=1).mean()
        return rows * loss(logits, codes, t) + calibration.PRIOR_ROWS * own

    found = fit_temperature(logits, codes)
    assert with_prior(found) <= min(with_prior(found * 1.02), with_prior(found / 1.02)) or found in (
        MIN_TEMPERATURE,
        MAX_TEMPERATURE,
    )


# Where there is nothing to fit


def test_rows_that_are_all_right_do_not_drive_it_to_zero():
    codes = np.tile([0, 1], 300)
    sure = np.where(np.eye(2)[codes] > 0, 3.0, -3.0).astype(np.float32)
    assert MIN_TEMPERATURE <= calibrate(sure, codes).temperature < 1.0
    assert fit_temperature((sure / 1_000).astype(np.float32), codes) == MIN_TEMPERATURE
    few = slice(0, 60)
    assert calibrate(sure[few], codes[few]).temperature > calibrate(sure, codes).temperature


def test_rows_that_are_all_wrong_end_at_the_upper_bound():
    codes = np.tile([0, 1], 300)
    assert fit_temperature(np.where(np.eye(2)[codes] > 0, -5.0, 5.0).astype(np.float32), codes) == MAX_TEMPERATURE


@pytest.mark.parametrize(
    ("logits", "codes", "reason", "is_determined"),
    [
        (
            np.ones((MIN_CALIBRATION_ROWS - 1, 2)),
            np.arange(MIN_CALIBRATION_ROWS - 1) % 2,
            "49 validation rows are too few to fit it on",
            False,
        ),
        (np.eye(2)[np.zeros(200, int)], np.zeros(200, int), "all of one class", False),
        (np.ones((200, 2)), np.arange(200) % 2, "no other temperature lowers the loss", True),
        (np.full((200, 2), np.nan), np.arange(200) % 2, "not finite", False),
        (np.tile([np.inf, 0.0], (200, 1)), np.arange(200) % 2, "not finite", False),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_it_stays_1_and_says_why(logits, codes, reason, is_determined):
    found = calibrate(logits.astype(np.float32), codes.astype(np.int64))
    assert found.temperature == 1.0
    assert reason in found.reason
    assert found.is_determined is is_determined
    assert found.after == found.before
    assert str(found) == f"temperature 1: {found.reason}"


# What is reported


def test_the_error_after_is_that_of_rows_that_took_no_part(monkeypatch):
    logits, codes = drawn(120, temperature=2.0, seed=7)
    found, seen = calibrate(logits, codes), []
    real = calibration.fit_temperature
    monkeypatch.setattr(calibration, "fit_temperature", lambda some, of: seen.append((some, of)) or real(some, of))
    assert calibrate(logits, codes) == found
    *folds, whole = seen
    assert [len(of) for _, of in folds] == [96] * 5
    assert whole[0] is logits
    left_out = [{row.tobytes() for row in logits} - {row.tobytes() for row in some} for some, _ in folds]
    assert sorted(row for rows in left_out for row in rows) == sorted(row.tobytes() for row in logits)
    by_row = {row: real(*fold) for rows, fold in zip(left_out, folds, strict=True) for row in rows}
    cool = np.stack([row / np.float32(by_row[row.tobytes()]) for row in logits])
    assert found.after == measure_calibration(cool, codes)
    assert found.after != measure_calibration((logits / np.float32(found.temperature)).astype(np.float32), codes)


def test_the_calibration_error_is_the_mean_distance_by_bins():
    top = np.array([0.55, 0.58, 0.96, 0.99, 1.0, 0.5])
    codes = np.array([0, 1, 0, 0, 1, 1])
    with np.errstate(divide="ignore"):
        logits = np.log(np.stack([top, 1 - top], axis=1)).astype(np.float32)
    found = measure_calibration(logits, codes)
    bins = [(one["rows"], round(one["confidence"], 4), round(one["accuracy"], 4)) for one in found["reliability"]]
    assert bins == [(1, 0.5, 0.0), (2, 0.565, 0.5), (3, 0.9833, 0.6667)]
    assert found["calibration_error"] == pytest.approx((0.5 + 2 * 0.065 + 3 * (0.98333 - 0.66667)) / 6, abs=1e-4)
    assert [one["low"] for one in found["reliability"]] == [7 / 15, 8 / 15, 14 / 15]


def test_calibration_lowers_the_error_of_other_rows():
    logits, codes = drawn(4_000, temperature=2.5)
    temperature = fit_temperature(logits[:2_000], codes[:2_000])
    before, after = (
        measure_calibration((logits[2_000:] / np.float32(t)).astype(np.float32), codes[2_000:])
        for t in (1.0, temperature)
    )
    assert before["calibration_error"] > 0.08
    assert after["calibration_error"] < 0.02
    assert after["loss"] < before["loss"] - 0.1


def test_it_comes_back_out_of_json_as_it_was():
    found = calibrate(*drawn(300, temperature=2.0))
    assert found.temperature > 1.5
    values = json.loads(json.dumps(found.to_json()))
    assert Calibration.from_json(values) == found
    del values["is_determined"]  # as version 0.2.0 wrote it
    assert Calibration.from_json(values) == found
    assert "temperature 1." in str(found)
    assert f"calibration error {found.before['calibration_error']:.4f} before" in str(found)


def test_the_last_bits_of_the_logits_do_not_matter():
    logits, codes = drawn(400, temperature=1.6)
    assert fit_temperature(np.nextafter(logits, np.float32(99)), codes) == fit_temperature(logits, codes)
