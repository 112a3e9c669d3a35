"""Another table's labels find a model's classes: by name, by its own coding, by their meaning; nothing is guessed."""

from __future__ import annotations

import pytest

from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.labels.inference import infer_mapping
from sentiment_batch.labels.mapping import MISSING_CLASS, UNKNOWN_CLASS
from sentiment_batch.labels.matching import match_mapping
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.labels.stars import number_labels

TWO = ("negative", "positive")
THREE = ("negative", "neutral", "positive")
FIVE = ("Very Negative", "Negative", "Neutral", "Positive", "Very Positive")


def test_a_file_of_the_same_coding_takes_the_model_s_own_mapping():
    trained = infer_mapping([0, 1, 2], "label")
    assert match_mapping(trained, trained.labels, [0, 1, 2, 1], "label") is trained
    assert match_mapping(trained, trained.labels, ["2", "0"], "target") is trained


@pytest.mark.parametrize("coding", [[0, 2, 4], [0, 1, 2, 3, 4]])
def test_a_file_without_the_lowest_number_keeps_the_coding(coding):
    trained = infer_mapping(coding, "label")
    assert match_mapping(trained, trained.labels, coding[1:], "label") is trained


@pytest.mark.parametrize(("coding", "written"), [([0, 1, 2], [0, 1]), ([0, 1, 2], [1, 2]), ([-1, 0, 1], [0, 1])])
def test_a_part_of_a_coding_that_is_another_one_is_a_question(coding, written):
    trained = infer_mapping(coding, "label")
    with pytest.raises(UsageError, match=r"which alone mean . -> negative, . -> positive, but .* in the training data"):
        match_mapping(trained, THREE, written, "label")
    answer = LabelSettings(stars=",".join(f"{label}={value}" for value, label in trained.values.items()))
    assert match_mapping(trained, THREE, written, "label", answer).encode(written).codes.tolist() == [
        trained.encode([value]).codes[0] for value in written
    ]


@pytest.mark.parametrize(
    ("written", "column", "expected"),
    [
        ([0, 1], "label", [0, 1]),
        ([-1, 1], "label", [0, 1]),
        (["neg", "POS"], "label", [0, 1]),
        (["False", "True"], "label", [0, 1]),
        ([1, 5], "stars", [0, 1]),
        ([3, 10], "rating", [0, 1]),
        ([1, 2], "label", [0, 1]),
    ],
)
@pytest.mark.parametrize("trained_on", [[0, 1], ["negative", "positive"] * 2, [True, False], [1, 2, 4, 5]])
def test_a_file_of_another_coding_is_read_by_its_meaning(written, column, expected, trained_on):
    trained = infer_mapping(trained_on, "stars" if 5 in trained_on else "label")
    assert trained.labels == TWO
    if trained_on == [1, 2, 4, 5] and column == "rating":
        assert match_mapping(trained, TWO, written, column).find_label("4") == "negative"
    assert match_mapping(trained, TWO, written, column).encode(written).codes.tolist() == expected


def test_a_model_of_ten_stars_reads_five_stars_as_five():
    trained = infer_mapping([*range(1, 11)], "rating")
    assert match_mapping(trained, TWO, [1, 2, 4, 5], "stars").encode([1, 2, 4, 5]).codes.tolist() == [0, 0, 1, 1]
    assert match_mapping(trained, TWO, [1, 3, 4], "rating") is trained


def test_a_model_of_chosen_cut_points_keeps_them_for_other_files():
    trained = infer_mapping([0, 50, 100], "points", LabelSettings(stars="40,60"))
    points = [0, 5, 99.5]
    assert match_mapping(trained, TWO, points, "points").encode(points).codes.tolist() == [0, 0, 1]
    assert match_mapping(trained, TWO, list(range(0, 101)), "points") is trained
    assert match_mapping(trained, TWO, list(range(1, 1_000)), "points") is trained


def test_cut_points_given_for_the_file_win_over_the_model_s():
    trained = infer_mapping([1, 2, 4, 5], "stars")
    assert match_mapping(trained, TWO, [1, 3], "stars", LabelSettings(stars="2,3")).encode([1, 3]).codes.tolist() == [
        0,
        1,
    ]


