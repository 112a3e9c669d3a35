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
