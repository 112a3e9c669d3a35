import itertools
import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from sentiment_batch.tokenization import tokenizer
from sentiment_batch.tokenization.long_texts import TextPieces
from sentiment_batch.tokenization.packing import Tokens
from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer

TEXTS = [
    "",
    " ",
    "good",
    "The film was never boring , and the ending : superb !",
    "naïve café — 電影很好看 😀",
    "a [SEP] b [CLS] [MASK] [PAD]",
    "word " * 200,
    "x" * 300,
    "one\u0085two\u2028three\x00four\tfive\r\nsix",
]


@pytest.fixture(scope="session")
def backend(tiny_base) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_base / "tokenizer.json"))


@pytest.fixture(scope="session")
def make(backend):
    def make(max_length=16, long_text="head", special_as_text=True, backend=backend) -> TextTokenizer:
        policy = TextPolicy(max_length=max_length, long_text=long_text)
        return TextTokenizer(backend, policy, special_as_text=special_as_text)

    return make


def segments(tokens: Tokens) -> list[list[int]]:
    return [tokens.ids[start:stop].tolist() for start, stop in zip(tokens.offsets, tokens.offsets[1:], strict=False)]


def library(backend: Tokenizer, text: str, *, special_as_text=True, **options) -> list[int]:
    """What the tokenizers library itself says."""
    own = Tokenizer.from_str(backend.to_str())
    own.encode_special_tokens = special_as_text
    if "max_length" in options:
        own.enable_truncation(options["max_length"])
    return own.encode(text, add_special_tokens=options.get("add_special_tokens", True)).ids


@pytest.mark.parametrize("special_as_text", [True, False])
@pytest.mark.parametrize("max_length", [8, 16, 64])
def test_the_tokens_are_those_of_the_library_s_own_truncation(make, backend, special_as_text, max_length):
    tokens = make(max_length, special_as_text=special_as_text)(TEXTS)
    expected = [library(backend, text, max_length=max_length, special_as_text=special_as_text) for text in TEXTS]
    assert segments(tokens) == expected
    assert tokens.lengths.tolist() == [len(ids) for ids in expected]
    assert tokens.owners.tolist() == list(range(len(TEXTS)))
    assert tokens.ids.dtype == np.int32


def test_texts_that_were_longer_than_what_fits_are_marked(make):
    text = "the film was good"
    assert make(8)([text, text + " good good", text + " good good good"]).cut.tolist() == [False, False, True]


def test_no_texts_are_no_tokens(make):
    tokens = make()([])
    assert (len(tokens.ids), tokens.offsets.tolist(), len(tokens.owners), len(tokens.cut)) == (0, [0], 0, 0)


def test_a_literal_special_token_is_text_to_our_models_only(make):
    inside = "good [SEP] bad"
    ours, stock = make()([inside]), make(special_as_text=False)([inside])
    assert (ours.ids == 3).sum() == 1
    assert (stock.ids == 3).sum() == 2
    assert len(ours.ids) == len(stock.ids) + 4  # "[", "s", "##e", "##p", "]" for one


def test_the_tokenizer_that_was_given_is_left_as_it_was(backend):
    own = Tokenizer.from_str(backend.to_str())
    own.enable_truncation(5)
    own.enable_padding(length=7)
    before = own.to_str()
    tokens = TextTokenizer(own, TextPolicy(max_length=16, long_text="head"), special_as_text=True)(
        ["good film good film good"]
    )
    assert len(tokens.ids) == 7
    assert own.to_str() == before
    assert own.encode_special_tokens is False


def test_head_tail_takes_a_quarter_of_the_tokens_from_the_head(make, backend):
    text = " ".join(f"{n} good" for n in range(40))
    whole = library(backend, text, add_special_tokens=False)
    [kept] = segments(make(18, "head-tail")([text]))
    assert kept == [2, *whole[:4], *whole[-12:], 3]


@pytest.mark.parametrize("max_length", [8, 9, 10, 11, 30])
def test_head_tail_fills_the_whole_length_with_no_token_twice(make, backend, max_length):
    text = "the plot of one film and two actors was good bad fine warm cold slow quick never always very so too this"
    whole = library(backend, text, add_special_tokens=False)
    [kept] = segments(make(max_length, "head-tail")([text]))
    room = min(max_length - 2, len(whole))
    assert len(kept) == room + 2
    head = round((max_length - 2) / 4) if room < len(whole) else 0
    assert kept[1:-1] == whole[:head] + whole[len(whole) - (room - head) :]


