"""Messages on a terminal: lines are wrapped between words, and what people copy is not broken."""

from __future__ import annotations

import io

import pytest

from sentiment_batch.cli.messages import fit_lines

LONG = "the table in /data/a-folder/with-a-name/that-is-long/reviews.parquet has no column 'review'. Name one."


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("width", [60, 80])
def test_lines_on_a_terminal_are_wrapped_between_words(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = fit_lines(f"short\n{LONG}\n  indented", Terminal()).split("\n")
    assert (lines[0], lines[-1]) == ("short", "  indented")
    assert max(map(len, lines)) <= width
    assert " ".join(line.strip() for line in lines[1:-1]) == LONG


def test_a_path_that_is_wider_than_the_terminal_is_not_broken(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    assert LONG.split()[3] in fit_lines(LONG, Terminal()).split()


def test_a_number_and_its_percent_sign_stay_together(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert "97.5 %" in fit_lines("the accuracy is 97.5 % of all rows", Terminal())


def test_colours_take_no_room(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    coloured = "\x1b[1;36mgood\x1b[0m " * 4
    assert "\n" not in fit_lines(coloured.strip(), Terminal())
    assert "\n" in fit_lines(f"{coloured}good", Terminal())


def test_lines_in_a_file_stay_as_they_are(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert fit_lines(LONG, io.StringIO()) == LONG
