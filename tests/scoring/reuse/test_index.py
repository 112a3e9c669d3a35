"""The index finds the probabilities of every text that was added, and of no other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sentiment_batch.errors import OutputError
from sentiment_batch.scoring.reuse import index as index_module
from sentiment_batch.scoring.reuse.index import ScoredTextIndex, hash_texts


@pytest.fixture
def index(tmp_path):
    made = ScoredTextIndex(tmp_path / "index", labels=2)
    yield made
    made.close()


def digests(*texts):
    return hash_texts(pa.array(texts, pa.large_string()))


def numbered(count):
    values = np.arange(count, dtype=np.float32)
    return np.stack([values, -values], axis=1)


@pytest.mark.parametrize("waiting", [1, 700, 65_536])
def test_every_added_text_is_found_and_no_other(index, monkeypatch, waiting):
    monkeypatch.setattr(index_module, "MAX_WAITING_TEXTS", waiting)
    texts = [f"text {n}" for n in range(2_000)]
    for start in range(0, 2_000, 300):
        index.add(digests(*texts[start : start + 300]), numbered(2_000)[start : start + 300])
    assert index.finish() == 2_000
    found = index.find(digests("other", *texts[::-1], "another", ""))
    assert np.array_equal(found[1:2_001], numbered(2_000)[::-1])
    assert np.isnan(found[[0, 2_001, 2_002]]).all()
    assert [path.name for path in index.folder.iterdir()] == ["texts.sqlite"]


def test_the_first_of_equal_texts_counts(index, monkeypatch):
    monkeypatch.setattr(index_module, "MAX_WAITING_TEXTS", 2)
    for number in range(5):
        index.add(digests("same", f"text {number}"), np.full((2, 2), number, np.float32))
    assert index.finish() == 6
    assert index.find(digests("same", "text 3"))[:, 0].tolist() == [0, 3]


def test_an_index_without_texts_finds_nothing(index):
    assert index.finish() == 0
    assert np.isnan(index.find(digests("a"))).all()
    assert index.find([]).shape == (0, 2)


def test_a_text_is_known_by_its_bytes():
    assert digests("a") != digests("A") != digests("a ") != digests("\u00e9") != digests("e\u0301")
    assert digests("a", "a")[0] == digests("a")[0]


def test_a_full_disk_is_an_error_in_one_line(index):
    index.add(digests(*(f"text {n}" for n in range(5_000))), numbered(5_000))
    index._database.execute("PRAGMA max_page_count = 10")
    with pytest.raises(OutputError, match=r"the index of texts in .* is full\. Free some space"):
        index.finish()
