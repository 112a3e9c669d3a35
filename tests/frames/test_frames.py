"""Frames of any library go in, the same kind comes out, and the input stays as it was."""

from __future__ import annotations

import copy
import datetime
import decimal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.frames import wrap_frame

TEXTS = ["the film was great", None, "boring and dull", " ", "the film was great"]
ADDED = ["sentiment", "sentiment_score"]


@pytest.fixture(scope="module")
def expected(scorer):
    """Labels and scores of `TEXTS`."""
    out = scorer(pa.table({"text": TEXTS}))
    return out["sentiment"].to_pylist(), out["sentiment_score"].to_pylist()


def check_pandas(out, expected):
    labels, scores = expected
    assert [None if pd.isna(label) else label for label in out["sentiment"]] == labels
    assert [None if pd.isna(score) else np.float32(score) for score in out["sentiment_score"]] == scores
    assert out["sentiment"].dtype == pd.CategoricalDtype(["negative", "positive"])
    assert out["sentiment_score"].dtype == np.float32


INDEXES = {
    "default": pd.RangeIndex(5),
    "repeated": pd.Index([7, 7, 7, 1, 1]),
    "words": pd.Index(list("edcba"), name="key"),
    "days": pd.date_range("2024-01-01", periods=5, tz="Europe/Oslo"),
    "nested": pd.MultiIndex.from_product([["a"], [1, 2, 3, 4, 5]], names=["x", "y"]),
    "with NaN": pd.Index([1.0, np.nan, np.nan, 2.0, 3.0]),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_a_pandas_frame_keeps_its_index(scorer, expected, kind):
    frame = pd.DataFrame({"text": TEXTS}, index=INDEXES[kind])
    out = scorer(frame)
    pd.testing.assert_index_equal(out.index, frame.index, exact=True)
    check_pandas(out, expected)


def test_a_pandas_frame_keeps_columns_types_and_attributes(scorer, expected):
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None, 3, 4, 5], dtype="Int64"),
            "flag": pd.array([True, None, False, True, None], dtype="boolean"),
            "kind": pd.Categorical(["x", "y", None, "x", "y"], categories=["y", "x", "z"], ordered=True),
            "text": pd.array(TEXTS, dtype="string"),
            "when": pd.to_datetime(["2024-01-01", None, "2024-01-03", "2024-01-04", "2024-01-05"]).tz_localize("UTC"),
            "gap": pd.to_timedelta([1, 2, 3, 4, 5], unit="h"),
            "month": pd.period_range("2024-01", periods=5, freq="M"),
            "span": pd.interval_range(0, 5),
            "sparse": pd.arrays.SparseArray([0, 0, 1, 0, 2]),
            "number": np.arange(5, dtype=np.float16),
            "complex": np.arange(5) * 1j,
            "anything": [1, "a", None, {"b": 2}, object],
            "lists": [[1], [], None, [2, 3], [None]],
            "arrow": pd.array([1, 2, None, 4, 5], dtype=pd.ArrowDtype(pa.int16())),
        }
    )
    frame.attrs["source"] = {"file": "a.csv"}
    before = copy.deepcopy(frame)
    out = scorer(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert list(frame.columns) == list(before.columns)
    pd.testing.assert_frame_equal(out[list(frame.columns)], before)
    assert list(out.columns) == [*before.columns, *ADDED]
    assert out.attrs == {"source": {"file": "a.csv"}}
    check_pandas(out, expected)


def test_changing_the_result_does_not_change_the_input(scorer):
    frame = pd.DataFrame({"text": ["great", "awful"], "n": [1, 2]})
    out = scorer(frame)
    out.loc[0, "n"] = 99
    out["n"].to_numpy()
    assert frame["n"].tolist() == [1, 2]
    assert list(frame.columns) == ["text", "n"]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(TEXTS, dtype=object),
        pd.Series(TEXTS, dtype="str"),
        pd.Series(TEXTS, dtype="string[python]"),
        pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.large_string())),
        pd.Series(pd.Categorical(TEXTS)),
        pd.Series([TEXTS[0], float("nan"), TEXTS[2], " ", TEXTS[4]], dtype=object),
        pd.Series([TEXTS[0], pd.NA, TEXTS[2], " ", TEXTS[4]], dtype=object),
        pd.Series([TEXTS[0], pd.NaT, TEXTS[2], " ", TEXTS[4]], dtype=object),
        pd.Series([None if text is None else text.encode() for text in TEXTS]),
    ],
    ids=["object", "str", "string", "arrow", "category", "NaN", "NA", "NaT", "bytes"],
)
def test_text_of_every_type_is_scored(scorer, expected, values):
    check_pandas(scorer(values.to_frame("text")), expected)


