import json
import math

import pytest

from sentiment_batch.labels.inference import infer_mapping
from sentiment_batch.labels.mapping import MISSING_CLASS, UNKNOWN_CLASS, LabelMapping, reconcile, suggest_middle
from sentiment_batch.labels.settings import LabelSettings

COLUMNS = {
    "binary": [0, 1, 1, 0],
    "signed": [-1, 0, 1, 1],
    "five": [1, 2, 3, 4, 5],
    "ten": [1, 4, 5, 7, 10],
    "words": ["pos", "neg", "pos", "neg"],
    "booleans": [True, False, True, False],
}


def test_unknown_labels_are_counted_most_frequent_first():
    encoded = LabelMapping(labels=("a", "b"), kind="words").encode(["z", "x", "y", "x", "a"])
    assert list(encoded.unknown.items()) == [("x", 2), ("y", 1), ("z", 1)]


def test_missing_labels_are_counted_apart_from_unknown_ones():
    encoded = infer_mapping(["good", "bad"] * 3, "label").encode(["good", None, math.nan, "", "odd"])
    assert encoded.codes.tolist() == [1, MISSING_CLASS, MISSING_CLASS, MISSING_CLASS, UNKNOWN_CLASS]
    assert (encoded.num_missing, encoded.unknown) == (3, {"odd": 1})


@pytest.mark.parametrize(
    ("stars", "message"),
    [
        ("2,4", "stars up to 2 -> negative, 4 and more -> positive"),
        ("negative=1-2,neutral=3,positive=4-4.5", "stars 1-2 -> negative, 3 -> neutral, 4-4.5 -> positive"),
    ],
)
def test_the_mapping_of_stars_is_shown_in_words(stars, message):
    assert str(infer_mapping([1, 2], "stars", LabelSettings(stars=stars))) == message


def test_the_mapping_of_numbers_and_words_is_shown_in_words():
    assert str(infer_mapping([0, 1], "label")) == "0 -> negative, 1 -> positive"
    assert str(infer_mapping(["pos", "neg"] * 2, "label")) == "neg, pos"


@pytest.mark.parametrize("values", COLUMNS.values(), ids=COLUMNS)
def test_a_mapping_survives_json(values):
    mapping = infer_mapping(values, "label")
    assert LabelMapping.from_json(json.loads(json.dumps(mapping.to_json()))) == mapping


def test_open_ends_of_star_ranges_survive_json():
    mapping = infer_mapping([1, 2], "stars", LabelSettings(stars="2,4"))
    text = json.dumps(mapping.to_json(), allow_nan=False)
    assert LabelMapping.from_json(json.loads(text)) == mapping


def test_reconciling_keeps_the_star_ranges():
    mapping = reconcile(infer_mapping([1, 2, 4, 5], "stars"), ("Positive", "Negative"))
    assert mapping.encode([1, 3, 5]).codes.tolist() == [1, UNKNOWN_CLASS, 0]


@pytest.mark.parametrize(
    ("values", "settings", "suggested"),
    [
        ([1, 2, 3, 4, 5], {}, "negative=1-2,neutral=3,positive=4-5"),
        ([0.5, 2.5, 3, 3.5, 5], {}, "negative=0.5-2,neutral=2.5-3.5,positive=4-5"),
        (["1 star", "3 stars", "★★★", "5 stars", "tbd"], {}, "negative=1-2,neutral=3,positive=4-5"),
        (["2/10", "5/10", "6/10", "9/10"], {}, "negative=1-4,neutral=5-6,positive=7-10"),
        ([1, 5, "tbd"], {}, None),
        ([1, 2, 3, 4, 5], {"stars": "2,4"}, None),
        ([1, 2, 3, 4, 5], {"stars": "bad=1,fair=2-3,good=4"}, None),
        (["pos", "neg", "tbd"], {"labels_map": {"positive": "good", "negative": "bad"}}, None),
    ],
)
def test_the_middle_of_a_scale_gets_a_class_by_the_suggestion(values, settings, suggested):
    labels = [value for value in values for _ in range(1 if value == "tbd" else 20)]
    mapping = infer_mapping(labels, "rating", LabelSettings(**settings))
    found = suggest_middle(mapping, [str(value) for value in mapping.encode(labels).unknown])
    assert found == suggested
    if suggested:
        again = infer_mapping(labels, "rating", LabelSettings(stars=suggested)).encode(labels)
        assert set(again.unknown) <= {"tbd"}
