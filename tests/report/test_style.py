import re

import pytest

from sentiment_batch.report.page import report_page
from sentiment_batch.report.palette import DARK, LIGHT
from sentiment_batch.report.style import REPORT
from sentiment_batch.report.words import LEVELS, WORDS_CSS
from tests.report import random_reports

CSS = re.search(r"<style>(.*?)</style>", report_page(random_reports.report()), re.S)[1]
SHADES = [f"{kind}-{level}" for kind in ("right", "wrong") for level in (1, 2, 3, 4)]
TEXT = [
    *((ink, behind) for ink in ("ink", "soft", "link") for behind in ("paper", "panel")),
    ("ink", "warn"),
    ("ink", "grid"),  # a cell that holds no row
    *(("ink", shade) for shade in SHADES),
]
MARKS = [(mark, behind) for mark in ("first", "second", "third", "fourth", "fifth") for behind in ("panel", "paper")]


def palettes() -> dict[str, dict[str, str]]:
    """The colours in the style sheet of a page, as a browser reads them."""
    light, dark = re.findall(r":root \{ (.*?) \}", CSS)
    return {
        scheme: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", rules))
        for scheme, rules in (("light", light), ("dark", dark))
    }


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_is_computed_rightly():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_page_has_both_palettes():
    assert palettes() == {"light": LIGHT, "dark": DARK}
    assert CSS.count("prefers-color-scheme") == 1
    assert "@media screen and (prefers-color-scheme: dark)" in CSS  # paper stays light


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "behind"), TEXT)
def test_text_has_contrast(scheme, ink, behind):
    colours = palettes()[scheme]
    assert contrast(colours[ink], colours[behind]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("mark", "behind"), MARKS)
def test_lines_and_marks_have_contrast(scheme, mark, behind):
    colours = palettes()[scheme]
    assert contrast(colours[mark], colours[behind]) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_line_under_a_word_is_seen_on_its_background(scheme):
    colours = palettes()[scheme]
    for mark, kind in (("first", "right"), ("second", "wrong")):
        ratios = [contrast(colours[mark], colours[f"{kind}-{level}"]) for level in range(1, len(LEVELS) + 1)]
        assert min(ratios) >= 2


def test_every_colour_that_is_used_has_a_name():
    used = set(re.findall(r"var\(--([\w-]+)\)", CSS))
    assert used <= set(LIGHT)
    assert set(LIGHT) == set(DARK)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b", REPORT + WORDS_CSS)


def test_text_is_of_no_other_colour_than_those_that_were_looked_at():
    inks = {ink for ink, _ in TEXT} | {"inherit"}
    for rule in re.findall(r"(?<![\w-])color: ([^;}]+)", CSS):
        assert rule.strip().removeprefix("var(--").removesuffix(")") in inks
    for selector, rules in re.findall(r"([^{}]+)\{([^{}]*)\}", CSS):
        if "svg text" in selector or "svg ." in selector:
            for rule in re.findall(r"fill: var\(--([\w-]+)\)", rules):
                assert rule in inks


def test_curves_differ_in_more_than_colour():
    dashes = re.findall(r"\.s[1-5] \{ stroke: var\(--\w+\)(?:; stroke-dasharray: ([\d ]+))? \}", CSS)
    assert len(dashes) == len(set(dashes)) == 5


def test_the_braces_of_the_style_sheet_match():
    depth = 0
    for sign in re.findall(r"[{}]", CSS):
        depth += 1 if sign == "{" else -1
        assert depth in {0, 1, 2}
    assert depth == 0


def test_paper_hides_what_cannot_be_pressed():
    assert re.search(r"@media print \{.*?nav \{ display: none \}", CSS, re.S)
