import datetime
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.labels.inference import infer_mapping, infer_shared_mapping
from sentiment_batch.labels.mapping import MISSING_CLASS, UNKNOWN_CLASS
from sentiment_batch.labels.scales import INTEGER_SCALES
from sentiment_batch.labels.settings import LabelSettings


def codes(values, column="label", stars=None) -> list[int]:
    return infer_mapping(values, column, LabelSettings(stars=stars)).encode(values).codes.tolist()


def labels(values, column="label", stars=None) -> tuple[str, ...]:
    return infer_mapping(values, column, LabelSettings(stars=stars)).labels


# Words


def test_words_are_ordered_from_worst_to_best():
    assert labels(["positive", "neutral", "negative"] * 2) == ("negative", "neutral", "positive")
    five = ["very positive", "positive", "neutral", "negative", "very negative"]
    assert labels(five * 2) == tuple(reversed(five))


def test_promoters_are_better_than_detractors():
    mapping = infer_mapping(["Promoter", "Passive", "Detractor"] * 2, "NPS Category")
    assert mapping.labels == ("Detractor", "Passive", "Promoter")


def test_unknown_words_are_classes_in_alphabetical_order():
    assert labels(["rant", "praise", "question"] * 2) == ("praise", "question", "rant")


@pytest.mark.parametrize(
    "spellings", [("pos", "POS", "Positive", " positive "), ("very_positive", "Very-Positive", "very  positive")]
)
def test_case_synonyms_and_separators_do_not_make_another_class(spellings):
    mapping = infer_mapping([*spellings, "negative", "negative"], "label")
    assert len(mapping.labels) == 2
    assert set(mapping.encode(spellings).codes.tolist()) == {1}


def test_a_class_is_called_by_its_most_frequent_spelling():
    assert labels(["NEG", "NEG", "neg", "pos", "Pos", "Pos"]) == ("NEG", "Pos")


def test_a_tie_of_spellings_does_not_depend_on_the_order_of_rows():
    assert labels(["Pos", "pos", "neg", "neg"]) == labels(["pos", "Pos", "neg", "neg"]) == ("neg", "Pos")


def test_a_word_of_one_row_is_junk_and_counted_by_name():
    values = ["good"] * 5 + ["bad"] * 5 + ["see above", "!!!"]
    mapping = infer_mapping(values, "label")
    encoded = mapping.encode(values)
    assert mapping.labels == ("bad", "good")
    assert encoded.unknown == {"!!!": 1, "see above": 1}
    assert encoded.codes.tolist()[-2:] == [UNKNOWN_CLASS, UNKNOWN_CLASS]


def test_a_column_of_many_different_words_is_no_label_column():
    with pytest.raises(InputError, match="`label_column`"):
        infer_mapping([f"a title {n}" for n in range(50)], "title")
    with pytest.raises(InputError, match="101 different values"):
        infer_mapping([f"class {n}" for n in range(101)] * 3, "title")


def test_a_column_of_texts_with_a_few_repeats_is_no_label_column():
    with pytest.raises(InputError, match="hardly labels"):
        infer_mapping([f"review {n}" for n in range(98)] + ["good film", "good film"], "review")


def test_a_column_without_any_label_is_refused():
    with pytest.raises(InputError, match="no labels at all"):
        infer_mapping([None, "", math.nan], "label")


# Numbers and booleans


@pytest.mark.parametrize("scale", INTEGER_SCALES)
def test_every_known_integer_coding_maps_to_its_labels_in_order(scale):
    values = sorted(scale) * 2
    mapping = infer_mapping(values, "label")
    assert mapping.labels == INTEGER_SCALES[scale]
    assert mapping.encode(values).codes.tolist() == list(range(len(scale))) * 2


def test_0_and_1_are_negative_and_positive():
    assert labels([0, 1, 1, 0]) == ("negative", "positive")
    assert codes([0, 1, 1, 0]) == [0, 1, 1, 0]


def test_minus_1_0_and_1_are_negative_neutral_and_positive():
    assert labels([-1, 0, 1]) == labels(["\u22121", "0", "1"]) == ("negative", "neutral", "positive")
    assert codes(["1", "0", "-1"]) == [2, 1, 0]


def test_1_and_2_are_classes_unless_the_column_is_one_of_stars():
    assert codes([1, 2, 2], "label") == [0, 1, 1]
    with pytest.raises(UsageError, match=r'`stars="negative=1,positive=2"`'):
        infer_mapping([1, 2, 2], "stars")


