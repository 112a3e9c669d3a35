"""A summary of a scored table: counts by group and period, from any source, in bounded memory."""

from __future__ import annotations

import datetime
import json
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch import InputError, UsageError, summarize
from sentiment_batch.shares import tally


def make_frame(rows=3_000, seed=1):
    """A scored table: a tenth of the rows has no text, and some have no product."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(["negative", "positive", None], rows, p=[0.3, 0.6, 0.1])
    scores = np.where(labels == None, np.nan, generator.uniform(0.5, 1, rows).round(4))  # noqa: E711
    days = [datetime.date(2026, 1, 1) + datetime.timedelta(int(day)) for day in generator.integers(0, 90, rows)]
    return pd.DataFrame(
        {
            "review": [
                f"the film was {'dull' if label == 'negative' else 'great'}, {n}" for n, label in enumerate(labels)
            ],
            "product": generator.choice(["kettle", "lamp", None], rows),
            "country": generator.choice(["DE", "US"], rows),
            "date": days,
            "sentiment": labels,
            "sentiment_score": scores.astype("float32"),
        }
    )


def test_counts_are_those_of_pandas():
    frame = make_frame()
    found = summarize(frame, by=["product", "country"], over="date", unsure_below=0.6)
    assert found.rows == len(frame)
    assert found.total.no_text == frame.sentiment.isna().sum()
    assert found.total.unsure == (frame.sentiment_score < 0.6).sum()
    assert found.total.mean_score == pytest.approx(frame.sentiment_score.mean())
    kept = frame.assign(month=frame.date.astype(str).str[:7])
    assert [one.period for one in found.total.over] == ["2026-01", "2026-02", "2026-03"]
    for one in found.groups:
        product, country = one.group["product"], one.group["country"]
        same = kept[(kept["product"].isna() if product is None else kept["product"] == product)]
        same = same[same.country == country]
        assert (one.rows, one.no_text) == (len(same), same.sentiment.isna().sum())
        for label, share in one.shares.items():
            assert share.rows == (same.sentiment == label).sum()
            assert share.share == pytest.approx(share.rows / (one.rows - one.no_text))
            assert share.low < share.share < share.high
            assert share.mean_score == pytest.approx(same.sentiment_score[same.sentiment == label].mean())
        assert [period.rows for period in one.over] == same.groupby("month").size().tolist()
    assert len(found.groups) == 6
    assert sorted(found.groups, key=lambda one: -one.rows) == list(found.groups)


def test_every_source_gives_the_same(tmp_path):
    frame = make_frame()
    wanted = summarize(frame, by="product", over="date").to_json()
    frame.to_csv(tmp_path / "a.csv", index=False)
    pl.from_pandas(frame).write_parquet(tmp_path / "a.parquet")
    frame.assign(date=frame.date.astype(str)).to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    arrow = pa.Table.from_pandas(frame)
    arrow = arrow.set_column(4, "sentiment", arrow.column("sentiment").dictionary_encode())
    for table in (str(tmp_path / "a.csv"), tmp_path / "a.parquet", tmp_path / "a.jsonl", pl.from_pandas(frame), arrow):
        found = summarize(table, by="product", over="date").to_json()
        for name in wanted.keys() - {"table", "periods", "input"}:
            assert found[name] == wanted[name], (type(table), name)


def test_words_mark_labels_and_groups():
    frame = make_frame()
    is_lamp = frame["product"] == "lamp"
    frame.loc[is_lamp, "review"] += " with a flickering bulb"
    found = summarize(frame, by="product")
    assert [word.word for word in found.total.words["negative"]] == ["dull"]
    by_product = {one.group["product"]: one.words for one in found.groups}
    assert {word.word for word in by_product["lamp"]["positive"]} == {"with", "flickering", "bulb"}
    assert by_product["kettle"] == {}
    assert summarize(frame, words=0).total.words == {}
    assert summarize(frame.drop(columns="review")).total.words == {}


def test_a_text_that_repeats_is_no_evidence_of_a_word():
    frame = make_frame()
    template = frame.iloc[[0]].assign(review="thank you for choosing our shop", sentiment="negative")
    repeated = pd.concat([frame, *[template] * 60], ignore_index=True)
    found = summarize(repeated, by="product")
    assert [word.word for word in found.total.words["negative"]] == ["dull"]
    assert not any("choosing" in word.word for one in found.groups for words in one.words.values() for word in words)
    assert found.words_from == summarize(frame).words_from + 1


@pytest.mark.parametrize("places", [["north"], ["south"], [f"shop {n}" for n in range(300)]])
def test_a_repeated_text_marks_no_words_of_any_group(places):
    texts = [f"a fine film, seen on {n}" for n in range(1_000, 1_120)]
    frame = pd.DataFrame({"review": texts, "region": ["north", "south"] * 60, "sentiment": "positive"})
    regions = places * (300 // len(places))
    template = pd.DataFrame({"review": "thank you for choosing us", "region": regions, "sentiment": "positive"})
    found = summarize(pd.concat([frame, template], ignore_index=True), by="region", text_column="review")
    assert not any(one.words for one in found.groups)


def test_two_likely_columns_of_texts_are_said_to_have_no_words(caplog):
    texts = [f"a {'fine film that I liked' if n % 2 else 'dull film that I left'}, {n}" for n in range(80)]
    frame = pd.DataFrame({"text": texts, "content": texts[::-1], "sentiment": ["negative", "positive"] * 40})
    with caplog.at_level("INFO", "sentiment_batch"):
        assert summarize(frame).total.words == {}
        assert "no words are shown: 'text', 'content'" in caplog.text
        assert summarize(frame, text_column="content").total.words


def test_a_known_text_column_of_numbers_gives_no_words(tmp_path, caplog):
    meta = {"input": {"text_columns": ["review"]}, "labels": {"labels": ["negative", "positive"]}}
    (tmp_path / "sentiment_batch.json").write_text(json.dumps(meta), encoding="utf-8")
    frame = make_frame(50).assign(review=range(50))
    with caplog.at_level("INFO", "sentiment_batch"):
        found = summarize(frame, model=tmp_path)
    assert found.rows == 50
    assert found.total.words is None or not any(found.total.words.values())
    assert "no words are shown: column 'review' holds int64" in caplog.text


def test_a_table_without_scores_or_labels_is_summarized():
    frame = make_frame(50)
    found = summarize(frame.drop(columns="sentiment_score"))
    assert (found.total.unsure, found.total.mean_score) == (None, None)
    nothing = summarize(frame.assign(sentiment=None), over="date")
    assert (nothing.rows, nothing.total.no_text, nothing.shares) == (50, 50, {})
    assert "50 rows, 50 of them without a text" in str(nothing)
    assert summarize(frame.head(0)).rows == 0


def test_the_columns_of_another_prefix_are_found():
    frame = make_frame(50).rename(columns={"sentiment": "mood", "sentiment_score": "mood_score"})
    assert summarize(frame).label_column == "mood"
    assert summarize(frame, prefix="mood").to_json()["label_column"] == "mood"
    with pytest.raises(InputError, match=r"there is no column 'sentiment'. Score the table first"):
        summarize(frame.drop(columns="mood_score"))
    with pytest.raises(InputError, match="no column 'moods'; did you mean 'mood'"):
        summarize(frame, prefix="moods")


def test_the_columns_that_were_assumed_are_said_and_kept(caplog):
    frame = make_frame(50).rename(columns={"sentiment": "mood", "sentiment_score": "mood_score"})
    with caplog.at_level("INFO", "sentiment_batch"):
        found = summarize(frame)
    assert found.to_json()["input"]["assumed"] == ["text_columns", "label_column"]
    assert "the DataFrame is read as\n  text       review (assumed)\n  label      mood (assumed)" in caplog.text
    named = summarize(frame, prefix="mood", text_column="review", words=0).to_json()["input"]
    assert (named["text_columns"], named["label_column"], named["assumed"]) == (None, "mood", [])


def test_scores_that_are_no_numbers_are_named():
    frame = make_frame(50).assign(sentiment_score="high")
    with pytest.raises(InputError, match="column 'sentiment_score' holds something that is no number"):
        summarize(frame)
    with pytest.raises(InputError, match=r"column 'sentiment_score' holds 7\.0 in row 0 .*which is no probability"):
        summarize(frame.assign(sentiment_score=7))


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"unsure_below": "0.7"}, "`unsure_below` is '0.7'; it must be a number"),
        ({"by": ["a", "b", "c"]}, "takes one column, or two"),
        ({"by": ["product", "product"]}, "takes one column, or two"),
        ({"every": "decade"}, "it must be one of day"),
        ({"date_format": "%Y-%m-%d"}, "Name that with `over`"),
        ({"unsure_below": 0}, "it must lie above 0"),
        ({"words": -1}, "it must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, part):
    with pytest.raises(UsageError, match=part):
        summarize(make_frame(10), **settings)


def test_too_many_values_or_combinations_are_refused(monkeypatch):
    frame = make_frame(200).assign(id=range(200))
    monkeypatch.setattr(tally, "MAX_VALUES", 100)
    monkeypatch.setattr(tally.ValueNumbers.__init__, "__defaults__", (100,))
    with pytest.raises(InputError, match="column 'id' has more than 100 different values"):
        summarize(frame, by="id")
    monkeypatch.setattr(tally, "MAX_CELLS", 100)
    with pytest.raises(InputError, match="more than 100 combinations"):
        summarize(frame.assign(id=frame.id % 99), by=["id", "product"])


def test_memory_does_not_grow_with_the_rows(tmp_path):
    def peak(rows):
        path = tmp_path / f"{rows}.parquet"
        columns = {"text": ["a rather short text"] * rows, "sentiment": ["positive", "negative"] * (rows // 2)}
        columns |= {"product": [f"p{n % 40}" for n in range(rows)], "sentiment_score": [0.9] * rows}
        pq.write_table(pa.table(columns), path, row_group_size=8_192)
        tracemalloc.start()
        assert summarize(path, by="product").rows == rows
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(10_000)  # what is imported and cached counts once
    small, large = peak(50_000), peak(400_000)
    assert large < 1.5 * small + 2**20


def test_a_table_without_rows_has_a_summary_by_group():
    found = summarize(make_frame(5).head(0), by="product", over="date")
    assert (found.rows, found.groups) == (0, ())
    assert "by product" in str(found)
