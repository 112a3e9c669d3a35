"""A model scores the text columns that it was trained with, by every door."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sentiment_batch import Scorer, score
from sentiment_batch.scoring.trained_columns import get_trained_columns, read_trained_columns
from tests.cli.helpers import CPU

COLUMNS = {"title": ["Superb", "Never again"], "body": ["I loved it.", "A dull story."], "text": ["x", "y"]}
META = {
    "labels": {
        "labels": ["negative", "positive"],
        "kind": "words",
        "values": {"negative": "negative", "positive": "positive"},
        "stars": [],
    },
    "text": {"max_length": 32, "long_text": "head"},
    "input": {"text_columns": ["title", "body"]},
}
NAMED = {"device": "cpu", "dtype": "float32", "text_column": ["title", "body"]}


@pytest.fixture(scope="module")
def trained(tiny_model, tmp_path_factory):
    """The tiny model, as if it were trained on title and body."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "sentiment_batch.json").write_text(json.dumps(META))
    return folder


@pytest.fixture(scope="module")
def scorer(trained):
    with Scorer.load(str(trained), device="cpu", dtype="float32") as scorer:
        yield scorer


@pytest.fixture(scope="module")
def expected(trained):
    return score(pa.table(COLUMNS), str(trained), **NAMED)["sentiment_score"].to_pylist()


def test_a_model_without_the_key_names_no_columns(tiny_model, tmp_path):
    assert read_trained_columns(str(tiny_model)) == ()
    for damaged in ("{", "[1]", "[" * 100_000):
        (tmp_path / "sentiment_batch.json").write_text(damaged)
        assert read_trained_columns(str(tmp_path)) == ()
    for meta in (None, [], {}, {"input": None}, {"input": {"text_columns": "text"}}, {"input": {"text_columns": [1]}}):
        assert get_trained_columns(meta) == ()


def test_every_kind_of_frame_uses_the_columns_of_the_training(scorer, expected):
    def scores(frame):
        return frame["sentiment_score"].to_pylist()

    table = pa.table(COLUMNS)
    assert scores(scorer(table)) == expected
    assert scorer(pd.DataFrame(COLUMNS))["sentiment_score"].tolist() == expected
    assert scorer(pl.DataFrame(COLUMNS))["sentiment_score"].to_list() == expected
    assert scorer(pl.LazyFrame(COLUMNS)).collect()["sentiment_score"].to_list() == expected
    assert scores(scorer(pa.RecordBatchReader.from_batches(table.schema, table.to_batches())).read_all()) == expected
    assert scores(pa.Table.from_batches(scorer.annotate_batches(table.to_batches()))) == expected


def test_a_column_that_is_named_wins(scorer, expected):
    assert scorer(pa.table(COLUMNS), text_column="text")["sentiment_score"].to_pylist() != expected


def test_a_frame_logs_how_it_is_read_unless_it_was_said(scorer, caplog):
    caplog.set_level("INFO", "sentiment_batch")
    scorer(pd.DataFrame(COLUMNS))
    scorer(pd.DataFrame(COLUMNS), text_column="text")
    (record,) = caplog.records
    assert record.getMessage() == "the DataFrame is read as\n  text       title and body"


def test_the_command_prints_and_stores_how_the_table_is_read(cli, trained, tmp_path, expected):
    pd.DataFrame(COLUMNS).to_csv(tmp_path / "in.csv", index=False)
    out = tmp_path / "out.csv"
    result = cli("score", tmp_path / "in.csv", out, "-m", trained, *CPU, "--json")
    assert f"{tmp_path / 'in.csv'} is read as\n  text       title and body\n" in result.stderr
    found = json.loads(result.stdout)["input"]
    assert found["text_columns"] == ["title", "body"]
    manifest = json.loads((tmp_path / "out.csv.manifest.json").read_text())["content"]
    assert manifest["input"] == found
    assert manifest["input_state"][0]["path"].endswith("in.csv")
    assert pd.read_csv(out)["sentiment_score"].tolist() == pytest.approx(expected, abs=1e-4)
    assert cli("verify", out).exit_code == 0


def test_a_table_with_a_part_of_these_columns_is_a_warning(cli, trained, tmp_path):
    pd.DataFrame(COLUMNS)[["body"]].to_csv(tmp_path / "in.csv", index=False)
    result = cli("score", tmp_path / "in.csv", tmp_path / "out.csv", "-m", trained, *CPU, "--quiet")
    assert result.stderr == (
        "warning: the model was trained on 'title' and 'body'. This table has no 'title', so its text is 'body'\n"
    )


def test_the_settings_of_reading_are_in_the_manifest(cli, trained, tmp_path):
    (tmp_path / "in.csv").write_text("note\ntitle,body\nGood,film\n")
    arguments = [tmp_path / "in.csv", tmp_path / "out.csv", "-m", trained, *CPU]
    assert cli("score", *arguments, "--skip-rows", 1, "--header").exit_code == 0
    manifest = json.loads((tmp_path / "out.csv.manifest.json").read_text())["content"]
    assert (manifest["settings"]["skip_rows"], manifest["settings"]["header"]) == (1, True)
    assert (manifest["settings"]["sheet"], manifest["settings"]["escape"]) == (None, None)
