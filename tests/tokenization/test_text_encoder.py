"""Texts are encoded with `nanotoken` only where it gives the tokens of the library `tokenizers`."""

import importlib.metadata
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tokenizers import Tokenizer

from sentiment_batch.errors import UsageError
from sentiment_batch.files.checksums import checked_json
from sentiment_batch.tokenization import text_encoder
from sentiment_batch.tokenization.fast_library import (
    CACHED_WORDS,
    choose_library,
    load_nanotoken,
    locate_check,
    read_check,
)
from sentiment_batch.tokenization.odd_texts import make_odd_texts
from sentiment_batch.tokenization.text_encoder import TextEncoder

TEXTS = ["the film was good", "", "naïve [SEP] 電影"]


class PanicException(BaseException):
    """What a panic of Rust code becomes in Python."""


class Copy:
    """Stands for nanotoken: it gives the tokens of tokenizers, changed or not."""

    def __init__(self) -> None:
        self.loaded = self.calls = 0
        self.shift = 0
        self.error: BaseException | None = None

    def set_cache_entries(self, entries: int) -> None:
        self.entries = entries

    def from_json(self, text: str) -> SimpleNamespace:
        self.loaded += 1
        self.backend = Tokenizer.from_str(text)
        return SimpleNamespace(encode_batch=self.encode_batch)

    def encode_batch(self, texts, *, add_special_tokens, parallel):
        assert not add_special_tokens
        assert not parallel
        self.calls += 1
        if self.error:
            raise self.error
        found = [encoding.ids for encoding in self.backend.encode_batch(texts, add_special_tokens=False)]
        ids = np.array([one + self.shift for ids in found for one in ids], dtype=np.uint32)
        return ids, np.cumsum([0, *map(len, found)])


@pytest.fixture(scope="module")
def backend(tiny_base) -> Tokenizer:
    backend = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    backend.no_truncation()
    backend.no_padding()
    return backend


@pytest.fixture
def copy(monkeypatch, tmp_path) -> Copy:
    copy = Copy()
    module = SimpleNamespace(WordPieceTokenizer=copy, set_cache_entries=copy.set_cache_entries)
    monkeypatch.setitem(sys.modules, "nanotoken", module)
    versions = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9" if name == "nanotoken" else versions(name))
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path))
    monkeypatch.setattr(text_encoder, "MIN_CHARACTERS", 10)
    monkeypatch.setattr(text_encoder, "make_odd_texts", lambda backend, number, seed: TEXTS)
    return copy


@pytest.fixture
def make(backend):
    def make(**settings) -> TextEncoder:
        return TextEncoder(backend, **{"special_as_text": False, "word_pieces": True} | settings)

    return make


def tokens(backend, texts=TEXTS):
    return [encoding.ids for encoding in backend.encode_batch(texts, add_special_tokens=False)]


def split(encoded):
    ids, lengths = encoded
    assert (ids.dtype, lengths.dtype) == (np.int32, np.int64)
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])]


def test_it_is_used_after_a_check_that_is_made_once(make, copy, backend):
    encode = make()
    assert split(encode(TEXTS)) == tokens(backend)
    assert (copy.loaded, copy.calls, copy.entries) == (1, 3, CACHED_WORDS)  # twice for the check
    assert str(encode.library).startswith("nanotoken 9.9 (it gives the tokens of tokenizers ")
    assert split(make()(TEXTS)) == tokens(backend)
    assert (copy.loaded, copy.calls) == (2, 4)
    assert "for 1 of 1 models" in choose_library().reason


def test_few_texts_do_not_wait_for_it(make, copy, backend, monkeypatch):
    monkeypatch.setattr(text_encoder, "MIN_CHARACTERS", 40)
    encode = make()
    assert split(encode(TEXTS)) == tokens(backend)
    assert copy.loaded == 0
    assert encode.library.reason == "nanotoken 9.9 takes over after 40 characters"
    encode(TEXTS)
    assert copy.loaded == 1


def test_another_token_rules_it_out(make, copy, backend, caplog):
    copy.shift = 1
    for _ in range(2):
        encode = make()
        assert split(encode(TEXTS)) == split(encode(TEXTS)) == tokens(backend)
        assert encode.library.reason == "nanotoken gives other tokens for the check texts"
    assert (copy.loaded, copy.calls) == (2, 2)  # the second takes the answer from the cache
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "for 0 of 1 models" in choose_library().reason


@pytest.mark.parametrize("error", [ValueError("no such part"), PanicException("index out of bounds")])
def test_what_it_cannot_load_is_encoded_as_before(make, copy, backend, error):
    copy.error = error
    encode = make()
    assert split(encode(TEXTS)) == tokens(backend)
    assert encode.library.value.startswith("tokenizers ")
    assert str(error) in encode.library.reason
    assert not locate_check("*").parent.exists()


