"""A minus sign that may be the negative label is a question, and every answer works."""

from __future__ import annotations

import re

import pytest

from sentiment_batch.errors import UsageError
from sentiment_batch.labels.inference import infer_mapping
from sentiment_batch.labels.matching import match_mapping
from sentiment_batch.labels.settings import LabelSettings

QUESTION = "which may be the negative label or stand for no label"


@pytest.mark.parametrize(
    ("values", "meaning", "signs"),
    [
        (["+", "-"], "-=negative,+=positive", "-"),
        (["+", "-", "neutral"], "-=negative,+=positive", "-"),
        (["++", "+", "-", "--"], "-=negative,--=very negative,+=positive,++=very positive", "-,--"),
        (["+", "=", "−"], "−=negative,==neutral,+=positive", "−"),
        (["+", "+/-", "–"], "–=negative,+/-=neutral,+=positive", "–"),
        (["positive", "neutral", "-"], "-=negative", "-"),
    ],
)
def test_a_minus_sign_is_a_question_and_every_answer_works(values, meaning, signs):
    with pytest.raises(UsageError, match=QUESTION) as caught:
        infer_mapping(values * 5, "label")
    assert re.findall(r'`(\w+)="([^"]+)"`', str(caught.value)) == [("labels_map", meaning), ("no_answer", signs)]
    every = infer_mapping(values * 5, "label", LabelSettings.parse(labels_map=meaning))
    assert every.encode(values).num_missing == every.encode(values).num_unknown == 0
    others = infer_mapping(values * 5, "label", LabelSettings.parse(no_answer=signs))
    assert others.encode(values).num_missing == len(signs.split(","))


@pytest.mark.parametrize(
    "values", [["positive", "negative", "-"], ["A", "B", "-"], ["A+", "A-", "-"], ["positive", "neutral"] * 20 + ["-"]]
)
def test_a_minus_sign_beside_words_is_no_label(values):
    mapping = infer_mapping(values * 5, "label")
    assert mapping.encode(values).num_missing == 1


def test_a_minus_sign_in_a_table_to_measure_on_is_a_question():
    trained = infer_mapping(["positive", "negative"] * 2, "label")
    for settings in (LabelSettings(), LabelSettings.parse(labels_map="+=positive")):
        with pytest.raises(UsageError, match=QUESTION):
            match_mapping(trained, trained.labels, ["+", "-"], "label", settings)
    answer = LabelSettings.parse(labels_map="+=positive,-=negative")
    found = match_mapping(trained, trained.labels, ["+", "-"], "label", answer)
    assert found.encode(["+", "-"]).codes.tolist() == [1, 0]


def test_a_model_that_knows_the_minus_sign_is_not_asked_about():
    answer = LabelSettings.parse(labels_map="+=positive,-=negative")
    trained = infer_mapping(["+", "-"] * 2, "label", answer)
    assert match_mapping(trained, trained.labels, ["+", "-"], "label") is trained