@pytest.mark.parametrize("written", [[-1, 0, 1], [0, 1, 2], [0, 2, 4], ["-1", "+1", "0"]])
def test_a_neutral_number_is_left_out_for_two_classes(written):
    for trained in (None, infer_mapping(["negative", "positive"] * 2, "label"), infer_mapping([1, 2, 4, 5], "stars")):
        mapping = match_mapping(trained, TWO, written, "label")
        assert mapping.labels == TWO
        assert sorted(mapping.encode(written).codes.tolist()) == [UNKNOWN_CLASS, 0, 1]
        assert list(mapping.encode(written).unknown.values()) == [1]


@pytest.mark.parametrize("written", [[0, 1, 2], [-1, 0, 1]])
def test_three_numbers_that_mean_something_else_are_a_question(written):
    trained = infer_mapping([0, 1], "label")
    with pytest.raises(UsageError, match=r"neutral.* but 0 -> negative, 1 -> positive in the training data"):
        match_mapping(trained, TWO, written, "label")


def test_a_question_about_labels_counts_each_row_once():
    with pytest.raises(UsageError, match=r"0\.2 \(2 rows\), 0\.9 \(2\)"):
        match_mapping(None, TWO, [0.2, 0.9, 0.2, 0.9], "label")


def test_words_that_the_model_does_not_know_are_refused():
    trained = infer_mapping(["negative", "positive"] * 2, "label")
    with pytest.raises(InputError, match="'praise', 'rant'"):
        match_mapping(trained, TWO, ["rant", "praise"] * 2, "label")
    with pytest.raises(InputError, match="'praise', 'rant' are none of the model's"):  # one row each
        match_mapping(trained, TWO, ["rant", "praise"], "label")


def test_some_unknown_words_beside_known_ones_are_left_out():
    trained = infer_mapping(["negative", "positive"] * 2, "label")
    encoded = match_mapping(trained, TWO, ["Negative", "mixed"], "label").encode(["Negative", "mixed"])
    assert encoded.codes.tolist() == [0, UNKNOWN_CLASS]


def test_a_stock_model_s_labels_are_found_by_meaning():
    mapping = match_mapping(None, ("NEGATIVE", "POSITIVE"), [0, 1, 1], "label")
    assert mapping.encode([0, 1]).codes.tolist() == [0, 1]
    assert mapping.labels == ("NEGATIVE", "POSITIVE")


@pytest.mark.parametrize(
    ("values", "stars", "answer"),
    [
        ([1, 5], "bad=1,good=5", "negative=1,positive=5"),
        ([1, 2, 4, 5], "bad=1-2,good=4-5", "negative=1-2,positive=4-5"),
        ([0, 1, 2], "bad=0,fair=1,good=2", "negative=0,positive=2"),
    ],
)
def test_the_answer_for_labels_of_another_model_names_its_labels(values, stars, answer):
    with pytest.raises(InputError, match=f'none of the model\'s.*such as `stars="{answer}"`'):
        match_mapping(None, TWO, values, "label", LabelSettings(stars=stars))


def test_the_class_numbers_follow_the_order_of_the_model():
    assert match_mapping(None, ("POS", "NEU", "NEG"), [-1, 0, 1], "label").encode([-1, 0, 1]).codes.tolist() == [
        2,
        1,
        0,
    ]


def test_one_and_two_alone_are_stars_in_the_trained_column():
    trained = infer_mapping([1, 2, 3, 4, 5], "label")
    for written in ([1, 2], [1, 2, 3], [1]):
        assert match_mapping(trained, TWO, written, "label", same_column=True) is trained
    assert match_mapping(trained, TWO, [0, 1], "label", same_column=True).encode([0, 1]).codes.tolist() == [0, 1]


def test_a_class_that_is_called_none_is_no_missing_label():
    names = ("none", "against", "favor")
    mapping = match_mapping(None, names, ["none", "None", "favor", "against", None, "null", ""], "stance")
    assert mapping.encode(["none", " NONE", "favor", None, "null", ""]).codes.tolist() == [
        0,
        0,
        2,
        *[MISSING_CLASS] * 3,
    ]


