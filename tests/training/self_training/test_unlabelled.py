"""The table of unlabelled texts: any format, the usual questions, labelled texts dropped, and read once."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.settings import TrainSettings
from sentiment_batch.training.job import TrainJob, list_tables
from sentiment_batch.training.prepare import prepare
from sentiment_batch.training.self_training import unlabelled as reading
from sentiment_batch.training.self_training.unlabelled import read_unlabelled
from sentiment_batch.training.self_training.unlabelled_file import store_unlabelled

NEW = ["film number one", "film number two", "film number three"]


@pytest.fixture
def read(reviews):
    """Reads the unlabelled texts of a job on 60 reviews, of which 6 validate; `test` has 10 more."""
    rows, test = reviews(60), reviews(10, start=100)

    def read(*tables, stored=None, **chosen):
        settings = {name: chosen.pop(name) for name in list(chosen) if name in TrainSettings.__dataclass_fields__}
        job = TrainJob(
            reviews=[rows], unlabelled=tables, settings=TrainSettings(folds=0, **settings), quiet=True, **chosen
        )
        return read_unlabelled(job, prepare([rows], job.settings, test=test), rows, stored)

    return read


WRITE = {
    "pool.csv": lambda path: path.write_text("\n".join(["id,text", *(f"{n},{text}" for n, text in enumerate(NEW))])),
    "pool.jsonl": lambda path: path.write_text("\n".join(json.dumps({"id": 1, "text": text}) for text in NEW)),
    "pool.csv.gz": lambda path: path.write_bytes(gzip.compress("\n".join(["text", *NEW]).encode())),
    "pool.parquet": lambda path: pq.write_table(pa.table({"text": NEW, "label": ["x"] * 3}), path),
}


@pytest.mark.parametrize("name", WRITE)
def test_files_of_any_format_are_read(read, tmp_path, name):
    WRITE[name](tmp_path / name)
    assert sorted(read(str(tmp_path / name)).texts) == sorted(NEW)


def test_texts_that_train_validate_or_test_are_dropped(read, reviews, caplog):
    caplog.set_level(logging.INFO)
    labelled = [*reviews(60).texts, *reviews(10, start=100).texts]
    found = read(pa.table({"text": [*NEW, None, " ", *labelled, labelled[0].upper() + "!!"]}))
    assert sorted(found.texts) == sorted(NEW)
    assert found.count() | {"name": ""} == {
        "name": "",
        "rows": 76,
        "blank": 2,
        "labelled": 71,
        "limit": 54 * 20,
        "texts": 3,
    }
    assert "76 rows of the Table of unlabelled texts, 2 without a text, 71 with a labelled text" in caplog.text


def test_of_tables_without_a_new_text_all_are_named(read, tmp_path):
    paths = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for path in paths:
        path.write_text("text\n \n")
    with pytest.raises(InputError, match=r"one\.csv, .*two\.csv hold no text that is not labelled: 2 rows"):
        read(*paths)


def test_a_table_without_a_new_text_is_refused(read, reviews):
    with pytest.raises(InputError, match=r"holds no text that is not labelled: 60 rows.*`unlabelled`"):
        read(pa.table({"text": reviews(60).texts}))


def test_a_limit_is_kept(read):
    many = [f"film number {number}" for number in range(100)]
    assert len(read(pa.table({"text": many}), unlabelled_limit=7).texts) == 7


def test_the_text_column_of_the_reviews_is_taken_first(read, caplog):
    caplog.set_level(logging.INFO)
    table = pa.table({"review": ["no"] * 3, "text": NEW})
    assert sorted(read(table).texts) == sorted(NEW)
    assert sorted(read(pa.table({"content": NEW, "n": [1, 2, 3]})).texts) == sorted(NEW)
    assert "content" in caplog.text
    assert "(assumed)" in caplog.text


def test_a_column_that_is_not_clear_is_a_question(read):
    table = pa.table({"a": ["a long text of many words"] * 3, "b": ["a long text of many words"] * 3})
    with pytest.raises(
        InputError, match=r"has no column 'text' .* holds the text: 'a', 'b'\. Give that column the same"
    ):
        read(table)
    assert read(table, text_columns=("b",)).texts == ["a long text of many words"]


def test_several_tables_are_one_pool(read, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "a.csv").write_text(f"text\n{NEW[0]}\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"content": NEW[1]}))
    tables = str(tmp_path / "a.csv"), tmp_path / "b.jsonl", NEW[1:]
    assert sorted(read(*tables).texts) == sorted(NEW)
    assert read(*tables[:2]).count() | {"limit": 0} == {
        "name": f"{tables[0]}, {tables[1]}",
        "rows": 2,
        "blank": 0,
        "labelled": 0,
        "limit": 0,
        "texts": 2,
    }


def test_a_list_of_texts_is_one_table():
    paths = [Path("a.csv"), Path("b.csv")]
    assert list_tables(None) == ()
    assert list_tables("a.csv") == ("a.csv",)
    assert list_tables(paths) == tuple(paths)
    assert list_tables([*NEW, None]) == ([*NEW, None],)


def test_the_name_of_a_file_is_no_text(read, tmp_path):
    (tmp_path / "a.csv").write_text("text\n")
    with pytest.raises(UsageError, match=r"holds the name of a file, .*a\.csv\. .*`unlabelled=\[Path"):
        read([NEW[0], str(tmp_path / "a.csv")])


def test_bytes_that_are_no_text_are_named_with_their_row(read):
    table = pa.table({"text": pa.array([b"fine", b"\xff\xfe"], pa.binary())})
    with pytest.raises(InputError, match=r"not UTF-8 in row 1"):
        read(table)


def test_stored_texts_are_taken_until_the_table_changes(read, tmp_path, monkeypatch):
    path, stored = tmp_path / "pool.parquet", tmp_path / "unlabelled.parquet"
    pq.write_table(pa.table({"text": NEW}), path)
    found = read(str(path))
    store_unlabelled(stored, found)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_fill", lambda *arguments, **options: pytest.fail("the table was read again"))
        assert read(str(path), stored=stored) == found
    assert read(str(path), stored=stored, unlabelled_limit=2).limit == 2
    pq.write_table(pa.table({"text": NEW[:2]}), path)
    assert sorted(read(str(path), stored=stored).texts) == sorted(NEW[:2])
