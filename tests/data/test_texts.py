import pytest

from sentiment_batch.data.columns import is_blank
from sentiment_batch.data.texts import fingerprint_text


@pytest.mark.parametrize(
    "same",
    ["A good film!", "a  GOOD\tfilm!", " a good film! \n", "ａ good ﬁlm!", "a\u00a0good film!"],
)
def test_case_spacing_and_unicode_form_keep_the_fingerprint(same):
    assert fingerprint_text(same) == fingerprint_text("a good film!")


@pytest.mark.parametrize("other", ["a good film", "a bad film!", "agood film!", ""])
def test_other_texts_have_other_fingerprints(other):
    assert fingerprint_text(other) != fingerprint_text("a good film!")


def test_another_seed_gives_another_fingerprint():
    assert fingerprint_text("good", 1) != fingerprint_text("good", 2)
    assert fingerprint_text("good", 2**32) == fingerprint_text("GOOD", 2**32)
    assert len(fingerprint_text("\ud800")) == 16


def test_blank_is_nothing_but_white_space():
    assert all(map(is_blank, ["", " ", "\n\t", "\u3000\u2028"]))
    assert not any(map(is_blank, [".", " a ", "\u200b", "\x00"]))
