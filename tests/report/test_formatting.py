import math

from sentiment_batch.report.formatting import (
    MISSING,
    format_count,
    format_decimal,
    format_interval,
    format_percent,
    format_quantity,
    quote_label,
    shorten_label,
    to_number,
)


def test_percents_have_a_space_and_no_minus_zero():
    shares = (0.9234, 1, 0, -0.00001, None, math.nan)
    assert [format_percent(share) for share in shares] == ["92.3 %", "100.0 %", "0.0 %", "0.0 %", MISSING, MISSING]
    assert format_percent(0.9, 0) == "90 %"


def test_decimals_are_fixed_and_thousands_have_commas():
    values = (0.12345, 1_234.5, -0.0001, math.inf)
    assert [format_decimal(value) for value in values] == ["0.123", "1,234.500", "0.000", MISSING]


def test_counts_are_whole_and_nothing_else_is_a_number():
    values = (1_234_567, 0, None, "12", True)
    assert [format_count(value) for value in values] == ["1,234,567", "0", MISSING, MISSING, MISSING]
    assert to_number(True) is None


def test_a_quantity_takes_the_plural_of_its_noun():
    assert [format_quantity(value, "row") for value in (1, 2, 1_000)] == ["1 row", "2 rows", "1,000 rows"]
    assert format_quantity(3, "class", "classes") == "3 classes"


def test_an_interval_needs_both_ends():
    assert format_interval([0.9, 0.95], format_percent) == "90.0 to 95.0 %"
    for ends in (None, [], [0.1], [None, 0.2], [math.nan, 0.2]):
        assert format_interval(ends, format_percent) == ""


def test_a_label_keeps_its_direction_and_its_marks_to_itself():
    assert shorten_label("positive") == "\u2068positive\u2069"
    assert quote_label("ש\u202eש") == "“\u2068ש\\u202eש\u2069”"
    assert shorten_label("x" * 300, 40) == f"\u2068{'x' * 39}…\u2069"
    assert shorten_label("a\nb\x00c") == "\u2068a b\\x00c\u2069"
    assert shorten_label(None) == "\u2068None\u2069"
