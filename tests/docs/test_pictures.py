"""The pictures of the pages: they are there, they are small, and the picture of the terminal shows what was printed."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from scripts import draw_pictures
from tests.docs import pages

RED_WORD = "plain \x1b[1;4;33mword\x1b[0m end"


@pytest.mark.parametrize("name", ["report.png", "terminal.svg"])
def test_a_picture_is_there_and_small(name):
    assert 1_000 < (draw_pictures.PICTURES / name).stat().st_size <= draw_pictures.MAX_BYTES
    assert f"docs/pictures/{name}" in pages.text_of(pages.README)


def test_the_picture_of_the_terminal_shows_the_scripts_commands():
    text = "".join(ElementTree.parse(draw_pictures.PICTURES / "terminal.svg").getroot().itertext())
    for command in draw_pictures.SHOWN:
        assert f"sentiment-batch {command}" in text
    assert "/tmp" not in text


def test_the_styles_of_a_terminal_become_runs():
    (line,) = draw_pictures.runs_of(RED_WORD + "\r\n")
    assert [run.text for run in line] == ["plain ", "word", " end"]
    assert (line[1].bold, line[1].underlined) == (True, True)
    assert line[1].color != line[0].color == line[2].color


def test_progress_bars_are_left_out_and_long_lines_fold():
    printed = "scoring:  10%|#\rscoring: 100%|##########\r\n" + "x" * (draw_pictures.COLUMNS + 5) + "\r\n"
    lines = ["".join(run.text for run in line) for line in draw_pictures.runs_of(printed)]
    assert lines == ["x" * draw_pictures.COLUMNS, "x" * 5]


def test_a_picture_is_well_formed_whatever_is_printed():
    lines = list(draw_pictures.runs_of('a < b & \x1b[1;30;46mc\x1b[0m\r\n\r\n"d"'))
    root = ElementTree.fromstring(draw_pictures.svg(lines))
    assert "".join(root.itertext()).split() == [*draw_pictures.TITLE.split(), "a", "<", "b", "&", "c", '"d"']
