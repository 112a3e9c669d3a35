"""Objects of Python in a frame: what Arrow has no type for is never lost, and never taken for a text."""

from __future__ import annotations

import enum
import fractions
import json
import uuid
from datetime import date
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sentiment_batch import evaluate, select, summarize
from sentiment_batch.data.columns import extract_values
from sentiment_batch.errors import InputError
from sentiment_batch.frames import wrap_frame
from sentiment_batch.frames.values import convert_values

TEXTS = [f"the film {n} was {('great', 'dull')[n % 2]}" for n in range(60)]


class Mood(enum.Enum):
    """Labels as objects."""

    GOOD = 1
    BAD = 2


class Word(str, enum.Enum):  # noqa: UP042 - a StrEnum has another str()
    """Labels that are texts."""

    NEG = "neg"


ID = uuid.UUID(int=7)
OBJECTS = {
    "tuples": ([("film", 1), None, ("film", 2)], ['["film", 1]', None, '["film", 2]']),
    "paths": ([PurePosixPath("/a/1"), None], ["/a/1", None]),
    "sets": ([frozenset("ab"), {2, 10}], ['["a", "b"]', '["10", "2"]']),
    "enums": ([Mood.GOOD, Mood.BAD], ["Mood.GOOD", "Mood.BAD"]),
    "dates among texts": ([date(2026, 1, 2), "x", pd.NaT], ["2026-01-02", "x", None]),
    "lists among texts": ([["a", np.int64(1)], "none", 1.5, float("nan")], ['["a", 1]', "none", "1.5", None]),
    "NaN in a list": ([[float("nan")], "x"], ["[null]", "x"]),
    "an Enum of texts": ([Word.NEG, 1, None], ["neg", "1", None]),
    "truth among numbers": ([True, 1, 0.5, None], ["True", "1", "0.5", None]),
    "large numbers": ([2**70, fractions.Fraction(1, 3)], [str(2**70), "1/3"]),
    "identifiers": ([ID, None], [str(ID), None]),
}


def values(table, name="odd"):
    """The values as labels and groups are read."""
    (batch,) = table.combine_chunks().to_batches()
    return [one if one is None else str(one) for one in extract_values(batch, name)]


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_value_that_arrow_lacks_is_never_lost(kind):
    given, wanted = OBJECTS[kind]
    assert values(wrap_frame(pd.DataFrame({"odd": pd.Series(given, dtype=object)})).table()) == wanted
    if "num" not in kind:  # enums, of which polars takes the values
        assert values(wrap_frame(pl.DataFrame({"odd": pl.Series(given, dtype=pl.Object)})).table()) == wanted


def test_an_object_that_holds_itself_has_a_text():
    loop: list[object] = []
    loop.append(loop)
    array, is_json = convert_values([loop, {(1, 2): 3}], "odd", strict=False)
    assert is_json
    assert list(map(json.loads, array.to_pylist())) == ["[[...]]", "{(1, 2): 3}"]


@pytest.mark.parametrize("name", ["o.csv", "o.parquet", "o.jsonl"])
def test_a_selection_writes_the_values_of_the_frame(tiny_model, tmp_path, name):
    frame = pd.DataFrame({"review": TEXTS, "sentiment_score": np.linspace(0.5, 0.9, 60), "sentiment": "negative"})
    frame["key"], frame["id"] = [("film", n) for n in range(60)], [uuid.UUID(int=n) for n in range(60)]
    chosen = select(frame, 3, str(tiny_model), output=str(tmp_path / name))
    written = wrap_frame(summarized(tmp_path / name)).table().to_pylist()
    assert [row["id"] for row in written] == [str(one) for one in chosen["id"]]
    assert [json.loads(row["key"]) if isinstance(row["key"], str) else row["key"] for row in written] == [
        list(one) for one in chosen["key"]
    ]


def summarized(path):
    """The rows of a written table."""
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_json(path, lines=True)