@pytest.mark.parametrize("null", [None, float("nan"), pd.NA, pd.NaT])
def test_numbers_among_texts_become_text_and_nulls_stay_null(scorer, null):
    mixed = [1, 2.5, "great", True, null, np.int64(7), np.float32(0.5), decimal.Decimal("1.50"), 10**30]
    out = scorer(pd.DataFrame({"text": pd.Series(mixed, dtype=object)}))
    text = ["1", "2.5", "great", "True", None, "7", "0.5", "1.50", "1" + "0" * 30]
    reference = scorer(pd.DataFrame({"text": pd.Series(text, dtype=object)}))
    pd.testing.assert_frame_equal(out[ADDED], reference[ADDED])
    assert out["text"].tolist()[:4] == mixed[:4]


def test_a_lone_surrogate_is_no_obstacle(scorer):
    out = scorer(pd.DataFrame({"text": pd.Series(["great \ud83d film", "awful"], dtype=object)}))
    assert out["sentiment_score"].notna().all()
    assert out["text"][0] == "great \ud83d film"


@pytest.mark.parametrize(
    "bad",
    [["great"], {"a": 1}, np.array([1, 2]), datetime.date(2024, 1, 1), object()],
    ids=["list", "dict", "array", "date", "object"],
)
def test_a_value_that_is_no_text_is_named_with_its_row(scorer, bad):
    frame = pd.DataFrame({"n": [1, 2, 3], "text": pd.Series(["great", 1, None], dtype=object)})
    frame.at[2, "text"] = bad
    kind = type(bad).__name__
    with pytest.raises(InputError, match=rf"column 'text' holds a value of the type {kind} in row 2 \(counted"):
        scorer(frame)


def test_a_column_of_numbers_is_no_text(scorer):
    with pytest.raises(InputError, match="'n' holds int64, not text"):
        scorer(pd.DataFrame({"text": ["a"], "n": [1]}), text_column="n")


def test_repeated_column_names_stay_apart(scorer):
    frame = pd.DataFrame([["great", 1, 2], ["awful", 3, 4]], columns=["text", "n", "n"])
    out = scorer(frame)
    assert list(out.columns) == ["text", "n", "n", *ADDED]
    pd.testing.assert_frame_equal(out.iloc[:, :3], frame)
    twice = pd.DataFrame([["great", "x"]], columns=["text", "text"])
    with pytest.raises(InputError, match="2 columns are called 'text'"):
        scorer(twice, text_column="text")


def test_columns_named_by_numbers_can_be_chosen(scorer):
    frame = pd.DataFrame({0: ["great", "awful"], 1: ["x", "y"]})
    out = scorer(frame, text_column="0")
    assert list(out.columns) == [0, 1, *ADDED]
    pd.testing.assert_frame_equal(out, scorer(frame, text_column=0))
    with pytest.raises(InputError, match="no column '2'"):
        scorer(frame, text_column=2)


@pytest.mark.parametrize(
    "columns",
    [
        pd.MultiIndex.from_tuples([("text", "raw"), ("n", "raw")]),
        pd.CategoricalIndex(["text", "n"]),
        pd.Index(["text", "n"], name="fields"),
    ],
    ids=["nested", "categories", "named"],
)
def test_column_indexes_of_other_kinds_work(scorer, columns):
    frame = pd.DataFrame([["great", 1], ["awful", 2]], columns=columns)
    out = scorer(frame)
    assert out.shape == (2, 4)
    assert out["sentiment_score"].notna().all().all()
    assert out.columns.names == frame.columns.names
    assert list(frame.columns) == list(columns)


def test_an_empty_pandas_frame_gets_columns_of_the_right_types(scorer):
    for frame in (pd.DataFrame({"text": []}), pd.DataFrame({"text": pd.Series([], dtype="str"), "n": []})):
        out = scorer(frame)
        assert len(out) == 0
        assert list(out.columns) == [*frame.columns, *ADDED]
        assert out["sentiment"].dtype == pd.CategoricalDtype(["negative", "positive"])
        assert out["sentiment_score"].dtype == np.float32


