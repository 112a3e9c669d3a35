"""The pool keeps the most uncertain different texts of a stream, in bounded memory, whatever the batches are."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.texts import hash_text
from sentiment_batch.selection.candidates import CandidatePool, take_rows

SCHEMA = pa.schema([("text", pa.string()), ("number", pa.int64())])


def fill(rows, size, cuts=(), left_out=()):
    """A pool that was given `rows`, pairs of text and score, in batches that end at `cuts`."""
    pool = CandidatePool(size=size, schema=SCHEMA, columns=[0, 1], left_out={hash_text(one) for one in left_out})
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        texts = pa.array([text for text, _ in rows[start:stop]], pa.large_string())
        batch = pa.record_batch([texts.cast(pa.string()), pa.array(range(start, stop))], schema=SCHEMA)
        scores = np.array([math.nan if score is None else score for _, score in rows[start:stop]], np.float64)
        pool.add(batch, scores, lambda texts=texts: texts)
        assert len(pool._rows) < 2 * size + max(1, stop - start)
    return pool


TEXTS = st.sampled_from(["good", "Good", "GOOD ", "bad", "poor", "fine", "", "  ", None, *"abcdefgh"])
ROWS = st.lists(st.tuples(TEXTS, st.none() | st.sampled_from([0.5, 0.6, 0.7, 0.75, 0.8, 1.0])), max_size=60)


@given(ROWS, st.integers(1, 12), st.data())
def test_the_pool_is_what_sorting_all_rows_gives(rows, size, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    found = fill(rows, size, cuts, left_out=["poor"]).finish()
    best = {}
    for number, (text, score) in enumerate(rows):
        if text and text.strip() and score is not None and text != "poor":
            key = hash_text(text)
            best[key] = min(best.get(key, (9, b"", 0)), (score, key, number))
    wanted = [number for _, _, number in sorted(best.values())[:size]]
    assert found.numbers == wanted
    assert found.texts == [rows[number][0] for number in wanted]
    assert found.rows.column(1).to_pylist() == wanted
    assert found.rows.schema.names == ["text", "number"]
    assert np.allclose(found.scores, [rows[number][1] for number in wanted])


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_table_does_not_matter(rows, chance):
    unlike = list({hash_text(text): (text, score) for text, score in rows if text}.values())
    shuffled = chance.sample(unlike, len(unlike))
    assert fill(unlike, 5).finish().texts == fill(shuffled, 5, [len(unlike) // 2]).finish().texts


def test_the_digest_decides_between_equal_scores():
    rows = [(f"text {n}", 0.5) for n in range(60)]
    wanted = sorted((text for text, _ in rows), key=hash_text)[:3]
    assert fill(rows, 3, range(4, 60, 4)).finish().texts == wanted
    assert fill(rows[::-1], 3, range(5, 60, 5)).finish().texts == wanted


def test_rows_are_counted():
    pool = fill([("a", 0.5), (None, None), ("", None), ("b", 0.9)], 2, [1])
    assert (pool.rows_read, pool.without_score) == (4, 2)


def test_texts_are_read_only_where_a_row_may_be_taken():
    pool = fill([(f"text {n}", n / 1000) for n in range(40)], 10)
    batch = pa.record_batch([pa.array(["sure"]), pa.array([40])], schema=SCHEMA)
    pool.add(batch, np.array([0.99]), lambda: pytest.fail("the texts were read"))
    assert pool.rows_read == 41


def test_memory_does_not_grow_with_the_table():
    """1 GB of texts, of which each batch refers to one large buffer, and a dictionary of many values."""
    rows, filler = 8_192, "x" * 1_000
    schema = pa.schema([("text", pa.string()), ("kind", pa.dictionary(pa.int32(), pa.string()))])
    pool = CandidatePool(size=500, schema=schema, columns=[0, 1])
    chance, before, most = np.random.default_rng(0), pa.total_allocated_bytes(), 0
    for start in range(0, 120 * rows, rows):
        texts = pa.array([f"{start + n} {filler}" for n in range(rows)])
        kinds = pa.array([f"kind {start + n}" for n in range(rows)]).dictionary_encode()
        batch = pa.record_batch([texts, kinds], schema=schema)
        pool.add(batch, chance.uniform(0.5, 1, rows), lambda texts=texts: texts.cast(pa.large_string()))
        del batch, texts, kinds
        most = max(most, pa.total_allocated_bytes() - before)
    found = pool.finish()
    assert len(found.texts) == 500
    assert found.scores.max() < 0.501
    assert most < 60e6


def test_columns_of_all_kinds_can_be_kept():
    kinds = {
        "view": pa.array(["a", "b", None], pa.string_view()),
        "views": pa.array([["a"], None, ["c"]], pa.list_(pa.string_view())),
        "category": pa.array(["a", "b", "a"]).dictionary_encode(),
        "runs": pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]),
        "time": pa.array([1, 2, 3], pa.timestamp("ns", "UTC")),
        "map": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
    }
    batch = pa.record_batch(list(kinds.values()), names=list(kinds))
    taken = take_rows(batch, range(len(kinds)), [2, 0])
    assert taken.to_pylist() == [batch.to_pylist()[2], batch.to_pylist()[0]]
    assert taken.schema.field("category").type == pa.large_string()
