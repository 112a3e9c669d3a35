"""The report of a run: what it is made of, the words of its errors, and what happens where they cannot be had."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest

from sentiment_batch.errors import DeviceError
from sentiment_batch.evaluation.report_values import collect_report
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.training import report_data
from sentiment_batch.training.report_data import make_page

SAID = {
    "version": "1.0",
    "base": "minilm",
    "labels": {"labels": ["negative", "positive"]},
    "settings": {"seed": 42},
    "data": {"training_rows": 2},
    "device": {"value": "cpu", "reason": "as asked"},
    "dtype": {"value": "float32", "reason": "as asked"},
    "calibration": None,
}
ENTRY = {"epoch": 1.0, "step": 7, "training_loss": 0.5, "validation_loss": 0.4, "best": True, "seconds": 12.5}
ERROR = {"row": 3, "text": "a great film", "label": "0", "predicted": "positive", "score": 0.98, "words": None}


@pytest.fixture
def no_word_weights():
    """Here, the words are weighed."""


def report_of(evaluations, history, meta=SAID):
    about = {"title": "m", "model": "m", "labels": ["negative", "positive"], "version": "1.0"}
    return collect_report(evaluations, meta, **about, device="cpu", dtype="float32", history=history)


def evaluation(*errors):
    found = {"rows": 9, "accuracy": 0.5, "labels": ["negative", "positive"], "errors": list(errors)}
    return {"name": "validation", "evaluation": found, "before_calibration": None}


def test_nothing_in_it_depends_on_the_time():
    one, two = (report_of([evaluation()], [ENTRY | {"seconds": spent}]) for spent in (1.0, 2.0))
    assert one == two
    assert one["history"][0]["validation_loss"] == 0.4
    assert one["temperature"] is None
    assert report_of([], [], SAID | {"calibration": {"temperature": 1.5}})["temperature"] == 1.5


def test_words_of_errors_are_weighed_by_the_model_in_the_folder(tiny_model, monkeypatch):
    shown = []
    monkeypatch.setattr("sentiment_batch.report.page.render_report_page", lambda report: shown.append(report) or "page")
    given = report_of([evaluation(ERROR, ERROR | {"text": "so dull"}), evaluation()], [ENTRY])
    assert make_page(given, tiny_model, "cpu", {}) == "page"
    found = [error["words"] for one in shown[0]["evaluations"] for error in one["evaluation"]["errors"]]
    assert ["".join(text for text, _ in words) for words in found] == ["a great film", "so dull"]
    assert all(max(abs(weight or 0.0) for _, weight in words) == 1.0 for words in found)
    assert ERROR["words"] is None, "what was given stays as it was"
    json.dumps(shown[0])


def test_words_over_all_texts_are_those_of_the_last_rows(tiny_model, monkeypatch):
    shown = []
    monkeypatch.setattr("sentiment_batch.report.page.render_report_page", lambda report: shown.append(report) or "page")
    texts = [f"the film was {'great' if row % 2 else 'dull'} number{row}" for row in range(200)]
    rows = SimpleNamespace(rows=SimpleNamespace(texts=texts), logits_NK=np.eye(2, dtype=np.float32)[[0, 1] * 100])
    given = report_of([evaluation(), evaluation() | {"name": "test"}], [ENTRY])
    make_page(given, tiny_model, "cpu", {"validation": None, "test": rows})
    validation, test = (one["evaluation"] for one in shown[0]["evaluations"])
    assert "words" not in validation
    words = {label: [one["word"] for one in found] for label, found in test["words"]["labels"].items()}
    assert words == {"negative": ["dull"], "positive": ["great"]}


def test_a_report_without_words_is_better_than_no_model(tiny_model, monkeypatch, caplog):
    def full(*arguments, **options):
        raise DeviceError("the memory of cuda does not hold one text of 512 tokens")

    monkeypatch.setattr(Scorer, "load", full)
    assert "a great film" in make_page(report_of([evaluation(ERROR)], [ENTRY]), tiny_model, "cpu", {})
    assert "no weights of words, or not all of them: the memory of cuda" in caplog.text


@pytest.mark.parametrize("test", [False, True])
def test_a_run_has_a_page_before_and_after_calibration(train, reviews, tmp_path, monkeypatch, test, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    made = []
    monkeypatch.setattr(report_data, "_weigh_words", lambda report, folder, *rest: made.append(folder.name))
    rows = reviews(30, start=700) if test else None
    trained = train("model", val=reviews(60, start=200), test=rows, epochs=1)
    assert trained.calibration.temperature != 1.0
    text = (tmp_path / "model" / "report.html").read_text(encoding="utf-8")
    assert made == ["new"], "the model as it will be published, before it is"
    assert f"temperature \u2068{trained.calibration.temperature:.5g}" in text
    assert text.count("before calibration") >= 1 + test
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert len(text.encode()) < 1_000_000


def test_sentiment_batch_json_holds_no_text(train, reviews, tmp_path):
    rows, val = reviews(), reviews(60, start=200)
    train("model", rows, val=val, test=reviews(20, start=400), epochs=1)
    told = (tmp_path / "model" / "sentiment_batch.json").read_text(encoding="utf-8")
    assert not [text for text in (*rows.texts, *val.texts) if text in told]


def test_a_page_with_texts_says_so_and_one_without_does_not(tiny_model):
    said = "shows texts of the rows"
    assert said in make_page(report_of([evaluation(ERROR)], [ENTRY]), tiny_model, "cpu", {})
    assert said not in make_page(report_of([evaluation()], [ENTRY]), tiny_model, "cpu", {})
