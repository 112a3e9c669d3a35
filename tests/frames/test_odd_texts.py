"""Texts in objects, halves of surrogate pairs, invisible texts and words for nothing, in frames of every kind."""

from __future__ import annotations

import json

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sentiment_batch import evaluate
from sentiment_batch.data.formats import open_reader
from sentiment_batch.errors import InputError
from sentiment_batch.explanation.attribution import explain_texts

TEXTS = ["the film was great", "boring and dull", None]
NESTED = [{"n": n, "review": {"text": text, "stars": n}} for n, text in enumerate(TEXTS)]
HALF = "the film was \ud83d great"


def labels(frame) -> list:
    found = frame["sentiment"]
    values = found.to_pylist() if hasattr(found, "to_pylist") else list(found)
    return [None if value != value else value for value in values]


def with_a_dot(rows: list) -> pd.DataFrame:
    return pd.DataFrame(rows).rename(columns={"review": "first.review"})


def lazy(rows: list) -> pl.LazyFrame:
    return pl.DataFrame(rows).lazy()


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (pd.DataFrame, "review.text"),
        (pl.DataFrame, "review.text"),
        (pa.Table.from_pylist, "review.text"),
        (with_a_dot, "first.review.text"),
        (lazy, "review.text"),
    ],
)
def test_a_text_inside_a_column_of_objects_is_scored(scorer, make, path):
    frame = make(NESTED)
    out = scorer(frame, text_column=path)
    out = out.collect() if isinstance(out, pl.LazyFrame) else out
    assert labels(out) == labels(scorer(pa.table({"text": TEXTS})))


def test_half_a_surrogate_pair_is_the_same_from_every_entry(scorer, tmp_path):
    expected = scorer(pa.table({"text": ["the film was \ufffd great"]}))["sentiment_score"].to_pylist()
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": HALF}) + "\n" + json.dumps({"text": "x"}))
    reader = open_reader(str(path))
    lines = pa.Table.from_batches(reader.batches(reader.splits()[0]))
    series = pd.Series([HALF], dtype=object)
    for frame in (series, pd.DataFrame({"text": series}), [HALF], lines[:1]):
        assert list(map(float, scorer(frame)["sentiment_score"].to_numpy())) == pytest.approx(expected, abs=1e-6)
    [explanation] = explain_texts(scorer, [HALF])
    assert explanation.score == pytest.approx(expected[0], abs=1e-4)


def test_invisible_texts_and_words_for_nothing_have_no_sentiment(scorer, caplog):
    texts = ["\u200b\ufeff", "NULL", "\\N", "n/a", "NULL", "good\u200b", "null and void"]
    found = labels(scorer(pd.DataFrame({"text": texts})))
    assert [label is None for label in found] == [True, True, True, True, True, False, False]
    assert "words for a missing value count as no text: 'NULL' (2), '\\\\N' (1), 'n/a' (1)" in caplog.messages


def test_half_a_surrogate_pair_in_a_column_name_is_read(scorer):
    frame = pd.DataFrame([["a fine film", 1]], columns=pd.Index(["te\ud800xt", "x"], dtype=object))
    expected = scorer(["a fine film"])["sentiment_score"].tolist()
    for name in ("te\ud800xt", "te\ufffdxt"):
        scored = scorer(frame, text_column=name)
        assert scored["sentiment_score"].tolist() == expected
        assert list(scored)[:2] == ["te\ud800xt", "x"]
    with pytest.raises(InputError, match="the columns of text are 'te\ufffdxt'"):
        scorer(frame, text_column="x")
    labelled = pd.DataFrame({"text": ["fine", "dull"] * 2, "mood": ["positive", "negative"] * 2})
    labelled.columns = pd.Index(["text", "mo\ud800d"], dtype=object)
    assert evaluate(labelled, scorer.model, label_column="mo\ud800d", device="cpu").rows == 4


@pytest.mark.parametrize("named", [None, "text"])
def test_half_a_surrogate_pair_in_a_stream_is_scored(scorer, named):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string")}) if named is None else None
    rows = datasets.IterableDataset.from_generator(lambda: iter([{"text": "fine \ud800"}]), features=features)
    (found,) = scorer(rows, text_column="text")
    assert found["sentiment"] == scorer(["fine \ufffd"])["sentiment"][0]