def test_a_coding_from_0_is_not_seen_in_numbers_without_a_0():
    mapping = infer_mapping([1, 2, 4], "label")
    assert mapping.kind == "stars"
    assert mapping.encode([1, 2, 3, 4]).codes.tolist() == [0, 0, UNKNOWN_CLASS, 1]


@pytest.mark.parametrize("values", [[0, 1, 2, 3], [1, 2, 3, 4]])
@pytest.mark.parametrize("column", ["label", "rating"])
def test_a_scale_of_four_is_not_taken_for_one_of_five(values, column):
    with pytest.raises(UsageError, match=r'such as `stars="(1,2|2,3)"` \(up to . is negative, from . on positive\)'):
        infer_mapping(values, column)
    assert infer_mapping(values, column, LabelSettings(stars="1,2")).labels == ("negative", "positive")


@pytest.mark.parametrize("values", [[True, False], ["true", "False"], [np.True_, np.False_], ["TRUE", "FALSE"]])
def test_booleans_are_negative_and_positive(values):
    mapping = infer_mapping(values, "liked")
    assert (mapping.labels, mapping.kind) == (("negative", "positive"), "booleans")
    assert mapping.encode(values).codes.tolist() == [int(str(value).lower() == "true") for value in values]


def test_a_rare_stray_number_does_not_change_the_scale():
    values = [0, 1] * 100 + [7]
    mapping = infer_mapping(values, "label")
    assert mapping.labels == ("negative", "positive")
    assert mapping.encode(values).unknown == {"7": 1}


def test_a_few_words_among_numbers_are_unknown():
    values = [0, 1] * 100 + ["odd"] * 3
    assert infer_mapping(values, "label").encode(values).unknown == {"odd": 3}


def test_numbers_of_no_known_coding_are_refused_with_the_cure():
    with pytest.raises(UsageError, match=r'`stars="negative=-5,neutral=0,positive=5"`'):
        infer_mapping([-5, 0, 5] * 2, "label")
    with pytest.raises(UsageError, match=r"1 \(1 row\), 50 \(1\), 100 \(1\), which is no known scale"):
        infer_mapping([1, 50, 100], "rating")


@pytest.mark.parametrize("column", ["label", "score"])
def test_a_column_of_all_different_numbers_is_refused(column):
    with pytest.raises(UsageError, match=r'1,000 values such as 1, .*, 1000, .*`stars="400\.6,600\.4"`'):
        infer_mapping(range(1, 1_001), column)
    with pytest.raises(UsageError, match="1009, which"):
        infer_mapping([0, 1] * 20 + list(range(1_010)), column)


# Stars


@pytest.mark.parametrize("column", ["stars", "label", "Star_Rating", "overall_score"])
def test_five_stars_leave_the_middle_out(column):
    mapping = infer_mapping([1, 2, 3, 4, 5], column)
    assert mapping.labels == ("negative", "positive")
    assert mapping.encode([1, 2, 3, 4, 5]).codes.tolist() == [0, 0, UNKNOWN_CLASS, 1, 1]


def test_ten_stars_leave_5_and_6_out():
    values = list(range(1, 11))
    assert codes(values, "rating") == [0, 0, 0, 0, UNKNOWN_CLASS, UNKNOWN_CLASS, 1, 1, 1, 1]


@pytest.mark.parametrize("column", ["NPS", "nps_score", "NPS Score", "Promoter Score"])
def test_a_net_promoter_score_has_detractors_and_promoters(column):
    values = list(range(11))
    assert codes(values, column) == [0] * 7 + [UNKNOWN_CLASS] * 2 + [1] * 2


@pytest.mark.parametrize("column", ["snps", "score", "npsx"])
def test_other_scales_of_ten_are_stars(column):
    assert codes(list(range(11)), column)[4:8] == [0, UNKNOWN_CLASS, UNKNOWN_CLASS, 1]


def test_half_stars_lie_on_the_scale():
    values = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
    assert codes(values, "rating") == [0, 0, 0, UNKNOWN_CLASS, UNKNOWN_CLASS, UNKNOWN_CLASS, 1, 1, 1]
    assert codes([str(value) for value in values], "rating") == codes(values, "rating")


