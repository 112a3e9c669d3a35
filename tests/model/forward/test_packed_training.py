"""The packed forward pass of training against the base's own padded code, which is the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sentiment_batch.model.forward import attention, packed_training
from sentiment_batch.model.forward.attention import MAX_CACHED_SCORES, largest_divisor
from sentiment_batch.model.forward.attention_backward import FIRST_LENGTH_STEP, group_runs
from sentiment_batch.model.forward.packed_training import (
    SIZES_PER_DOUBLING,
    choose_training_pass,
    drop_elements,
    uses_cuda_kernel,
)
from sentiment_batch.settings import TrainSettings
from sentiment_batch.tokenization.packing import Pack, round_up_pack, to_rectangle
from sentiment_batch.training import optimizer
from sentiment_batch.training.batches import LengthGroupedBatches
from tests.model.forward.test_attention import Kernel

ONEDNN_KERNELS = 1_024
"""Kernels that oneDNN keeps by default; from then on, a new one takes the place of the one not used for longest."""
ROWS = ["the film was " + "very " * (3 * n % 11) + "good" for n in range(9)]


@pytest.fixture
def classifier_and_pack(learner):
    classifier, texts = learner()
    return classifier, texts(ROWS, [n % 2 for n in range(9)]).collate(list(range(9))).pack


def reference(classifier, pack) -> torch.Tensor:
    ids, mask = to_rectangle(pack, 0)
    return classifier(torch.from_numpy(ids), torch.from_numpy(mask))


def outcome(classifier, logits) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    classifier.zero_grad()
    F.cross_entropy(logits, torch.arange(len(logits)) % 2).backward()
    return logits.detach(), {name: one.grad.clone() for name, one in classifier.named_parameters()}


def assert_same(found, expected):
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, atol=2e-6, rtol=1e-3, msg=name)


def test_logits_and_gradients_are_those_of_the_base_s_own_code(classifier_and_pack):
    classifier, pack = classifier_and_pack
    way = choose_training_pass(classifier, "cpu", "float32")
    assert_same(outcome(classifier, way(pack)), outcome(classifier, reference(classifier, pack)))


def test_with_the_kernel_of_cuda_too(classifier_and_pack, monkeypatch):
    """A stand-in for the kernel, which is differentiable as torch's is."""
    classifier, pack = classifier_and_pack
    kernel = Kernel()
    monkeypatch.setattr(attention, "variable_length_attention", kernel)
    monkeypatch.setattr(
        "sentiment_batch.model.forward.packed_training.TrainingPackAttention",
        lambda pack, heads: attention.CudaPackAttention(pack, heads, torch.device("cpu"), None),
    )
    way = choose_training_pass(classifier, "cpu", "float32")
    assert_same(outcome(classifier, way(pack)), outcome(classifier, reference(classifier, pack)))
    assert len(kernel.calls) == len(classifier.encoder.transformer.layer)
    assert kernel.calls[-1][0][0] == len(pack.lengths), "the last layer asks for the first tokens alone"


@pytest.mark.parametrize(
    ("dtype", "heads", "capability", "flash", "packs"),
    [
        ("bfloat16", 2, (8, 0), True, True),
        ("float32", 2, (8, 0), True, False),
        ("bfloat16", 8, (8, 0), True, False),
        ("bfloat16", 2, (7, 5), True, False),
        ("bfloat16", 2, (9, 0), False, False),
    ],
)
def test_cuda_packs_where_its_kernel_works(
    classifier_and_pack, pretend_cuda, monkeypatch, dtype, heads, capability, flash, packs
):
    classifier, pack = classifier_and_pack
    classifier.encoder.config.n_heads = heads  # of an encoder 32 wide
    pretend_cuda(capability, flash=flash)
    assert uses_cuda_kernel(classifier, "cuda:0", dtype) is packs
    monkeypatch.setattr(packed_training, "CudaPackAttention", lambda *_: None)
    monkeypatch.setattr(packed_training, "compute_training_logits", lambda *_: "packed")
    monkeypatch.setattr(packed_training, "_compute_padded", lambda *_: "padded")
    assert choose_training_pass(classifier, "cuda:0", dtype)(pack) == ("packed" if packs else "padded")


def test_padded_batches_give_the_same(classifier_and_pack, monkeypatch):
    classifier, pack = classifier_and_pack
    monkeypatch.setattr(packed_training, "move_to_device", lambda tensor, device: tensor)
    assert not uses_cuda_kernel(classifier, "cuda:0", "float32")
    way = choose_training_pass(classifier, "cuda:0", "float32")
    assert_same(outcome(classifier, way(pack)), outcome(classifier, reference(classifier, pack)))


