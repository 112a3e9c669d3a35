"""Lazy frames of polars stay lazy, and their rows are scored when they are collected."""

from __future__ import annotations

import datetime
import decimal
import pickle

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from sentiment_batch import summarize
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.frames import wrap_frame
from sentiment_batch.frames.polars import _to_arrow

TEXTS = ["the film was great", None, "boring and dull", " ", "the film was great"]
ADDED = ["sentiment", "sentiment_score"]
ENGINES = ("in-memory", "streaming")


def frame(rows=5):
    """Rows with columns of every kind."""
    return pl.DataFrame(
        {
            "n": range(rows),
            "text": [TEXTS[n % 5] for n in range(rows)],
            "lists": [[n, None] for n in range(rows)],
            "structs": [{"a": n, "b": {"c": str(n)}} for n in range(rows)],
            "price": pl.Series([decimal.Decimal(n) for n in range(rows)], dtype=pl.Decimal(10, 2)),
            "when": pl.Series([datetime.datetime(2024, 1, 1)] * rows, dtype=pl.Datetime("ns", "Europe/Oslo")),
            "kind": pl.Series([str(n % 3) for n in range(rows)], dtype=pl.Categorical),
            "large": pl.Series(range(rows), dtype=pl.Int128),
        }
    )


@pytest.fixture
def seen(scorer):
    """How many rows the scorer has looked at since the test began."""
    before = scorer.counts.rows
    return lambda: scorer.counts.rows - before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_lazy_frame_is_scored_when_it_is_collected(scorer, seen, engine):
    lazy = scorer(frame().lazy())
    assert type(lazy) is pl.LazyFrame
    expected = scorer(frame())
    scored = seen()
    assert lazy.collect_schema() == expected.schema
    assert seen() == scored == 5
    assert_frame_equal(lazy.collect(engine=engine), expected)
    assert seen() == 10  # each row once, though two columns come of it


@pytest.mark.parametrize("engine", ENGINES)
def test_only_what_is_asked_for_is_scored(scorer, seen, engine):
    lazy = scorer(frame(50).lazy())
    assert lazy.select("n", "kind").collect(engine=engine).columns == ["n", "kind"]
    assert seen() == 0
    assert lazy.filter(pl.col("n") < 10).select("sentiment").collect(engine=engine).height == 10
    assert seen() == 10
    assert lazy.head(3).collect(engine=engine)["n"].to_list() == [0, 1, 2]
    assert seen() == 13


@pytest.mark.parametrize("engine", ENGINES)
def test_later_steps_see_the_scores(scorer, engine):
    expected = scorer(frame(20))
    lazy = scorer(frame(20).lazy())
    label = pl.col("sentiment") == "positive"
    assert_frame_equal(lazy.filter(label).collect(engine=engine), expected.filter(label))
    counts = lazy.group_by("sentiment").len().sort("sentiment")
    assert_frame_equal(counts.collect(engine=engine), expected.group_by("sentiment").len().sort("sentiment"))


def test_a_large_file_streams_in_pieces_and_in_order(scorer, seen, monkeypatch, tmp_path):
    rows = frame(2_000).drop("large", "structs")
    rows.write_parquet(tmp_path / "in.parquet", row_group_size=100)
    pieces = []
    real = type(scorer).columns_for
    monkeypatch.setattr(
        type(scorer),
        "columns_for",
        lambda self, batches, texts: pieces.append(sum(b.num_rows for b in batches)) or real(self, batches, texts),
    )
    scorer(pl.scan_parquet(tmp_path / "in.parquet")).sink_parquet(tmp_path / "out.parquet")
    assert seen() == 2_000
    assert max(pieces) < 2_000
    assert_frame_equal(pl.read_parquet(tmp_path / "out.parquet").drop(ADDED), rows)
    assert_frame_equal(pl.read_parquet(tmp_path / "out.parquet"), scorer(rows))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_folder_of_hive_partitions_is_scanned_with_its_keys(scorer, seen, tmp_path, engine):
    rows = frame(20).select("n", "text", year=2020 + pl.col("n") // 10).sort("n")
    for (year,), part in rows.group_by("year"):
        (tmp_path / f"year={year}").mkdir()
        part.drop("year").write_parquet(tmp_path / f"year={year}" / "a.parquet")
    lazy = scorer(pl.scan_parquet(tmp_path, hive_partitioning=True))
    assert_frame_equal(lazy.filter(pl.col("year") == 2021).collect(engine=engine), scorer(rows[10:]))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "texts",
    [
        pl.Series([], dtype=pl.String),
        pl.Series([None, None], dtype=pl.String),
        pl.Series([None, None], dtype=pl.Null),
        pl.Series(TEXTS, dtype=pl.Categorical),
        pl.Series(TEXTS, dtype=pl.Enum([TEXTS[0], TEXTS[2], " "])),
        pl.Series([b"great", None]),
    ],
    ids=["no rows", "nulls", "null type", "categorical", "enum", "bytes"],
)
def test_texts_of_every_type_are_scored(scorer, engine, texts):
    rows = pl.DataFrame({"text": texts, "n": pl.Series(range(len(texts)), dtype=pl.Int64)})
    assert_frame_equal(scorer(rows.lazy()).collect(engine=engine), scorer(rows))