def test_labels_that_differ_in_case_alone_stay_apart():
    mapping = match_mapping(None, ("negative", "Negative"), ["negative", "Negative"], "label")
    assert mapping.encode(["negative", "Negative", "NEGATIVE"]).codes.tolist() == [0, 1, 0]


def test_numbers_find_the_labels_that_have_them_in_their_names():
    stars = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
    assert match_mapping(None, stars, [1, 2.0, "5"], "label").encode([1, 2.0, "5", 6]).codes.tolist() == [
        0,
        1,
        4,
        UNKNOWN_CLASS,
    ]
    assert match_mapping(None, ("1.0", "2.0"), [1.0, "2"], "label").encode([1.0, "2"]).codes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("written", "names", "column"),
    [
        ([2, 2], THREE, "label"),
        ([1, 2], THREE, "label"),
        ([1], THREE, "target"),
        ([1], TWO, "label"),
        ([2], TWO, "label"),
    ],
)
def test_numbers_of_several_scales_are_not_guessed_about(written, names, column):
    with pytest.raises(UsageError, match=r'does not show what they mean\. Give their meaning with `stars="neg.*=0,'):
        match_mapping(None, names, written, column)
    read = match_mapping(None, THREE, written, column, LabelSettings(stars=number_labels(THREE))).encode(written)
    assert read.codes.tolist() == written


def test_numbers_of_several_scales_are_stars_in_a_star_column():
    assert match_mapping(None, TWO, [2], "stars").encode([2]).codes.tolist() == [0]
    assert match_mapping(None, TWO, [1, 2], "label").encode([1, 2]).codes.tolist() == [0, 1]
    assert match_mapping(None, THREE, [0, 1], "label").encode([0, 1]).codes.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("names", "top", "expected"),
    [
        (TWO, 5, [0, 0, UNKNOWN_CLASS, 1, 1]),
        (THREE, 5, [0, 0, 1, 2, 2]),
        (("NEG", "NEU", "POS"), 10, [0, 0, 0, 0, 1, 1, 2, 2, 2, 2]),
        (FIVE, 5, [0, 1, 2, 3, 4]),
        (FIVE[::-1], 10, [4, 4, 3, 3, 2, 2, 1, 1, 0, 0]),
    ],
)
def test_stars_are_spread_over_all_classes_of_the_model(names, top, expected):
    stars = list(range(1, top + 1))
    assert match_mapping(None, names, stars, "stars").encode(stars).codes.tolist() == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (TWO, [0] * 7 + [UNKNOWN_CLASS] * 2 + [1] * 2),
        (THREE, [0] * 7 + [1] * 2 + [2] * 2),
        (FIVE, [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),  # the question has three kinds of answers
    ],
)
def test_a_net_promoter_score_is_read_as_such_for_a_model(names, expected):
    values = list(range(11))
    assert match_mapping(None, names, values, "NPS").encode(values).codes.tolist() == expected


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize("trained", [None, ["negative", "positive"] * 2])
def test_a_word_among_many_numbers_does_not_make_them_unknown(names, trained):
    trained = trained and infer_mapping(trained, "label")
    values = ["0", "1"] * 100 + ["positive"]
    found = match_mapping(trained, names, values, "label").encode(values).codes.tolist()
    assert found == [0, len(names) - 1] * 100 + [len(names) - 1]


@pytest.mark.parametrize("trained", [None, ["negative", "positive"] * 2])
def test_words_and_numbers_in_one_column_are_refused(trained):
    trained = trained and infer_mapping(trained, "label")
    with pytest.raises(UsageError, match=r"column 'label' holds numbers such as '0', '1' and words such as"):
        match_mapping(trained, TWO, ["0", "1", "negative", "positive"] * 5, "label")


def test_a_number_among_many_words_is_left_out():
    values = ["negative", "positive"] * 10 + ["1"]
    assert match_mapping(None, TWO, values, "label").encode(values).codes.tolist() == [0, 1] * 10 + [UNKNOWN_CLASS]
