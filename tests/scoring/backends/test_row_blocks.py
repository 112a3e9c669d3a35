"""Blocks hold every row once, in order, whatever batches the rows come in."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.columns import NULL_WORDS
from sentiment_batch.errors import InputError
from sentiment_batch.scoring.backends import row_blocks as module
from sentiment_batch.scoring.backends.row_blocks import split_into_row_blocks

TEXTS = st.text(max_size=30).filter(lambda text: text not in NULL_WORDS)  # which count as no text
ROWS = st.lists(st.none() | TEXTS, max_size=40)


def batches(texts, cuts):
    """The texts with their row numbers, in batches that end at the cuts; some are empty."""
    table = pa.record_batch(
        {"n": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts, pa.string())},
        schema=pa.schema([("n", pa.int64()), ("text", pa.string())]),
    )
    ends = sorted({0, len(texts), *(min(cut, len(texts)) for cut in cuts)})
    parts = [table.slice(start, stop - start) for start, stop in itertools.pairwise(ends)]
    return [table.slice(0, 0), *parts]


@pytest.fixture(scope="module", autouse=True)
def _small_blocks():
    """Blocks of a few rows, so that short tables fill several. `monkeypatch` would not suit properties."""
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "MAX_ROWS_PER_BLOCK", 7)
    patch.setattr(module, "MAX_TEXT_BYTES_PER_BLOCK", 64)
    yield
    patch.undo()


@given(ROWS, st.lists(st.integers(0, 40), max_size=10))
def test_every_row_stands_in_one_block_in_order(texts, cuts):
    found = list(split_into_row_blocks(batches(texts, cuts), ["text"]))
    assert [n for block in found for batch in block.batches for n in batch.column("n").to_pylist()] == list(
        range(len(texts))
    )
    assert [text for block in found for part in block.texts for text in part.to_pylist()] == texts
    for block in found:
        assert [len(part) for part in block.texts] == [batch.num_rows for batch in block.batches]
        assert block.rows == sum(len(part) for part in block.texts) > 0


@given(ROWS, st.lists(st.integers(0, 40), max_size=10))
def test_blocks_end_at_the_same_rows_however_rows_are_batched(texts, cuts):
    assert [block.rows for block in split_into_row_blocks(batches(texts, cuts), ["text"])] == [
        block.rows for block in split_into_row_blocks(batches(texts, []), ["text"])
    ]


@given(ROWS)
def test_a_block_is_within_its_limits_unless_one_row_is_larger(texts):
    for block in split_into_row_blocks(batches(texts, []), ["text"]):
        size = sum(len((text or "").encode()) for part in block.texts for text in part.to_pylist())
        assert block.rows <= 7
        assert size == block.text_bytes
        assert size <= 64 or block.rows == 1


@pytest.mark.parametrize(("rows", "sizes"), [(0, []), (1, [1]), (6, [6]), (7, [7]), (8, [7, 1]), (15, [7, 7, 1])])
def test_blocks_are_full_but_the_last(rows, sizes):
    assert [block.rows for block in split_into_row_blocks(batches(["a"] * rows, []), ["text"])] == sizes


def test_wide_rows_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(module, "MAX_HELD_BYTES_PER_BLOCK", 1_000)
    wide = [pa.record_batch({"text": ["a"], "blob": [b"x" * 2_000]})] * 3
    assert [block.rows for block in split_into_row_blocks(wide, ["text"])] == [1, 1, 1]


def test_a_bad_byte_is_named_by_its_row_in_the_input():
    good = pa.record_batch({"text": pa.array([b"a", b"b"], pa.binary())})
    bad = pa.record_batch({"text": pa.array([b"c", b"\xff"], pa.binary())})
    with pytest.raises(InputError, match=r"not UTF-8 in row 3 \(rows counted from 0\)"):
        list(split_into_row_blocks([good, bad], ["text"]))


def test_the_columns_of_a_block_are_those_of_the_input():
    batch = pa.record_batch({"text": pa.array(["a", "b"]), "kind": pa.array(["x", "y"]).dictionary_encode()})
    (block,) = split_into_row_blocks([batch], ["text"])
    assert block.batches[0].schema == batch.schema
    assert block.batches[0].column("text").buffers()[2].address == batch.column("text").buffers()[2].address