def test_windows_hold_every_token_once_in_nearly_equal_lengths(make, backend):
    texts = ["good", "the film was good " * 30, "bad", "x y " * 11]
    tokens = make(16, "windows")(texts)
    parts = segments(tokens)
    assert all(part[0] == 2 and part[-1] == 3 and len(part) <= 16 for part in parts)
    for number, text in enumerate(texts):
        own = [part[1:-1] for part, owner in zip(parts, tokens.owners, strict=True) if owner == number]
        assert list(itertools.chain(*own)) == library(backend, text, add_special_tokens=False)
        assert max(map(len, own)) - min(map(len, own)) <= 1
    assert tokens.cut.tolist() == [False, True, False, True]


# The columns at once against one text at a time


def kept(content: list[int], room: int, long_text: str) -> list[list[int]]:
    """The segments that a policy makes of one text, by slicing."""
    if len(content) <= room:
        return [content]
    head = {"head": room, "tail": 0, "head-tail": round(room / 4), "windows": 0}[long_text]
    if long_text == "windows":
        return [part.tolist() for part in np.array_split(content, -(-len(content) // room))]
    return [content[:head] + content[len(content) - (room - head) :]]


WORDS = ["good", "film", "unbelievable", ",", "電影", "[SEP]", "x" * 101, "\u0301"]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.just("") | st.lists(st.sampled_from(WORDS), max_size=45).map(" ".join) | st.text(max_size=9), max_size=12
    ),
    st.sampled_from(["head", "tail", "head-tail", "windows"]),
    st.sampled_from([8, 9, 10, 11, 16, 64]),
    st.sampled_from([1, 2, 5, 4_096]),
    st.sampled_from([1, 30, 200, 2_000_000]),
    st.sampled_from([40, 16_384]),
)
@example([], "windows", 8, 1, 1, 40)
@example(["", "good " * 12, "", "good " * 13, "good " * 200, ""], "windows", 8, 4_096, 2_000_000, 40)
def test_many_texts_have_the_same_tokens_as_one_after_the_other(
    make, backend, texts, long_text, max_length, texts_at_once, characters_at_once, piece_characters
):
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    contents = [library(backend, text, add_special_tokens=False) for text in texts]
    expected = [kept(content, max_length - 2, long_text) for content in contents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "TEXTS_AT_ONCE", texts_at_once)
        patch.setattr(tokenizer, "CHARACTERS_AT_ONCE", characters_at_once)
        patch.setattr(tokenizer, "PIECE_CHARACTERS", piece_characters)
        tokens = make(max_length, long_text)(texts)
    assert segments(tokens) == [[2, *part, 3] for parts in expected for part in parts]
    assert tokens.owners.tolist() == [number for number, parts in enumerate(expected) for _ in parts]
    assert tokens.cut.tolist() == [len(content) > max_length - 2 for content in contents]
    dtypes = [column.dtype for column in (tokens.ids, tokens.offsets, tokens.owners, tokens.cut)]
    assert dtypes == [np.int32, np.int64, np.int64, np.bool_]


@pytest.mark.parametrize("long_text", ["head", "tail", "head-tail", "windows"])
def test_a_tokenizer_without_special_tokens_adds_none(make, backend, long_text):
    bare = changed(backend, lambda parts: parts.update(post_processor=None))
    text = "the film was good and the ending was bad"
    whole = library(backend, text, add_special_tokens=False)
    assert segments(make(8, long_text, backend=bare)([text, ""])) == [*kept(whole, 8, long_text), []]


# Blocks, between which the work can be stopped


@pytest.mark.parametrize(
    ("lengths", "spans"),
    [
        ([], [(0, 0)]),
        ([0, 0, 0, 0, 0], [(0, 4), (4, 5)]),
        ([5, 5, 1, 10, 11, 0, 3], [(0, 2), (2, 3), (3, 4), (4, 5), (5, 7)]),
        ([99], [(0, 1)]),
    ],
)
def test_blocks_are_limited_by_texts_and_by_characters(monkeypatch, lengths, spans):
    monkeypatch.setattr(tokenizer, "TEXTS_AT_ONCE", 4)
    monkeypatch.setattr(tokenizer, "CHARACTERS_AT_ONCE", 10)
    assert list(tokenizer._blocks(["x" * length for length in lengths])) == spans


class Stopped(Exception):
    """What a check raises."""


def stopping_at(call: int):
    """A check that raises when it is called the so-manieth time, and the list of its calls."""
    calls: list[int] = []

    def check() -> None:
        calls.append(len(calls) + 1)
        if len(calls) == call:
            raise Stopped

    return check, calls


def test_a_check_is_called_before_each_block_and_stops_the_work(make, monkeypatch):
    monkeypatch.setattr(tokenizer, "TEXTS_AT_ONCE", 2)
    made = make()
    check, calls = stopping_at(0)
    assert segments(made(["good"] * 5, check)) == segments(made(["good"] * 5))
    assert calls == [1, 2, 3]
    check, calls = stopping_at(2)
    with pytest.raises(Stopped):
        made(["good"] * 5, check)
    assert calls == [1, 2]


@pytest.mark.parametrize(("long_text", "pieces"), [("head", 1), ("tail", 2), ("head-tail", 2), ("windows", 10)])
def test_a_check_is_called_before_each_piece_of_a_very_long_text(make, monkeypatch, long_text, pieces):
    monkeypatch.setattr(tokenizer, "PIECE_CHARACTERS", 100)
    made = make(long_text=long_text)
    text = "good " * 200
    check, calls = stopping_at(0)
    made([text], check)
    assert len(calls) == 1 + pieces
    check, calls = stopping_at(1 + pieces)
    with pytest.raises(Stopped):
        made([text], check)


# The piecewise path of very long texts


NASTY = st.sampled_from(
    [
        *(" ", "  ", "\t", "\n", "\r\n", "\u0085", "\u2028", "\u00a0", "\u3000", "\x00", "\x01", "\ufffd", "\u200b"),
        *(" \u0301", "e\u0301", "\u0301", " \u0301\u0323", "é", "İ", "ß", "ﬁ", "ａ", "\u200d", "\ufe0f"),
        *(
            "電影",
            "。",
            " 好 ",
            "한글",
            "😀",
            "👩\u200d👧",
            "का",
            "[SEP]",
            "[CLS] ",
            " [UNK] ",
            "[",
            "]",
            "##a",
            "'",
            "-",
            "$",
        ),
        *("good ", "film", " bad", "unbelievable ", "a", "0", "x" * 99 + " ", "x" * 100, "x" * 101, " y" * 30),
    ]
)


def piecewise(make, text: str, **options) -> tuple[list[list[int]], list[bool]]:
    """What comes out if texts of more than 40 characters are tokenized in pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "PIECE_CHARACTERS", 40)
        tokens = make(**options)([text])
    return segments(tokens), tokens.cut.tolist()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(NASTY | st.text(max_size=6), max_size=60).map("".join),
    st.sampled_from(["head", "tail", "head-tail", "windows"]),
    st.booleans(),
    st.sampled_from([8, 16, 64]),
)
@example(" " * 100, "head-tail", True, 8)
@example("good " * 50 + "\u0301", "head-tail", True, 16)
@example("x" * 10_000 + " good " + "\u0085" * 50 + "電" * 60, "head-tail", True, 16)
@example(" ".join(f"{n} good" for n in range(80)), "head-tail", True, 64)
@example("[SEP] " * 40 + "good", "windows", False, 8)
def test_a_very_long_text_has_the_same_tokens_in_pieces_as_whole(make, text, long_text, special_as_text, max_length):
    text = text.encode("utf-8", "replace").decode()
    options = {"max_length": max_length, "long_text": long_text, "special_as_text": special_as_text}
    whole = make(**options)([text])
    assert piecewise(make, text, **options) == (segments(whole), whole.cut.tolist())


BLANKLESS = st.lists(
    st.tuples(
        st.sampled_from(
            ["a", "é", "I\u0307", "\u0301", "\x01", "電", "😀", "👩\u200d👧", "x", "good", "9", "%s", "★", "İ", "ß"]
        )
        | st.sampled_from([".", "[SEP]", "[", "-", "…", "。", "\u3000", "\n", "\u200b", "क", "ा", "한", "_"]),
        st.sampled_from([1, 2, 3, 50, 101, 400]),
    ),
    min_size=1,
    max_size=8,
).map(lambda runs: "".join(part * times for part, times in runs))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(BLANKLESS, min_size=1, max_size=3).map(" ".join),
    st.sampled_from(["head", "tail", "head-tail", "windows"]),
    st.booleans(),
    st.sampled_from([8, 64]),
)
@example("★" * 5_000 + "good", "windows", True, 8)  # nowhere to cut
@example("a" * 5_000 + "good", "tail", True, 8)
@example("a" * 500 + "[S\x01EP]" + "good", "windows", False, 8)  # not special, though it looks so once it is clean
def test_stretches_without_a_blank_keep_their_tokens_in_pieces(make, text, long_text, special_as_text, max_length):
    options = {"max_length": max_length, "long_text": long_text, "special_as_text": special_as_text}
    whole = make(**options)([text])
    assert piecewise(make, text, **options) == (segments(whole), whole.cut.tolist())


@pytest.mark.parametrize("text", ["電" * 300_000, "a" * 300_000, "a\u0301" * 150_000, "!" * 300_000, "😀" * 300_000])
@pytest.mark.parametrize("special_as_text", [True, False])
def test_a_giant_stretch_without_a_blank_is_tokenized_in_pieces(make, monkeypatch, text, special_as_text):
    made = make(64, "head-tail", special_as_text=special_as_text)
    seen: list[int] = []
    encode = made._encode
    monkeypatch.setattr(made, "_encode", lambda texts: seen.extend(map(len, texts)) or encode(texts))
    made([text])
    assert max(seen) <= 4 * tokenizer.PIECE_CHARACTERS


def test_cleaning_a_text_twice_is_cleaning_it_once(backend):
    every = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    once = backend.normalizer.normalize_str(every)
    assert backend.normalizer.normalize_str(once).split() == once.split()


@pytest.mark.parametrize("long_text", ["head", "tail", "head-tail", "windows"])
def test_the_real_piece_length_changes_nothing_either(make, backend, long_text):
    text = " ".join(f"{'unbelievable' * (n % 3)}{n} good,\u0301 [SEP] 電影" for n in range(2_000))
    assert len(text) > 2 * tokenizer.PIECE_CHARACTERS
    whole = library(backend, text, add_special_tokens=False)
    tokens = make(64, long_text)([text, "good"])
    parts = [part[1:-1] for part in segments(tokens)]
    assert tokens.cut.tolist() == [True, False]
    if long_text == "windows":
        assert list(itertools.chain(*parts[:-1])) == whole
    else:
        head = {"head": 62, "tail": 0, "head-tail": 16}[long_text]
        assert parts[0] == whole[:head] + (whole[-(62 - head) :] if head < 62 else [])


def test_of_a_very_long_text_only_its_ends_are_tokenized(make, monkeypatch):
    made = make(64, "head-tail")
    seen: list[int] = []
    encode = made._encode
    monkeypatch.setattr(made, "_encode", lambda texts: seen.extend(map(len, texts)) or encode(texts))
    made(["good film " * 200_000])
    assert 2 <= len(seen) <= 4
    assert max(seen) < 2 * tokenizer.PIECE_CHARACTERS


def changed(backend: Tokenizer, change) -> Tokenizer:
    parts = json.loads(backend.to_str())
    change(parts)
    return Tokenizer.from_str(json.dumps(parts))


def test_a_tokenizer_that_looks_across_blanks_gets_no_pieces(make, backend):
    added = {"id": backend.get_vocab_size(), "content": "good film", "special": False}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    across = changed(backend, lambda parts: parts["added_tokens"].append(added | flags))
    text = "x good film" * 30
    expected = segments(make(64, "windows", backend=across)([text]))
    assert any(across.token_to_id("good film") in part for part in expected)
    assert piecewise(make, text, max_length=64, long_text="windows", backend=across)[0] == expected
    other = changed(backend, lambda parts: parts.update(pre_tokenizer={"type": "WhitespaceSplit"}))
    assert [TextPieces(one, special_as_text=True).can_cut for one in (backend, across, other)] == [True, False, False]


def test_texts_are_tokenized_block_by_block_with_the_same_result(make, monkeypatch):
    texts = [*TEXTS, "good " * 9_000, *TEXTS]
    whole = make(16, "head-tail")(texts)
    monkeypatch.setattr(tokenizer, "TEXTS_AT_ONCE", 4)
    blocks = make(16, "head-tail")(texts)
    assert segments(blocks) == segments(whole)
    assert blocks.cut.tolist() == whole.cut.tolist()
    assert blocks.owners.tolist() == whole.owners.tolist()


@pytest.mark.parametrize("long_text", ["head", "tail", "head-tail"])
def test_the_length_of_a_text_before_it_was_cut_is_known(make, long_text):
    whole = make(16, long_text)([*TEXTS, "good " * 3_000, ""]).uncut_lengths
    assert whole.tolist() == [len(ids) for ids in segments(make(20_000, long_text)([*TEXTS, "good " * 3_000, ""]))]


@pytest.mark.parametrize("long_text", ["head", "tail", "head-tail"])
def test_a_very_long_text_s_length_is_estimated_from_its_ends(make, long_text):
    even = make(64, long_text)(["short", "good film " * 100_000, "good"]).uncut_lengths
    assert even[[0, 2]].tolist() == make(64, long_text)(["short", "good"]).uncut_lengths.tolist()
    assert even[1] == pytest.approx(200_002, rel=0.001)
    assert make(64, "windows")(["good film " * 10_000]).uncut_lengths.tolist() == [20_002]
    barely = "good film " * 1_700  # its ends overlap
    assert make(64, long_text)([barely]).uncut_lengths[0] == pytest.approx(3_402, rel=0.01)


def test_the_length_of_a_cut_very_long_text_is_more_than_fits(make):
    found = make(64, "head-tail")([" " * 50_000 + "good " * 70 + " " * 500_000])
    assert found.cut.tolist() == [True]
    assert found.uncut_lengths[0] > 64