def test_a_frame_without_any_text_in_it_gets_nulls(scorer):
    for nothing in (None, float("nan"), pd.NA, pd.NaT):
        out = scorer(pd.DataFrame({"text": pd.Series([nothing, None], dtype=object), "n": [1, 2]}))
        assert out["sentiment"].isna().all()
        assert out["sentiment"].dtype == pd.CategoricalDtype(["negative", "positive"])


@pytest.mark.parametrize(
    ("name", "column"), [(None, "text"), ("review", "review"), ("anything", "anything"), (3, 3), ("n", "n")]
)
def test_a_pandas_series_becomes_a_frame(scorer, expected, name, column):
    series = pd.Series(TEXTS, name=name, index=list("abcde"))
    out = scorer(series)
    assert list(out.columns) == [column, *ADDED]
    assert list(out.index) == list("abcde")
    check_pandas(out, expected)
    assert series.name == name


def test_a_subclass_of_a_pandas_frame_stays_one(scorer):
    class Reviews(pd.DataFrame):
        @property
        def _constructor(self):
            return Reviews

    assert type(scorer(Reviews({"text": ["great"]}))) is Reviews


def test_a_clash_names_the_prefix_and_happens_before_any_work(scorer):
    before = scorer.counts.rows
    for frame in (pd.DataFrame, pl.DataFrame, pa.table):
        with pytest.raises(UsageError, match=r"already has the columns 'sentiment_score'.*`prefix="):
            scorer(frame({"text": ["a"], "sentiment_score": [1.0]}))
    assert scorer.counts.rows == before


def test_two_text_columns_are_joined(scorer):
    frame = pd.DataFrame({"body": ["the film", None], "title": ["great", "awful"]})
    out = scorer(frame, text_column=["title", "body"])
    joined = scorer(pd.DataFrame({"text": ["great\n\nthe film", "awful"]}))
    pd.testing.assert_frame_equal(out[ADDED], joined[ADDED])


def test_the_column_of_text_is_found_by_its_values(scorer):
    frame = pd.DataFrame(
        {"code": ["a", "b"], "what they said": ["the film was great, all of it", "boring and dull and slow"]}
    )
    assert scorer(frame)["sentiment_score"].notna().all()
    with pytest.raises(InputError, match="Name it with `text_column`; the columns are 'code', 'kind'"):
        scorer(pd.DataFrame({"code": ["a", "b"], "kind": ["x", "y"]}))


def test_a_polars_frame_comes_back_as_one(scorer, expected):
    frame = pl.DataFrame(
        {
            "text": TEXTS,
            "n": pl.Series([1, None, 3, 4, 5], dtype=pl.UInt8),
            "kind": pl.Series(["x", "y", None, "x", "y"], dtype=pl.Categorical),
            "when": pl.Series([datetime.datetime(2024, 1, 1)] * 5, dtype=pl.Datetime("us", "Europe/Oslo")),
            "lists": [[1], [], None, [2], [3]],
        }
    )
    before = frame.clone()
    out = scorer(frame)
    assert type(out) is pl.DataFrame
    assert frame.equals(before)
    assert out.select(frame.columns).equals(before)
    assert out.schema["sentiment"] == pl.Enum(["negative", "positive"])
    assert out.schema["sentiment_score"] == pl.Float32
    assert (out["sentiment"].to_list(), out["sentiment_score"].to_list()) == expected


def test_a_polars_series_becomes_a_frame(scorer, expected):
    for name, column in (("review", "review"), ("", "text")):
        out = scorer(pl.Series(name, TEXTS))
        assert out.columns == [column, *ADDED]
        assert out["sentiment"].to_list() == expected[0]


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum([TEXTS[0], TEXTS[2], " "])])
def test_polars_texts_of_every_type_are_scored(scorer, expected, dtype):
    assert scorer(pl.DataFrame({"text": pl.Series(TEXTS, dtype=dtype)}))["sentiment"].to_list() == expected[0]


def test_an_empty_polars_frame_gets_columns_of_the_right_types(scorer):
    out = scorer(pl.DataFrame(schema={"text": pl.String}))
    assert out.schema == {
        "text": pl.String,
        "sentiment": pl.Enum(["negative", "positive"]),
        "sentiment_score": pl.Float32,
    }


def table():
    schema = pa.schema([("n", pa.int8()), ("text", pa.string())], metadata={"made by": "a test"})
    return pa.table([pa.array([1, None, 3, 4, 5], pa.int8()), pa.array(TEXTS)], schema=schema)


