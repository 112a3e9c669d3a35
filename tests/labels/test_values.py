import decimal
import math

import numpy as np
import pytest

from sentiment_batch.labels.values import to_canonical


@pytest.mark.parametrize(
    "one", [1, 1.0, "1", " 1 ", "1.0", "1,0", "01", "+1", "1e0", b"1", np.int8(1), decimal.Decimal("1.00")]
)
def test_a_number_is_the_same_label_however_it_is_written(one):
    assert to_canonical(one) == "1"


@pytest.mark.parametrize(
    "half", [4.5, "4.5", "4,5", "4,50", "4,5000", "4.50", " 4.5", decimal.Decimal("4.500"), np.float32(4.5)]
)
def test_a_half_star_is_the_same_label_however_it_is_written(half):
    assert to_canonical(half) == "4.5"


@pytest.mark.parametrize(
    "nothing",
    [None, math.nan, np.float32("nan"), decimal.Decimal("NaN"), "", "  \t", "NaN", "null", "None", "<NA>", "NA", "n/a"],
)
def test_missing_labels_are_recognized_however_they_are_written(nothing):
    assert to_canonical(nothing) is None


def test_infinite_and_huge_numbers_keep_their_value():
    assert to_canonical("1e400") == "1e400"
    assert to_canonical("123456789012345678901") == "123456789012345678901"


@pytest.mark.parametrize(
    "four",
    [
        *("4 z 5 gwiazdek", "4,0 av 5 stjärnor", "4 af 5 stjerner", "4.0 من 5 نجوم", "4 dari 5 bintang"),
        *("5 yıldız üzerinden 4,0", "5つ星のうち4", "星5つ中の4", "4 颗星，最多 5 颗星", "5点中4点", "5점 만점에 4점"),
        *("●●●●○", "(4/5)", "[4/5]", "4-star", "★4", "⭐ 4", "星4つ", "四星", "四颗星", "四つ星", "4 hvězdičky"),
    ],
)
def test_four_of_five_stars_are_read_in_many_languages(four):
    assert to_canonical(four) == "4/5"


@pytest.mark.parametrize("four", ["Rating: 4", "Rated 4", "Score 4", "4점", "4分", "4 Punkte", "4,0 points", "4 балла"])
def test_points_without_a_top_are_their_number(four):
    assert to_canonical(four) == "4"


@pytest.mark.parametrize("word", ["○", "●", "4*", "(4)", "十星", "4分钟", "A-", "5 - Very satisfied", "1-2", "Score"])
def test_unclear_ratings_stay_words(word):
    assert to_canonical(word) == word
