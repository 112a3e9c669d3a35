import re

import pytest

from sentiment_batch.report.page import render_report_page
from sentiment_batch.report.words import MARK_LEVELS, render_explanation_page
from tests.report import random_reports
from tests.report.style_sheet import DARK, LIGHT, STYLE, contrast

PALETTES = {"light": LIGHT, "dark": DARK}
SHADES = [f"{kind}-{level}" for kind in ("right", "wrong") for level in (1, 2, 3, 4)]
TEXT = [
    *((ink, behind) for ink in ("ink", "soft", "link") for behind in ("paper", "panel")),
    ("ink", "warn"),
    ("ink", "grid"),  # a cell that holds no row
    *(("ink", shade) for shade in SHADES),
]
MARKS = [(mark, behind) for mark in ("first", "second", "third", "fourth", "fifth") for behind in ("panel", "paper")]


def test_the_contrast_is_computed_rightly():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_every_page_has_the_whole_style_sheet():
    for page in (
        render_report_page(random_reports.report()),
        render_report_page({}),
        render_explanation_page([], "m", 1),
    ):
        (style,) = re.findall(r"<style>(.*?)</style>", page, re.S)
        assert re.sub(r"/\*.*?\*/", "", style, flags=re.S).strip() == STYLE.strip()


def test_both_palettes_name_the_same_colours():
    assert len(LIGHT) > 20
    assert set(LIGHT) == set(DARK)
    assert STYLE.count("prefers-color-scheme") == 1
    assert "@media screen and (prefers-color-scheme: dark)" in STYLE  # paper stays light


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "behind"), TEXT)
def test_text_has_contrast(scheme, ink, behind):
    colours = PALETTES[scheme]
    assert contrast(colours[ink], colours[behind]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("mark", "behind"), MARKS)
def test_lines_and_marks_have_contrast(scheme, mark, behind):
    colours = PALETTES[scheme]
    assert contrast(colours[mark], colours[behind]) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_line_under_a_word_is_seen_on_its_background(scheme):
    colours = PALETTES[scheme]
    for mark, kind in (("first", "right"), ("second", "wrong")):
        ratios = [contrast(colours[mark], colours[f"{kind}-{level}"]) for level in range(1, len(MARK_LEVELS) + 1)]
        assert min(ratios) >= 2


def test_every_colour_that_is_used_has_a_name():
    used = set(re.findall(r"var\(--([\w-]+)\)", STYLE))
    assert used == set(LIGHT)
    assert len(re.findall(r"#[0-9a-fA-F]{3,8}\b", STYLE)) == 2 * len(LIGHT)


def test_text_has_only_colours_whose_contrast_is_tested():
    inks = {ink for ink, _ in TEXT} | {"inherit"}
    for rule in re.findall(r"(?<![\w-])color: ([^;}]+)", STYLE):
        assert rule.strip().removeprefix("var(--").removesuffix(")") in inks
    for selector, rules in re.findall(r"([^{}]+)\{([^{}]*)\}", STYLE):
        if "svg text" in selector or "svg ." in selector:
            for rule in re.findall(r"fill: var\(--([\w-]+)\)", rules):
                assert rule in inks


def test_curves_differ_in_more_than_colour():
    dashes = re.findall(r"\.s[1-5] \{ stroke: var\(--\w+\)(?:; stroke-dasharray: ([\d ]+))? \}", STYLE)
    assert len(dashes) == len(set(dashes)) == 5


def test_the_braces_of_the_style_sheet_match():
    depth = 0
    for sign in re.findall(r"[{}]", STYLE):
        depth += 1 if sign == "{" else -1
        assert depth in {0, 1, 2}
    assert depth == 0


def test_paper_hides_what_cannot_be_pressed():
    assert re.search(r"@media print \{.*?nav \{ display: none \}", STYLE, re.S)