def test_groups_of_objects_are_told_apart(tiny_model):
    frame = pd.DataFrame({"review": TEXTS, "label": ["positive", "negative"] * 30})
    frame["film"] = [("film", n // 6) for n in range(60)]
    found = evaluate(frame, str(tiny_model), by="film").to_json()
    assert len(json.dumps(found)) > 0
    scored = frame.assign(sentiment="positive", sentiment_score=0.9)
    assert [one.group["film"] for one in summarize(scored, by="film").groups] == [f'["film", {n}]' for n in range(10)]


def test_dates_of_several_kinds_give_periods():
    dates = ["2026-01-02", date(2026, 2, 3), pd.Timestamp("2026-02-04 12:30"), None]
    frame = pd.DataFrame({"sentiment": "positive", "sentiment_score": 0.9, "day": pd.Series(dates, dtype=object)})
    found = summarize(frame, over="day", every="month", words=0)
    assert [(one.period, one.rows) for one in found.total.over] == [("2026-01", 1), ("2026-02", 2), (None, 1)]


def test_objects_are_never_the_text_column(scorer):
    opinions = ["a fine film that I liked", "a dull film that I left"]
    objects = [PurePosixPath(f"photos/holiday in the mountains/{n}.jpg") for n in range(2)]
    for kind in (objects, [(one, 1) for one in opinions], [frozenset(opinions)] * 2):
        for frame in (
            pd.DataFrame({"id": pd.Series(kind, dtype=object), "opinion": opinions}),
            pl.DataFrame({"id": pl.Series(kind, dtype=pl.Object), "opinion": opinions}),
        ):
            assert scorer(frame)["sentiment"].to_list() == scorer(pd.Series(opinions))["sentiment"].to_list()
    with pytest.raises(InputError, match="cannot tell which column holds the text"):
        evaluate(pd.DataFrame({"x": ["a", "b"], "image": objects, "label": [0, 1]}), scorer.model)


def test_two_values_of_one_struct_are_joined(scorer):
    rows = [{"title": "great", "body": "a fine film"}, {"title": "dull", "body": None}]
    joined = scorer(pa.table({"text": ["great\n\na fine film", "dull"]}))["sentiment"].to_pylist()
    for frame in (pl.DataFrame({"r": rows}), pd.DataFrame({"r": rows})):
        assert scorer(frame, text_column=["r.title", "r.body"])["sentiment"].to_list() == joined


def test_numbers_after_many_empty_cells_are_no_texts(scorer):
    for late in ([4.0] * 50, [True] * 50, [date(2026, 1, 2)] * 50, [{"a": 1}] * 50, [["a"]] * 50):
        frame = pd.DataFrame({"review": pd.Series([None] * 250 + late, dtype=object)})
        with pytest.raises(InputError, match="'review'"):
            scorer(frame)


def test_texts_after_many_numbers_are_texts(scorer):
    frame = pd.DataFrame({"review": pd.Series([*range(250), "the film was great"], dtype=object)})
    as_text = scorer(pa.table({"review": [*map(str, range(250)), "the film was great"]}))
    assert scorer(frame)["sentiment"].tolist() == as_text["sentiment"].to_pylist()


def test_objects_of_polars_are_no_texts(scorer):
    assert scorer(pl.DataFrame({"text": pl.Series(["good"], dtype=pl.Object)}))["sentiment"].len() == 1
    with pytest.raises(InputError, match="holds a value of the type UUID in row 0"):
        scorer(pl.DataFrame({"text": pl.Series([ID], dtype=pl.Object)}), text_column="text")


@pytest.mark.parametrize("native", [pd.Series, pl.Series])
def test_a_narwhals_series_gives_a_frame(scorer, native):
    narwhals = pytest.importorskip("narwhals")
    out = scorer(narwhals.from_native(native(TEXTS[:2]), series_only=True))
    assert isinstance(out, narwhals.DataFrame)
    assert len(out) == 2


@pytest.mark.parametrize(("library", "call"), [("dask.dataframe", "compute"), ("pyspark.sql", "toPandas")])
def test_a_frame_without_rows_in_memory_names_the_call(library, call):
    frame = type("DataFrame", (), {"__module__": library})()
    with pytest.raises(InputError, match=rf"DataFrame holds no rows yet\. Call \.{call}\(\) on it first\."):
        summarize(frame)