def test_several_columns_make_one_text(scorer):
    rows = pl.DataFrame({"title": ["great", None], "body": [None, "awful"], "n": [1, 2]})
    lazy = scorer(rows.lazy(), text_column=["title", "body"])
    assert_frame_equal(lazy.collect(), scorer(rows, text_column=["title", "body"]))


def test_wrong_columns_are_refused_at_once(scorer, seen):
    for wrong, message in (("m", "no column 'm'"), ("n", "'n' holds int64, not text")):
        with pytest.raises(InputError, match=message):
            scorer(frame().lazy(), text_column=wrong)
    with pytest.raises(InputError, match=r"cannot tell which column holds the text: .* Name it with"):
        scorer(pl.LazyFrame({"a": ["x"], "b": ["y"]}))
    with pytest.raises(UsageError, match=r"already has the columns 'sentiment'.*`prefix="):
        scorer(pl.LazyFrame({"text": ["x"], "sentiment": ["y"]}))
    assert seen() == 0


def test_a_text_that_is_not_utf_8_fails_the_collection(scorer):
    with pytest.raises(Exception, match="column 'text' holds bytes that are not UTF-8"):
        scorer(pl.LazyFrame({"text": [b"great", b"\xff"]})).collect()


def test_a_lazy_frame_can_be_sent_to_another_process(scorer):
    rows = frame().select("n", "text")
    sent = pickle.loads(pickle.dumps(scorer(rows.lazy())))
    assert_frame_equal(sent.collect(), scorer(rows))


LARGE = [1, 2**100, None]


@pytest.mark.parametrize("name", ["Int128", "UInt128"])
def test_integers_of_128_bits_are_read_with_all_digits(name):
    kind = getattr(pl, name)
    rows = pl.DataFrame(
        {
            "plain": pl.Series(LARGE, dtype=kind),
            "list": pl.Series([[one] for one in LARGE], dtype=pl.List(kind)),
            "array": pl.Series([[one] for one in LARGE], dtype=pl.Array(kind, 1)),
            "struct": pl.Series([{"n": one} for one in LARGE], dtype=pl.Struct({"n": kind})),
        }
    )
    found = wrap_frame(rows).table().to_pydict()
    digits = ["1", str(2**100), None]
    assert found["plain"] == digits
    assert found["list"] == found["array"] == [[one] for one in digits]
    assert found["struct"] == [{"n": one} for one in digits]


def test_groups_of_128_bits_are_counted_apart():
    groups = pl.Series([1, 2, 2**100] * 2, dtype=pl.Int128)
    rows = pl.DataFrame({"sentiment": ["a", "b"] * 3, "sentiment_score": [0.9] * 6, "g": groups})
    found = summarize(rows, by="g", words=0).to_json()["by"]
    assert {one["group"]["g"]: one["rows"] for one in found} == {"1": 2, "2": 2, str(2**100): 2}


def test_a_text_beside_a_number_of_128_bits_is_scored(scorer):
    kind = pl.Struct({"text": pl.String, "n": pl.Int128})
    rows = pl.DataFrame({"inside": pl.Series([{"text": text, "n": 1} for text in TEXTS], dtype=kind)})
    expected = scorer(pl.DataFrame({"text": TEXTS}))
    assert scorer(rows, text_column="inside.text").select(ADDED).equals(expected.select(ADDED))
    with pytest.raises(InputError, match=r"'inside\.n' holds double, not text"):
        scorer(rows, text_column="inside.n")


@pytest.mark.parametrize("lazy", [False, True])
def test_a_number_of_128_bits_is_no_text(scorer, lazy):
    rows = pl.DataFrame({"text": pl.Series([2**100] * 3, dtype=pl.Int128), "kind": ["a", "b", "c"]})
    rows = rows.lazy() if lazy else rows
    with pytest.raises(InputError, match="'text' holds objects or numbers, which is no text"):
        scorer(rows)
    with pytest.raises(InputError, match="column 'text' holds Int128, not text"):
        scorer(rows, text_column="text")


class Unknown(pl.Series):
    """A column of a type that Arrow lacks."""

    def to_frame(self, name=None):
        raise pa.ArrowInvalid("no such type")


def test_a_column_of_an_unknown_type_is_never_nulls():
    array, _ = _to_arrow(Unknown("n", [1, 2]), strict=False)
    assert array.to_pylist() == ["1", "2"]
    with pytest.raises(InputError, match="column 'n' holds a value of the type list"):
        _to_arrow(Unknown("n", [[1]]), strict=True)
