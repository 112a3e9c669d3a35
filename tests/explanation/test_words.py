"""Cutting texts into words and giving these the weights of their tokens."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment_batch.explanation.words import Explanation, Word, round_weights, scale_weights, weigh_words

TEXTS = st.text(
    st.characters(exclude_categories=[]) | st.sampled_from("ab 1.'-<br />\u0301\u200d😀👨ไท中"), max_size=60
)


def pieces(text, tokens=(), unseen=None):
    """The pieces of a text whose tokens are given by their own characters, all of weight 1."""
    return [word.text for word in weigh_words(text, tokens, [1.0] * len(tokens), unseen or (len(text), len(text)))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ", [" "]),
        ("the film", ["the", " ", "film"]),
        ("  two\n\nlines\t", ["  ", "two", "\n\n", "lines", "\t"]),
        ("it's well-made, rock'n'roll!", ["it's", " ", "well-made", ",", " ", "rock'n'roll", "!"]),
        ("'quoted' -- no...", ["'", "quoted", "'", " ", "--", " ", "no", "..."]),
        ("7.5/10, or 1,000", ["7.5", "/", "10", ",", " ", "or", " ", "1,000"]),
        ("good.<br /><br />Bad", ["good", ".", "<br />", "<br />", "Bad"]),
        ("a < b > c <i>x</i>", ["a", " ", "<", " ", "b", " ", ">", " ", "c", " ", "<i>", "x", "</i>"]),
        ("cafe\u0301 nai\u0308ve", ["cafe\u0301", " ", "nai\u0308ve"]),
        ("हिन्दी फ़िल्म।", ["हिन्दी", " ", "फ़िल्म", "।"]),
        ("영화 좋아요", ["영화", " ", "좋아요"]),
        ("好看，很", ["好", "看", "，", "很"]),
        ("👨\u200d👩\u200d👧😀👍🏽", ["👨\u200d👩\u200d👧", "😀", "👍🏽"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("\u0301\x00\x1b[31m", ["\u0301", "\x00\x1b[", "31m"]),
        ("\ud800x", ["\ud800", "x"]),
    ],
)
def test_a_text_without_tokens_is_cut_at_words_and_marks(text, expected):
    assert pieces(text) == expected


def test_tokens_of_one_word_are_added_up():
    found = weigh_words("unbelievably good", [(0, 2), (2, 12), (13, 17)], [0.5, -0.25, 2.0], (17, 17))
    assert found == [Word("unbelievably", 0.25), Word(" ", 0.0), Word("good", 2.0)]


def test_several_words_of_one_token_are_one_piece():
    assert pieces("电影很好看", [(0, 2), (2, 3), (3, 5)]) == ["电影", "很", "好看"]
    assert pieces("ภาพยนตร์ดี", [(0, 8), (8, 10)]) == ["ภาพยนตร์", "ดี"]
    assert pieces("great😀!", [(0, 6), (6, 7)]) == ["great😀", "!"]


def test_a_token_that_begins_with_a_blank_does_not_join_words():
    assert weigh_words("so good", [(0, 2), (2, 7)], [1.0, 2.0], (7, 7)) == [
        Word("so", 1),
        Word(" ", 0),
        Word("good", 2),
    ]


def test_a_token_of_white_space_or_of_no_width_loses_no_weight():
    found = weigh_words("a  b", [(0, 0), (0, 1), (1, 2), (2, 4), (4, 4)], [1.0, 2.0, 4.0, 8.0, 16.0], (4, 4))
    assert found == [Word("a", 3.0), Word("  ", 4.0), Word("b", 24.0)]


def test_tokens_that_share_a_character_weigh_together():
    assert weigh_words("😀", [(0, 1)] * 4, [1.0, 2.0, 3.0, 4.0], (1, 1)) == [Word("😀", 10.0)]


@pytest.mark.parametrize(
    ("unseen", "expected"),
    [
        ((3, 8), [("abc", 1.0), (" def ", None), ("ghi", 2.0)]),
        ((0, 8), [("abc def ", None), ("ghi", 2.0)]),
        ((3, 11), [("abc", 1.0), (" def ghi", None)]),
        ((11, 11), [("abc", 1.0), (" ", 0.0), ("def", 0.0), (" ", 0.0), ("ghi", 2.0)]),
        ((2, 9), [("ab", 1.0), ("c def g", None), ("hi", 2.0)]),
    ],
)
def test_the_unseen_part_is_one_piece_without_a_weight(unseen, expected):
    tokens = [((0, 2), 1.0)] * (unseen[0] > 0) + [((9, 10), 2.0)] * (unseen[1] < 11 or unseen[0] == 11)
    assert weigh_words("abc def ghi", [span for span, _ in tokens], [weight for _, weight in tokens], unseen) == [
        Word(*one) for one in expected
    ]


def test_an_accent_after_the_last_seen_character_stays_with_it():
    assert pieces("e\u0301e\u0301", [(0, 1)], (1, 4)) == ["e\u0301", "e\u0301"]


def test_a_mark_at_the_beginning_of_an_unseen_text_is_unseen():
    assert weigh_words("\u00adab", [], [], (0, 2)) == [Word("\u00ada", None), Word("b", 0.0)]
    assert weigh_words("\u00ad", [], [], (0, 1)) == [Word("\u00ad", None)]


@given(TEXTS, st.data())
@example("a\u0301", None)
def test_joined_pieces_are_the_text_and_no_weight_is_lost(text, data):
    size = len(text)
    ends = st.tuples(st.integers(0, size), st.integers(0, size)).map(sorted)
    unseen = tuple(data.draw(ends)) if data else (1, 2)
    spans = sorted(
        tuple(span) for span in (data.draw(st.lists(ends, max_size=12)) if data else []) if span[0] < span[1]
    )
    spans = [(a, min(b, unseen[0])) if a < unseen[0] else (max(a, unseen[1]), max(b, unseen[1])) for a, b in spans]
    spans = [(a, b) for a, b in spans if a < b]  # the others lie in the unseen part
    found = weigh_words(text, spans, [1.0] * len(spans), unseen)
    assert "".join(word.text for word in found) == text
    assert all(word.text for word in found)
    assert sum(word.weight or 0.0 for word in found) == len(spans)
    assert sum(word.weight is None for word in found) <= 1


def test_the_largest_weight_becomes_one():
    assert scale_weights([Word("a", -4.0), Word("b", 2.0), Word("c", None)]) == (
        Word("a", -1),
        Word("b", 0.5),
        Word("c", None),
    )
    assert scale_weights([Word("a", 0.0), Word("b", None)]) == (Word("a", 0.0), Word("b", None))
    assert scale_weights([]) == ()


def explanation(*words):
    words = tuple(Word(*word) for word in words)
    text = "".join(word.text for word in words)
    return Explanation(text=text, label="good", score=0.75, probabilities={"bad": 0.25, "good": 0.75}, words=words)


def test_the_heaviest_words_are_named_without_white_space():
    one = explanation(("a ", 0.2), ("b", -0.004), (" ", 1.0), ("c", -0.5), ("d", 0.3), ("e", None), ("f", -0.6))
    assert one.strongest(5) == ([("d", 0.3), ("a", 0.2)], [("f", -0.6), ("c", -0.5)])
    assert one.strongest(1) == ([("d", 0.3)], [("f", -0.6)])
    assert one.strongest(0) == ([], [])


def test_marks_are_named_in_quotes():
    assert [Word(text, 1.0).name for text in ("it's", ",", "...", "😀", "7.5")] == [
        "it's",
        '","',
        '"..."',
        '"😀"',
        "7.5",
    ]


def test_json_has_pairs_of_text_and_weight():
    one = explanation(("ab", 1 / 3), (" ", 0.0), ("c", None)).to_json(1)
    assert one["words"] == [["ab", 0.3333], [" ", 0.0], ["c", None]]
    assert (one["for"], one["against"], one["text"]) == ([["ab", 0.3333]], [], "ab c")
    assert (one["sentiment"], one["sentiment_score"], one["probabilities"]["bad"]) == ("good", 0.75, 0.25)
    assert round_weights([]) == []
