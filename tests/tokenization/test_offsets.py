"""Where in its text each token stands: the tokens are those of scoring, and the characters are theirs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch.model import hub
from sentiment_batch.model.stock import load_classifier
from sentiment_batch.settings import LONG_TEXT
from sentiment_batch.tokenization import offsets
from sentiment_batch.tokenization.offsets import locate_tokens
from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer
from tests.stock_models import FAMILIES, write_stock_model

TEXTS = [
    "the film was great",
    "good",
    "the film was great, don't you think? naïve café<br />so-so 7.5! " * 3,
    "日本語の映画 - 0123456789 😀👨\u200d👩\u200d👧 [SEP] </s> <mask> x\u0301y \x1b[31mred\x00",
    "x" * 300,
    "\x00",
    "the great film was so fine " * 3_000,
]


@pytest.fixture(scope="module", params=FAMILIES)
def backend(request, tmp_path_factory):
    folder = write_stock_model(request.param, tmp_path_factory.mktemp("stock") / request.param)
    return load_classifier(hub.resolve_model(str(folder))).backend


def tokenizer(backend, long_text="head-tail", special_as_text=False, max_length=20):
    return TextTokenizer(
        backend, TextPolicy(max_length=max_length, long_text=long_text), special_as_text=special_as_text
    )


@pytest.mark.parametrize("special_as_text", [False, True])
@pytest.mark.parametrize("long_text", LONG_TEXT)
def test_located_tokens_are_those_of_scoring_with_their_spans(backend, long_text, special_as_text):
    made = tokenizer(backend, long_text, special_as_text)
    found, scored = locate_tokens(made, TEXTS), made(TEXTS)
    assert (found.tokens.ids == scored.ids).all()
    assert (found.tokens.offsets == scored.offsets).all()
    before, after = made.special_counts
    special = int((found.spans[:, 0] < 0).sum())
    assert special == (before + after) * len(scored.owners)
    for number, text in enumerate(TEXTS):
        own = found.spans[found.slice_of(number)]
        own = own[own[:, 0] >= 0]
        assert (own[:, 0] <= own[:, 1]).all()
        assert own.max(initial=0) <= len(text)
        assert (np.diff(own[:, 0]) >= 0).all()
        start, stop = found.unseen[number]
        clipped = bool(scored.cut[number]) and long_text != "windows"
        assert clipped == (start < stop)
        assert ((own[:, 1] <= start) | (own[:, 0] >= stop)).all()


def test_a_word_that_is_a_token_has_the_place_of_the_word(tiny_base):
    from tokenizers import Tokenizer

    made = tokenizer(Tokenizer.from_file(str(tiny_base / "tokenizer.json")), max_length=8)
    text = "the great film was so fine and the plot was never dull"
    found = locate_tokens(made, [text])
    own = found.spans[found.spans[:, 0] >= 0].tolist()
    assert [text[a:b] for a, b in own] == ["the", "great", "plot", "was", "never", "dull"]
    assert text[slice(*found.unseen[0])] == " film was so fine and the "


@pytest.mark.parametrize("long_text", ["head", "tail", "head-tail"])
def test_a_very_long_text_is_located_by_its_ends_only(backend, long_text, monkeypatch):
    made = tokenizer(backend, long_text)
    text = TEXTS[-1] + "a wonderful story" + TEXTS[-1]
    monkeypatch.setattr(offsets, "PIECE_CHARACTERS", len(text))
    whole = locate_tokens(made, [text])
    monkeypatch.undo()
    sizes = []
    real = TextTokenizer.encode_with_spans
    monkeypatch.setattr(
        TextTokenizer, "encode_with_spans", lambda self, some: sizes.append(len(some)) or real(self, some)
    )
    monkeypatch.setattr(offsets, "PIECE_CHARACTERS", 64)
    ends = locate_tokens(made, [text])
    assert (ends.spans == whole.spans).all()
    assert ends.unseen == whole.unseen
    assert max(sizes) < 5_000


@pytest.mark.parametrize("filler", [" ", "\x00", "y", "\u0301", "好", "😀", "- ", "<br />"])
def test_no_filling_between_the_ends_leads_astray(backend, filler, monkeypatch):
    text = "the film was great" + filler * 2_000 + "never dull and so fine"
    made = tokenizer(backend)
    monkeypatch.setattr(offsets, "PIECE_CHARACTERS", 16)
    few = locate_tokens(made, [text])
    monkeypatch.setattr(offsets, "PIECE_CHARACTERS", 1_000_000)
    whole = locate_tokens(made, [text])
    assert (few.tokens.ids == whole.tokens.ids).all()
    ends = [slice(0, 3), slice(-3, None)]
    for end in ends:
        assert (few.spans[end] == whole.spans[end]).all()


@settings(max_examples=60)
@given(st.lists(st.text(st.sampled_from("abc dé.好😀\u0301\x00<[")), max_size=4), st.sampled_from(LONG_TEXT))
def test_any_texts_are_located(backend_once, texts, long_text):
    made = tokenizer(backend_once, long_text, max_length=8)
    found = locate_tokens(made, texts)
    assert (found.tokens.ids == made(texts).ids).all()
    assert len(found.unseen) == len(texts)


@pytest.fixture(scope="module")
def backend_once(tmp_path_factory):
    return load_classifier(
        hub.resolve_model(str(write_stock_model("xlm-roberta", tmp_path_factory.mktemp("one"))))
    ).backend
