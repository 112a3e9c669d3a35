"""The floor of a model: what a bag of words gets on the same rows, and when a model is said not to be better."""

from __future__ import annotations

import json
import logging
import types

import numpy as np
import pytest

from sentiment_batch.evaluation.intervals import difference_interval
from sentiment_batch.training import baseline
from sentiment_batch.training.baseline import format_floor, measure_baseline
from sentiment_batch.training.dataset import ReviewSet
from sentiment_batch.training.report_data import MeasuredRows
from tests.conftest import BAD, GOOD

LABELS = ("negative", "positive")


def make_rows(texts, codes) -> ReviewSet:
    """Rows of which only texts and codes matter."""
    import pyarrow as pa

    numbers = np.arange(len(texts))
    return ReviewSet(
        texts=list(texts),
        codes=np.array(codes, dtype=np.int64),
        equal=numbers,
        near=numbers,
        files=np.zeros(len(texts), dtype=np.int64),
        numbers=numbers,
        ids=pa.nulls(len(texts), pa.large_string()),
        tables=[("a table", None)],
        groups=None,
        others={},
    )


def make_reviews(rows, seed, good=GOOD, bad=BAD, blank=" ", plain=("the", "film", "plot", "was")):
    """Texts of seven words, one of which tells the class; every other row is positive."""
    random = np.random.default_rng(seed)
    codes = np.arange(rows) % 2
    telling = (str(random.choice(good if code else bad)) for code in codes)
    texts = [blank.join(random.permutation([word, *random.choice(plain, 6)])) for word in telling]
    return make_rows(texts, codes)


def predict(rows, codes):
    """What a model gave that predicts `codes`."""
    logits = np.eye(len(LABELS), dtype=np.float32)[np.asarray(codes)] * 4
    return MeasuredRows(rows=rows, tokens=None, logits_NK=logits, metrics=None)


def compare(training, **measured):
    return measure_baseline(training, measured, LABELS, balanced=False, seed=1)


def flip(codes, share, seed=3):
    """The codes, of which a share is wrong."""
    codes = codes.copy()
    wrong = np.random.default_rng(seed).permutation(len(codes))[: round(share * len(codes))]
    codes[wrong] = 1 - codes[wrong]
    return codes


def test_a_bag_of_words_learns_what_single_words_say():
    rows = make_reviews(100, 2)
    found = compare(make_reviews(300, 1), validation=predict(rows, rows.codes))
    one = found.comparisons["validation"]
    assert (one.rows, one.accuracy, one.macro_f1, one.gain) == (100, 1.0, 1.0, 0.0)
    assert one.most_frequent_accuracy == 0.5
    assert found.training_rows == 300
    assert format_floor(one).startswith("a bag of words gets 1.0000 of the same rows right, always answering ")


@pytest.mark.parametrize(
    ("predicted", "words"),
    [
        (lambda codes: codes * 0 + 1, "calls all 400 validation rows 'positive'"),
        (
            lambda codes: flip(codes, 0.48),
            "not clearly better than always answering 'negative', which is right for 0.",
        ),
        (lambda codes: flip(codes, 0.3), "is worse than a bag of words, whose accuracy is 0.8"),
        (lambda codes: flip(codes, 0.19), "not clearly better than a bag of words on 400 validation rows"),
        (lambda codes: codes, None),
    ],
)
def test_a_model_that_is_not_clearly_better_is_told_apart(predicted, words):
    training, rows = make_reviews(300, 1), make_reviews(400, 2)
    hard = make_rows(rows.texts, flip(rows.codes, 0.2, seed=9))  # so that the bag of words gets 0.8
    verdict = compare(training, validation=predict(hard, predicted(hard.codes))).verdict
    assert verdict is None if words is None else words in verdict


def test_the_verdict_is_that_of_the_test_rows_if_any():
    rows = make_reviews(100, 2)
    found = compare(make_reviews(300, 1), validation=predict(rows, rows.codes * 0), test=predict(rows, rows.codes))
    assert "100 test rows" in found.verdict
    assert list(found.to_json()) == ["training_rows", "validation", "test", "verdict"]
    json.dumps(found.to_json())


