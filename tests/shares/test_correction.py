"""Corrected shares: near the true ones, with intervals that hold them, whatever the shares are."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment_batch.scoring.likeness import find_confusion
from sentiment_batch.shares.correction import ShareCorrector, explain_no_correction
from sentiment_batch.shares.known_model import KnownModel

RATES = np.array([[0.88, 0.12], [0.20, 0.80]])
"""How often texts of each label get each label."""


def draw(generator, shares, rates, rows):
    """The true shares of some rows, and the rows that get each label."""
    true = generator.multinomial(rows, shares)
    return true / rows, sum(generator.multinomial(count, rate) for count, rate in zip(true, rates, strict=True))


def test_corrected_shares_are_near_the_true_ones_and_covered():
    generator, errors, plain, covered = np.random.default_rng(7), [], [], []
    for share in np.repeat([0.05, 0.2, 0.5, 0.8, 0.95], 40):
        confusion = [generator.multinomial(1_000, rate) for rate in RATES]
        true, found = draw(generator, [1 - share, share], RATES, 5_000)
        corrected, ends = ShareCorrector(confusion).correct(found.astype(float))
        errors.append(abs(corrected[1] - true[1]))
        plain.append(abs(found[1] / 5_000 - true[1]))
        covered.append(ends[1, 0] <= true[1] <= ends[1, 1])
    assert np.mean(errors) < 0.015
    assert np.mean(plain) > 0.06
    assert np.mean(covered) >= 0.9


@pytest.mark.parametrize(("labels", "right", "measured"), [(10, 0.98, 300), (10, 0.9, 200), (5, 0.95, 100)])
def test_intervals_of_many_labels_hold_the_share_of_the_first(labels, right, measured, monkeypatch):
    monkeypatch.setattr("sentiment_batch.shares.correction.INTERVAL_DRAWS", 200)
    generator, covered = np.random.default_rng(3), []
    rates = np.full((labels, labels), (1 - right) / (labels - 1))
    np.fill_diagonal(rates, right)
    shares = [0.4] + [0.6 / (labels - 1)] * (labels - 1)
    for _ in range(60):
        confusion = [generator.multinomial(measured // labels, rate).tolist() for rate in rates]
        true, found = draw(generator, shares, rates, 5_000)
        _, ends = ShareCorrector(confusion).correct(found.astype(float))
        covered.append(ends[0, 0] <= true[0] <= ends[0, 1])
    assert np.mean(covered) >= 0.9


def test_three_labels_are_corrected_exactly_without_noise():
    confusion = [[80, 15, 5], [10, 70, 20], [0, 10, 90]]
    true = np.array([0.1, 0.6, 0.3])
    found = true @ (np.array(confusion) / 100) * 10_000
    corrected, ends = ShareCorrector(confusion).correct(found)
    assert corrected == pytest.approx(true)
    assert np.all(ends[:, 0] < true)
    assert np.all(true < ends[:, 1])


def test_shares_stay_between_0_and_1_and_add_up_to_1():
    corrected, ends = ShareCorrector([[90, 10], [10, 90]]).correct(np.array([1.0, 99.0]))
    assert corrected.tolist() == [0.0, 1.0]
    assert corrected.sum() == 1.0
    assert np.all((ends >= 0) & (ends <= 1))


def test_a_model_that_knows_nothing_gives_an_interval_of_all():
    _, ends = ShareCorrector([[50, 50], [50, 50]]).correct(np.array([50.0, 50.0]))
    assert ends[0, 0] < 0.05
    assert ends[0, 1] > 0.95


def test_the_same_counts_have_the_same_interval():
    one, other = (ShareCorrector([[90, 10], [10, 90]]).correct(np.array([40.0, 60.0]))[1] for _ in range(2))
    assert one.tolist() == other.tolist()


@pytest.mark.parametrize(
    ("changes", "found", "why"),
    [
        ({"confusion": None}, ["a"], "a model does not say how often"),
        ({"has_neutral_band": True}, ["a"], "neutral band"),
        ({}, ["a", "c"], "the label 'c', which the model does not have"),
        ({"confusion": ((5, 1), (0, 0))}, ["a"], "measured on no row with the label 'b'"),
        ({}, ["a"], None),
    ],
)
def test_the_reason_for_no_correction_is_said(changes, found, why):
    known = KnownModel(**{"source": "a model", "labels": ("a", "b"), "confusion": ((5, 1), (1, 5))} | changes)
    reason = explain_no_correction(known, found)
    assert reason is None if why is None else why in str(reason)
    assert "not known" in str(explain_no_correction(None, found))


@pytest.mark.parametrize(
    ("test", "validation", "wanted"),
    [
        ([[5, 1], [1, 5]], [[9, 0], [0, 9]], ((5, 1), (1, 5))),
        (None, [[9, 0], [0, 9]], ((9, 0), (0, 9))),
        ([[5, 1], [0, 0]], [[9, 0], [0, 9]], ((9, 0), (0, 9))),
        ([[5, 1], [0, 0]], None, ((5, 1), (0, 0))),
        ([[5, 1, 1], [1, 5]], None, None),
        ([[5, "1"], [1, 5]], [[True, 0], [0, 1]], None),
        (3, None, None),
    ],
)
def test_the_confusion_is_that_of_the_test_rows_first(test, validation, wanted):
    metrics = {"test": test and {"confusion": test}, "validation": validation and {"confusion": validation}}
    assert find_confusion({"metrics": metrics}) == wanted
    assert find_confusion({"metrics": None}) is None
    assert find_confusion(None) is None
