"""Labels of a number and its meaning are stars if both agree, and words if not."""

from __future__ import annotations

import pytest

from sentiment_batch.labels.inference import infer_mapping
from sentiment_batch.labels.matching import match_mapping

LIKERT = ["1 - Very dissatisfied", "2 - Dissatisfied", "3 - Neutral", "4 - Satisfied", "5 - Very satisfied"]


@pytest.mark.parametrize(
    "values", [LIKERT, ["1 (Terrible)", "2 (Poor)", "4 (Good)", "5 (Excellent)"], ["1: bad", "4: good", "5: great"]]
)
def test_numbers_with_their_meaning_are_stars(values):
    mapping = infer_mapping(values * 3, "rating")
    assert mapping.labels == ("negative", "positive")
    assert (mapping.find_label(values[0]), mapping.find_label(values[-1])) == mapping.labels
    assert mapping.find_label("3 - Neutral") is None


@pytest.mark.parametrize(
    "values",
    [
        ["1 - positive", "2 - negative"],
        ["1 - bad", "2 - ok", "3 - good"],
        ["1 - Strongly agree", "2 - Agree", "4 - Disagree", "5 - Strongly disagree"],
        ["1 - Good", "4 - Good", "5 - Bad"],
        ["1 - Billing", "2 - Shipping", "4 - Staff", "5 - Food"],
    ],
)
def test_numbers_that_are_no_stars_stay_words(values):
    assert set(infer_mapping(values * 3, "rating").labels) == set(values)


@pytest.mark.parametrize(
    ("labels", "middle"),
    [
        (("negative", "neutral", "positive"), "neutral"),
        (("very negative", "negative", "neutral", "positive", "very positive"), "neutral"),
        (("negative", "positive"), None),
    ],
)
def test_numbers_with_their_meaning_are_spread_over_a_model(labels, middle):
    mapping = match_mapping(None, labels, LIKERT, "rating")
    found = [mapping.find_label(value) for value in LIKERT]
    assert (found[0], found[2], found[-1]) == (labels[0], middle, labels[-1])
