"""Attention by one kernel for a pack, with a stand-in that computes text by text; and the loop's memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sentiment_batch.model.forward import attention
from sentiment_batch.model.forward.attention import (
    CUDA_LENGTH_STEP,
    WORKSPACE_ROW_STEP,
    CpuPackAttention,
    CudaPackAttention,
    Workspace,
)
from sentiment_batch.model.forward.packed import build_packed
from sentiment_batch.tokenization.packing import BatchShape, build_pack
from tests.ragged_tokens import LENGTHS, PACKED, all_segments, draw_tokens, load_classifiers, stock_probabilities

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
            assert most == 1 or most % CUDA_LENGTH_STEP == 0
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
    monkeypatch.setattr(attention, "variable_length_attention", stand)
    return stand


@pytest.fixture(scope="module")
def strategies(tmp_path_factory):
    stocks = load_classifiers(tmp_path_factory.mktemp("attention"))
    return {family: (loaded, build_packed(loaded.network, "cpu", "float32")[0]) for family, loaded in stocks.items()}


def walked(model, one_pack):
    with torch.inference_mode():
        return model.compute(CudaPackAttention(one_pack, model.heads, torch.device("cpu"), model.position_padding_id))


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("family", PACKED)
def test_the_one_kernel_and_the_loop_give_the_same(strategies, kernel, family, lengths):
    loaded, model = strategies[family]
    segments = draw_tokens(lengths, loaded.vocabulary)
    whole = build_pack(segments, all_segments(segments))
    found = walked(model, whole)
    torch.testing.assert_close(found, model.logits(whole), atol=2e-5, rtol=1e-5)
    np.testing.assert_allclose(found.softmax(-1), stock_probabilities(loaded, segments), atol=5e-6)
    total, longest = sum(lengths), CUDA_LENGTH_STEP
    assert kernel.calls == [
        ((total, HEADS, 16), (total, HEADS, 16), longest, longest),
        ((len(lengths), HEADS, 16), (total, HEADS, 16), 1, longest),  # the last layer asks for the first tokens alone
    ]


@pytest.mark.parametrize("family", PACKED)
def test_the_cuda_kernel_ignores_the_tokens_that_fill_a_pack(strategies, kernel, family):
    loaded, model = strategies[family]
    segments = draw_tokens([9, 4, 4], loaded.vocabulary)
    found = walked(model, build_pack(segments, all_segments(segments), BatchShape(tokens=64, texts=7)))[:3]
    np.testing.assert_allclose(found.softmax(-1), stock_probabilities(loaded, segments), atol=5e-6)


def test_the_kernel_gets_the_longest_length_in_steps(strategies, kernel):
    model = strategies["distilbert"][1]
    for longest, told in ((1, 64), (64, 64), (65, 128), (129, 192)):
        segments = draw_tokens([longest, 1], 30)
        one_pack = build_pack(segments, all_segments(segments))
        texts = CudaPackAttention(one_pack, HEADS, torch.device("cpu"), None)
        texts.attend(torch.zeros(longest + 1, 3 * 32))
        assert kernel.calls[-1][2:] == (told, told)
    assert model.position_padding_id is None


def test_torch_s_kernel_gets_seven_positional_arguments(monkeypatch):
    from torch.nn.attention import varlen as module

    seen = []

    def varlen_attn(*arguments, **named):
        seen.append((arguments, named))
        return arguments[0]

    monkeypatch.setattr(module, "varlen_attn", varlen_attn)
    given_ = (torch.zeros(1), 2, 3, 4, 5, 6, 7)
    assert attention.variable_length_attention(*given_) is given_[0]
    assert seen == [(given_, {})]


def test_everything_about_a_pack_goes_to_the_device_in_one_copy(strategies, kernel, monkeypatch):
    copies = []
    monkeypatch.setattr(attention, "move_to_device", lambda tensor, device: copies.append(tensor.dtype) or tensor)
    segments = draw_tokens([9, 4, 4], 30)
    texts = CudaPackAttention(build_pack(segments, all_segments(segments)), HEADS, torch.device("cpu"), 1)
    assert copies == [torch.int32]
    assert texts.ids.tolist() == segments.ids.tolist()
    assert texts.first.tolist() == [0, 9, 13]


def looped(one_pack, qkv, held=2**19):
    """The loop's attention of all tokens and of the first ones, with so many scores held at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "MAX_CACHED_SCORES", held)
        texts = CpuPackAttention(one_pack, HEADS, Workspace(qkv.dtype), None)
        return texts.attend(qkv).clone(), texts.attend_first(qkv[texts.first, :32], qkv[:, 32:])


