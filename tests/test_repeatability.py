"""The same rows give the same bytes, so that a run that was resumed can be compared with one that was not."""

from __future__ import annotations

import os
import time

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentiment_batch.data.writers import parquet
from tests.arrow_tables import BYTES, PLAIN, TEXT, tables, types
from tests.round_trips import written

SAYABLE = types(PLAIN, [*TEXT, pa.int64()])
STORABLE = types([*PLAIN, *BYTES], [pa.string(), pa.int64()])
EXAMPLES = settings(
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ENDINGS = [".csv", ".tsv", ".jsonl", ".parquet", ".arrow", ".arrows"]


@pytest.fixture(autouse=True)
def _no_sync(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def bytes_of(path, batches, schema, **options):
    """What the writer made of the batches; None where it refused them."""
    made = written(path, batches, schema, **options)
    return None if made is None else made.read_bytes()


def cut(data, table):
    """The rows of `table` in other batches, some of them empty."""
    batches, start = [], 0
    whole = table.combine_chunks()
    while start < whole.num_rows:
        rows = data.draw(st.integers(0, whole.num_rows - start))
        batches += whole.slice(start, rows).to_batches()
        start += rows
    return batches


@pytest.mark.parametrize("compression", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_bytes_depend_neither_on_the_time_nor_on_the_name(tmp_path, monkeypatch, ending, compression):
    words = ["a", None, "b" * 50] * 3000
    columns = [words, list(range(9000)), pa.array(words).dictionary_encode(), [["x", None], None, []] * 3000]
    table = pa.table(columns, names=["t", "n", "d", "l"], metadata={"k": "v"})
    first = bytes_of(tmp_path / f"a{ending}{compression}", table.to_batches(), table.schema)
    later = time.time() + 10**7
    monkeypatch.setattr(time, "time", lambda: later)
    assert bytes_of(tmp_path / f"other{ending}{compression}", table.to_batches(), table.schema) == first


@EXAMPLES
@given(tables(SAYABLE, calendar=True), st.data())
@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".csv.gz", ".jsonl.zst", ".csv.bz2", ".jsonl.xz"])
def test_lines_do_not_depend_on_the_batches(tmp_path, ending, table, data):
    table = plain(table)
    path = tmp_path / f"a{ending}"
    assert bytes_of(path, cut(data, table), table.schema) == bytes_of(path, table.to_batches(), table.schema)


@EXAMPLES
@given(tables(STORABLE), st.data(), st.integers(1, 9), st.integers(50, 900))
def test_parquet_does_not_depend_on_the_batches(tmp_path, table, data, rows, size):
    table = plain(table)
    path = tmp_path / "a.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "MAX_ROWS_PER_GROUP", rows)
        patch.setattr(parquet, "MAX_BYTES_PER_GROUP", size)
        expected = bytes_of(path, cut(data, table), table.schema)
        assert bytes_of(path, cut(data, table), table.schema) == expected


def test_parquet_pages_do_not_depend_on_the_batches(tmp_path):
    texts = [f"{number:07d}" * 20 for number in range(30_000)]  # several pages of a megabyte
    table = pa.table({"t": texts, "l": [[text] for text in texts], "n": range(30_000)})
    path = tmp_path / "a.parquet"
    expected = bytes_of(path, table.to_batches(), table.schema)
    assert bytes_of(path, table.to_batches(max_chunksize=999), table.schema) == expected
    assert bytes_of(path, table.to_batches(max_chunksize=4096), table.schema) == expected


def plain(table):
    """The table without run-ends, which cannot be put together."""
    kept = [index for index, kind in enumerate(table.schema.types) if "run_end" not in str(kind)]
    return table.select(kept) if kept else pa.table({"t": ["x", None, ""]})
