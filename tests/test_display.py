"""Text that is safe to show on a terminal and in a page."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.display import one_line, shortened, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, naïve, 电影, 👨\u200d👩\u200d👧, हिन्दी\t\n", "plain, naïve, 电影, 👨\u200d👩\u200d👧, हिन्दी\t\n"),
        ("\x1b[31mred\x07\x00\r\x7f", "␛[31mred␇␀␍␡"),
        ("\x9b31m\x85", "\ufffd31m\ufffd"),
        ("\u202edlrow\u202c \u2066x\u2069\u2028\u2029", "\ufffddlrow\ufffd \ufffdx\ufffd\ufffd\ufffd"),
        ("\ud800", "\ufffd"),
        ("\ufffe\U0010ffff\ufdd0", "\ufffd" * 3),
        ("", ""),
    ],
)
def test_what_would_steer_becomes_a_sign(text, expected):
    assert visible(text) == expected


@given(st.text(st.characters(exclude_categories=[])))
def test_no_control_character_and_no_surrogate_is_left(text):
    shown = visible(text)
    assert len(shown) == len(text)
    assert {unicodedata.category(character) for character in set(shown) - {"\t", "\n"}} & {"Cc", "Cs"} == set()
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert "\n" not in one_line(text)


def test_a_long_text_is_shown_by_its_ends():
    assert shortened("abc", 3) == "abc"
    assert shortened("a" * 50 + "\x1b" * 1_000 + "b" * 50, 100) == f"{'a' * 50} [… 1,000 characters …] {'b' * 50}"
    assert len(shortened("x" * 10_000_000)) < 300
