"""Numbers on unknown scales are a question whose answers can be typed and keep the meaning of the scale."""

import re

import pytest

from sentiment_batch.errors import UsageError
from sentiment_batch.labels.inference import infer_mapping
from sentiment_batch.labels.scales import read_scale
from sentiment_batch.labels.settings import LabelSettings


def meanings(numbers, *, stars=False) -> list[str | None] | None:
    found = read_scale({float(number) for number in numbers}, stars=stars)
    return None if found is None else [(found.find_label(f"{one:g}") or "-")[:3] for one in numbers]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1, 2, 3, 4, 5], ["neg", "neg", "-", "pos", "pos"]),
        ([0.5, 1, 2.5, 4.5, 5], ["neg", "neg", "-", "pos", "pos"]),
        ([1.5, 2.5, 3.5, 4.5], ["neg", "-", "-", "pos"]),
        ([0, 3, 5, 7, 10], ["neg", "neg", "-", "pos", "pos"]),
        ([1, 2, 3, 4, 7, 8, 9, 10], ["neg"] * 4 + ["pos"] * 4),
        ([0, 1, 2, 4], ["ver", "neg", "neu", "ver"]),
        ([1, 2, 4], ["neg", "neg", "pos"]),
    ],
)
def test_known_scales_are_read(numbers, expected):
    assert meanings(numbers) == expected


UNKNOWN = [
    *([1, 2, 3, 4], [0, 1, 2, 3], [0, 2], [1, 3], [0, 5], [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7]),
    *([0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 9], [0, 1, 9], [0, 1, -9], [-2, -1, 0, 1, 2]),
    *([0, 50, 100], list(range(101)), [0.1, 0.5, 0.93], [1, 2, 3, 4, 5, 99], [-1, 1, 2, 3, 4, 5], [1, 2, 8, 9]),
    *([0, 1, 5, 12, 250, 3000], [-1, 0, 1, 99], [10, 20, 30, 40, 50]),
]


@pytest.mark.parametrize("numbers", UNKNOWN, ids=str)
@pytest.mark.parametrize("column", ["label", "rating"])
def test_other_scales_are_a_question_and_every_answer_works(numbers, column):
    with pytest.raises(UsageError, match="which is no known scale") as caught:
        infer_mapping(numbers * 3, column)
    answers = re.findall(r'`(stars|no_answer)="([^"]+)"`', str(caught.value))
    assert answers
    for setting, value in answers:
        mapping = infer_mapping(numbers * 3, column, LabelSettings.parse(**{setting: value}))
        labels = [mapping.labels[code] for code in mapping.encode(sorted(numbers)).codes if code >= 0]
        assert len(set(labels)) > 1
        ranks = ["very negative", "negative", "neutral", "positive", "very positive"]
        assert labels == sorted(labels, key=ranks.index), "lower numbers are worse"


@pytest.mark.parametrize(
    ("numbers", "answers"),
    [
        ([1, 2, 3, 4, 5, 6, 7], {"stars": "3,5"}),
        ([1, 2, 3, 4, 5, 6], {"stars": "2,5"}),
        ([0, 1, 2, 3, 4, 5], {"stars": "2,4", "no_answer": "0"}),
        ([1, 2, 9], {"stars": "negative=1,positive=2", "no_answer": "9"}),
        ([1, 2, 3, 98, 99], {"stars": "negative=1,neutral=2,positive=3", "no_answer": "99,98"}),
        ([0, 1, -1, 999], {"stars": "negative=-1,neutral=0,positive=1", "no_answer": "999"}),
        ([0, 2], {"stars": "negative=0,positive=2"}),
        ([1, 2, 3, 4, 5, 55], {"stars": "2,4", "no_answer": "55"}),
        (list(range(101)), {"stars": "40,60"}),
        (["20%", "80%", "90%", "35%"], {"stars": "40,60"}),
        ([-0.9, 0.1, 0.5], {"stars": "negative=-0.9,neutral=0.1,positive=0.5"}),
        ([-0.9, -0.2, 0.1, 0.5], {"stars": "-0.2,0.2"}),
    ],
)
def test_answers_keep_the_middle_of_the_scale_and_name_codes(numbers, answers):
    with pytest.raises(UsageError) as caught:
        infer_mapping(numbers * 2, "label")
    assert dict(re.findall(r'`(stars|no_answer)="([^"]+)"`', str(caught.value))) == answers


def test_the_question_shows_the_values_with_their_rows():
    with pytest.raises(
        UsageError, match=r"holds 1 \(50 rows\), 2 \(40\), 9 \(6\), which is no known scale\. If 9 means"
    ):
        infer_mapping([1] * 50 + [2] * 40 + [9] * 6, "label")
    with pytest.raises(UsageError, match=r"101 values such as 0, 1, .*, 99, 100, which"):
        infer_mapping(range(101), "label")


@pytest.mark.parametrize("values", [[0] * 100 + [2] * 100 + [1], [0, 1, 2, 4] * 60 + [3], [1, 2, 3, 4] * 60 + [5]])
def test_a_rare_number_may_complete_a_scale(values):
    assert "neutral" in infer_mapping(values, "label").labels or infer_mapping(values, "label").kind == "stars"


@pytest.mark.parametrize(("values", "assumed"), [([0, 1, 2], True), ([1, 2], True), ([1, 2, 3], True), ([0, 1], False)])
def test_an_order_that_others_write_otherwise_is_assumed(values, assumed):
    mapping = infer_mapping(values, "label")
    assert mapping.assumed == assumed
    assert mapping.to_json().get("assumed", False) == assumed


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["1.0 out of 5 stars", "4.0 out of 5 stars", "3 out of 5"], ["neg", "pos", "-"]),
        (["2/10", "8/10", "5/10"], ["neg", "pos", "-"]),
        (["★", "★★★★", "★★★☆☆"], ["neg", "pos", "-"]),
        (["⭐️⭐️", "⭐⭐⭐⭐⭐", "☆☆☆☆☆"], ["neg", "pos", "neg"]),
        (["2 of 5 bubbles", "5 of 5 bubbles", "ui_bubble_rating bubble_40"], ["neg", "pos", "pos"]),
        (["1 star", "5 stars", "4.0 star rating"], ["neg", "pos", "pos"]),
        (["one star", "Five stars", "2 stars"], ["neg", "pos", "neg"]),
        (["2 von 5 Sternen", "4,5 von 5 Sternen", "5 étoiles sur 5"], ["neg", "pos", "pos"]),
        (["__label__1", "__label__2"], ["neg", "pos"]),
        (["1/5", "4/5", "9/10"], ["neg", "pos", "pos"]),
        (["4.0/5.0", "Rated 1 out of 5", "Rating: 2/5"], ["pos", "neg", "neg"]),
    ],
)
def test_ratings_in_words_and_glyphs_are_numbers(written, expected):
    mapping = infer_mapping(written * 3, "label")
    assert [(mapping.find_label(value) or "-")[:3] for value in mapping_values(written)] == expected


def mapping_values(written) -> list[str]:
    return [value for text in written for value in LabelSettings().count([text])]


def test_ratings_that_name_another_top_are_a_question():
    with pytest.raises(UsageError, match=r"1/7 \(3 rows\), 4/7 \(3\), 7/7 \(3\)|no known scale"):
        infer_mapping(["1/7", "4/7", "7/7"] * 3, "rating")
