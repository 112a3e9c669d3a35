"""Blocks are scored by their new texts alone, and come back whole and in order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sentiment_batch.errors import ModelError
from sentiment_batch.scoring.backends.row_blocks import Failure, RowBlock, ScoredBlock
from sentiment_batch.scoring.reuse.index import ScoredTextIndex, hash_texts
from sentiment_batch.scoring.reuse.reusing_scorer import ReusingScorer, _divide

KNOWN = ("one", "two")


@pytest.fixture
def index(tmp_path):
    made = ScoredTextIndex(tmp_path / "index", labels=2)
    made.add(hash_texts(pa.array(KNOWN, pa.large_string())), np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    made.finish()
    yield made
    made.close()


def block_of(*arrays, **fields):
    texts = [pa.array(array, pa.large_string()) for array in arrays]
    return RowBlock(texts=texts, rows=sum(map(len, texts)), held_bytes=77, **fields)


def score(scorer, blocks, done=None):
    return list(scorer.score_blocks(blocks, done))


def test_only_new_texts_and_rows_without_text_reach_the_model(index):
    divided = _divide(block_of(["one", "new", None], ["two", "", "new", "one"]), index)
    assert divided.rest.texts[0].to_pylist() == ["new", None, "", "new"]
    assert (divided.rest.rows, divided.rest.held_bytes, divided.known_rows) == (4, 77, 3)


def test_rows_keep_their_order_and_counts_add_up(scorer, index):
    texts = ["one", "a new film", None, "two", "a new film", "one"]
    whole = score(scorer, [block_of(texts)])[0]
    sharing, rows = ReusingScorer.share(scorer, index), []
    before = scorer.counts.rows
    first, second, third = score(sharing, [block_of(texts), block_of(KNOWN), block_of([None])], rows.append)
    new = [1, 2, 4]
    assert np.array_equal(first.probabilities[new], whole.probabilities[new], equal_nan=True)
    assert first.probabilities[[0, 3, 5]].round(4).tolist() == np.float32([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]]).tolist()
    counts = first.counts
    assert (counts.rows, counts.reused, counts.null, counts.repeated, counts.scored) == (6, 3, 1, 1, 5)
    assert counts.confidence == pytest.approx(2.6 + 2 * float(whole.probabilities[1].max()), abs=1e-5)
    assert (second.counts.reused, second.counts.tokens, second.block.known) == (2, 0, None)
    assert (third.counts.reused, third.counts.null) == (0, 1)
    assert scorer.counts.rows - before == sum(rows) == 9


def test_a_block_of_an_earlier_run_passes_through(scorer, index):
    known = np.array([[0.3, 0.7]], np.float32)
    (scored,) = score(ReusingScorer.share(scorer, index), [block_of(["one"], known=known)])
    assert scored.probabilities is known
    assert scored.counts.reused == 0


def test_a_failure_names_the_row_of_the_whole_block(index):
    divided = _divide(block_of(["one", "x", "two", "y"]), index)
    failure = Failure(row=1, reason="it broke", cure="Mend it", kind=ModelError)
    probabilities = np.array([[0.6, 0.4], [np.nan, np.nan]], np.float32)
    merged = divided.merge(
        ScoredBlock(block=divided.rest, probabilities=probabilities, counts=_no_counts(), failures=(failure,))
    )
    assert [one.row for one in merged.failures] == [3]
    assert np.isnan(merged.probabilities[:, 0]).tolist() == [False, False, False, True]


def _no_counts():
    from sentiment_batch.scoring.backends.row_blocks import Counts

    return Counts()