def test_cut_points_end_negative_and_start_positive():
    assert codes([0, 2, 2.5, 3, 5], stars="2,3") == [0, 0, UNKNOWN_CLASS, 1, 1]
    assert codes([0, 39, 40, 41, 60, 100], stars="40,60") == [0, 0, 0, UNKNOWN_CLASS, 1, 1]
    assert codes([-1, -0.4, 0, 0.6], stars="-0.5,0.5") == [0, UNKNOWN_CLASS, UNKNOWN_CLASS, 1]


def test_ranges_make_any_number_of_classes_in_their_order():
    values = [1, 2, 3, 4, 5]
    assert labels(values, stars="positive=4-5, negative=1-2, neutral=3") == ("negative", "neutral", "positive")
    assert codes(values, stars="positive=4-5, negative=1-2, neutral=3") == [0, 0, 1, 2, 2]
    assert codes([-2, -1, 0, 1], stars="bad=-2--1, so-so=0, good=1") == [0, 0, 1, 2]


# The same everywhere

COLUMNS = {
    "binary": [0, 1, 1, 0],
    "signed": [-1, 0, 1, 1],
    "five": [1, 2, 3, 4, 5],
    "ten": [1, 4, 5, 7, 10],
    "words": ["pos", "neg", "pos", "neg"],
    "booleans": [True, False, True, False],
}


@pytest.mark.parametrize("values", COLUMNS.values(), ids=COLUMNS)
def test_a_csv_gives_the_same_classes_as_a_parquet_file(values):
    as_text = [str(value) for value in values]
    assert infer_mapping(values, "label") == infer_mapping(as_text, "label")
    assert codes(values) == codes(as_text)
    if isinstance(values[0], int):
        as_floats = [*map(float, values), math.nan]  # as pandas holds integers beside a missing one
        assert codes(as_floats) == [*codes(values), MISSING_CLASS] or isinstance(values[0], bool)


VALUES = st.sampled_from(
    [0, 1, 2, -1, 5, 4.5, "4.50", "1", "1.0", "pos", "Pos", "neg", "POSITIVE", True, None, math.nan, "?"]
)


@given(st.data())
def test_the_order_of_rows_does_not_matter(data):
    values = data.draw(st.lists(VALUES, min_size=1, max_size=40))
    shuffled = data.draw(st.permutations(values))

    def outcome(rows):
        try:
            mapping = infer_mapping(rows, "label")
        except (InputError, UsageError) as error:
            return str(error)
        return mapping, list(mapping.encode(rows).unknown.items())

    assert outcome(values) == outcome(shuffled)


@given(st.lists(VALUES, min_size=1, max_size=40))
def test_every_row_has_a_class_or_is_missing_or_unknown(values):
    try:
        mapping = infer_mapping(values, "label")
    except (InputError, UsageError):
        return
    encoded = mapping.encode(values)
    assert len(encoded.codes) == len(values)
    assert set(encoded.codes.tolist()) <= {MISSING_CLASS, UNKNOWN_CLASS, *range(len(mapping.labels))}
    assert sum(encoded.unknown.values()) == (encoded.codes == UNKNOWN_CLASS).sum()


# Several tables, and ambiguous columns


def test_a_rare_number_that_decides_the_scale_is_refused():
    refusal = (
        r'fewer than 1 % of its rows: without them the labels mean 0 -> neg.*`no_answer="(-1|2)"`.*`stars="neg.*=-?\d"`'
    )
    for values in ([-1] * 9 + [0] * 500 + [1] * 491, [0] * 500 + [1] * 494 + [2] * 6):
        with pytest.raises(UsageError, match=refusal):
            infer_mapping(values, "label")
    assert labels([-1] * 11 + [0] * 500 + [1] * 489) == ("negative", "neutral", "positive")


def test_numbers_and_words_in_one_column_are_no_labels():
    with pytest.raises(UsageError, match=r"numbers such as '1', '2', '4' and 1 more and words such as 'unrated'"):
        infer_mapping([1, 2, 4, 5] * 20 + ["unrated"] * 20, "stars")
    with pytest.raises(UsageError, match=r"numbers such as '0', '1' and words such as 'a', 'b'"):
        infer_mapping([0, 1] * 20 + list("abcdefghij"), "label")  # words that are too few each to be a class


