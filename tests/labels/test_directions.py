"""A column whose name says that low numbers are good is a question with both orders, the likely one first."""

from __future__ import annotations

import re

import pytest

from sentiment_batch.errors import UsageError
from sentiment_batch.labels.directions import names_negative
from sentiment_batch.labels.inference import infer_mapping, infer_shared_mapping
from sentiment_batch.labels.matching import match_mapping
from sentiment_batch.labels.settings import LabelSettings

TWO = ("negative", "positive")


def answers(values, column) -> list[tuple[str, str]]:
    with pytest.raises(UsageError, match=r"its name suggests that (low numbers are|false is) good") as caught:
        infer_mapping(values * 3, column)
    return re.findall(r'`(\w+)="([^"]+)"`', str(caught.value))


@pytest.mark.parametrize("column", ["label_negative", "negative_sentiment", "isNegative", "toxic", "not satisfied"])
def test_a_name_that_says_negative_is_a_question(column):
    assert answers([0, 1], column) == [("stars", "positive=0,negative=1"), ("stars", "negative=0,positive=1")]


def test_booleans_of_a_negative_name_are_a_question():
    found = answers(["true", "false"], "Dissatisfied rating")
    assert found == [("labels_map", "false=positive,true=negative"), ("labels_map", "false=negative,true=positive")]
    for (setting, value), positive in zip(found, ["false", "true"], strict=True):
        mapping = infer_mapping(["true", "false"] * 3, "Dissatisfied rating", LabelSettings.parse(**{setting: value}))
        assert mapping.find_label(positive) == "positive"


@pytest.mark.parametrize("column", ["label", "pos_neg_label", "Negative / positive", "negation", "is_positive"])
def test_other_names_are_read_in_the_usual_order(column):
    assert infer_mapping([0, 1] * 3, column).find_label("1") == "positive"
    assert not names_negative(column)


def test_words_keep_their_names_in_a_column_of_negative_name():
    assert infer_mapping(["yes", "no"] * 3, "is_negative").labels == ("no", "yes")


@pytest.mark.parametrize(
    ("column", "numbers", "ranges"),
    [
        ("Note", [1, 2, 3, 4, 5], "positive=1-2,negative=4-5"),
        ("Schulnote (1-5)", [1, 2, 4, 5], "positive=1-2,negative=4-5"),
        ("Gesamtnote", [1, 2, 4, 5, 6], "positive=1-2,negative=5-6"),
        ("známka", [1, 2, 3, 4, 5], "positive=1-2,negative=4-5"),
        ("note", [1, 2, 3], "positive=1,neutral=2,negative=3"),
        ("Note", [1, 2, 3, 4, 5, 9], "positive=1-2,negative=4-5"),
        ("Rating (1=best)", [1, 2, 4, 5], "positive=1-2,negative=4-5"),
        ("Rating (1 best)", [1, 2, 4, 5], "positive=1-2,negative=4-5"),
        ("Score, very good = 1", [1, 2, 4, 7], "positive=1-3,negative=5-7"),
        ("sehr gut (1) bis ungenügend (6)", [1, 2, 3, 5, 6], "positive=1-2,negative=5-6"),
    ],
)
def test_school_grades_are_a_question(column, numbers, ranges):
    found = answers(numbers, column)
    assert found[0] == ("stars", ranges)
    for (_, value), label in zip(found, ["positive", "negative"], strict=True):
        mapping = infer_mapping(numbers * 3, column, LabelSettings.parse(stars=value))
        assert mapping.find_label("1") == label


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        ("Rating (5=best)", [1, 2, 4, 5]),
        ("Note (1 = schlecht, 5 = sehr gut)", [1, 2, 4, 5]),
        ("Rating from worst (1) to best (5)", [1, 2, 4, 5]),
        ("Note globale", [1, 2, 4, 5]),
        ("Note", [1, 4, 7, 10]),
        ("Note", ["1/5", "2/5", "4/5", "5/5"]),
        ("ocena", [1, 2, 4, 5]),
        ("keynote rating", [1, 2, 4, 5]),
        ("Rating good (1-5)", [1, 2, 4, 5]),
        ("sentiment (0=negative)", [0, 1]),
    ],
)
def test_scales_whose_name_says_nothing_of_low_ones_are_read(column, numbers):
    mapping = infer_mapping(numbers * 3, column)
    assert (mapping.find_label(str(numbers[0])), mapping.find_label(str(numbers[-1]))) == TWO


def test_every_table_of_a_training_is_asked_about():
    tables = [("a.csv", [1, 2, 4, 5] * 3, "stars"), ("b.csv", [1, 2, 4, 5] * 3, "Note")]
    with pytest.raises(UsageError, match="'Note' holds"):
        infer_shared_mapping(tables)
    assert infer_shared_mapping(tables, LabelSettings.parse(stars="2,4")).kind == "stars"


def test_a_table_to_measure_on_is_asked_about():
    grades, stars = [1, 2, 4, 5], infer_mapping([1, 2, 4, 5], "stars")
    with pytest.raises(UsageError, match="'Note' holds"):
        match_mapping(stars, TWO, grades, "Note")
    with pytest.raises(UsageError, match="'Note' holds"):
        match_mapping(None, [f"{number} stars" for number in range(1, 6)], grades, "Note")
    with pytest.raises(UsageError, match="'is_negative' holds"):
        match_mapping(None, TWO, [1, 1], "is_negative")
    assert match_mapping(stars, TWO, grades, "Note", same_column=True) is stars


def test_a_model_that_knows_the_order_is_not_asked_about():
    down = infer_mapping([1, 2, 4, 5], "Note", LabelSettings.parse(stars="positive=1-2,negative=4-5"))
    assert match_mapping(down, down.labels, [1, 5], "Note") is down
    codes = infer_mapping([0, 1], "is_negative", LabelSettings.parse(stars="positive=0,negative=1"))
    assert match_mapping(codes, codes.labels, [0, 1], "is_negative") is codes
