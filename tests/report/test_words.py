"""Words as HTML: strength and sign to be seen without colour, everything escaped, legible by day and night."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.display import escape_controls
from sentiment_batch.explanation.words import Explanation, Word
from sentiment_batch.report.words import MARK_LEVELS, mark_words, render_explanation_page
from tests.report.style_sheet import DARK, LIGHT, STYLE, contrast

WEIGHTS = st.none() | st.floats(-1, 1)


class Reader(HTMLParser):
    """What a browser makes of a page: the text, and the tags that were opened and closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.opened, self.open, self.marks = "", [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        if tag != "meta":
            self.open.append(tag)
        if tag in {"mark", "i"}:
            self.marks.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def explanation(*words, label="positive", score=0.98765):
    words = tuple(Word(*word) for word in words)
    text = "".join(word.text for word in words)
    return Explanation(text=text, label=label, score=score, probabilities=None, words=words)


def test_weight_shows_by_class_and_number():
    read = Reader(mark_words([("great", 1.0), (" ", 0.0), ("dull", -0.31), (" so", 0.09), (" and on", None)]))
    assert read.text == "great dull so and on"
    assert read.marks == [
        ("mark", {"class": "f4", "title": "+1.00"}),
        ("mark", {"class": "a2", "title": "-0.31"}),
        ("i", {"title": "not seen by the model"}),
    ]


@pytest.mark.parametrize(("weight", "name"), [(0.1, "f1"), (0.3, "f2"), (-0.55, "a3"), (-1.0, "a4")])
def test_each_level_has_a_ground_and_a_line_of_its_own(weight, name):
    assert f'class="{name}"' in mark_words([("x", weight)])
    rule = re.search(rf"mark\.{name} \{{([^}}]+)\}}", STYLE)[1]
    kind = "right" if name[0] == "f" else "wrong"
    assert f"background: var(--{kind}-{name[1]})" in rule
    assert f"text-decoration-thickness: {name[1]}px" in rule
    lines = {sign: re.search(rf'class\^="{sign}"\] \{{ text-decoration: underline (\w+)', STYLE)[1] for sign in "fa"}
    assert lines["f"] != lines["a"]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_word_can_be_read(palette):
    grounds = [f"{kind}-{level}" for kind in ("right", "wrong") for level in range(1, len(MARK_LEVELS) + 1)]
    assert all(f"var(--{name})" in STYLE for name in grounds)
    assert min(contrast(palette["ink"], palette[name]) for name in grounds) >= 4.5
    assert min(contrast(palette["soft"], palette[name]) for name in ("panel", "paper")) >= 4.5
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLE)) <= set(palette)


@given(
    st.lists(st.tuples(st.text(st.characters(exclude_categories=[]) | st.sampled_from("<>&\"'"), max_size=20), WEIGHTS))
)
def test_any_text_is_shown_as_it_stands_and_is_never_markup(words):
    made = mark_words(words)
    read = Reader(str(made))
    assert read.text == escape_controls("".join(text for text, _ in words))
    assert set(read.opened) <= {"span", "mark", "i"}
    assert read.open == []
    assert made.encode("utf-8")


def test_a_long_piece_is_shown_by_its_ends():
    made = mark_words([("a" * 5_000_000, None), ("b" * 5_000_000, 1.0)])
    assert "[… 4,999,000 characters …]" in made
    assert len(made) < 3_000


def test_fifty_long_texts_stay_small():
    words = [pair for n in range(256) for pair in ((f"word{n % 9}", ((n * 37) % 200 - 100) / 100), (" ", 0.0))]
    assert 50 * len(mark_words(words)) < 700_000


def test_a_page_shows_each_text_and_fetches_nothing():
    page = render_explanation_page(
        [
            explanation(("good", 1.0), (" & ", 0.0), ("<b>dull</b>", -0.5)),
            Explanation(text=" ", label=None, score=None, probabilities=None, words=(Word(" ", None),)),
            explanation(("x", 0.0), label="\x1b<i>\ud800", score=0.5),
        ],
        "models/<my> model",
        5,
    )
    read = Reader(page)
    for part in (
        "3 texts",
        "models/<my> model",
        "positive 0.9877",
        "good & <b>dull</b>",
        "No text",
        "\\x1b<i>\\ud800 0.5000",
    ):
        assert part in read.text
    assert "good +1.00" in read.text
    assert "<b>dull</b> -0.50" in read.text
    assert read.text.count("nothing") >= 2  # words for or against the last one
    assert read.open == []
    assert set(read.opened) & {"script", "link", "img", "b"} == set()
    assert not re.search(r"(src|href)=|url\(|https?:", page)
    assert page.encode("utf-8")


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium here")
    return found


@pytest.mark.parametrize("width", [380, 1_000])
def test_a_browser_draws_the_page_with_a_clean_console(browser, width, tmp_path):
    page = tmp_path / "page.html"
    words = [("great", 1.0), (" ", 0.0), ("dull", -0.9), (" unseen " * 40, None), ("電影", 0.4), ("x" * 900, -0.2)]
    page.write_text(render_explanation_page([explanation(*words)] * 3, "model", 5), encoding="utf-8")
    shot = tmp_path / "shot.png"
    run = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"),
            *(f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", f"--screenshot={shot}"),
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ":CONSOLE" not in run.stderr
    assert shot.stat().st_size > 10_000
