"""The measures of texts, by hand."""

import numpy as np
import pytest
from tokenizers import Tokenizer

from sentiment_batch.tokenization.text_measures import SCRIPTS, TextMeter, count_letters
from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("Great, 10/10!", {"latin": 5}),
        ("naïve café", {"latin": 9}),
        ("Отлично", {"cyrillic": 7}),
        ("电影 好", {"han": 3}),
        ("とても良いカメラ", {"kana": 7, "han": 1}),
        ("좋아요", {"hangul": 3}),
        ("ممتاز", {"arabic": 5}),
        ("बहुत", {"devanagari": 4}),
        ("ดีมาก", {"thai": 5}),
        ("καλό", {"greek": 4}),
        ("טוב", {"hebrew": 3}),
        ("😀👍 12 — … “ ” ， 。", {}),
        ("", {}),
    ],
)
def test_letters_are_counted_by_script(text, scripts):
    (letters,) = count_letters([text]).tolist()
    assert {name: count for name, count in zip(SCRIPTS, letters, strict=True) if count} == scripts


def test_the_letters_of_each_text_are_its_own():
    letters = count_letters(["ab", "", "да", "x" * 1_000])
    assert letters.sum(axis=1).tolist() == [2, 0, 2, 256]


@pytest.mark.parametrize("long_text", ["head", "windows"])
def test_pieces_are_measured_without_special_tokens(tiny_base, long_text):
    backend = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    tokenizer = TextTokenizer(backend, TextPolicy(max_length=8, long_text=long_text), special_as_text=True)
    texts = ["the good film", "skipped", "a 电", "", "the film " * 10]
    measures = TextMeter(tokenizer).measure(texts, tokenizer(texts), np.array([0, 2, 3, 4]))
    assert measures.values["tokens"].tolist() == [3, 2, 0, 20]
    assert measures.values["characters_per_token"].tolist() == [pytest.approx(13 / 3), 1.5, 0, 4.5]
    assert measures.values["odd_pieces"].tolist() == [0, 1, 0, 0]  # "a" is a single letter, the sign is unknown
    assert np.bincount(measures.owners, minlength=4).tolist() == [3, 2, 0, 20 if long_text == "windows" else 6]
