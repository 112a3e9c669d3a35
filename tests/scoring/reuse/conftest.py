"""What the tests of reuse share: a deterministic model, and two inputs of which the second has more rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.records import WriteOptions
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.pipeline import score_table
from sentiment_batch.scoring.scorer import Scorer

ROWS, NEW, PART = 60, 9, 20


def write_table(path, rows, first=0):
    """A table of texts, some of which repeat or are null, with other columns around them."""
    numbers = range(first, first + rows)
    texts = [None if n % 13 == 4 else f"the film {n % 41}, number {n // 50}, was great" for n in numbers]
    pq.write_table(pa.table({"id": list(numbers), "text": texts, "kind": ["k"] * rows}), path)


def read_bytes(path):
    """The bytes of a file, or of all files of a folder."""
    path = Path(str(path).rstrip("/"))
    return {file.name: file.read_bytes() for file in path.iterdir()} if path.is_dir() else path.read_bytes()


@pytest.fixture(scope="module")
def exact(tiny_model):
    """The tiny model, with the same bits for a text whatever stands beside it."""
    with Scorer.load(tiny_model, device="cpu", dtype="float32", deterministic=True) as scorer:
        yield scorer


@pytest.fixture
def score(exact, tmp_path):
    """Scores a file of the test's folder into another: `score("new.parquet", "out.csv", reuse="old.csv")`."""
    write_table(tmp_path / "old.parquet", ROWS)
    write_table(tmp_path / "new.parquet", ROWS + NEW)

    def score(source, out, *, by=exact, reuse=None, overwrite=False, **options):
        job = ScoreJob(
            source=f"{tmp_path}/{source}",
            destination=f"{tmp_path}/{out}",
            reuse=None if reuse is None else f"{tmp_path}/{reuse}",
            part_rows=PART,
            write=WriteOptions(overwrite=overwrite),
            quiet=True,
        )
        return score_table(dataclasses.replace(job, **options), lambda: by)

    return score


@pytest.fixture
def other_settings(tiny_model):
    """Opens the deterministic model with other settings."""
    opened = []

    def open_with(model=tiny_model, **settings):
        given = {"device": "cpu", "dtype": "float32", "deterministic": True}
        opened.append(Scorer.load(model, **given | settings))
        return opened[-1]

    yield open_with
    for scorer in opened:
        scorer.close()
