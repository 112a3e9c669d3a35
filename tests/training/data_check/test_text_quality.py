import numpy as np
import pytest

from sentiment_batch.training.data_check.text_quality import (
    common_beginning,
    do_beginnings_reveal_classes,
    measure_text_quality,
)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize(
    "word", ["café", "Größe", "naïve", "señor", "it’s", "“well”", "très … bon", "love ❤", "😀 fine"]
)
def test_utf8_that_was_read_in_another_encoding_is_seen(word, encoding):
    misread = word.encode().decode(encoding, "replace")
    assert measure_text_quality([misread]).misread == 1
    assert measure_text_quality([word]).misread == 0


@pytest.mark.parametrize(
    "text", ["it\x92s", "a \x96 b", "bad \ufffd byte"]
)  # Windows-1252 read as Latin-1, and what was no UTF-8
def test_other_marks_of_a_wrong_encoding_are_seen(text):
    assert measure_text_quality([text]).misread == 1


@pytest.mark.parametrize(
    "text", ["plain", "SÃO PAULO", "Âme", "NÃO!", "â la carte", "line\x85line", "電影很好", "Åse så på", "Ârbore ð"]
)
def test_words_with_such_letters_are_no_wrong_encoding(text):
    assert measure_text_quality([text]).misread == 0


def test_shares_of_texts_without_letters_and_with_tags():
    found = measure_text_quality(["10/10", "5", "good", "<br />fine", "a < b", "i <3 it", "電"])
    assert found.letterless == pytest.approx(2 / 7)
    assert found.tagged == pytest.approx(1 / 7)


def test_the_common_beginning_is_that_of_all():
    assert common_beginning(["Review: b", "Review: a", "Review: ab"]) == "Review: "
    assert common_beginning(["x", "y"]) == ""


def test_labels_in_front_of_the_texts_are_seen():
    codes = np.array([0, 1, 2] * 12)
    texts = [f"{text} {n}" for n, text in enumerate(["__label__1 a", "__label__2 a", "__label__3 b"] * 12)]
    assert do_beginnings_reveal_classes(texts, codes)
    assert not do_beginnings_reveal_classes(["x", *texts[1:]], codes), "one text that begins otherwise is enough"
    assert not do_beginnings_reveal_classes(texts[:27], codes[:27]), "of few texts it may be chance"
    assert not do_beginnings_reveal_classes([f"a {n}" for n in range(36)], codes)
    assert not do_beginnings_reveal_classes(["a", "b", "c"] * 12, codes), "repeated texts prove nothing"
