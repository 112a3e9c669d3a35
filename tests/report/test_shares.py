"""The page of a summary: sound whatever the table holds, with a chart by group and over time."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from sentiment_batch import summarize
from sentiment_batch.report.shares import render_share_page
from tests.report.page_parser import sound
from tests.report.test_page import HOSTILE


def render(frame, **settings):
    return render_share_page(summarize(frame, **settings).to_json(), version="1", command="sentiment-batch summary x")


def make_frame(labels=("negative", "positive"), products=("kettle", "lamp"), rows=600, days=400):
    generator = np.random.default_rng(3)
    dates = [datetime.date(2026, 1, 1) + datetime.timedelta(int(day)) for day in generator.integers(0, days, rows)]
    return pd.DataFrame(
        {
            "review": [f"a text about {word}" for word in generator.choice(["dull", "great"], rows)],
            "product": generator.choice(np.array([*products, None], dtype=object), rows),
            "date": dates,
            "sentiment": generator.choice(np.array([*labels, None], dtype=object), rows),
            "sentiment_score": generator.uniform(0.5, 1, rows),
        }
    )


def test_a_page_has_charts_of_all_rows_over_time_and_by_group():
    page = render(make_frame(), by="product", over="date")
    read = sound(page)
    for part in (
        "600 rows: ",
        "Share of each label over time",
        "Share of “\u2068negative\u2069” by group",
        "Share of “\u2068negative\u2069” over time, by group",
        "kettle",
        "(none)",
        "2026-01",
        "There are no corrected shares",
        "sentiment-batch summary x",
    ):
        assert part in read.text()
    assert len([one for one in read.of("svg") if one.get("role") == "img"]) == 4


@pytest.mark.parametrize("what", HOSTILE)
def test_names_of_any_characters_stay_text(what):
    text = HOSTILE[what].encode("utf-8", "replace").decode()
    frame = make_frame([f"{text} a", f"{text} b", "c"], [text or "x", f"{text}!"])
    sound(render(frame.rename(columns={"product": text or "y"}), by=text or "y", over="date"))


@pytest.mark.parametrize(
    "frame",
    [
        make_frame(rows=0),
        make_frame(rows=1),
        make_frame().assign(sentiment=None),
        make_frame().assign(date=None),
        make_frame().drop(columns="sentiment_score"),
        make_frame([f"label {number}" for number in range(40)], [f"product {number}" for number in range(300)]),
        make_frame(days=1),
        make_frame(rows=5_000, days=4_000),
    ],
    ids=["no rows", "one row", "no labels", "no dates", "no scores", "many", "one day", "many days"],
)
def test_odd_tables_have_sound_pages(frame):
    for every in ("day", "year"):
        page = render(frame, by="product", over="date", every=every)
        sound(page)
        assert len(page) < 1_000_000
