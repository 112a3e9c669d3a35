"""Words that mark some texts: those that differ beyond chance."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sentiment_batch.evaluation.marking_words import WordComparer, word_pattern


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


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_parts_that_differ_by_chance_have_no_words(share):
    """Thousands of words, of which most are rare, as in any language."""
    generator = np.random.default_rng(1)
    frequencies = 1 / np.arange(1, 8_001)
    words = generator.choice(8_000, size=(3_000, 60), p=frequencies / frequencies.sum())
    comparer = WordComparer([" ".join(f"word{n}" for n in row) for row in words], 5)
    parts = [generator.random(3_000) < share for _ in range(20)]
    assert [found for part in parts if (found := comparer.compare(part, ~part))] == []


def test_few_texts_mark_nothing():
    texts = ["dull"] * 29 + ["great"] * 500
    inside = np.arange(len(texts)) < 29
    assert WordComparer(texts, 5).compare(inside, ~inside) == []
    assert WordComparer(["!", "?"] * 50, 5).compare(np.arange(100) < 50, np.arange(100) >= 50) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't a b_c 12, 'x' it's'", ["don't", "b_c", "12", "it's"]),
        ("अच्छा फ़िल्म।", ["अच्छा", "फ़िल्म"]),
        ("שָׁלוֹם־טוֹב", ["שָׁלוֹם", "טוֹב"]),
        ("cafe\u0301 İyi", ["cafe\u0301", "i\u0307yi"]),
    ],
)
def test_words_keep_the_marks_of_their_letters(text, words):
    assert re.findall(word_pattern(), text.lower()) == words
