import pytest

from sentiment_batch.errors import UsageError
from sentiment_batch.labels.stars import format_setting, number_labels, parse_stars, suggest_meaning


@pytest.mark.parametrize(
    "wrong", ["4,2", "2,2", "2", "", "negative=1-3,positive=3-5", "negative=1-2", "a=2-1,b=3", "a=1.2.3,b=4", "a=1,a=2"]
)
def test_invalid_cut_points_are_refused_with_an_example(wrong):
    with pytest.raises(UsageError, match="`stars`"):
        parse_stars(wrong)


def test_suggestions_can_be_read_back():
    assert [span.high for span in parse_stars(suggest_meaning([1, 2, 9]))] == [1, 2, 9]
    assert [span.label for span in parse_stars(number_labels(["bad", "so-so", "good"]))] == ["bad", "so-so", "good"]
    assert format_setting("a=0,b=1") == '`stars="a=0,b=1"`'


@pytest.mark.parametrize(
    ("numbers", "suggestion"),
    [
        ([20, 60, 80, 100], "40,60"),  # percent
        ([0.07, 0.31, 0.5, 0.98], "0.4,0.6"),
        ([-0.96, -0.2, 0.4, 0.99], "-0.2,0.2"),
        ([-80, -10, 35, 60], "-20,20"),
        ([0, 5, 12, 20], "8,12"),  # French marks
        ([80, 85, 91, 100], "88,92"),  # wine points
        ([1, 2, 3, 7], "3,5"),
        ([-5, -2, 0, 3], "-1,1"),
    ],
)
def test_a_suggestion_leaves_out_the_middle_of_a_scale(numbers, suggestion):
    assert suggest_meaning(map(float, numbers)) == suggestion
