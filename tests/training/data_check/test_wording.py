"""The data check in lines for a terminal, whatever its width."""

import pytest

from sentiment_batch.training.data_check.wording import format_finding, format_lengths, format_summary, wrap_text

SUMMARY = {
    "training_rows": 9_000,
    "validation_rows": 1_000,
    "folds": None,
    "test_rows": 500,
    "mapping": "stars up to 2 -> negative, 4 and more -> positive",
    "classes": {f"a class of the number {n}": 300 for n in range(30)},
    "label_unknown": {"odd": 2},
    "label_unknown_rows": 3,
    "label_missing": 4,
    "label_missing_written": {"None": 4},
    "blank": 1,
    "repeated": 20,
    "nearly_repeated": 10,
    "conflicting": 6,
    "groups": {"column": "film", "groups": 300, "shared": {}},
}
LENGTHS = {
    "mean": 85.0,
    "median": 30,
    "p95": 200,
    "longest": 2_000,
    "cut": 90,
    "cut_share": 0.3,
    "max_length": 512,
    "tokens_lost_share": 0.2,
}
FINDING = {
    "level": "warning",
    "text": "12 % of the rows are odd. Keep groups on one side with `group_column='the name of the film'`, or not.",
}


@pytest.mark.parametrize("width", [60, 72, 80, 133])
def test_every_line_fits_the_terminal(width):
    lines = format_summary(SUMMARY, ["'a text' (neg, pos)"], width) + format_lengths(LENGTHS, "head-tail", width)
    assert max(map(len, lines)) <= width
    first, *others = format_finding(FINDING, width).splitlines()
    assert len(f"warning: {first}") <= width
    assert max(map(len, others), default=0) <= width
    assert not [line for line in lines if line.startswith("%")]


@pytest.mark.parametrize("width", range(60, 100))
def test_a_setting_is_never_broken_over_two_lines(width):
    lines = format_finding(FINDING, width).splitlines()
    assert [line for line in lines if "`group_column='the name of the film'`" in line]


def test_a_number_stays_with_its_percent_sign():
    for width in range(8, 40):
        assert not [line for line in wrap_text("so 51 % of all 1.4 % here", width, "", "") if line.startswith("%")]


def test_the_summary_names_what_is_left_out_and_repeated():
    text = " ".join(" ".join(format_summary(SUMMARY, [], 80)).split())
    assert (
        "3 rows with a label of no class: 'odd' (2); 4 rows without a label, 'None' (4) among them; 1 row without"
        in text
    )
    assert "20 rows repeat another's text, 10 more nearly, and stay on its side of the split" in text
    assert "6 rows hold a text that also occurs with another label, and are not used for validation" in text
    assert "and 18 more" in text
    assert "300 by 'film', each on one side" in text