@pytest.mark.parametrize(
    ("values", "answers"),
    [
        (
            ["0", "1", "negative", "positive"],
            [("labels_map", "0=negative,1=positive"), ("no_answer", "0,1")],
        ),
        (["0", "1", "false", "true"], [("labels_map", "0=false,1=true"), ("no_answer", "0,1")]),
        (["1", "2", "4", "5", "bad", "good"], [("labels_map", "1=bad,2=bad,4=good,5=good"), ("no_answer", "bad,good")]),
        (["2", "3", "1 - bad", "4 - good"], [("no_answer", "2,3")]),
        (["neg", "0", "pos"], [("labels_map", "0=neutral"), ("no_answer", "0")]),
    ],
)
def test_the_answers_to_a_mix_of_numbers_and_words_work(values, answers):
    with pytest.raises(UsageError, match="hardly labels of one kind") as caught:
        infer_mapping(values * 5, "label")
    assert re.findall(r'`(\w+)="([^"]+)"`', str(caught.value)) == answers
    for setting, value in answers:
        found = infer_mapping(values * 5, "label", LabelSettings.parse(**{setting: value}))
        assert len(found.labels) == (3 if value == "0=neutral" else 2)


def test_signs_around_a_zero_are_a_question_with_its_answer():
    values = ["-", "0", "+"] * 5
    with pytest.raises(UsageError, match=r'If 0 is neutral, use `labels_map="([^"]+)"`') as caught:
        infer_mapping(values, "label")
    answer = re.search(r'labels_map="([^"]+)"', str(caught.value))[1]
    mapping = infer_mapping(values, "label", LabelSettings.parse(labels_map=answer))
    assert mapping.labels == ("negative", "neutral", "positive")
    assert mapping.encode(["-", "0", "+"]).codes.tolist() == [0, 1, 2]


@pytest.mark.parametrize("other", ["positiv", "Positivo", "positivos", "pozitif"])
def test_two_spellings_of_one_meaning_are_a_question(other):
    values = ["positive", "negative"] * 9 + [other] * 3
    if other in {"positivos", "pozitif"}:  # unknown, or too different
        assert len(infer_mapping(values, "label").labels) == 3
        return
    with pytest.raises(UsageError, match=f"holds both '{other}' and 'positive', which mean the same") as caught:
        infer_mapping(values, "label")
    answers = re.findall(r'`labels_map="([^"]+)"`', str(caught.value))
    read = [infer_mapping(values, "label", LabelSettings.parse(labels_map=answer)).labels for answer in answers]
    assert [len(names) for names in read] == [2, 3]


def test_accents_make_no_other_spelling():
    with pytest.raises(UsageError, match=r'labels_map="negatif=négatif,positiv=positif"'):
        infer_mapping(["négatif"] * 5 + ["negatif", "positif"] * 3 + ["positiv"] * 2, "label")
    assert len(infer_mapping(["good", "great", "bad", "poor", "ok", "average"] * 3, "label").labels) == 6


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["A", "A+", "A-", "B"], ("A", "A+", "A-", "B")),
        (["👍🏽", "👍", "👍", "👎🏿"], ("👎🏿", "👍")),
        (["Yes", "Yes", "yes", "Y", "NO", "N", "N"], ("N", "Yes")),
    ],
)
def test_signs_that_tell_labels_apart_count_and_others_do_not(values, names):
    assert infer_mapping(values * 3, "label").labels == names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([0, 1], ["negative", "positive"] * 2),
        ([True, False], [0, 1]),
        ([1, 2, 3, 4, 5], [1, 5, 8, 10]),
        ([0, 1], [0, 1, 2]),
        ([0, 1], [-1, 1]),
        (["negative", "positive"], ["negativ", "positiv"]),
    ],
)
def test_tables_with_different_codings_are_refused(one, other):
    tables = [("a.csv", one * 9, "label"), ("b.csv", other * 9, "label")]
    for chosen in (tables, tables[::-1], [*tables, ("c.csv", one * 9, "label")]):
        with pytest.raises(UsageError, match=r"[ab]\.csv has the labels .*, and [ab]\.csv .*`(stars|labels_map)="):
            infer_shared_mapping(chosen)


