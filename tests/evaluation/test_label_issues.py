"""Labels that are likely wrong, among rows whose true classes are drawn from the probabilities of a model."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment_batch.evaluation.label_issues import (
    MAX_WRONG_SHARE,
    estimate_label_noise,
    find_label_issues,
)

ROWS = 4_000


def uniform(classes: int, wrong: float) -> np.ndarray:
    """The label noise that gives each other label as often."""
    other = wrong / (classes - 1)
    return np.full((classes, classes), other) + np.eye(classes) * (1 - wrong - other)


def simulate(noise_KK, *, certainty=4.0, rows=ROWS, seed=0, learned_from_noise=True):
    """Probabilities, labels and true classes of rows.

    A model gives the true probabilities, or those that a model has which learned from labels with the same noise.
    """
    draw, classes = np.random.default_rng(seed), len(noise_KK)
    logits = certainty * draw.normal(size=(rows, classes))
    true_NK = np.exp(logits - logits.max(axis=1, keepdims=True))
    true_NK /= true_NK.sum(axis=1, keepdims=True)
    truth = np.array([draw.choice(classes, p=one) for one in true_NK])
    labels = np.array([draw.choice(classes, p=noise_KK[code]) for code in truth])
    given = true_NK @ noise_KK if learned_from_noise else true_NK
    return given.astype(np.float32), labels, truth


@pytest.mark.parametrize("learned_from_noise", [True, False])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_most_wrong_labels_are_found_and_few_right_ones(classes, learned_from_noise):
    probabilities, labels, truth = simulate(uniform(classes, 0.1), learned_from_noise=learned_from_noise)
    rows, instead = find_label_issues(probabilities, labels, ROWS)
    wrong = labels != truth
    assert wrong[rows].mean() > 0.7, "precision"
    assert wrong[rows].sum() > 0.6 * wrong.sum(), "recall"
    assert (~wrong[rows]).sum() < 0.03 * (~wrong).sum(), "false alarms"
    assert (instead[wrong[rows]] == truth[rows[wrong[rows]]]).mean() > 0.85
    assert (instead != labels[rows]).all()


def test_wrong_labels_of_one_class_are_found():
    """Such as by someone who called a fifth of the positive reviews negative."""
    noise = np.array([[1.0, 0.0], [0.2, 0.8]])
    probabilities, labels, truth = simulate(noise)
    assert estimate_label_noise(probabilities, labels) == pytest.approx(noise, abs=0.04)
    rows, instead = find_label_issues(probabilities, labels, ROWS)
    wrong = labels != truth
    assert wrong[rows].sum() > 0.5 * wrong.sum()
    assert wrong[rows].mean() > 0.75
    assert (instead == 1).mean() > 0.95


@pytest.mark.parametrize("certainty", [3.0, 6.0, 50.0])
def test_right_labels_are_left_alone_if_the_model_errs_often(certainty):
    probabilities, labels, truth = simulate(np.eye(2), certainty=certainty)
    assert (labels == truth).all()
    assert len(find_label_issues(probabilities, labels, ROWS)[0]) < 0.003 * ROWS


@pytest.mark.parametrize("wrong", [0.0, 0.05, 0.1, 0.2])
def test_the_share_of_wrong_labels_is_estimated(wrong):
    probabilities, labels, _ = simulate(uniform(2, wrong))
    assert estimate_label_noise(probabilities, labels) == pytest.approx(uniform(2, wrong), abs=0.03)


def test_the_shares_of_each_class_add_up_to_one():
    for rows in (1, 2, 7, 60):
        probabilities, labels, _ = simulate(uniform(3, 0.3), rows=rows)
        noise = estimate_label_noise(probabilities, labels)
        assert noise.sum(axis=1) == pytest.approx(1.0)
        assert (np.diag(noise) >= 1 - MAX_WRONG_SHARE).all()
        assert (noise > 0).all(), "each label may be wrong"


def test_a_few_rows_do_not_move_the_estimate_far():
    probabilities, labels, truth = simulate(np.eye(2), certainty=50.0, rows=12)
    labels[probabilities[:, 1].argmax()] = 0
    rows, _ = find_label_issues(probabilities, labels, 12)
    assert rows.tolist() == [probabilities[:, 1].argmax()]
    assert (labels != truth).sum() == 1


def test_labels_that_mean_the_opposite_are_nearly_all_listed():
    probabilities, labels, _ = simulate(np.eye(2), certainty=6.0)
    rows, _ = find_label_issues(probabilities, 1 - labels, ROWS)
    assert len(rows) > 0.85 * ROWS


def test_the_list_is_cut_after_the_likeliest():
    probabilities, labels, _ = simulate(uniform(3, 0.1))
    rows, instead = find_label_issues(probabilities, labels, ROWS)
    first, _ = find_label_issues(probabilities, labels, 10)
    assert first.tolist() == rows[:10].tolist()
    scores = probabilities[rows, instead]
    assert (np.diff(scores) <= 0).all()


def test_a_model_of_one_class_suspects_nothing():
    rows, _ = find_label_issues(np.ones((5, 1), dtype=np.float32), np.zeros(5, dtype=np.int64), 5)
    assert len(rows) == 0
