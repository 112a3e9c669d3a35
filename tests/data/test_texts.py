from collections import Counter

import pyarrow as pa
import pytest

from sentiment_batch.data.columns import NULL_WORDS, describe_null_words, drop_null_words, is_blank
from sentiment_batch.data.texts import hash_text


@pytest.mark.parametrize(
    "same",
    ["A good film!", "a  GOOD\tfilm!", " a good film! \n", "ａ good ﬁlm!", "a\u00a0good film!"],
)
def test_case_spacing_and_unicode_form_keep_the_fingerprint(same):
    assert hash_text(same) == hash_text("a good film!")


@pytest.mark.parametrize("other", ["a good film", "a bad film!", "agood film!", ""])
def test_other_texts_have_other_fingerprints(other):
    assert hash_text(other) != hash_text("a good film!")


def test_another_seed_gives_another_fingerprint():
    assert hash_text("good", 1) != hash_text("good", 2)
    assert hash_text("good", 2**32) == hash_text("GOOD", 2**32)
    assert len(hash_text("\ud800")) == 16


def test_blank_is_what_nobody_can_see():
    invisible = [
        "\u200b",
        "\ufeff \u200d",
        "\x00",
        "\u00ad\u2060",
        "\u3164",
        "\ufe0f",
        "\x1f\x85",
        "\U000e0001",
    ]
    assert all(map(is_blank, ["", " ", "\n\t", "\u3000\u2028", *invisible]))
    assert not any(map(is_blank, [".", " a ", "\u200bgood\u200b", "\u0301", "ᅟ좋", "👍\ufe0f", "あ", "\ufffd"]))


def test_every_character_that_python_calls_white_space_is_blank():
    assert all(is_blank(chr(code)) for code in range(0x110000) if chr(code).isspace())


@pytest.mark.parametrize("word", NULL_WORDS)
def test_words_for_a_missing_value_are_no_text(word):
    found = Counter()
    texts = pa.array(["a long text, not null", word, None, "", word, "ok"], pa.large_string())
    assert drop_null_words(texts, found).to_pylist() == ["a long text, not null", None, None, "", None, "ok"]
    assert found == {word: 2}
    assert describe_null_words(found) == f"words for a missing value count as no text: {word!r} (2)"


@pytest.mark.parametrize("text", ["none", "Null and void", "\\n", " NULL", "n / a", "No", "nah", "👍", "NONE", "-"])
def test_texts_that_resemble_those_words_stay(text):
    assert drop_null_words(pa.array([text], pa.large_string())).to_pylist() == [text]
