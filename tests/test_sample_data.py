"""The sample data are what their README says: original, balanced, varied, and hard to lose anything of."""

from __future__ import annotations

import collections
import csv
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

FOLDER = Path(__file__).parents[1] / "sample_data"


def rows(name):
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def unlabelled():
    return pq.read_table(FOLDER / "unlabelled.parquet")


def words(text):
    return re.sub(r"[^\w\s]", "", text.lower()).split()


@pytest.mark.parametrize(("name", "least"), [("reviews.csv", 600), ("holdout.csv", 200)])
def test_labelled_files_are_balanced_and_mix_text_lengths(name, least):
    table = rows(name)
    assert len(table) >= least
    assert list(table[0]) == ["id", "title", "stars", "review", "label"]
    counts = collections.Counter(row["label"] for row in table)
    assert counts["positive"] == counts["negative"] == len(table) / 2
    assert all((row["label"] == "positive") == (int(row["stars"]) >= 4) for row in table)
    lengths = [len(row["review"].split()) for row in table]
    assert min(lengths) >= 5
    assert max(lengths) <= 300
    assert len({row["id"] for row in table}) == len(table)


def test_no_two_reviews_share_a_run_of_eight_words(unlabelled):
    texts = [row["review"] for name in ("reviews.csv", "holdout.csv") for row in rows(name)]
    texts += [text for text in unlabelled["review"].to_pylist() if text]
    assert len(texts) >= 998
    seen: dict[tuple[str, ...], int] = {}
    for number, text in enumerate(texts):
        storable = words(text)
        for start in range(len(storable) - 7):
            run = tuple(storable[start : start + 8])
            assert seen.setdefault(run, number) == number, f"{texts[seen[run]]!r} and {text!r} share {run}"


def test_reviews_hold_what_reviews_hold():
    texts = [row["review"] for row in rows("reviews.csv")]
    for pattern in (r"\bnot\b|n't\b", r"<br />", r"\n", r"!!", r"[^\x00-\x7f]", r"\.\.\.|…"):
        assert any(re.search(pattern, text) for text in texts), pattern


def test_the_unlabelled_table_holds_what_careless_tools_lose(unlabelled):
    texts = unlabelled["review"].to_pylist()
    assert len(texts) == 200
    assert None in texts
    assert any(text is not None and not text.strip() for text in texts)
    assert max(len(text.split()) for text in texts if text) > 1_000
    types = unlabelled.schema
    assert types.field("seen_at").type.tz
    assert pa.types.is_decimal(types.field("ticket_price").type)
    assert pa.types.is_list(types.field("tags").type)
    assert pa.types.is_dictionary(types.field("watched_on").type)
    assert unlabelled["helpful_votes"].null_count
    assert types.metadata[b"licence"] == b"CC0-1.0"
    assert pq.ParquetFile(FOLDER / "unlabelled.parquet").num_row_groups > 1


def test_the_readme_counts_the_rows(unlabelled):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"| reviews.csv | {len(rows('reviews.csv'))} |" in text
    assert f"| holdout.csv | {len(rows('holdout.csv'))} more" in text
    assert f"| unlabelled.parquet | {len(unlabelled)} more" in text
