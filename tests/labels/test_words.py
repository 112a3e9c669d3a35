import pytest

from sentiment_batch.labels.words import WORD_ORDER, find_meaning, find_side, order_words


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        *(("neg", "negative"), ("POSITIVE", "positive"), ("Very_Negative", "very negative"), ("pozitif", "positive")),
        *(("NEGATİF", "negative"), ("Neutro", "neutral"), ("积极", "positive"), ("👍🏽"[:1], "positive")),
        *(
            ("☹\ufe0f", "negative"),
            ("thumbs-down", "negative"),
            ("praise", None),
            ("strongly disagree", "very negative"),
            ("Very Satisfied", "very positive"),
            *(("Excellent", "very positive"), ("terrible", "very negative"), ("Sehr gut", "very positive")),
            *(("很差", "very negative"), ("差", "negative"), ("好", "positive"), ("一般", "neutral")),
        ),
    ],
)
def test_known_words_have_a_meaning(word, meaning):
    assert find_meaning(word) == meaning


def test_words_are_ordered_by_meaning_only_if_all_are_known():
    assert order_words(["Positivo", "Negativo", "Neutro"]) == ["Negativo", "Neutro", "Positivo"]
    assert order_words(["good", "bad", "praise"]) == ["bad", "good", "praise"]
    assert order_words(["👍", "👎"]) == ["👎", "👍"]
    scale = ["Terrible", "Poor", "Average", "Very good", "Excellent"]
    assert [find_side(word) for word in scale] == ["negative", "negative", "neutral", "positive", "positive"]
    assert order_words(sorted(scale)) == scale
    assert order_words(["bad", "very bad", "terrible"]) == ["terrible", "very bad", "bad"]
    assert order_words(reversed(WORD_ORDER)) == list(WORD_ORDER)


def test_the_side_of_a_label_leaves_its_degree_out():
    assert [find_side(word) for word in ("very negative", "mixed", "pos", "Rant")] == [
        *("negative", "neutral", "positive", "rant")
    ]