def test_a_pyarrow_table_comes_back_as_one(scorer, expected):
    chunked = pa.concat_tables([table().slice(0, 2), table().slice(2)])
    out = scorer(chunked)
    assert type(out) is pa.Table
    assert out.select(["n", "text"]).equals(table())
    assert out.schema.metadata == {b"made by": b"a test"}
    assert (out["sentiment"].to_pylist(), out["sentiment_score"].to_pylist()) == expected
    assert out.schema.field("sentiment").type.value_type == pa.string()
    assert scorer(table().slice(0, 0)).column_names == ["n", "text", *ADDED]


def test_a_pyarrow_record_batch_comes_back_as_one(scorer, expected):
    (batch,) = table().to_batches()
    for rows in (batch, batch.slice(1, 3), batch.slice(0, 0)):
        out = scorer(rows)
        assert type(out) is pa.RecordBatch
        assert out.select(["n", "text"]).equals(rows)
        assert out.schema.metadata == {b"made by": b"a test"}
    assert scorer(batch).column("sentiment").to_pylist() == expected[0]
    assert scorer(batch.slice(0, 0)).column("sentiment").dictionary.to_pylist() == ["negative", "positive"]


def test_a_pyarrow_stream_is_scored_as_it_is_read(scorer, expected):
    reader = pa.RecordBatchReader.from_batches(table().schema, iter(table().to_batches(max_chunksize=2)))
    out = scorer(reader)
    assert type(out) is pa.RecordBatchReader
    assert out.schema.names == ["n", "text", *ADDED]
    before = scorer.counts.rows
    rows = out.read_all()
    assert scorer.counts.rows == before + 5
    assert rows["sentiment"].to_pylist() == expected[0]
    assert rows.schema.metadata == {b"made by": b"a test"}


@pytest.mark.parametrize("kind", [pa.array, lambda values: pa.chunked_array([values[:2], values[2:]])])
def test_a_pyarrow_array_becomes_a_table(scorer, expected, kind):
    out = scorer(kind(TEXTS))
    assert out.column_names == ["text", *ADDED]
    assert out["sentiment"].to_pylist() == expected[0]


class Foreign:
    """A frame of a library that the program does not know."""

    def __init__(self, rows):
        self.rows = rows

    def __arrow_c_stream__(self, requested_schema=None):
        return self.rows.__arrow_c_stream__(requested_schema)


class Kind(Foreign):
    @classmethod
    def from_arrow(cls, rows):
        return cls(rows)


class Demanding(Foreign):
    @classmethod
    def from_arrow(cls, rows, session):
        raise AssertionError("never called")


def test_a_frame_with_an_arrow_stream_comes_back_as_its_class(scorer, expected):
    assert scorer(Foreign(table()))["sentiment"].to_pylist() == expected[0]
    out = scorer(Kind(table()))
    assert type(out) is Kind
    assert out.rows["sentiment"].to_pylist() == expected[0]
    assert type(scorer(Demanding(table()))) is pa.Table


@pytest.mark.parametrize("native", [pd.DataFrame, pl.DataFrame])
def test_a_narwhals_frame_comes_back_over_the_same_library(scorer, expected, native):
    narwhals = pytest.importorskip("narwhals")
    out = scorer(narwhals.from_native(native({"text": TEXTS}), eager_only=True))
    assert isinstance(out, narwhals.DataFrame)
    assert isinstance(out.to_native(), native)
    assert out.to_arrow()["sentiment"].to_pylist() == expected[0]
    lazy = scorer(narwhals.from_native(pl.LazyFrame({"text": TEXTS})))
    assert isinstance(lazy, narwhals.LazyFrame)
    assert isinstance(lazy.to_native(), pl.LazyFrame)
    assert lazy.collect()["sentiment"].to_list() == expected[0]


