"""What is measured of predictions, against scikit-learn and against what must hold whatever the numbers are."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from sentiment_batch.data.value_names import format_values
from sentiment_batch.evaluation import curves, intervals, label_issues, slices
from sentiment_batch.evaluation.assess import assess
from sentiment_batch.evaluation.intervals import bootstrap, share_interval
from sentiment_batch.evaluation.metrics import calibration_error, measure, reliability

LABELS = ("negative", "neutral", "positive", "odd", "mixed")


def drawn(rows: int, classes: int, seed: int = 0, skill: float = 1.5):
    """Probabilities (n, K) that know something of the codes (n,)."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(classes, size=rows)
    logits = generator.normal(size=(rows, classes))
    logits[np.arange(rows), codes] += skill
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), codes.astype(np.int64)


def assessed(probabilities, codes, labels, **options):
    lengths = np.arange(len(codes)) * 7 % 900 + 3
    texts = [f"text {row}" for row in range(len(codes))]
    return assess(probabilities, codes, labels, texts=texts, lengths_N=lengths, cut_N=lengths > 512, **options)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_figures_are_scikit_learn_s(classes):
    probabilities, codes = drawn(400, classes)
    found = assessed(probabilities, codes, LABELS[:classes])
    best, exact = probabilities.argmax(1), probabilities.astype(np.float64)
    assert found.accuracy == pytest.approx(sk.accuracy_score(codes, best))
    assert found.macro_f1 == pytest.approx(sk.f1_score(codes, best, average="macro"))
    assert found.loss == pytest.approx(sk.log_loss(codes, exact / exact.sum(axis=1, keepdims=True)), rel=1e-4)
    if classes == 2:
        assert found.roc_auc == pytest.approx(sk.roc_auc_score(codes, probabilities[:, 1]))
        assert found.precision_recall[0]["area"] == pytest.approx(
            sk.average_precision_score(codes, probabilities[:, 1])
        )
        assert [curve["label"] for curve in found.roc] == ["neutral"]
    else:
        areas = [sk.roc_auc_score(codes == k, probabilities[:, k]) for k in range(classes)]
        assert found.roc_auc == pytest.approx(np.mean(areas))
        assert len(found.roc) == len(found.precision_recall) == classes


def test_the_calibration_error_is_that_of_its_definition():
    probabilities, codes = drawn(1_000, 3)
    top, right = probabilities.max(1), probabilities.argmax(1) == codes
    expected = 0.0
    for k in range(15):
        inside = (top >= k / 15) & ((top < (k + 1) / 15) | (k == 14))
        if inside.any():
            expected += inside.mean() * abs(top[inside].mean() - right[inside].mean())
    assert calibration_error(probabilities, codes) == pytest.approx(expected, rel=1e-5)
    assert sum(one["rows"] for one in reliability(probabilities, codes)) == 1_000


def test_certain_rows_have_a_calibration_error_of_0_or_1():
    sure = np.array([[1.0, 0.0]] * 4, dtype=np.float32)
    assert calibration_error(sure, np.zeros(4, dtype=np.int64)) == 0.0
    assert calibration_error(sure, np.ones(4, dtype=np.int64)) == 1.0


# Intervals


@pytest.mark.parametrize("classes", [2, 4])
def test_intervals_hold_their_figure_and_repeat(classes):
    probabilities, codes = drawn(300, classes)
    found = bootstrap(probabilities, codes)
    one = assessed(probabilities, codes, LABELS[:classes])
    for name in ("accuracy", "macro_f1", "loss", "roc_auc", "calibration_error"):
        assert found[name][0] < getattr(one, name) < found[name][1]
    assert found == bootstrap(probabilities, codes) == one.intervals


def test_the_accuracy_interval_has_the_width_of_a_normal_one():
    probabilities, codes = drawn(2_000, 2)
    low, high = bootstrap(probabilities, codes)["accuracy"]
    share = measure(probabilities, codes, LABELS[:2]).accuracy
    assert high - low == pytest.approx(2 * 1.96 * (share * (1 - share) / 2_000) ** 0.5, rel=0.15)


def test_each_resample_s_figures_are_those_of_its_rows(monkeypatch):
    """Counting rows more than once is the same as having them more than once."""
    probabilities, codes = drawn(60, 3)
    counts = np.random.default_rng(3).integers(0, 4, 60)
    figures = intervals._make_figures(probabilities, codes)
    rows = np.repeat(np.arange(60), counts)
    scaled = counts * 60 / counts.sum()
    expected = measure(probabilities[rows], codes[rows], LABELS[:3])
    assert figures["macro_f1"](scaled) == pytest.approx(expected.macro_f1)
    assert figures["loss"](scaled) == pytest.approx(expected.loss, rel=1e-6)
    assert figures["calibration_error"](scaled) == pytest.approx(calibration_error(probabilities[rows], codes[rows]))
    areas = [sk.roc_auc_score(codes[rows] == k, probabilities[rows, k]) for k in range(3)]
    assert figures["roc_auc"](scaled) == pytest.approx(np.mean(areas))


