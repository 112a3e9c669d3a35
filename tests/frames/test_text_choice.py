"""Which column of a frame holds the text: each kind of frame chooses by what it has at hand, and logs it once."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sentiment_batch.errors import InputError

LONG = ["The staff was friendly and the food was a delight.", "I waited for two hours and nobody came to help."] * 3
UNSURE = {"feedback": ["good", "bad"] * 3, "story": LONG}


def stream(columns, size=None):
    return pa.table(columns).to_reader(max_chunksize=size)


def from_duckdb(columns):
    duckdb = pytest.importorskip("duckdb")
    rows = pa.table(columns)
    return duckdb.connect().from_arrow(rows)


def from_dask(columns):
    return pytest.importorskip("dask.dataframe").from_pandas(pd.DataFrame(columns), npartitions=2)


def from_datasets(columns):
    return pytest.importorskip("datasets").Dataset.from_dict(columns).to_iterable_dataset()


WITH_ROWS = {
    "pandas": pd.DataFrame,
    "chunks of one row": lambda columns: pa.Table.from_batches(pa.table(columns).to_batches(max_chunksize=1)),
    "stream": stream,
    "stream of single rows": lambda columns: stream(columns, 1),
    "duckdb": from_duckdb,
}
BY_NAME = {"polars": pl.LazyFrame, "dask": from_dask, "datasets": from_datasets}


@pytest.mark.parametrize("kind", WITH_ROWS)
def test_single_words_under_a_usual_name_are_a_question(scorer, kind):
    with pytest.raises(InputError, match="'feedback', 'story' could hold the text: 'feedback' has a usual name, but"):
        scorer(WITH_ROWS[kind](UNSURE))


@pytest.mark.parametrize("size", [1, 6])
def test_batches_for_other_engines_are_asked_about_too(scorer, size):
    with pytest.raises(InputError, match="'feedback', 'story' could hold the text"):
        list(scorer.annotate_batches(pa.table(UNSURE).to_batches(max_chunksize=size)))


def test_the_first_rows_of_a_stream_show_its_text(scorer):
    columns = {"code": ["a", "b"] * 3, "what they said": LONG}
    expected = scorer(pa.table(columns))["sentiment_score"].to_pylist()
    assert scorer(stream(columns, 1)).read_all()["sentiment_score"].to_pylist() == expected
    found = scorer.annotate_batches(iter(stream(columns)))
    assert pa.Table.from_batches(found)["sentiment_score"].to_pylist() == expected


def test_a_named_column_leaves_a_stream_unread(scorer):
    reads = []
    batches = (reads.append(1) or batch for batch in stream(UNSURE))
    given = pa.RecordBatchReader.from_batches(pa.table(UNSURE).schema, batches)
    scored = scorer(given, text_column="story")
    assert reads == []
    assert scored.read_all().num_rows == 6


def test_a_stream_without_rows_is_found_by_name(scorer):
    columns = pa.table(UNSURE).slice(0, 0)
    assert scorer(columns.to_reader()).read_all().num_rows == 0


@pytest.mark.parametrize("kind", [*WITH_ROWS, *BY_NAME])
def test_every_kind_of_frame_logs_its_text_column_once(scorer, caplog, kind):
    caplog.set_level("INFO")
    frame = (WITH_ROWS | BY_NAME)[kind]({"n": [1, 2], "review": ["a fine film", "so dull"]})
    scored = scorer(frame)
    read = {"dask": "compute", "polars": "collect", "duckdb": "fetchall"}.get(kind)
    list(scored) if read is None else getattr(scored, read)()
    found = [line for line in caplog.messages if " is read as" in line]
    assert found == [f"the {type(frame).__name__} is read as\n  text       review (assumed)"]


def test_a_named_text_column_is_not_logged(scorer, caplog):
    caplog.set_level("INFO")
    scorer(pl.LazyFrame(UNSURE), text_column="story").collect()
    assert not [line for line in caplog.messages if " is read as" in line]


@pytest.mark.parametrize("kind", BY_NAME)
def test_without_rows_the_names_alone_decide(scorer, caplog, kind):
    caplog.set_level("INFO")
    scorer(BY_NAME[kind](UNSURE))
    assert "feedback (assumed)" in caplog.text


@pytest.mark.parametrize("names", [["text", "text"], [0, "0"]])
def test_repeated_names_of_text_columns_must_be_changed(scorer, names):
    with pytest.raises(InputError, match=rf"2 columns are called '{names[1]}'. Rename them so that") as caught:
        scorer(pd.DataFrame([LONG[:2]], columns=names))
    assert "Name it" not in str(caught.value)


@pytest.mark.parametrize("named", [None, "text"])
def test_a_frame_without_columns_says_so(scorer, named):
    with pytest.raises(InputError, match="the table has no columns"):
        scorer(pd.DataFrame(index=range(3)), text_column=named)
