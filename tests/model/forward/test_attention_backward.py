"""Attention with gradients against the textbook, text by text."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sentiment_batch.model.forward import attention_backward
from sentiment_batch.model.forward.attention import LENGTH_STEP
from sentiment_batch.model.forward.attention_backward import FIRST_LENGTH_STEP, TrainingPackAttention, group_runs
from sentiment_batch.tokenization.packing import Pack

HEADS, WIDTH = 3, 12


def texts_of(lengths) -> TrainingPackAttention:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return TrainingPackAttention(Pack(ids=np.zeros(sum(lengths), dtype=np.int32), offsets=offsets), HEADS)


def drawn(rows: int, parts: int, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows)
    return torch.randn(rows, parts * WIDTH, generator=generator, dtype=dtype).requires_grad_()


def textbook(query, kv, lengths, firsts: bool) -> torch.Tensor:
    """Each text by itself; queries (T, D) or (B, D)."""
    outcomes, start = [], 0
    for number, length in enumerate(lengths):
        rows = slice(number, number + 1) if firsts else slice(start, start + length)
        by_head = [
            x.view(len(x), HEADS, -1).transpose(0, 1) for x in (query[rows], *kv[start : start + length].chunk(2, 1))
        ]
        outcomes.append(F.scaled_dot_product_attention(*by_head).transpose(0, 1).reshape(-1, WIDTH))
        start += length
    return torch.cat(outcomes)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 3 * LENGTH_STEP + 1), min_size=1, max_size=12), st.sampled_from([1, 600, 2**19]))
def test_outcome_and_gradients_are_the_textbook_s(lengths, scores):
    qkv = drawn(sum(lengths), 3)
    gradient = torch.randn(sum(lengths), WIDTH, dtype=torch.float64)
    expected = textbook(qkv[:, :WIDTH], qkv[:, WIDTH:], lengths, firsts=False)
    (wanted,) = torch.autograd.grad(expected, qkv, gradient)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention_backward, "MAX_CACHED_SCORES", scores)  # few scores at a time, or all
        found = texts_of(lengths).attend(qkv)
        (given_,) = torch.autograd.grad(found, qkv, gradient)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(given_, wanted, atol=1e-12, rtol=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 3 * LENGTH_STEP + 1), min_size=1, max_size=12))
def test_of_first_tokens_too(lengths):
    query, kv = drawn(len(lengths), 1), drawn(sum(lengths), 2)
    gradient = torch.randn(len(lengths), WIDTH, dtype=torch.float64)
    expected = textbook(query, kv, lengths, firsts=True)
    wanted = torch.autograd.grad(expected, (query, kv), gradient)
    found = texts_of(lengths).attend_first(query, kv)
    given_ = torch.autograd.grad(found, (query, kv), gradient)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(given_, wanted, atol=1e-12, rtol=1e-10)


def test_finite_differences_agree():
    qkv = drawn(24, 3)
    assert torch.autograd.gradcheck(lambda x: texts_of([17, 2, 5]).attend(x), (qkv,))


def test_no_text_feels_another():
    qkv = drawn(40, 3)
    found = texts_of([20, 20]).attend(qkv)
    (gradient,) = torch.autograd.grad(found[:20].sum(), qkv)
    assert gradient[:20].abs().min() >= 0
    assert gradient[:20].abs().max() > 0
    assert not gradient[20:].any()


@pytest.mark.parametrize("largest", [100.0, 1e4])
def test_great_scores_overflow_nothing(largest):
    qkv = (drawn(33, 3, torch.float32) * largest).detach().requires_grad_()
    found = texts_of([17, 16]).attend(qkv)
    (gradient,) = torch.autograd.grad(found.sum(), qkv)
    assert torch.isfinite(found).all()
    assert torch.isfinite(gradient).all()


def test_bfloat16_attention_is_near_and_stays_in_its_dtype():
    exact = drawn(50, 3)
    qkv = exact.detach().bfloat16().requires_grad_()
    expected = texts_of([30, 20]).attend(exact)
    (wanted,) = torch.autograd.grad(expected.sum(), exact)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = texts_of([30, 20]).attend(qkv)
    (gradient,) = torch.autograd.grad(found.sum(), qkv)
    assert (found.dtype, gradient.dtype) == (torch.bfloat16, torch.bfloat16)
    torch.testing.assert_close(found.double(), expected, atol=0.05, rtol=0.05)
    torch.testing.assert_close(gradient.double(), wanted, atol=0.1, rtol=0.1)


def test_nothing_is_kept_for_the_way_back_but_the_inputs():
    kept = []
    qkv = drawn(600, 3, torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
        texts_of([600]).attend(qkv)
    assert [one.shape for one in kept] == [qkv.shape]


def test_the_same_bits_each_time():
    qkv = drawn(300, 3, torch.float32)
    outcomes = []
    for _ in range(2):
        found = texts_of([150, 100, 50]).attend(qkv)
        outcomes.append((found, *torch.autograd.grad(found.sum(), qkv)))
    assert all(one.equal(other) for one, other in zip(*outcomes, strict=True))


@given(st.lists(st.integers(1, 100), max_size=30), st.sampled_from([LENGTH_STEP, FIRST_LENGTH_STEP]))
def test_runs_are_neighbours_that_round_to_one_length(lengths, step):
    found = group_runs(lengths, step)
    assert [length for run in found for length in run.lengths] == lengths
    assert all(run.rounded % step == 0 for run in found)
    assert all(run.rounded - step < length <= run.rounded for run in found for length in run.lengths)
    assert all(
        before.rounded != after.rounded or len(before.lengths) > len(after.lengths)
        for before, after in itertools.pairwise(found)
    )
    starts = np.concatenate([[0], np.cumsum(lengths)])
    assert [start for run in found for _, start, _ in run.spans] == starts[:-1].tolist()


def test_a_run_holds_as_many_texts_as_a_power_of_two():
    assert [len(run.lengths) for run in group_runs([5] * 31)] == [16, 8, 4, 2, 1]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3 * LENGTH_STEP), min_size=1, max_size=6), st.integers(1, 20))
def test_filling_tokens_reach_no_text_and_get_no_gradient(lengths, more):
    qkv = drawn(sum(lengths) + more, 3)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    texts = TrainingPackAttention(Pack(ids=np.zeros(len(qkv), dtype=np.int32), offsets=offsets), HEADS)
    found = texts.attend(qkv)
    (gradient,) = torch.autograd.grad(found.sum(), qkv)
    alone = texts_of(lengths).attend(qkv[: sum(lengths)])
    assert found[: sum(lengths)].equal(alone)
    assert not found[sum(lengths) :].any()
    assert not gradient[sum(lengths) :].any()
