import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.labelled_rows import LabelledRows
from sentiment_batch.data.texts import hash_text, normalize_text
from sentiment_batch.training.dataset import TextIndex, strip_marks

TEXTS = st.text(st.sampled_from("aBé ﬀ.!<b>/&;#39\n\u00a0—“”’電。😀\ud800"), max_size=12)


def table(texts, name="reviews.csv", groups=None) -> LabelledRows:
    return LabelledRows(
        name=name,
        texts=list(texts),
        labels=[None] * len(texts),
        groups=groups,
        text_columns=("text",),
        label_column="label",
        num_blank=0,
    )


def numbers(*texts):
    found = TextIndex(0).add_rows([table(texts)], np.zeros(len(texts), dtype=np.int64), range(len(texts)))
    return found.equal.tolist(), found.near.tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Great film!", "great film"),
        ("great film", "great, film ..."),
        ("It was good.<br /><br />Really.", "it was good. Really"),
        ("<p class='x'>Good</p>", "good"),
        ("don&#39;t &amp; won&quot;t", "don't & won\"t"),
        ("&lt;br&gt;good", "good"),
        ("“Good” – really…", "good, really"),
        ("很好。", "很好"),
        ("good\u00a0film\u200b", "good film"),
        ("love ❤️", "love ❤"),
    ],
)
def test_texts_differing_in_html_and_signs_are_nearly_equal(one, other):
    equal, near = numbers(one, other)
    assert equal[0] != equal[1]
    assert near[0] == near[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("good film", "good films"),
        ("8 of 10", "9 of 10"),
        ("meh 😀", "meh 😡"),
        ("café", "cafe"),
        (":)", ":("),
        ("!!!", "..."),
        ("<br>", "<p>"),
        ("2 < 3 and more", "2 < 4 and more"),
        ("very good", "not good"),
    ],
)
def test_texts_that_differ_in_a_word_or_their_only_sign_are_not(one, other):
    near = numbers(one, other)[1]
    assert near[0] != near[1]


@given(st.lists(TEXTS, max_size=8))
def test_text_numbers_are_equal_exactly_where_fingerprints_are(texts):
    equal, near = numbers(*texts)
    for one in range(len(texts)):
        for other in range(len(texts)):
            assert (equal[one] == equal[other]) == (hash_text(texts[one]) == hash_text(texts[other]))
            if equal[one] == equal[other]:
                assert near[one] == near[other]


@given(TEXTS)
def test_folding_a_folded_text_changes_nothing(text):
    once = strip_marks(normalize_text(text))
    assert strip_marks(once) == once or b"&" in normalize_text(text)  # what an entity stands for may be one itself


def test_numbers_are_shared_by_all_tables_and_rows_can_be_picked():
    index = TextIndex(3)
    first = index.add_rows([table(["a", "b", "c"], groups=[1, None, " x "])], np.array([0, 1, 2]), [2, 0])
    other = index.add_rows([table(["B", "C!"]), table(["a"])], np.array([1, 1, 0]), [0, 1, 2])
    assert first.texts == ["c", "a"]
    assert first.codes.tolist() == [2, 0]
    assert first.groups == ["x", "1"]
    assert (other.groups, other.files.tolist()) == (None, [0, 0, 1])
    assert np.isin(other.equal, first.equal).tolist() == [False, False, True]
    assert np.isin(other.near, first.near).tolist() == [False, True, True]
    assert index.seeded_fingerprints(first) == [hash_text("c", 3), hash_text("a", 3)]
    assert index.fingerprints(other.take(np.array([2]))) == [hash_text("a")]