def plain(qkv):
    """Attention (n, 32) of one text (n, 96), in float64."""
    parts = qkv.double().view(len(qkv), 3, HEADS, 16).permute(1, 2, 0, 3)
    return F.scaled_dot_product_attention(*parts).transpose(0, 1).reshape(len(qkv), 32)


@settings(max_examples=100)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=12),
    same=st.integers(1, 6),
    held=st.sampled_from([1, 2_000, 2**19]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    size=st.sampled_from([0.0, 1.0, 6.0, 100.0]),
    seed=st.integers(0, 2**31),
)
def test_the_loop_is_plain_attention_of_each_text(lengths, same, held, dtype, size, seed):
    lengths = [length for length in lengths for _ in range(same)]
    segments = draw_tokens(lengths, 30)
    generator = torch.Generator().manual_seed(seed)
    qkv = torch.randn((sum(lengths), 3 * 32), generator=generator).to(dtype)
    sizes = torch.rand((len(qkv), 1), generator=generator).mul(size).to(dtype)  # of queries and keys, from none to huge
    qkv[:, :64] *= sizes
    whole, first = looped(build_pack(segments, all_segments(segments)), qkv, held)
    assert torch.isfinite(whole).all()
    if dtype == torch.bfloat16 and size > 1:
        return  # a softmax of rounded scores: nothing exact can be said of it
    tolerance = {"atol": 5e-6 * max(1.0, size) ** 2, "rtol": 1e-5}  # large scores have fewer digits behind the point
    if dtype == torch.bfloat16:
        tolerance = {"atol": 0.05, "rtol": 0.02}
    place = 0
    for row, length in enumerate(lengths):
        expected = plain(qkv[place : place + length])
        torch.testing.assert_close(whole[place : place + length].double(), expected, **tolerance)
        torch.testing.assert_close(first[row].double(), expected[0], **tolerance)
        place += length


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("score", [-400.0, -120.0, -89.0, 0.0, 89.0, 120.0, 400.0])
def test_scores_beyond_the_range_of_an_exponential_are_no_matter(dtype, score):
    """All keys of the second text equal its queries' opposite or themselves: every score of it is the same."""
    length = 40
    segments = draw_tokens([length, length, 3], 30)
    qkv = torch.randn((2 * length + 3, 96), generator=torch.Generator().manual_seed(1)).to(dtype)
    second = slice(length, 2 * length)
    qkv[second, :32] = abs(score) ** 0.5 / 2  # sixteen products, and the usual scale is a quarter
    qkv[second, 32:64] = qkv[second, :32] * (1 if score > 0 else -1)
    for held in (1, 2**19):
        whole, first = looped(build_pack(segments, all_segments(segments)), qkv, held)
        mean = qkv[second, 64:].double().mean(0)
        atol = 1e-5 if dtype == torch.float32 else 0.01
        torch.testing.assert_close(whole[second].double(), mean.expand(length, 32), atol=atol, rtol=0.01)
        torch.testing.assert_close(first[1].double(), mean, atol=atol, rtol=0.01)
        torch.testing.assert_close(whole[-3:].double(), plain(qkv[-3:]), atol=0.02, rtol=0.02)


def test_a_number_that_is_none_stays_in_its_text():
    segments = draw_tokens([5, 5, 5, 7], 30)
    qkv = torch.randn((22, 96), generator=torch.Generator().manual_seed(1))
    qkv[6] = torch.nan
    whole, first = looped(build_pack(segments, all_segments(segments)), qkv)
    assert torch.isnan(whole[5:10]).all()
    assert torch.isnan(first[1]).all()
    for start, stop in ((0, 5), (10, 15), (15, 22)):
        torch.testing.assert_close(whole[start:stop].double(), plain(qkv[start:stop]), atol=5e-6, rtol=1e-5)


def test_scratch_memory_is_used_again_and_grows_in_steps():
    space = Workspace(torch.bfloat16)
    first = space.take("a", 3, 5)
    assert (first.shape, first.dtype) == ((3, 5), torch.bfloat16)
    assert first.untyped_storage().nbytes() == WORKSPACE_ROW_STEP * 5 * 2
    assert space.take("a", 4, 4).data_ptr() == first.data_ptr()
    assert space.take("b", 4, 4).data_ptr() != first.data_ptr()
    assert space.take("a", WORKSPACE_ROW_STEP + 1, 5).untyped_storage().nbytes() == 2 * WORKSPACE_ROW_STEP * 5 * 2
