import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from sentiment_batch.evaluation.metrics import measure
from sentiment_batch.evaluation.terminal import format_metrics

LABELS = ("negative", "neutral", "positive")


def test_a_small_case_is_as_computed_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    found = measure(probabilities, np.array([0, 1, 1, 0]), ("bad", "good"))
    assert found.rows == 4
    assert found.accuracy == 0.75
    assert found.confusion == ((2, 0), (1, 1))
    bad, good = found.classes
    assert (bad.precision, bad.recall, bad.rows) == (pytest.approx(2 / 3), 1.0, 2)
    assert (good.precision, good.recall, good.rows) == (1.0, 0.5, 2)
    assert found.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert found.loss == pytest.approx(-(math.log(0.9) + math.log(0.4) + math.log(0.8) + math.log(0.5)) / 4)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 99), st.integers(1, 99), st.integers(1, 99)), min_size=1))
def test_measures_are_those_of_scikit_learn(rows):
    codes = np.array([row[0] for row in rows])
    weights = np.array([row[1:] for row in rows], dtype=np.float64)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    found = measure(probabilities, codes, LABELS)
    best = probabilities.argmax(axis=1)
    assert found.accuracy == pytest.approx(reference.accuracy_score(codes, best))
    assert found.loss == pytest.approx(reference.log_loss(codes, probabilities, labels=[0, 1, 2]))
    present = sorted(set(codes.tolist()))
    expected = reference.f1_score(codes, best, labels=present, average="macro", zero_division=0.0)
    assert found.macro_f1 == pytest.approx(expected)
    assert sum(map(sum, found.confusion)) == len(rows)
    assert [sum(row) for row in found.confusion] == [one.rows for one in found.classes]


def test_a_class_without_rows_does_not_pull_macro_f1_down():
    found = measure(np.eye(3)[[0, 2]], np.array([0, 2]), LABELS)
    assert found.macro_f1 == 1.0
    absent = found.classes[1]
    assert (absent.rows, absent.precision, absent.recall, absent.f1) == (0, None, None, None)
    assert format_metrics(found).splitlines()[2].split() == ["neutral", "-", "-", "-", "0"]


def test_a_certain_mistake_costs_much_but_not_infinitely():
    assert 80 < measure(np.array([[1.0, 0.0]]), np.array([1]), ("a", "b")).loss < 100


def test_probabilities_that_are_no_numbers_give_no_loss():
    assert math.isnan(measure(np.full((2, 2), np.nan), np.array([0, 1]), ("a", "b")).loss)


def test_measures_can_be_stored_as_json_and_read_by_people():
    found = measure(np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, 2, 1]), LABELS)
    assert json.loads(json.dumps(found.to_json()))["accuracy"] == 0.75
    assert str(found).startswith("accuracy 0.7500, macro F1 0.7")
    table = format_metrics(found).splitlines()
    assert [line.split() for line in table if line.startswith("neutral")] == [
        ["neutral", "1.0000", "0.5000", "0.6667", "2"],
        ["neutral", "0", "1", "1"],
    ]
    assert table[5].split() == ["true", "/", "predicted", *LABELS]