def error_interval(seed, rows, sharpness=1.0):
    """The interval of the calibration error, and the error, of a model that is right at a sharpness of 1."""
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(0, 2.5, rows)
    codes = (generator.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    second = 1 / (1 + np.exp(-sharpness * log_odds))
    probabilities = np.stack([1 - second, second], axis=1)
    return bootstrap(probabilities, codes)["calibration_error"], calibration_error(probabilities, codes)


@pytest.mark.parametrize("rows", [50, 400])
def test_a_calibrated_model_has_an_error_interval_from_0(monkeypatch, rows):
    """Its true error is 0. Drawing rows adds noise, which only raises the error."""
    monkeypatch.setattr(intervals, "MAX_RESAMPLES", 200)
    found = [error_interval(seed, rows) for seed in range(40)]
    assert all(0.0 <= low <= figure <= high for (low, high), figure in found)
    assert sum(low == 0.0 for (low, _), _ in found) >= 36


@pytest.mark.parametrize(("sharpness", "true"), [(1.6, 0.060), (3.0, 0.117)])
def test_an_overconfident_model_has_an_interval_with_its_error(monkeypatch, sharpness, true):
    """The true errors are those of two million rows."""
    monkeypatch.setattr(intervals, "MAX_RESAMPLES", 200)
    found = [error_interval(seed, 400, sharpness)[0] for seed in range(40)]
    assert sum(low <= true <= high for low, high in found) >= 34
    assert sum(low > 0.0 for low, _ in found) >= (36 if sharpness > 2 else 20)


def test_an_interval_is_one_of_rows_not_of_what_they_are_called():
    probabilities, codes = drawn(500, 2)
    found, mirrored = bootstrap(probabilities, codes), bootstrap(probabilities[:, ::-1], 1 - codes)
    for name in ("accuracy", "macro_f1", "loss", "calibration_error"):
        assert found[name] == pytest.approx(mirrored[name], abs=1e-6)


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634)]
)
def test_wilson_s_interval_of_a_share(hits, rows, low, high):
    assert share_interval(hits, rows) == pytest.approx([low, high], abs=1e-4)


def test_without_an_error_accuracy_alone_has_an_interval():
    probabilities = np.stack([np.linspace(0.6, 0.9, 60), np.linspace(0.4, 0.1, 60)], axis=1)
    probabilities[30:] = probabilities[30:, ::-1]
    found = bootstrap(probabilities, np.repeat([0, 1], 30))
    assert found["accuracy"] == share_interval(60, 60)
    assert found["accuracy"][0] < 0.95
    assert found["macro_f1"] is found["roc_auc"] is None
    assert found["loss"][0] < found["loss"][1]
    alike = bootstrap(np.full((300, 2), 0.5), np.zeros(300, dtype=np.int64))
    assert [name for name, ends in alike.items() if ends] == ["accuracy"]


@pytest.mark.parametrize(("rare", "known"), [(4, False), (5, True)])
def test_means_over_classes_need_rows_of_each_class(rare, known):
    probabilities, codes = drawn(300, 3)
    codes[:] = np.arange(300) % 2
    codes[:rare] = 2
    found = bootstrap(probabilities, codes)
    assert (found["macro_f1"] is not None, found["roc_auc"] is not None) == (known, known)
    assert found["loss"]
    two = bootstrap(probabilities, np.arange(300) % 2)  # a class without rows has no part in the mean
    assert two["macro_f1"]


@pytest.mark.parametrize("rows", [1, 2, 9, 49])
def test_of_few_rows_only_the_interval_of_accuracy_is_known(rows):
    probabilities, codes = drawn(rows, 2)
    found = bootstrap(probabilities, codes)
    assert set(found) == {"accuracy", "macro_f1", "loss", "roc_auc", "calibration_error"}
    assert [name for name, ends in found.items() if ends] == ["accuracy"]
    assert found["accuracy"][1] - found["accuracy"][0] > 0.05
    lines = str(assessed(probabilities, codes, LABELS[:2])).splitlines()[2:]
    assert [line.split()[-1] for line in lines[1:]] == ["-"] * 4


# Degenerate rows


@pytest.mark.parametrize("codes", [[0], [1, 1, 1], [0, 0, 1], [0, 1] * 8])
@pytest.mark.parametrize("classes", [2, 3, 28])
def test_any_rows_can_be_measured_as_plain_json_without_warnings(codes, classes):
    labels = [f"label {k}" for k in range(classes)]
    probabilities = np.full((len(codes), classes), 1 / classes, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = assessed(probabilities, np.array(codes), labels)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert json.loads(text)["rows"] == len(codes)
    assert [name for name in found.to_json() if not hasattr(found, name)] == []
    assert (found.roc_auc is None) == (classes > 2 or len(set(codes)) == 1)
    assert str(found)
    assert found.table()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 1_000), st.sampled_from([0.0, 1.5, 1e9]))