def test_dropout_reaches_every_place_it_has_in_the_base(classifier_and_pack):
    """With one place's dropout at a time, the outcome is another than without."""
    classifier, pack = classifier_and_pack
    way = choose_training_pass(classifier, "cpu", "float32")
    without = way(pack).detach()
    classifier.train()
    encoder = classifier.encoder
    places = [
        encoder.embeddings.dropout,
        *(layer.ffn.dropout for layer in encoder.transformer.layer),
        classifier.dropout,
    ]
    for place in places:
        place.p = 0.5
        assert not way(pack).detach().equal(without)
        place.p = 0.0
    assert way(pack).detach().equal(without)
    assert sum(isinstance(module, torch.nn.Dropout) for module in classifier.modules()) == len(places) + len(
        encoder.transformer.layer
    ), "beside these there is that inside attention, which is off"


# Quick dropout


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.95])
@pytest.mark.parametrize("shape", [(1000, 384), (7, 3), (1, 1)])
def test_dropout_drops_its_share_and_makes_up_for_it(share, shape):
    torch.manual_seed(5)
    x = torch.ones(shape, requires_grad=True)
    found = drop_elements(torch.nn.Dropout(share).train(), x)
    kept = found != 0
    torch.testing.assert_close(found[kept], torch.full_like(found[kept], 1 / (1 - share)), rtol=1e-3, atol=0)
    if x.numel() > 1000:
        assert float(kept.float().mean()) == pytest.approx(1 - share, abs=4 * (share * (1 - share) / x.numel()) ** 0.5)
        assert float(found.detach().mean()) == pytest.approx(1.0, abs=0.02)
        lags = [float((kept.flatten()[lag:] == kept.flatten()[:-lag]).float().mean()) for lag in (1, 2, 3, 4, 384)]
        expected = share**2 + (1 - share) ** 2
        assert lags == pytest.approx([expected] * 5, abs=0.005), "elements that share a number are independent"
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.equal(found.detach())


def test_dropout_follows_the_seed_and_is_off_when_it_should_be():
    x = torch.randn(50, 8)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(drop_elements(torch.nn.Dropout(0.3).train(), x))
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
    assert drop_elements(torch.nn.Dropout(0.3).eval(), x).equal(x)
    assert drop_elements(torch.nn.Dropout(0.0).train(), x).equal(x)
    assert not drop_elements(torch.nn.Dropout(1.0).train(), x).any()
    assert drop_elements(torch.nn.Dropout(0.5).train(), x.bfloat16()).dtype == torch.bfloat16


def test_lack_of_memory_changes_what_dropout_draws(learner, monkeypatch, caplog):
    classifier, texts = learner(dropout=0.5)
    batch = texts(ROWS, [n % 2 for n in range(9)]).collate(list(range(9)))
    run = optimizer.RunConfig(
        settings=TrainSettings(),
        learning_rate=1e-4,
        batch_size=9,
        weight_average=0.0,
        device="cpu",
        dtype="float32",
        labels=("negative", "positive"),
        class_weights=None,
    )

    def compute_loss():
        torch.manual_seed(1)
        return float(optimizer.MicroBatches(classifier, run).backward(batch))

    expected = compute_loss()
    assert compute_loss() == expected
    real = optimizer.choose_training_pass

    def small(*arguments):
        way = real(*arguments)

        def training_pass(pack):
            if len(pack.lengths) == 9:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return way(pack)

        return training_pass

    monkeypatch.setattr(optimizer, "choose_training_pass", small)
    assert compute_loss() != expected
    assert "Dropout draws other random numbers" in caplog.text
    assert "stays the same" not in caplog.text


def test_a_pack_of_one_token_texts(learner):
    classifier, texts = learner()
    data = texts(["good", "good"], [0, 1])
    pack = data.collate([0, 1]).pack
    way = choose_training_pass(classifier, "cpu", "float32")
    assert np.isfinite(way(pack).detach().numpy()).all()


@pytest.mark.parametrize(("batch_size", "median", "longest"), [(32, 10, 64), (16, 230, 512)])
def test_an_epoch_has_fewer_shapes_than_onednn_keeps_kernels(batch_size, median, longest):
    """With more, it drops and makes kernels at each step, and they cut the memory into ever smaller pieces."""
    drawn = np.random.default_rng(0).lognormal(np.log(median), 0.6, 400 * batch_size)
    lengths = np.clip(drawn.astype(np.int64), 3, longest)
    sizes, runs, first_runs = set(), set(), set()
    for rows in LengthGroupedBatches(lengths, batch_size, seed=0):
        offsets = np.concatenate([[0], np.cumsum(lengths[rows])])
        pack = Pack(ids=np.zeros(offsets[-1], dtype=np.int32), offsets=offsets)
        sizes.add(len(round_up_pack(pack, SIZES_PER_DOUBLING).ids))
        runs |= {(len(run.lengths), run.rounded) for run in group_runs(pack.lengths.tolist())}
        first_runs |= {(len(run.lengths), run.rounded) for run in group_runs(pack.lengths.tolist(), FIRST_LENGTH_STEP)}
    # five linear products and one GELU, and five products of attention, forward and backward
    scores = {(largest_divisor(12 * texts, MAX_CACHED_SCORES // keys**2), keys) for texts, keys in runs}
    assert 17 * len(sizes) + 5 * len(scores) + 5 * len(first_runs) < ONEDNN_KERNELS
