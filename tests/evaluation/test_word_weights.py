"""The words on which labels rest: planted ones come first with their label, repeatably, and stay text in the page."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from sentiment_batch import train
from sentiment_batch.data.labelled_rows import LabelledRows
from sentiment_batch.evaluation import word_weights
from sentiment_batch.evaluation.evaluate_model import evaluate_labelled, make_report
from sentiment_batch.evaluation.word_weights import weigh_marking_words
from sentiment_batch.explanation import attribution
from sentiment_batch.report.page import render_report_page
from sentiment_batch.scoring.scorer import Scorer
from tests.conftest import BAD, GOOD, WORDS

CPU = {"device": "cpu", "dtype": "float32"}
PLANTED = {"negative": BAD[0], "positive": GOOD[0]}


def reviews(rows, seed):
    """Reviews whose label rests on one of two words."""
    random = np.random.default_rng(seed)
    plain = [word for word in WORDS if word not in {*GOOD, *BAD}]
    texts, labels = [], ["positive" if row % 2 else "negative" for row in range(rows)]
    for label in labels:
        words = list(random.choice(plain, 8))
        words.insert(int(random.integers(9)), PLANTED[label])
        texts.append(" ".join(words))
    return texts, labels


@pytest.fixture(scope="module")
def planted(tiny_base, tmp_path_factory):
    """A model that learned to tell reviews by two words."""
    texts, labels = reviews(400, 1)
    output = tmp_path_factory.mktemp("planted") / "model"
    settings = {"epochs": 5, "folds": 0, "batch_size": 16, "learning_rate": 2e-3, "patience": None, "max_length": 32}
    train(pd.DataFrame({"review": texts, "label": labels}), output, base=str(tiny_base), quiet=True, **settings, **CPU)
    with Scorer.load(str(output), **CPU) as scorer:
        yield scorer


def labelled(texts, labels):
    columns = {"text_columns": ("text",), "label_column": "label", "groups": None, "num_blank": 0}
    return LabelledRows(name="rows.csv", texts=texts, labels=labels, **columns)


def test_planted_words_come_first_with_their_label(planted):
    evaluation = evaluate_labelled(planted, labelled(*reviews(200, 2)), with_words=True)
    assert evaluation.accuracy > 0.95
    assert evaluation.words["texts"] == 200
    for label, word in PLANTED.items():
        first = evaluation.words["labels"][label][0]
        assert first["word"] == word
        assert first["low"] > 1.0
        assert first["low"] <= first["weight"] <= first["high"]
        assert (first["share"] > 0.9, first["other_share"] < 0.1, first["texts"]) == (True, True, 30)


def test_a_word_that_only_goes_with_a_label_weighs_little(planted):
    texts, labels = reviews(200, 3)
    marked = [
        f"{text} plot" if label == "positive" else text.replace("plot", "film")
        for text, label in zip(texts, labels, strict=True)
    ]
    evaluation = evaluate_labelled(planted, labelled(marked, labels), with_words=True)
    found = {one["word"]: one for one in evaluation.words["labels"]["positive"]}
    assert found["plot"]["share"] > 0.9 > 0.1 > found["plot"]["other_share"]
    assert abs(found["plot"]["weight"]) < found[PLANTED["positive"]]["weight"] / 3


def test_the_same_texts_in_any_order_give_the_same_words(planted):
    texts, labels = reviews(120, 4)
    predicted = np.array([planted.labels.index(label) for label in labels])
    first = weigh_marking_words(planted, texts, predicted)
    assert first == weigh_marking_words(planted, texts, predicted)
    doubled = weigh_marking_words(planted, (texts * 2)[::-1], np.tile(predicted, 2)[::-1])
    assert doubled == first, "repeated texts count once"


def test_the_cost_is_bounded(planted, monkeypatch):
    scored = []
    real = attribution.predict_probabilities
    monkeypatch.setattr(
        attribution, "predict_probabilities", lambda scorer, texts: scored.append(texts) or real(scorer, texts)
    )
    monkeypatch.setattr(word_weights, "MAX_CHARACTERS_PER_WORD", 100)
    texts, labels = reviews(200, 5)
    predicted = np.array([planted.labels.index(label) for label in labels])
    found = weigh_marking_words(planted, [f"{text} {'film ' * 500}" for text in texts], predicted)
    words = [one for words in found["labels"].values() for one in words]
    assert [one["texts"] for one in words] == [word_weights.MIN_TEXTS_PER_WORD] * len(words)
    (some,) = scored
    assert len(some) <= 2 * word_weights.MIN_TEXTS_PER_WORD * len(words)
    assert max(map(len, some)) <= word_weights.MAX_CHARACTERS


def test_few_texts_have_no_words_and_cost_nothing(planted, monkeypatch):
    monkeypatch.setattr(attribution, "predict_probabilities", None)
    texts, labels = reviews(20, 6)
    predicted = np.array([planted.labels.index(label) for label in labels])
    assert weigh_marking_words(planted, texts, predicted) == {"texts": 20, "labels": {"negative": [], "positive": []}}


def test_a_text_of_the_word_alone_is_not_weighed():
    assert word_weights._leave_out("great", ["Great!", "great", "great(null)", "GREAT film", "greatest"]) == [
        ("Great!", "!"),
        ("GREAT film", " film"),
    ]
    assert word_weights._leave_out("i\u0307yi", ["İyi film", "iyi film"]) == [("İyi film", " film")]


def test_words_are_only_sought_for_a_page(planted):
    rows = labelled(*reviews(80, 7))
    assert evaluate_labelled(planted, rows).words is None
    values = evaluate_labelled(planted, rows, with_words=True).to_json()
    json.dumps(values)
    page = render_report_page(make_report(values, rows, planted))
    assert "Words that mark" in page
    assert page.count(f">\u2068{PLANTED['positive']}\u2069<") == 2, "in the chart and in its table"
    assert "shows texts of the rows" in page


def test_words_and_labels_in_the_page_are_escaped():
    word = {"word": "<b>&x", "weight": 1.5, "low": 0.5, "high": 2.5, "texts": 9, "share": 0.5, "other_share": 0.1}
    found = {"rows": 9, "words": {"texts": 90, "labels": {"<i>a": [word], "b": []}}}
    page = render_report_page({"evaluations": [{"name": "validation", "evaluation": found}]})
    assert "&lt;b&gt;&amp;x" in page
    assert "&lt;i&gt;a" in page
    assert "<b>&" not in page
    assert "<i>a" not in page
    assert page.count("<figure") == 1
