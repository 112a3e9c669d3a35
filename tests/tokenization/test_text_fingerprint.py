"""Texts unlike those of the training are noticed, and texts like them never are."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from tokenizers import Tokenizer

from sentiment_batch.tokenization.text_fingerprint import (
    MAX_TEXTS_PER_BLOCK,
    TextComparer,
    find_fingerprint,
    judge,
    make_fingerprint,
    measure_distance,
    pick_evenly,
)
from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer
from tests.conftest import WORDS

GERMAN = "Das Produkt war leider sehr enttäuschend und der Kundendienst antwortete nicht auf meine Fragen dazu"
CHINESE = "这部电影非常好看，值得推荐。酒店的服务很糟糕，下次不会再来。"


@pytest.fixture(scope="module")
def backend(tiny_base) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_base / "tokenizer.json"))


@pytest.fixture(scope="module", params=["head-tail", "windows"])
def tokenizer(backend, request) -> TextTokenizer:
    return TextTokenizer(backend, TextPolicy(max_length=24, long_text=request.param), special_as_text=True)


def reviews(count, seed, words=WORDS, length=(15, 60)):
    draws = random.Random(seed)
    weights = [1 / (1 + place) for place in range(len(words))]  # as in natural language
    return [" ".join(draws.choices(words, weights, k=draws.randint(*length))) + " ." for _ in range(count)]


@pytest.fixture(scope="module")
def fingerprint(tokenizer):
    texts = reviews(400, seed=1)
    return make_fingerprint(texts, tokenizer(texts), tokenizer)


def count(texts, comparer, tokenizer):
    different = sorted(set(texts))
    return comparer.count(different, tokenizer(different), np.searchsorted(different, texts))


def compare(texts, fingerprint, tokenizer):
    return judge(count(texts, TextComparer(fingerprint, tokenizer), tokenizer), fingerprint)


def test_a_fingerprint_is_small_and_plain(fingerprint):
    text = json.dumps(fingerprint, indent=2)
    assert len(text) < 5_000
    assert json.loads(text) == fingerprint
    assert fingerprint["texts"] == 400
    assert fingerprint["scripts"] == {"latin": 1.0}
    assert sum(fingerprint["shares"]) == pytest.approx(1, abs=1e-3)
    assert 15 <= fingerprint["tokens"]["low"] <= fingerprint["tokens"]["median"] <= fingerprint["tokens"]["high"] <= 62


@pytest.mark.parametrize("size", [1, 2, 3, 5, 20, 200, 2_000])
def test_texts_like_those_of_the_training_never_warn(fingerprint, tokenizer, size):
    for seed in range(100, 110):
        unlike, reasons = compare(reviews(size, seed), fingerprint, tokenizer)
        assert reasons == ()
        assert unlike < 0.02


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([CHINESE] * 60, "other script"),
        ([CHINESE], "other script"),
        (["Отличный товар, всем рекомендую. Доставка быстрая."] * 5, "other script"),
        ([GERMAN] * 60, "unknown or single-letter pieces"),
        (["x q z j k v b n m p r t d f"] * 10, "unknown or single-letter pieces"),
        (reviews(60, 2, length=(1, 3)), "shorter"),
        (reviews(60, 2, length=(200, 300)), "longer"),
        (reviews(60, 2, words=WORDS[30:]), "other words"),
    ],
)
def test_texts_unlike_those_of_the_training_warn_with_reason(fingerprint, tokenizer, texts, reason):
    _, reasons = compare(texts, fingerprint, tokenizer)
    assert reason in reasons
    assert len(reasons) <= 2


def test_a_table_with_some_unlike_texts_warns_with_their_share(fingerprint, tokenizer):
    unlike, reasons = compare([*reviews(39, 3), *[CHINESE] * 61], fingerprint, tokenizer)
    assert (unlike, reasons[0]) == (0.61, "other script")


def test_a_few_unlike_texts_among_many_do_not_warn(fingerprint, tokenizer):
    assert compare([*reviews(190, 3), *[CHINESE] * 10], fingerprint, tokenizer) == (0.05, ())


def test_a_table_is_unlike_as_a_whole_by_its_common_pieces(fingerprint, tokenizer):
    # Every text alone could be one of the training, but their words have other shares.
    texts = reviews(300, 4, words=[*WORDS[8:24], *WORDS[:8], *WORDS[24:]])
    unlike, reasons = compare(texts, fingerprint, tokenizer)
    assert unlike < 0.1
    assert reasons == ("other words",)


def test_one_text_in_all_rows_is_no_shift_of_the_words(fingerprint, tokenizer):
    for review in reviews(20, 8):
        assert compare([review] * 500, fingerprint, tokenizer)[1] == ()


def test_emoji_digits_and_blanks_have_no_script(fingerprint, tokenizer):
    texts = [f"{review} 😀👍 12/10 — “ok” …" for review in reviews(50, 5)]
    assert "other script" not in compare(texts, fingerprint, tokenizer)[1]


def test_counts_of_blocks_add_up_to_those_of_all(fingerprint, tokenizer):
    comparer, texts = TextComparer(fingerprint, tokenizer), reviews(90, 6)
    blocks = [count(texts[start : start + 30], comparer, tokenizer) for start in (0, 30, 60)]
    assert sum(blocks, Counter()) == count(texts, comparer, tokenizer)
    assert comparer.count([], tokenizer([]), np.empty(0, np.int64)) == Counter()


def test_a_sample_of_a_block_is_compared(fingerprint, tokenizer):
    texts = [*reviews(1_500, 7), *[CHINESE] * 500]
    counts = count(texts, TextComparer(fingerprint, tokenizer), tokenizer)
    assert counts["texts"] == MAX_TEXTS_PER_BLOCK
    assert counts["unlike"] == MAX_TEXTS_PER_BLOCK // 4


@pytest.mark.parametrize("meta", [None, {}, {"texts": None}, {"texts": {}}, {"texts": {"format": 2}}])
def test_a_model_without_a_fingerprint_of_this_format_has_none(meta):
    assert find_fingerprint(meta) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, "x") for name in ("texts", "spread", "shares", "pieces", "scripts", "tokens")],
        *[("shares", [0.5]), ("pieces", [-1, 2]), ("pieces", 5), ("scripts", ["latin"]), ("scripts", {"latin": "all"})],
        *[("texts", 0), ("spread", float("nan")), ("spread", -1), ("odd_pieces", {"low": 0}), ("tokens", [])],
    ],
)
def test_a_damaged_fingerprint_is_none(fingerprint, name, value):
    assert find_fingerprint({"texts": fingerprint | {name: value}}) is None
    shares = [0.5] * (len(fingerprint["pieces"]) + 1)
    for changed in ({"pieces": [2**40] * (len(shares) - 1)}, {"shares": ["0.5", *shares[1:]]}):
        assert find_fingerprint({"texts": fingerprint | changed}) is None


def test_the_fingerprint_of_a_model_is_found(fingerprint):
    assert find_fingerprint({"texts": fingerprint}) is fingerprint


@pytest.mark.parametrize("texts", [["good"], ["", ""], ["a b", "c"]])
def test_very_few_training_texts_have_a_fingerprint(tokenizer, texts):
    fingerprint = make_fingerprint(texts, tokenizer(texts), tokenizer)
    assert compare(texts, fingerprint, tokenizer)[1] == ()


def test_numbers_are_picked_evenly():
    assert pick_evenly(3, 5).tolist() == [0, 1, 2]
    assert pick_evenly(10, 5).tolist() == [0, 2, 4, 6, 8]
    assert len(set(pick_evenly(8_192, 256).tolist())) == 256
    assert pick_evenly(0, 5).tolist() == []


def test_the_distance_is_0_for_equal_and_large_for_other_shares():
    first = np.arange(1.0, 41)
    assert measure_distance(first, 3 * first) == pytest.approx(0)
    assert measure_distance(first, first[::-1]) > 0.05
    assert measure_distance(np.zeros(40), first) == 0