@pytest.mark.parametrize("error", [UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), PanicException("poisoned")])
def test_texts_that_it_refuses_are_encoded_as_before(make, copy, backend, error):
    encode = make()
    encode(TEXTS)
    copy.error = error
    assert split(encode(TEXTS)) == tokens(backend)
    copy.error, before = None, copy.calls
    assert split(encode(TEXTS)) == tokens(backend)
    assert copy.calls == before + 1


def test_an_interrupt_stops_it(make, copy):
    encode = make()
    encode(TEXTS)
    copy.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        encode(TEXTS)
    with pytest.raises(KeyboardInterrupt):
        make(special_as_text=True)(TEXTS)


def test_a_damaged_or_unwritable_answer_is_computed_again(make, copy, backend, tmp_path):
    make()(TEXTS)
    [answer] = locate_check("*").parent.iterdir()
    assert read_check(answer) is True
    sound = answer.read_bytes()
    of_another = checked_json({"holds_for": "another", "equal": False})
    for damaged in (b"{", b'{"equal": false}', sound.replace(b"true", b"false"), of_another):
        answer.write_bytes(damaged)
        assert read_check(answer) is None
        make()(TEXTS)
        assert answer.read_bytes() == sound
    answer.unlink()
    answer.parent.rmdir()
    answer.parent.write_text("no folder")
    encode = make()
    assert split(encode(TEXTS)) == tokens(backend)
    assert encode.library.value == "nanotoken 9.9"


def test_other_tokenizers_and_the_user_rule_it_out(make, copy, monkeypatch):
    other = make(word_pieces=False)
    other(TEXTS)
    assert "not one of word pieces" in other.library.reason
    monkeypatch.setenv("SENTIMENT_BATCH_TOKENIZER", "tokenizers")
    ruled_out = make()
    ruled_out(TEXTS)
    assert ruled_out.library.reason == "SENTIMENT_BATCH_TOKENIZER says so"
    assert copy.loaded == 0
    monkeypatch.setenv("SENTIMENT_BATCH_TOKENIZER", "nano")
    with pytest.raises(UsageError, match=r"is 'nano'\. Set it to auto or tokenizers"):
        make()


def test_its_own_setting_of_the_cache_is_left_alone(make, copy, monkeypatch):
    monkeypatch.setenv("NANOTOKEN_CACHE_ENTRIES", "1024")
    make()(TEXTS)
    assert not hasattr(copy, "entries")


def test_without_it_the_reason_says_how_to_get_it(monkeypatch):
    def version(name):
        if name == "nanotoken":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.23"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert str(choose_library()) == "tokenizers 0.23 (nanotoken is not installed; it comes with sentiment-batch[fast])"


# The library itself


def real(backend: Tokenizer, *, special_as_text: bool):
    """The tokens of both libraries for a text."""
    pytest.importorskip("nanotoken")
    reference = Tokenizer.from_str(backend.to_str())
    reference.encode_special_tokens = special_as_text
    fast = load_nanotoken(reference, special_as_text=special_as_text)
    return lambda texts: (tokens(reference, texts), split(fast(texts)))


@pytest.fixture(scope="module")
def odd(backend) -> list[str]:
    return make_odd_texts(backend, 4_000, seed=1)[:400]


@pytest.mark.parametrize("special_as_text", [True, False])
def test_odd_texts_have_the_same_tokens(backend, odd, special_as_text):
    expected, found = real(backend, special_as_text=special_as_text)(odd)
    assert found == expected


@pytest.mark.parametrize(
    "change", [{"lowercase": False}, {"strip_accents": False}, {"clean_text": False}, {"handle_chinese_chars": False}]
)
def test_odd_texts_show_other_tokens(backend, odd, change):
    pytest.importorskip("nanotoken")
    parts = json.loads(backend.to_str())
    parts["normalizer"] |= change
    other = load_nanotoken(Tokenizer.from_str(json.dumps(parts)), special_as_text=False)
    assert split(other(odd)) != tokens(backend, odd)


def test_lone_surrogates_and_nulls_are_refused(backend):
    pytest.importorskip("nanotoken")
    fast = load_nanotoken(backend, special_as_text=True)
    for text in ("a \ud800 b", None):
        with pytest.raises((UnicodeEncodeError, TypeError)):
            fast(["good", text])


def test_odd_texts_are_made_again_and_hold_each_character(backend):
    texts = make_odd_texts(backend, 50, seed=3)
    assert texts == make_odd_texts(Tokenizer.from_str(backend.to_str()), 50, seed=3)
    assert len(set("".join(texts)) & {chr(point) for point in range(0x20000)}) == 0x20000 - 0x800
    assert "[SEP]" in "".join(texts)
