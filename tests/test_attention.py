"""Attention by one kernel for a pack, with a stand-in that computes text by text; and the loop's memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sentiment_batch import attention
from sentiment_batch.attention import KEYS, ROWS, VARLEN_STEP, Looped, Varlen, Workspace
from sentiment_batch.batching import Shape, pack
from sentiment_batch.packed import packed
from tests.segments import LENGTHS, PACKED, alone, classifiers, drawn, every
from tests.stock import LIMIT

HEADS = 2


class Kernel:
    """What `torch.nn.attention.varlen` promises, text by text; particular about what it is given."""

    def __init__(self):
        self.calls = []

    def __call__(self, *arguments):
        query, key, value, query_ends, key_ends, most_queries, most_keys = arguments
        self.calls.append((query.shape, key.shape, most_queries, most_keys))
        for ends, rows, most in ((query_ends, query, most_queries), (key_ends, key, most_keys)):
            assert ends.dtype == torch.int32
            assert ends.is_contiguous()
            assert ends[0] == 0
            lengths = ends.diff()
            assert (lengths >= 0).all()
            assert ends[-1] <= len(rows)
            assert type(most) is int
            assert most >= lengths.max()
            assert most == 1 or most % VARLEN_STEP == 0
        assert len(query_ends) == len(key_ends)
        assert query.ndim == key.ndim == value.ndim == 3
        assert query.shape[1:] == key.shape[1:] == value.shape[1:]
        assert key.shape == value.shape
        assert query.stride(2) == key.stride(2) == value.stride(2) == 1
        out = torch.full(query.shape, torch.nan, dtype=query.dtype)  # the kernel leaves what belongs to no text
        bounds = zip(itertools.pairwise(query_ends.tolist()), itertools.pairwise(key_ends.tolist()), strict=True)
        for (start, stop), (first, last) in bounds:
            one = (query[start:stop], key[first:last], value[first:last])
            out[start:stop] = F.scaled_dot_product_attention(*(x.transpose(0, 1) for x in one)).transpose(0, 1)
        return out


@pytest.fixture
def kernel(monkeypatch):
    stand = Kernel()
    monkeypatch.setattr(attention, "varlen", stand)
    return stand


@pytest.fixture(scope="module")
def roads(tmp_path_factory):
    stocks = classifiers(tmp_path_factory.mktemp("attention"))
    return {family: (loaded, packed(loaded.network, "cpu", "float32")[0]) for family, loaded in stocks.items()}


def walked(model, one_pack):
    with torch.inference_mode():
        return model._walk(Varlen(one_pack, model.heads, torch.device("cpu"), model.padding))


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("family", PACKED)
def test_the_one_kernel_and_the_loop_give_the_same(roads, kernel, family, lengths):
    loaded, model = roads[family]
    segments = drawn(lengths, loaded.vocabulary)
    whole = pack(segments, every(segments))
    found = walked(model, whole)
    torch.testing.assert_close(found, model.logits(whole), atol=2e-5, rtol=1e-5)
    np.testing.assert_allclose(found.softmax(-1), alone(loaded, segments), atol=5e-6)
    total, longest = sum(lengths), VARLEN_STEP
    assert kernel.calls == [
        ((total, HEADS, 16), (total, HEADS, 16), longest, longest),
        ((len(lengths), HEADS, 16), (total, HEADS, 16), 1, longest),  # the last layer asks for the first tokens alone
    ]


@pytest.mark.parametrize("family", PACKED)
def test_the_one_kernel_leaves_what_fills_a_pack_up_and_it_reaches_no_text(roads, kernel, family):
    loaded, model = roads[family]
    segments = drawn([9, 4, 4], loaded.vocabulary)
    found = walked(model, pack(segments, every(segments), Shape(tokens=64, texts=7)))[:3]
    np.testing.assert_allclose(found.softmax(-1), alone(loaded, segments), atol=5e-6)


def test_the_longest_length_is_told_in_steps(roads, kernel):
    model = roads["distilbert"][1]
    for longest, told in ((1, 64), (64, 64), (65, 128), (129, 192)):
        segments = drawn([longest, 1], 30)
        one_pack = pack(segments, every(segments))
        texts = Varlen(one_pack, HEADS, torch.device("cpu"), None)
        texts.attend(torch.zeros(longest + 1, 3 * 32))
        assert kernel.calls[-1][2:] == (told, told)
    assert model.padding is None


def test_torch_s_kernel_is_called_with_seven_arguments_by_position(monkeypatch):
    from torch.nn.attention import varlen as module

    seen = []

    def varlen_attn(*arguments, **named):
        seen.append((arguments, named))
        return arguments[0]

    monkeypatch.setattr(module, "varlen_attn", varlen_attn)
    given_ = (torch.zeros(1), 2, 3, 4, 5, 6, 7)
    assert attention.varlen(*given_) is given_[0]
    assert seen == [(given_, {})]


def test_everything_about_a_pack_goes_to_the_device_in_one_copy(roads, kernel, monkeypatch):
    copies = []
    monkeypatch.setattr(attention, "on_device", lambda tensor, device: copies.append(tensor.dtype) or tensor)
    segments = drawn([9, 4, 4], 30)
    texts = Varlen(pack(segments, every(segments)), HEADS, torch.device("cpu"), 1)
    assert copies == [torch.int32]
    assert texts.ids.tolist() == segments.ids.tolist()
    assert texts.first.tolist() == [0, 9, 13]


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=12),
    same=st.integers(1, 6),
    held=st.sampled_from([1, 2_000, 2**19]),
    seed=st.integers(0, 2**31),
)
def test_the_loop_is_plain_attention_of_each_text(lengths, same, held, seed):
    lengths = [length for length in lengths for _ in range(same)]
    segments = drawn(lengths, 30)
    one_pack = pack(segments, every(segments))
    generator = torch.Generator().manual_seed(seed)
    qkv = Workspace(torch.float32).take("qkv", len(one_pack.ids), 3 * 32, spare=KEYS)
    qkv.copy_(torch.randn(qkv.shape, generator=generator))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "SCORES", held)  # a run at a time, or one text, or one head
        texts = Looped(one_pack, HEADS, Workspace(torch.float32), None)
        whole = texts.attend(qkv).clone()
        first = texts.attend_first(qkv[texts.first, :32], qkv[:, 32:])
    place = 0
    for row, length in enumerate(lengths):
        parts = qkv[place : place + length].view(length, 3, HEADS, 16).permute(1, 2, 0, 3)
        expected = F.scaled_dot_product_attention(*parts).transpose(0, 1).reshape(length, 32)
        torch.testing.assert_close(whole[place : place + length], expected, atol=2e-6, rtol=1e-5)
        torch.testing.assert_close(first[row], expected[0], atol=2e-6, rtol=1e-5)
        place += length


def test_scratch_memory_is_finite_and_grows_in_steps():
    space = Workspace(torch.bfloat16)
    first = space.take("a", 3, 5, spare=KEYS)
    assert (first.shape, first.dtype) == ((3, 5), torch.bfloat16)
    assert first.untyped_storage().nbytes() == ROWS * 5 * 2
    assert (first == 0).all()
    first.fill_(2.0)
    second = space.take("a", 4, 4)
    assert second.data_ptr() == first.data_ptr()
    assert space.take("b", 4, 4).data_ptr() != first.data_ptr()
    grown = space.take("a", ROWS, 5, spare=1)
    assert grown.untyped_storage().nbytes() == 2 * ROWS * 5 * 2
    assert torch.isfinite(grown).all()
    assert LIMIT <= ROWS
