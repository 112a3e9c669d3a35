"""Text that is safe to show on a terminal and in a page, and fits its columns."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.display import collapse_line, escape_controls, escape_line, fit_text, shortened, terminal_width
from tests.terminal_lines import check_lines, width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, naïve, 电影, 👨\u200d👩\u200d👧, हिन्दी\t\n", "plain, naïve, 电影, 👨\u200d👩\u200d👧, हिन्दी\t\n"),
        ("\x1b[31mred\x07\x00\r\x7f", r"\x1b[31mred\x07\x00\x0d\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202edlrow\u202c \u2066x\u2069\u2028\u2029", r"\u202edlrow\u202c \u2066x\u2069\u2028\u2029"),
        ("\ud800", r"\ud800"),
        ("\ufffe\U0010ffff\ufdd0", r"\ufffe\U0010ffff\ufdd0"),
        ("", ""),
    ],
)
def test_what_would_steer_becomes_an_escape(text, expected):
    assert escape_controls(text) == expected


@given(st.text(st.characters(exclude_categories=[])))
def test_no_control_character_and_no_surrogate_is_left(text):
    shown = escape_controls(text)
    assert {unicodedata.category(character) for character in set(shown) - {"\t", "\n"}} & {"Cc", "Cs"} == set()
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert "\n" not in collapse_line(text) + escape_line(text)


def test_a_line_keeps_its_white_space_as_escapes():
    assert escape_line("a\tb\r\n  c") == r"a\tb\x0d\n  c"


def test_a_long_text_is_shown_by_its_ends():
    assert shortened("abc", 3) == "abc"
    assert shortened("a" * 50 + "\x1b" * 1_000 + "b" * 50, 100) == f"{'a' * 50} [… 1,000 characters …] {'b' * 50}"
    assert len(shortened("x" * 10_000_000)) < 300


@given(st.text(max_size=40), st.integers(1, 20))
def test_a_text_is_fitted_to_its_columns(text, most):
    found = fit_text(text, most)
    check_lines(found, most)
    if found.endswith("…") and not text.endswith("…"):
        assert width(collapse_line(text)) > most


def test_a_long_text_is_cut_where_its_columns_end():
    assert fit_text("good film", 9) == "good film"
    assert fit_text("good films", 9) == "good fil…"
    assert fit_text("映画映画", 6) == "映画…"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "expected"), [("40", 60), ("60", 60), ("100", 100), ("200", 200)])
def test_the_width_is_the_terminals_but_at_least_60(monkeypatch, columns, expected):
    monkeypatch.setenv("COLUMNS", columns)
    assert terminal_width(Terminal()) == expected
    assert terminal_width(io.StringIO()) == 80, "an output that is no terminal is the same everywhere"
