"""The rows that a measurement runs on: rows from all over a table, or generated texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data import formats
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError
from sentiment_batch.scoring.bench.sample import Sample, generate_sample, generate_texts, take_sample


@pytest.fixture
def parts(tmp_path):
    """A Parquet file of 1,000 rows in row groups of 7 to 100 rows; `n` counts the rows."""
    path = tmp_path / "parts.parquet"
    table = pa.table({"n": range(1_000), "text": [f"film {n}" for n in range(1_000)]})
    with pq.ParquetWriter(path, table.schema) as writer:
        start = 0
        while start < 1_000:
            rows = 7 if start % 2 else 100 if start % 3 else 51
            writer.write_table(table.slice(start, rows))
            start += rows
    return path


def sampled(path, rows):
    reader = formats.open_reader(str(path))
    try:
        return take_sample(reader, str(path), ("text",), rows)
    finally:
        reader.close()


@pytest.mark.parametrize("tokens", [16, 40, 400])
def test_generated_texts_have_about_the_tokens_asked_for(scorer, tokens):
    texts = generate_texts(scorer.backend.tokenizer, tokens, 2_000)
    assert len(set(texts)) == len(texts) == 2_000
    backend = scorer.backend.loaded.backend
    lengths = np.array([len(backend.encode(text).ids) for text in texts])
    assert lengths.mean() == pytest.approx(tokens, rel=0.1)
    assert np.median(lengths) < 0.95 * lengths.mean()  # a long tail, as reviews have


def test_generated_texts_are_the_same_each_time(scorer):
    samples = [generate_sample(scorer.backend.tokenizer, 20, 50) for _ in range(2)]
    assert samples[0].table == samples[1].table
    assert samples[0].total is None


def test_more_generated_texts_than_words_differ_too(scorer):
    texts = generate_texts(scorer.backend.tokenizer, 4, 3_000)
    assert len(set(texts)) == 3_000


@pytest.mark.parametrize("rows", [1, 17, 64, 500, 999, 1_000])
def test_a_sample_has_rows_from_all_over_the_table(parts, rows):
    found = sampled(parts, rows)
    numbers = found.table["n"].to_pylist()
    assert len(numbers) == rows
    assert numbers == sorted(set(numbers))
    assert found.total == 1_000
    assert found.text_columns == ("text",)
    if rows >= 64:
        assert len({number // 250 for number in numbers}) == 4


def test_a_sample_of_a_small_table_is_all_of_it(reviews_csv):
    found = sampled(reviews_csv, 10_000)
    assert (found.table.num_rows, found.total) == (60, 60)
    assert found.table.schema.names == ["id", "review", "label"]


def test_a_table_that_does_not_know_its_rows_has_no_total(reviews_csv):
    assert sampled(reviews_csv, 59).total is None


def test_of_wide_rows_there_are_fewer(monkeypatch):
    monkeypatch.setattr("sentiment_batch.scoring.bench.sample.MAX_SAMPLE_BYTES", 4_000)
    batch = pa.record_batch({"text": ["x" * 100] * 10})
    found = take_sample(TableReader(pa.Table.from_batches([batch] * 100)), "wide", ("text",), 1_000)
    assert found.table.num_rows == 40
    assert found.total == 1_000


def test_an_empty_table_gives_no_sample(tmp_path):
    with pytest.raises(InputError, match="has no rows to measure on"):
        take_sample(TableReader(pa.table({"text": pa.array([], pa.string())})), "empty", ("text",), 10)


@pytest.mark.parametrize("rows", [1, 3, 63, 64, 65, 500, 998, 999, 1_000, 2_000])
def test_rows_are_taken_from_places_at_even_distances(rows):
    sample = Sample(name="", table=pa.table({"n": range(1_000)}), text_columns=("n",), total=None)
    numbers = sample.spread(rows)["n"].to_pylist()
    assert len(numbers) == min(rows, 1_000)
    assert numbers == sorted(set(numbers))
    shares = np.histogram(numbers, bins=4, range=(0, 1_000))[0]
    assert shares.max() - shares.min() <= 16  # one for each run in a quarter


def test_any_column_can_be_sampled():
    columns = {
        "view": pa.array(["a", None, "c"], pa.string_view()),
        "list": pa.array([[1], None, []]),
        "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int8())),
        "struct": pa.array([{"a": 1}, None, {"a": 3}]),
        "dictionary": pa.array(["a", "b", "a"]).dictionary_encode(),
        "fixed": pa.array([b"ab", None, b"cd"], pa.binary(2)),
        "null": pa.nulls(3),
    }
    sample = Sample(name="", table=pa.table(columns), text_columns=(), total=None)
    assert sample.spread(2).to_pylist() == [pa.table(columns).to_pylist()[place] for place in (0, 1)]
