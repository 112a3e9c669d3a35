"""What a notebook shows of a result: its page, whole and apart from the notebook's own HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import pandas as pd
import pytest

from sentiment_batch import evaluate, explain, score, summarize, train
from sentiment_batch.report.notebook import frame_page

ROWS = pd.DataFrame({"review": ["a great film", "so dull </iframe>"], "label": ["positive", "negative"]})


class Frames(HTMLParser):
    """The attributes of each frame; any other element is a fault."""

    def __init__(self, html):
        super().__init__()
        self.frames = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert tag == "iframe"
        self.frames.append(dict(attrs))


def framed(html):
    (frame,) = Frames(html).frames
    return frame


def test_a_frame_holds_the_page_and_runs_nothing():
    page = '<!doctype html><p title="a">5 < 6 &amp; </iframe><script>alert(1)</script>'
    frame = framed(frame_page(page, 'A "title"'))
    assert (frame["srcdoc"], frame["title"]) == (page, 'A "title"')
    assert frame["sandbox"] in (None, "")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda model: evaluate(ROWS, model), "<title>Evaluation</title>"),
        (lambda model: summarize(score(ROWS, model)), "Shares of labels in"),
        (lambda model: explain("a great film", model)[0], "Which words weighed"),
    ],
)
def test_results_show_their_pages(tiny_model, make, words):
    page = framed(make(tiny_model)._repr_html_())["srcdoc"]
    assert page.startswith("<!DOCTYPE html>")
    assert words in page


def test_a_model_shows_its_report_if_it_has_one(reviews_csv, tiny_base, tmp_path):
    settings = {"base": tiny_base, "epochs": 1, "folds": 0, "limit": 48, "max_length": 48, "quiet": True}
    model = train(str(reviews_csv), tmp_path / "model", **settings)
    assert "Validation rows" in framed(model._repr_html_())["srcdoc"]
    (tmp_path / "model" / "report.html").write_bytes(b"\xff\xfe<p>")
    assert model._repr_html_() is None
    (tmp_path / "model" / "report.html").unlink()
    assert model._repr_html_() is None
    (tmp_path / "model").rename(tmp_path / "moved")
    assert model._repr_html_() is None
