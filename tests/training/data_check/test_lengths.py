import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.tokenization.packing import Tokens
from sentiment_batch.tokenization.tokenizer import TextPolicy
from sentiment_batch.training.data_check.lengths import check_lengths, measure_lengths

POLICY = TextPolicy(max_length=64, long_text="head-tail")


def tokens(whole, policy=POLICY) -> Tokens:
    kept = np.minimum(whole, policy.max_length)
    return Tokens(
        ids=np.zeros(kept.sum(), dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(kept)]),
        owners=np.arange(len(whole)),
        cut=np.array(whole) > policy.max_length,
        uncut_lengths=np.array(whole),
    )


def test_lengths_are_those_before_the_cut():
    found = measure_lengths(tokens([10, 20, 64, 65, 341]), POLICY)
    assert {name: found[name] for name in ("mean", "median", "p95", "longest", "max_length", "cut")} == {
        "mean": 100.0,
        "median": 64,
        "p95": 341,
        "longest": 341,
        "max_length": 64,
        "cut": 2,
    }
    assert found["cut_share"] == pytest.approx(0.4)
    assert found["tokens_lost_share"] == pytest.approx((1 + 277) / 500)


@given(st.lists(st.integers(2, 5_000), min_size=1, max_size=60))
def test_the_histogram_holds_every_text_in_bins_of_one_width(whole):
    found = measure_lengths(tokens(whole), POLICY)["histogram"]
    assert sum(found["rows"]) == len(whole)
    assert len(found["edges"]) == len(found["rows"]) + 1 <= 27
    assert len(set(np.diff(found["edges"]))) == 1
    for low, high, rows in list(zip(found["edges"], found["edges"][1:], found["rows"], strict=False))[:-1]:
        assert rows == sum(low <= length < high for length in whole)


def test_a_cut_of_many_texts_is_a_finding_that_says_what_to_do():
    found = measure_lengths(tokens([10, 10, 100, 100]), POLICY)
    (said,) = check_lengths(found, 512)
    assert said.text == (
        "50 % of the texts are longer than 64 tokens, so 33 % of all tokens are not used. "
        "Raise `max_length`, up to 512."
    )
    (said,) = check_lengths(found, 64)
    assert said.text.endswith("The encoder takes no more.")
    assert list(check_lengths(measure_lengths(tokens([10, 10, 10, 10, 100]), POLICY), 512)) == []
