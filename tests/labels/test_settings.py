import numpy as np
import pytest

from sentiment_batch.errors import UsageError
from sentiment_batch.labels.inference import infer_mapping
from sentiment_batch.labels.mapping import LabelMapping
from sentiment_batch.labels.matching import match_mapping
from sentiment_batch.labels.settings import LabelSettings


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"stars": 3}, "`stars` is 3; it must be text"),
        ({"stars": "4,2"}, "`stars` is '4,2'"),
        ({"labels_map": "negativ"}, "`labels_map` is 'negativ', which cannot be read"),
        ({"labels_map": {"negativ": ""}}, "`labels_map`"),
        ({"labels_map": {"negativ": None}}, "`labels_map`"),
        ({"labels_map": "a=b,A=c"}, "Give each value once"),
        ({"labels_map": ["a=b"]}, "`labels_map`"),
        ({"no_answer": "9,,99"}, "`no_answer` is '9,,99'"),
        ({"stars": "2,4", "labels_map": "a=b"}, "exclude each other"),
    ],
)
def test_settings_that_cannot_be_read_are_refused(given, fault):
    with pytest.raises(UsageError, match=fault):
        LabelSettings.parse(**given)


def test_values_may_be_texts_or_of_python():
    assert LabelSettings.parse(no_answer=[9, "99", -1.0]) == LabelSettings.parse(no_answer="9, 99,-1")
    for given in (9, b"9", {9}, np.array([9]), iter(["9"])):
        assert LabelSettings.parse(no_answer=given).no_answer == ("9",)
    as_text = LabelSettings.parse(labels_map="1=negative, Positiv = positive")
    assert as_text == LabelSettings.parse(labels_map={1: "negative", "positiv": "positive"})


def test_other_words_are_mapped_and_the_rest_keeps_its_name():
    chosen = LabelSettings.parse(labels_map="negativ=negative,NEG=negative,positiv=positive")
    values = ["Negativ", "neg", "positiv", "neutral", "neutral", None]
    mapping = infer_mapping(values * 2, "label", chosen)
    assert mapping.labels == ("negative", "neutral", "positive")
    assert mapping.encode(values).codes.tolist() == [0, 0, 2, 1, 1, -1]
    assert LabelMapping.from_json(mapping.to_json()) == mapping


def test_signs_of_no_answer_may_be_labels_if_they_are_mapped():
    mapping = infer_mapping(["+", "-"] * 2, "label", LabelSettings.parse(labels_map={"+": "positive", "-": "negative"}))
    assert mapping.encode(["-", "+", "?"]).codes.tolist() == [0, 1, -1]


def test_numbers_may_be_mapped_and_others_have_no_label():
    mapping = infer_mapping([1, 2, 9] * 3, "label", LabelSettings.parse(labels_map="1=good,2=bad"))
    assert (mapping.labels, mapping.encode([1, 2, 9]).unknown) == (("bad", "good"), {"9": 1})


def test_a_minus_sign_makes_another_number():
    mapping = infer_mapping([-1, 1] * 3, "label", LabelSettings.parse(labels_map={-1: "negative", 1: "positive"}))
    assert mapping.encode([-1, 1]).codes.tolist() == [0, 1]
    mapping = infer_mapping([-1, 0, 1] * 3, "label", LabelSettings.parse(no_answer="-1"))
    assert mapping.encode([-1, 0, 1]).codes.tolist() == [-1, 0, 1]
    assert infer_mapping([0, 1] * 3, "label").find_label("-1") is None


def test_labels_of_a_map_may_be_numbers():
    assert infer_mapping([1, 2, 3] * 3, "label", LabelSettings.parse(labels_map="1=0,2=1,3=1")).labels == ("0", "1")


def test_a_map_without_a_value_of_the_column_is_refused():
    with pytest.raises(UsageError, match=r"names no value of column 'label', which holds a \(2 rows\), b \(2\)"):
        infer_mapping(["a", "b"] * 2, "label", LabelSettings.parse(labels_map="x=y"))


def test_codes_of_no_answer_are_missing_labels():
    chosen = LabelSettings.parse(no_answer="9,unknown")
    mapping = infer_mapping([0, 1, 9, "Unknown"] * 5, "label", chosen)
    encoded = mapping.encode([0, 1, 9.0, "UNKNOWN"])
    assert encoded.codes.tolist() == [0, 1, -1, -1]
    assert encoded.missing == {"9": 1, "UNKNOWN": 1}
    assert LabelMapping.from_json(mapping.to_json()) == mapping
    assert match_mapping(mapping, mapping.labels, [0, 1, 9], "label") is mapping


def test_values_of_no_answer_that_no_label_has_are_named():
    chosen = LabelSettings.parse(no_answer="9,unknown,-1,nan")
    assert chosen.describe_unused([0, 1, 9.0, "Unknown", None]) == [
        "`no_answer` names '-1', 'nan', but no label is '-1', 'nan'"
    ]
    assert chosen.describe_unused(["UNKNOWN", "-1.0", "9", float("nan")]) == []
    assert LabelSettings().describe_unused([1]) == []


def test_other_words_find_the_classes_of_a_model():
    names, values = ("negative", "positive"), ["negativ", "positiv", "gemischt"] * 2
    with pytest.raises(Exception, match=r"'negativ', 'gemischt', 'positiv' are none .*`labels_map`"):
        match_mapping(None, names, values, "label")
    with pytest.raises(Exception, match='`labels_map="negativ=negative,positiv=positive"`'):
        match_mapping(None, names, values[:2] * 2, "label")
    mapping = match_mapping(
        None, names, values, "label", LabelSettings.parse(labels_map="negativ=negative,positiv=pos")
    )
    assert mapping.encode(values).codes.tolist() == [0, 1, -2] * 2
    with pytest.raises(UsageError, match="gives the labels 'good', which are none of the model's"):
        match_mapping(None, names, values, "label", LabelSettings.parse(labels_map="positiv=good"))


def test_a_model_of_mapped_words_reads_them_again():
    trained = infer_mapping(["negativ", "positiv"] * 2, "label", LabelSettings.parse(labels_map="negativ=n,positiv=p"))
    assert match_mapping(trained, trained.labels, ["Positiv", "negativ"], "label") is trained
    assert trained.encode(["POSITIV", "n"]).codes.tolist() == [1, 0]