def test_texts_without_blanks_are_learned_by_their_characters():
    words = {
        "good": ("喜欢", "精彩", "动人"),
        "bad": ("无聊", "糟糕", "乏味"),
        "plain": ("电影", "这部", "剧情", "演员", "故事"),
    }
    rows = make_reviews(100, 2, blank="", **words)
    found = compare(make_reviews(300, 1, blank="", **words), validation=predict(rows, rows.codes))
    assert found.comparisons["validation"].accuracy == 1.0


@pytest.mark.parametrize(
    "texts", [["😀", "😡"] * 20, ["!", "?"] * 20, ["\ud800 a", "b"] * 20, ["x" * 50_000, "yy"] * 20]
)
def test_odd_texts_have_a_floor_too(texts):
    rows = make_rows(texts, [1, 0] * 20)
    assert compare(rows, validation=predict(rows, rows.codes)).comparisons["validation"].accuracy == 1.0


def test_too_many_characters_are_sampled_with_every_class(monkeypatch):
    monkeypatch.setattr(baseline, "MAX_CHARACTERS", 3_000)
    training = make_reviews(500, 1)
    training = make_rows([*training.texts, "a rare text"], [*np.zeros(500), 1])
    sizes = {compare(training, test=predict(training, training.codes)).training_rows for _ in range(2)}
    assert len(sizes) == 1
    assert 60 < sizes.pop() < 150


def test_balanced_classes_let_a_rare_one_count(monkeypatch):
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice([*"abcdefgh"], 3)) + (" rare" if row % 20 == 0 else "") for row in range(400)]
    codes = [int(row % 20 == 0 or row % 7 == 0) for row in range(400)]
    rows = make_rows(texts, codes)
    plain, balanced = (
        measure_baseline(rows, {"test": predict(rows, codes)}, LABELS, balanced=choice, seed=1).comparisons["test"]
        for choice in (False, True)
    )
    assert balanced.accuracy < plain.accuracy


def test_the_interval_of_a_difference_holds_it_95_times_of_100():
    random = np.random.default_rng(5)
    held = []
    for rows in (30, 100, 1_000):
        for _ in range(400):
            kind = random.choice(4, size=rows, p=[0.7, 0.15, 0.1, 0.05])  # both, only first, only second, none
            low, high = difference_interval(kind <= 1, (kind == 0) | (kind == 2))
            held.append(low <= 0.05 <= high)
    assert 0.93 < np.mean(held) < 0.98
    same = np.ones(50, dtype=np.bool_)
    low, high = difference_interval(same, same)
    assert low < 0 < high, "equal rows do not prove that the classifiers are equal"


def test_a_run_stores_warns_and_shows_its_floor(train, reviews, tmp_path, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    trained = train("model", val=reviews(60, start=200), epochs=1, learning_rate=1e-7)
    assert trained.baseline.verdict in caplog.text
    stored = json.loads((tmp_path / "model" / "sentiment_batch.json").read_text(encoding="utf-8"))
    assert stored["baseline"] == json.loads(json.dumps(trained.baseline.to_json()))
    assert trained.to_json()["baseline"]["validation"]["rows"] == 60
    page = (tmp_path / "model" / "report.html").read_text(encoding="utf-8")
    assert "and a bag of words" in page
    assert "the same rows" in page or "not clearly better" in page or "has not learned" in page


def test_without_a_floor_nothing_is_measured(train, reviews, tmp_path, monkeypatch):
    monkeypatch.setattr("sentiment_batch.training.run.measure_baseline", types.SimpleNamespace())
    assert train("model", val=reviews(60, start=200), epochs=1, baseline=False).baseline is None
    assert json.loads((tmp_path / "model" / "sentiment_batch.json").read_text(encoding="utf-8"))["baseline"] is None