@pytest.mark.parametrize("wrong", [{"text": ["a"]}, None, 3, np.array(["a"])])
def test_an_object_that_is_no_frame_is_refused(scorer, wrong):
    with pytest.raises(
        InputError, match=f"the type {type(wrong).__name__} is no frame. Give a pandas, polars or pyarrow"
    ):
        scorer(wrong)


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pd.period_range("2026-04", periods=3, freq="M"), ["2026-04", "2026-05", "2026-06"]),
        (pd.cut([1, 7, np.nan], [0, 5, 10]), ["(0, 5]", "(5, 10]", None]),
        (pd.arrays.IntervalArray.from_breaks([0, 5, 10, 15]), ["(0, 5]", "(5, 10]", "(10, 15]"]),
        (pd.arrays.SparseArray([0, 1, 0]), [0, 1, 0]),
    ],
)
def test_columns_without_an_arrow_type_are_read_as_shown(column, texts):
    frame = pd.DataFrame({"text": TEXTS[:3], "column": column})
    assert wrap_frame(frame).table().column("column").to_pylist() == texts


@pytest.mark.parametrize("wrong", ["reviews.csv", Path("reviews.csv")])
def test_a_text_or_a_path_is_refused_with_its_cure(scorer, wrong):
    with pytest.raises(
        InputError, match=r"'reviews\.csv' is no frame. Give a text in a list.*Read a file into a frame"
    ):
        scorer(wrong)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_texts_gives_a_frame_of_pandas(scorer, expected, kind):
    out = scorer(kind(TEXTS))
    assert list(out.columns) == ["text", "sentiment", "sentiment_score"]
    check_pandas(out, expected)
    assert len(scorer(kind())) == 0


def test_an_item_of_a_list_that_is_no_text_is_named(scorer):
    with pytest.raises(InputError, match="item 1 of the list is no text but of the type float"):
        scorer(["fine", float("nan")])


def test_nested_names_of_pandas_are_joined_where_needed(scorer):
    columns = pd.MultiIndex.from_tuples([("review", "title"), ("review", "body"), ("stars", "")])
    frame = pd.DataFrame([["Fine", "A good film.", 4], ["Bad", "A dull story.", 1]], columns=columns)
    out = scorer(frame, text_column=["review.title", "review.body"])
    plain = pd.DataFrame({"title": ["Fine", "Bad"], "body": ["A good film.", "A dull story."]})
    expected = scorer(plain, text_column=["title", "body"])
    assert out["sentiment_score"].to_numpy().ravel().tolist() == expected["sentiment_score"].tolist()
    with pytest.raises(InputError, match=r"'review.title', 'review.body', 'stars'"):
        scorer(frame, text_column="review")


def test_two_columns_of_one_name_are_no_harm_unless_needed(scorer):
    frame = pd.DataFrame([["Fine", 1, 2], ["Bad", 3, 4]], columns=["text", "n", "n"])
    assert scorer(frame)["sentiment_score"].tolist() == scorer(frame[["text"]])["sentiment_score"].tolist()
    with pytest.raises(InputError, match=r"2 columns are called 'text'. Rename them so that `text_column` can name"):
        scorer(pd.DataFrame([["Fine", "Bad"]], columns=["text", "text"]), text_column="text")


def test_run_end_encoded_texts_are_read_like_others(scorer):
    texts = pa.array(["fine", "fine", None, "dull"])
    encoded = pa.table({"text": pa.compute.run_end_encode(texts)})
    assert (
        scorer(encoded)["sentiment_score"].to_pylist()
        == scorer(pa.table({"text": texts}))["sentiment_score"].to_pylist()
    )


def test_no_library_is_imported_that_the_caller_has_not(tiny_model):
    import subprocess

    code = (
        "import sys, pyarrow as pa\nfrom sentiment_batch import Scorer\n"
        f"with Scorer.load({str(tiny_model)!r}, dtype='float32', device='cpu') as scorer:\n"
        "    assert scorer(pa.table({'text': ['a']})).num_columns == 3\n"
        "print({'polars', 'duckdb', 'sklearn'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("set()\n", "")


def test_an_empty_text_column_is_found_if_pandas_reads_floats(scorer):
    frame = pd.DataFrame({"id": [1, 2], "price": [np.nan, np.nan], "text": [np.nan, np.nan]})
    out = scorer(frame)
    assert out["sentiment"].isna().all()
    pd.testing.assert_frame_equal(out[["id", "price", "text"]], frame)


def test_a_polars_column_of_a_type_unknown_to_arrow_passes(scorer, expected):
    frame = pl.DataFrame({"text": TEXTS, "n": pl.Series(range(5), dtype=pl.Int128)})
    out = scorer(frame)
    assert out["sentiment"].to_list() == expected[0]
    assert out["n"].equals(frame["n"])
    with pytest.raises(InputError, match="'n' holds"):
        scorer(frame, text_column="n")