@pytest.mark.parametrize(
    ("one", "other", "column"),
    [
        ([0], [1], "label"),
        ([1], [0, 1], "label"),
        ([2], [0, 1], "label"),
        ([1, 2], [4, 5], "stars"),
        ([1, 2], [4, 5], "label"),
        ([1, 2, 3, 4], [7, 9, 10], "rating"),
        (["good", "good"], ["bad", "bad"], "label"),
        (["good"], ["good", "bad", "bad"], "label"),
        ([None, ""], [0, 1], "label"),
    ],
)
def test_tables_with_parts_of_one_coding_are_combined(one, other, column):
    pooled = infer_mapping([*one, *other], column)
    assert infer_shared_mapping([("a.csv", one, column), ("b.csv", other, column)]) == pooled


def test_stars_settle_the_scales_of_several_tables():
    tables = [("a.csv", [1, 2, 3, 4, 5], "stars"), ("b.csv", [1, 10], "stars")]
    assert infer_shared_mapping(tables, LabelSettings(stars="3,6")) == infer_mapping(
        [1, 10], "stars", LabelSettings(stars="3,6")
    )


def test_capitals_of_turkish_and_german_are_one_class():
    assert labels(["NEGATİF", "negatif", "NEGATIF", "POZİTİF", "pozitif", "Pozitif"]) == ("NEGATIF", "POZİTİF")
    assert labels(["GROSS", "groß", "klein", "klein"]) == ("GROSS", "klein")
    assert labels(["\u00a0good", "good\u3000", "bad", "bad\u2028"]) == ("bad", "good")


@pytest.mark.parametrize("nothing", ["-", "--", "–", "?", "n/a", "#N/A", "\\N", "(null)", "."])
def test_signs_of_no_answer_are_no_labels(nothing):
    values = ["negative", "positive", nothing] * 5
    encoded = infer_mapping(values, "label").encode(values)
    assert (encoded.num_missing, encoded.unknown, encoded.missing) == (5, {}, {nothing: 5})


def test_labels_that_look_alike_are_one():
    assert labels(["n\u00e9g", "ne\u0301g", "pos", "pos\u200b", "\ufeffpos", "\u200epos "]) == ("n\u00e9g", "pos")
    assert labels(["\uff30\uff2f\uff33", "pos", "neg", "neg"]) == ("neg", "pos")


def test_decimal_commas_are_read_as_numbers():
    mapping = infer_mapping(["1,25", "2,00", "3,75", "4,25", "5,00"] * 9, "stars")
    assert mapping.kind == "stars"
    assert mapping.find_label("4,25") == "positive"


@pytest.mark.parametrize("values", [["1,000", "3,000", "5,000"], ["4,500", "good"], ["1,000,000", "5"]])
def test_a_comma_that_may_divide_thousands_is_a_question(values):
    with pytest.raises(UsageError, match=r"holds '\d,\d{3}.* may divide thousands or be a decimal comma"):
        infer_mapping(values * 9, "label")


def test_an_abbreviation_with_a_point_is_the_same_word():
    mapping = infer_mapping(["neg.", "negative", "NEG .", "Pos.", "positive :"] * 9, "label")
    assert len(mapping.labels) == 2
    assert mapping.find_label("neg.") == mapping.find_label("NEGATIVE")


def test_a_decimal_comma_before_three_digits_has_an_answer():
    values = ["4,333", "4,667", "1,333", "2,000"]
    with pytest.raises(UsageError, match=r'If it is a decimal comma, use `stars="2,4"`\. Else write these numbers'):
        infer_mapping(values * 3, "rating")
    assert codes(values, "rating", "2,4") == [1, 1, 0, 0]
    assert codes(values, "rating", "2000,4000") == [1, 1, 0, 0]
    assert codes(["12,000", "1,500,000"], "score", "20000,30000") == [0, 1]


@pytest.mark.parametrize(
    "dates",
    [
        *(["5-May", "4-May", "1-May"], ["2024-05-05 00:00:00", "2024-05-01 00:00:00"], ["05. Mai", "01. Mai"]),
        *(["05.05.2024", "01.05.2024"], ["5/5/24", "1/5/24"], ["May-05", "May-01"], ["5月5日", "5月1日"]),
        [datetime.datetime(2024, 5, 5), datetime.datetime(2024, 5, 1)],
    ],
)
def test_dates_are_no_labels(dates):
    with pytest.raises(InputError, match=r"holds dates such as .* may have made them of ratings such as 5/5"):
        infer_mapping([*dates * 10, "unrated"], "rating")


def test_words_that_look_like_dates_are_labels():
    assert labels(["3 - decent", "2 - marginal", "may", "1-2"] * 2) == ("1-2", "2 - marginal", "3 - decent", "may")
