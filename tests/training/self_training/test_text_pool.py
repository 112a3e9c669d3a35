"""The sample of a stream: different texts, none that is labelled, the same in any order, in bounded memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from sentiment_batch.training.self_training.text_pool import MAX_TEXT_CHARACTERS, TextPool, hash_words

TEXTS = [f"film number {number}" for number in range(300)]


def keep(texts, size=20, left_out=(), seed=0):
    pool = TextPool(size, left_out, seed)
    pool.add(texts)
    return pool


def test_the_sample_does_not_depend_on_the_order_of_the_rows():
    shuffled = random.Random(0).sample(TEXTS, len(TEXTS))
    found = keep(TEXTS).finish()
    assert found == keep(shuffled).finish()
    assert len(found) == 20
    assert set(found) < set(TEXTS)


def test_another_seed_takes_another_sample():
    assert keep(TEXTS, seed=1).finish() != keep(TEXTS, seed=2).finish()


def test_a_very_long_labelled_text_is_left_out():
    long = "a long film " * MAX_TEXT_CHARACTERS
    pool = keep([long, "short"], left_out={hash_words(long, 0)})
    assert (pool.finish(), pool.labelled) == (["short"], 1)


def test_few_texts_are_all_kept():
    assert sorted(keep(TEXTS, size=1_000).finish()) == sorted(TEXTS)


@pytest.mark.parametrize("other", ["A  Good film", "a good film!", "<b>a good</b> film", "a good film\n"])
def test_nearly_equal_texts_are_one_text(other):
    assert keep([other, "a good film"]).finish() == keep(["a good film", other]).finish()
    assert len(keep([other, "a good film"]).finish()) == 1


def test_labelled_texts_and_blank_rows_are_dropped_and_counted():
    left_out = {hash_words(text, 0) for text in TEXTS[:10]}
    pool = keep([*TEXTS[:12], None, " ", "Film  number 3"], size=100, left_out=left_out)
    assert sorted(pool.finish()) == sorted(TEXTS[10:12])
    assert (pool.rows, pool.blank, pool.labelled) == (15, 2, 11)


def test_of_a_giant_text_both_ends_are_kept():
    (kept,) = keep(["start " + "middle " * 100_000 + "end"]).finish()
    assert len(kept) == MAX_TEXT_CHARACTERS + 1
    assert kept.startswith("start ")
    assert kept.endswith(" end")


def test_memory_holds_no_more_texts_than_twice_the_sample():
    pool = TextPool(50, (), 0)
    tracemalloc.start()
    for start in range(0, 20_000, 100):
        pool.add([f"{number} " + "x" * 2_000 for number in range(start, start + 100)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pool.rows == 20_000
    assert len(pool.finish()) == 50
    assert peak < 2_000_000, "40 MB went through"
