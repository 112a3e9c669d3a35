"""Batches of segments go through the model; out of memory they are halved, and the numbers stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sentiment_batch.errors import DeviceError
from sentiment_batch.scoring.forward import forward
from sentiment_batch.tokenise import Tokens


class Stand:
    """A model whose device holds only so many tokens; its logits are sums over the tokens of a text."""

    labels = ("a", "b")
    pad_id = 9

    def __init__(self, room=10**9):
        self.room = room
        self.shapes = []

    def logits(self, ids, mask):
        if ids.numel() > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
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
    )


def expected(segments):
    runs = [segments.ids[start:stop] for start, stop in zip(segments.offsets, segments.offsets[1:], strict=False)]
    return np.array([[run.sum(), len(run)] for run in runs], dtype=np.float32).reshape(-1, 2)


SEGMENTS = tokens(3, 1, 12, 5, 5, 2, 8, 1)


@pytest.mark.parametrize("budget", [1, 5, 12, 24, 1000])
def test_each_segment_gets_its_own_logits_whatever_the_budget(budget):
    stand = Stand()
    assert np.array_equal(forward(stand, SEGMENTS, "cpu", budget), expected(SEGMENTS))
    assert all(rows * length <= max(budget, 12) for rows, length in stand.shapes)


def test_no_segments_give_no_logits():
    assert forward(Stand(), tokens(), "cpu", 100).shape == (0, 2)


@pytest.mark.parametrize("room", [12, 20, 40, 50])
def test_out_of_memory_halves_the_batch_and_changes_nothing_else(room, caplog):
    stand = Stand(room)
    assert np.array_equal(forward(stand, SEGMENTS, "cpu", 96), expected(SEGMENTS))
    assert all(rows * length <= room for rows, length in stand.shapes)
    assert len(stand.shapes) > 1
    assert "a batch of 8 texts is redone in halves" in caplog.text


def test_one_text_that_does_not_fit_alone_is_an_error_with_its_cure():
    with pytest.raises(DeviceError, match=r"of cpu does not hold one text of 12 tokens.*--max-length, or --device cpu"):
        forward(Stand(11), SEGMENTS, "cpu", 96)


def test_a_batch_without_padding_needs_no_mask():
    masks = []

    class Spy(Stand):
        def logits(self, ids, mask):
            masks.append(mask)
            return super().logits(ids, mask)

    forward(Spy(), tokens(4, 4, 4), "cpu", 12)
    forward(Spy(), tokens(4, 3), "cpu", 12)
    assert masks[0] is None
    assert masks[1].tolist() == [[True] * 4, [True] * 3 + [False]]


def test_other_failures_of_the_model_pass():
    class Broken(Stand):
        def logits(self, ids, mask):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        forward(Broken(), SEGMENTS, "cpu", 96)
