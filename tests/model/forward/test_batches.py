"""Batches of segments go through the model; out of memory they are halved, and the numbers stay."""

from __future__ import annotations

import contextlib
import dataclasses
import errno

import numpy as np
import pytest
import torch

from sentiment_batch.errors import DeviceError
from sentiment_batch.model.forward import int8_labels
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits, launch_batches, open_thread_pool
from sentiment_batch.model.forward.strategies import PaddedStrategy
from sentiment_batch.tokenization.packing import BatchShape, Tokens


class Stand:
    """A model whose device holds only so many tokens; its logits are sums over the tokens of a text."""

    pad_id = 9

    def __init__(self, room=10**9, error=None):
        self._error = error or torch.OutOfMemoryError("CUDA out of memory")
        self.room = room
        self.shapes = []

    def logits(self, ids, mask):
        if ids.numel() > self.room:
            raise self._error
        self.shapes.append(tuple(ids.shape))
        real = torch.ones_like(ids) if mask is None else mask
        return torch.stack([(ids * real).sum(1), real.sum(1)], dim=1).float()


def tokens(*lengths):
    """Segments of the given lengths with the ids 0, 1, 2, ..."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(
        ids=np.arange(offsets[-1], dtype=np.int32),
        offsets=offsets,
        owners=np.arange(len(lengths)),
        cut=np.zeros(len(lengths), dtype=np.bool_),
        uncut_lengths=np.array(lengths),
    )


def expected(segments):
    runs = [segments.ids[start:stop] for start, stop in zip(segments.offsets, segments.offsets[1:], strict=False)]
    return np.array([[run.sum(), len(run)] for run in runs], dtype=np.float32).reshape(-1, 2)


SEGMENTS = tokens(3, 1, 12, 5, 5, 2, 8, 1)


def run(stand, segments, budget, **options):
    budget = budget if isinstance(budget, Budget) else Budget(budget)
    return compute_segment_logits(PaddedStrategy(model=stand, device="cpu", classes=2), segments, budget, **options)


@pytest.mark.parametrize("budget", [1, 5, 12, 24, 1000])
def test_each_segment_gets_its_own_logits_whatever_the_budget(budget):
    stand = Stand()
    assert np.array_equal(run(stand, SEGMENTS, budget), expected(SEGMENTS))
    assert all(rows * length <= max(budget, 12) for rows, length in stand.shapes)


def test_no_segments_give_no_logits():
    assert run(Stand(), tokens(), 100).shape == (0, 2)


@pytest.mark.parametrize("room", [12, 20, 40, 50])
def test_out_of_memory_halves_the_budget_and_changes_no_score(room, caplog):
    stand, budget = Stand(room), Budget(96)
    assert np.array_equal(run(stand, SEGMENTS, budget), expected(SEGMENTS))
    assert all(rows * length <= room for rows, length in stand.shapes)
    assert len(stand.shapes) > 1
    assert "a batch of 8 texts is computed again, and from now on batches hold 18 tokens" in caplog.text
    assert budget.tokens <= 18
    caplog.clear()
    run(stand, SEGMENTS, budget)
    assert caplog.text == ""  # the next window starts with what fits


def test_one_text_that_does_not_fit_alone_is_an_error():
    with pytest.raises(DeviceError, match=r"of cpu does not hold one text of 12 tokens.*`max_length`, or give this"):
        run(Stand(11), SEGMENTS, 96)


@pytest.mark.parametrize("band", [np.inf, 0.0])
def test_a_text_too_long_for_the_second_pass_of_int8_is_named(monkeypatch, band):
    monkeypatch.setattr(int8_labels, "TEXTS_PER_AUDIT", 1)
    segments = dataclasses.replace(SEGMENTS, ids=np.zeros_like(SEGMENTS.ids))  # label 1 is the likeliest
    fast, exact = (PaddedStrategy(model=Stand(room), device="cpu", classes=2) for room in (10**9, 11))
    strategy = int8_labels.Int8Strategy(fast=fast, exact=exact, band=band)
    launched = int8_labels.launch_with_exact_labels(strategy, segments, Budget(96))
    assert launched.refused == {2: "the memory of cpu does not hold one text of 12 tokens"}
    assert np.flatnonzero(np.isnan(launched.logits()).any(axis=1)).tolist() == [2]


def test_a_batch_without_padding_needs_no_mask():
    masks = []

    class Spy(Stand):
        def logits(self, ids, mask):
            masks.append(mask)
            return super().logits(ids, mask)

    run(Spy(), tokens(4, 4, 4), 12)
    run(Spy(), tokens(4, 3), 12)
    assert masks[0] is None
    assert masks[1].tolist() == [[True] * 4, [True] * 3 + [False]]


def test_other_failures_of_the_model_pass():
    class Broken(Stand):
        def logits(self, ids, mask):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run(Broken(), SEGMENTS, 96)


def test_out_of_memory_in_a_deterministic_run_is_an_error():
    strategy = PaddedStrategy(model=Stand(11), device="cpu", classes=2, shape=BatchShape(tokens=64, texts=4))
    with pytest.raises(DeviceError, match=r"not hold the 64 tokens of a deterministic.*without `deterministic=True`"):
        compute_segment_logits(strategy, SEGMENTS, Budget(96))


@pytest.mark.parametrize("budget", [5, 24, 1000])
def test_threads_compute_the_same_and_report_each_token_once(budget):
    told = []
    with open_thread_pool("cpu", single=False) as pool:
        found = run(Stand(), SEGMENTS, budget, pool=pool, on_tokens=told.append)
    assert np.array_equal(found, expected(SEGMENTS))
    assert sum(told) == len(SEGMENTS.ids)
    told.clear()
    run(Stand(), SEGMENTS, budget, on_tokens=told.append)
    assert sum(told) == len(SEGMENTS.ids)


def test_the_callback_for_tokens_may_end_the_work():
    class EnoughError(Exception):
        pass

    def enough(more):
        raise EnoughError

    for pool in (open_thread_pool("cpu", single=False), contextlib.nullcontext()):
        stand = Stand()
        with pool as threads, pytest.raises(EnoughError):
            run(stand, tokens(*[3] * 500), 3, pool=threads, on_tokens=enough)
        assert len(stand.shapes) < 500


def test_the_time_of_the_device_is_measured_until_the_last_batch():
    launched = launch_batches(PaddedStrategy(model=Stand(), device="cpu", classes=2), SEGMENTS, Budget(5))
    assert launched.seconds() == launched.seconds() > 0


def test_logits_are_copied_behind_their_own_batches(monkeypatch):
    """So a block that is done does not wait for the batches of the next block."""
    stand, events = Stand(), []
    to, cat = torch.Tensor.to, torch.cat

    def copied(tensor, *place, **options):
        if options.get("non_blocking"):
            events.append(f"copy {len(tensor)}")
        return to(tensor, *place, **options)

    monkeypatch.setattr(torch.Tensor, "to", copied)
    monkeypatch.setattr(torch, "cat", lambda some: events.append(f"join {len(some)}") or cat(some))
    launched = [
        launch_batches(PaddedStrategy(model=stand, device="cpu", classes=2), SEGMENTS, Budget(5)) for _ in range(2)
    ]
    assert events == [f"join {len(launched[0].order)}", f"copy {len(SEGMENTS.lengths)}"] * 2
    np.testing.assert_array_equal(launched[0].logits(), launched[1].logits())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("could not create a primitive"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_a_lack_of_main_memory_halves_the_budget_too(error, caplog):
    stand = Stand(20, error)
    assert np.array_equal(run(stand, SEGMENTS, 96), expected(SEGMENTS))
    assert "is computed again" in caplog.text


def test_other_errors_of_a_batch_are_no_lack_of_memory():
    with pytest.raises(RuntimeError, match="shapes"):
        run(Stand(20, RuntimeError("mat1 and mat2 shapes cannot be multiplied")), SEGMENTS, 96)
