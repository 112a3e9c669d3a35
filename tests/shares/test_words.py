"""Words that mark some texts: those that differ beyond chance, from a sample that fits into memory."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment_batch.shares import words
from sentiment_batch.shares.words import TextSample, WordComparer


def test_the_words_of_each_side_are_found_and_no_others():
    generator = np.random.default_rng(0)
    noise = [" ".join(generator.choice([f"word{n}" for n in range(300)], 12)) for _ in range(800)]
    texts = [f"The film was {'dull' if n % 2 else 'great'} {text}" for n, text in enumerate(noise)]
    odd = np.arange(800) % 2 == 1
    comparer = WordComparer(texts, 5)
    (dull,), (great,) = comparer.compare(odd, ~odd), comparer.compare(~odd, odd)
    assert (dull.word, dull.share, dull.other_share) == ("dull", 1.0, 0.0)
    assert great.word == "great"
    assert comparer.compare(np.arange(800) < 400, np.arange(800) >= 400) == []


def test_few_texts_mark_nothing():
    texts = ["dull"] * 29 + ["great"] * 500
    inside = np.arange(len(texts)) < 29
    assert WordComparer(texts, 5).compare(inside, ~inside) == []
    assert WordComparer(["!", "?"] * 50, 5).compare(np.arange(100) < 50, np.arange(100) >= 50) == []


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_sample_is_bounded_and_does_not_depend_on_batches(monkeypatch, batch):
    monkeypatch.setattr(words, "MAX_TEXTS", 50)
    sample = TextSample()
    for start in range(0, 1000, batch):
        rows = np.arange(start, min(1000, start + batch))
        places, draws = sample.choose(len(rows))
        codes = np.stack([rows[places] + 1, rows[places]], axis=1)
        sample.add([None if row == 500 else f"text {row}" for row in rows[places]], codes, draws)
        assert len(sample.texts) <= 100 + batch
    sample.trim()
    chosen = sample.codes()[:, 1].tolist()
    assert sample.texts == [f"text {row}" for row in chosen]
    draws = np.random.default_rng(words.SEED).random(1000)
    draws[500] = 1.0
    assert chosen == sorted(np.argsort(draws)[:50].tolist())