def test_figures_lie_where_figures_lie(rows, classes, seed, skill):
    probabilities, codes = drawn(rows, classes, seed, min(skill, 50.0))
    found = assessed(probabilities, codes, [f"l{k}" for k in range(classes)])
    for name in ("accuracy", "macro_f1", "calibration_error"):
        assert 0.0 <= getattr(found, name) <= 1.0 + 1e-6
    assert found.roc_auc is None or 0.0 <= found.roc_auc <= 1.0
    assert sum(found.histogram["correct"]) + sum(found.histogram["wrong"]) == rows
    assert sum(group["rows"] for group in found.by_length) == rows
    assert len(found.errors) == min(20, rows - round(found.accuracy * rows))


def test_a_curve_of_many_rows_has_few_points_and_both_ends():
    probabilities, codes = drawn(20_000, 2)
    (curve,) = curves.roc_curves(probabilities, codes, LABELS[:2])
    assert len(curve["x"]) <= curves.MAX_CURVE_POINTS
    assert (curve["x"][0], curve["y"][0]) == (0.0, 0.0)
    assert (curve["x"][-1], curve["y"][-1]) == (1.0, 1.0)
    assert np.trapezoid(curve["y"], curve["x"]) == pytest.approx(curve["area"], abs=1e-3)


# Parts


def test_lengths_are_those_before_the_cut():
    probabilities, codes = drawn(6, 2)
    lengths = np.array([3, 16, 17, 512, 513, 2_000])
    found = slices.measure_by_length(probabilities, codes, LABELS[:2], lengths, lengths > 512)
    assert [(one["group"], one["rows"], one["cut"]) for one in found] == [
        ("1-16 tokens", 2, 0),
        ("17-32 tokens", 1, 0),
        ("257-512 tokens", 1, 0),
        ("over 512 tokens", 2, 2),
    ]


def names_of(values) -> pa.DictionaryArray:
    return format_values(pa.record_batch([pa.array(values)], ["a"]), "a")


def test_frequent_values_are_measured_apart_and_others_together():
    probabilities, codes = drawn(100, 2)
    values = [None, None, "b", "3"] * 10 + [f"one {n}" for n in range(60)]
    found = slices.measure_by_value(probabilities, codes, LABELS[:2], names_of(values))
    assert {(one["group"], one["rows"]) for one in found[:3]} == {("(none)", 20), ("3", 10), ("b", 10)}
    assert found[0]["group"] == "(none)"
    assert found[-1]["group"] == "43 other values"
    assert len(found) == slices.MAX_VALUES + 1
    assert sum(one["rows"] for one in found) == 100
    inside = np.array([value == "b" for value in values])
    assert next(one for one in found if one["group"] == "b")["accuracy"] == (
        (probabilities[inside].argmax(1) == codes[inside]).mean()
    )


def test_one_value_more_than_are_shown_is_shown_too():
    probabilities, codes = drawn(42, 2)
    found = slices.measure_by_value(probabilities, codes, LABELS[:2], names_of(list(range(21)) * 2))
    assert {one["group"] for one in found} == {str(n) for n in range(21)}


def test_values_that_look_alike_when_they_are_short_stay_apart():
    probabilities, codes = drawn(7, 2)
    long = "https://shop.example/" + "a" * 100
    values = [long + "/1", long + "/2", long[:50] + "b" + long[50:] + "/1", None, "(none)", "", " "]
    found = slices.measure_by_value(probabilities, codes, LABELS[:2], names_of(values))
    names = [one["group"] for one in found]
    assert len(set(names)) == len(names) == 6
    assert {"(none)", "(none) (2)", "(empty)"} <= set(names)
    assert next(one["rows"] for one in found if one["group"] == "(empty)") == 2
    assert all(len(name) <= slices.MAX_VALUE_NAME_LENGTH + 4 for name in names)


def test_values_of_rows_that_were_left_out_are_no_groups():
    probabilities, codes = drawn(2, 2)
    some = names_of(["gone", "a", "a", "gone too"]).take(pa.array([1, 2]))
    assert [one["group"] for one in slices.measure_by_value(probabilities, codes, LABELS[:2], some)] == ["a"]


# Errors and suspects


def test_errors_are_the_surest_first():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.99, 0.01]], dtype=np.float32)
    codes = np.array([1, 1, 0, 1])
    assert label_issues.find_errors(probabilities, codes, 10).tolist() == [3, 0, 2]
    assert label_issues.find_errors(probabilities, codes, 1).tolist() == [3]
    found = assessed(probabilities, codes, LABELS[:2], locate_row=lambda place: {"row": 10 + place})
    assert [(one["row"], one["label"], one["predicted"]) for one in found.errors] == [
        (13, "neutral", "negative"),
        (10, "neutral", "negative"),
        (12, "negative", "neutral"),
    ]


def test_likely_wrong_labels_are_ordered_by_probability():
    probabilities, codes = drawn(2_000, 5, skill=6.0)
    codes[::5] = (codes[::5] + 1) % 5
    scores = [one["score"] for one in assessed(probabilities, codes, LABELS, max_errors=2_000).likely_wrong_labels]
    assert len(scores) > 100
    assert scores == sorted(scores, reverse=True)
