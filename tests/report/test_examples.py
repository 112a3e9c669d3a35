import math

from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.report.examples import MAX_MARKED_WORDS, split_into_pieces


def whole(words):
    return "".join(piece for piece, _ in words)


def test_a_short_text_stays_whole_with_its_weights():
    words = [["great ", 1.0], ["film", -0.25], [" unseen", None]]
    assert split_into_pieces(words, "", 100) == [("great ", 1.0), ("film", -0.25), (" unseen", None)]


def test_a_long_text_shows_its_ends_and_names_weighty_words():
    words = [["a" * 50 + " ", 0.1], ["superb ", 0.9], ["dull ", -0.4], ["so ", 0.01], ["b" * 60, 0.2]]
    shown = whole(split_into_pieces(words, "", 40))
    assert shown.startswith("a" * 20 + " [… ")
    assert shown.endswith("…] " + "b" * 20)
    assert "among them “superb”, “dull” …]" in shown
    assert "“so”" not in shown
    assert f"{51 + 7 + 5 + 3 + 60 - 40} characters" in shown


def test_a_word_that_is_shown_is_not_named_as_left_out():
    shown = split_into_pieces([["first " * 10, 0.9], ["x" * 500, 0.0], [" last" * 10, 0.8]], "", 200)
    assert "among" not in whole(shown)


def test_without_words_the_text_is_shown_from_both_ends():
    assert split_into_pieces(None, "short", 10) == [("short", 0.0)]
    ((shown, weight),) = split_into_pieces(None, "a" * 1_000 + "b" * 1_000, 100)
    assert shown == "a" * 50 + " [… 1,900 characters …] " + "b" * 50
    assert weight == 0.0


def test_only_the_heaviest_words_keep_their_weight():
    words = [[f"w{place} ", (place + 1) / 500] for place in range(500)]
    shown = split_into_pieces(words, "", 10_000)
    marked = [weight for _, weight in shown if weight]
    assert len(marked) == MAX_MARKED_WORDS
    assert min(marked) == (500 - MAX_MARKED_WORDS + 1) / 500


@given(
    st.lists(st.tuples(st.text(max_size=30), st.none() | st.floats(-1, 1) | st.just(math.nan)), max_size=80),
    st.sampled_from([2, 10, 100, 1_000]),
)
def test_pieces_are_the_text_or_its_ends(words, most):
    text = "".join(piece for piece, _ in words)
    shown = split_into_pieces([list(word) for word in words], text, most)
    assert all(weight is None or math.isfinite(weight) for _, weight in shown)
    if len(text) <= most:
        assert whole(shown) == text
    else:
        assert whole(shown).startswith(text[: most // 2])
        assert whole(shown).endswith(text[-(most // 2) :])
