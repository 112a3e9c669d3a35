"""Recorded passes, with a stand-in for CUDA's kernel and one that plays the graph: the same work, called again."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from sentiment_batch.model.forward import attention, cuda_graphs
from sentiment_batch.settings import TrainSettings
from sentiment_batch.tokenization.packing import Pack, append_filler_segment
from sentiment_batch.training import optimizer
from sentiment_batch.training.optimizer import MicroBatches
from tests.model.forward.test_attention import Kernel

LABELS = ("negative", "positive")


@pytest.fixture
def kernel(monkeypatch):
    stand = Kernel()
    monkeypatch.setattr(attention, "variable_length_attention", stand)
    return stand


class Tape:
    """Records as a graph does: work reads and writes the same memory each time, and is not done while recorded."""

    def __init__(self):
        self.recorded = self.replayed = 0

    def __call__(self, work):
        self.recorded += 1
        loss = torch.full((), torch.nan)

        def again():
            self.replayed += 1
            loss.copy_(work())

        return again, loss


@pytest.fixture
def micro(learner, kernel, monkeypatch):
    """Micro-batches that go by recorded passes, their tape, the classifier and the texts to train on."""

    def make(record=None, weights=None, smoothing=0.0):
        tape = record or Tape()
        classifier, texts = learner()
        run = optimizer.RunConfig(
            settings=TrainSettings(label_smoothing=smoothing),
            learning_rate=1e-4,
            batch_size=4,
            weight_average=0.0,
            device="cpu",
            dtype="float32",
            labels=LABELS,
            class_weights=weights,
        )
        found = MicroBatches(classifier, run)
        plain = MicroBatches(classifier, run)
        heads, positions = classifier.encoder.config.n_heads, classifier.encoder.config.max_position_embeddings
        found._graphs = cuda_graphs.CudaGraphs(found._walk_and_backward, heads, positions, "cpu", lambda device: tape)
        rows = ["the film was " + "very " * (n % 5) + "good" for n in range(12)]
        data = texts(rows, [n % 2 for n in range(12)])
        return found, plain, tape, classifier, data

    return make


def gradients(classifier):
    return {name: one.grad.clone() for name, one in classifier.named_parameters()}


def passed(micro, classifier, batch):
    for one in classifier.parameters():
        if one.grad is not None:
            one.grad.zero_()  # in place, as on CUDA
    loss = micro.backward(batch)
    return float(loss), gradients(classifier)


def without_dropout(classifier):
    for module in classifier.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.4, 1.7])])
def test_losses_and_gradients_are_those_of_ordinary_passes(micro, weights, smoothing):
    recorded, plain, tape, classifier, data = micro(weights=weights, smoothing=smoothing)
    without_dropout(classifier)
    for rows in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [0, 5, 10, 3], [1, 2], [1, 2], [0, 2], [5, 7]):
        batch = data.collate(rows)
        expected = passed(plain, classifier, batch)
        found = passed(recorded, classifier, batch)
        assert found[0] == pytest.approx(expected[0], rel=1e-5)
        for name, one in expected[1].items():
            torch.testing.assert_close(found[1][name], one, atol=2e-6, rtol=1e-3, msg=name)
    assert tape.recorded >= 2
    assert tape.replayed >= 2
    assert tape.recorded + tape.replayed == 8


def test_soft_labels_are_replayed_like_classes(micro):
    recorded, plain, tape, classifier, data = micro()
    without_dropout(classifier)
    data.soft_labels = np.random.default_rng(0).random((12, 2), dtype=np.float32)
    for rows in ([0, 1, 2, 3], [0, 1, 2, 3], [5, 6, 7, 8]):
        batch = data.collate(rows)
        expected, found = passed(plain, classifier, batch), passed(recorded, classifier, batch)
        assert found[0] == pytest.approx(expected[0], rel=1e-5)
        for name, one in expected[1].items():
            torch.testing.assert_close(found[1][name], one, atol=2e-6, rtol=1e-3, msg=name)
    assert tape.replayed == 2


def test_a_loss_is_not_overwritten_by_the_next_replay(micro):
    recorded, _, tape, classifier, data = micro()
    first, second = (recorded.backward(data.collate(rows)) for rows in ([0, 1], [0, 1]))
    before = float(second)
    third = recorded.backward(data.collate([0, 6]))
    assert tape.replayed == 2
    assert float(second) == before != float(third)
    assert torch.isfinite(torch.stack([first, second, third])).all()
    assert classifier.training


def test_parts_add_up_in_the_same_gradients(micro):
    recorded, plain, tape, classifier, data = micro()
    without_dropout(classifier)
    batch = data.collate([0, 5, 10, 3])
    expected = passed(plain, classifier, batch)
    recorded.max_tokens = 1  # every text by itself
    for _ in range(2):
        found = passed(recorded, classifier, batch)
        assert found[0] == pytest.approx(expected[0], rel=1e-5)
        for name, one in expected[1].items():
            torch.testing.assert_close(found[1][name], one, atol=2e-6, rtol=1e-3, msg=name)
    assert tape.replayed >= 4


def test_large_packs_are_computed_as_they_are(micro, monkeypatch):
    recorded, _, tape, _, data = micro()
    monkeypatch.setattr(cuda_graphs, "MAX_GRAPH_TOKENS", 8)
    for _ in range(2):
        recorded.backward(data.collate([0, 1, 2, 3]))
    assert tape.recorded == tape.replayed == 0


def test_only_so_many_sizes_are_recorded(micro, monkeypatch):
    recorded, plain, tape, classifier, data = micro()
    without_dropout(classifier)
    monkeypatch.setattr(cuda_graphs, "MAX_GRAPHS", 1)
    for rows in 2 * ([0, 1, 2, 3], [4, 5], [6]):
        batch = data.collate(rows)
        expected = passed(plain, classifier, batch)
        found = passed(recorded, classifier, batch)
        assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert (tape.recorded, tape.replayed) == (1, 1)


def test_what_cannot_be_recorded_is_launched_one_by_one(micro, caplog):
    def refuses(work):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    recorded, plain, _, classifier, data = micro(record=refuses)
    without_dropout(classifier)
    batch = data.collate([0, 1, 2, 3])
    expected = passed(plain, classifier, batch)
    for _ in range(3):
        found = passed(recorded, classifier, batch)
        assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert [one.message for one in caplog.records] == [
        "kernels are launched one by one, which is slower: CUDA error: operation not permitted when stream is capturing"
    ]


def test_after_running_out_of_memory_nothing_old_is_replayed(micro, caplog):
    """The gradients that a recording writes into are gone then."""
    recorded, plain, tape, classifier, data = micro()
    without_dropout(classifier)
    batch = data.collate([0, 1, 2, 3])
    expected = passed(plain, classifier, batch)
    passed(recorded, classifier, batch)
    again = recorded._graphs._graphs
    (one,) = again.values()

    def full():
        raise torch.OutOfMemoryError("too much")

    size = next(iter(again))
    again[size] = cuda_graphs._Graph(inputs=one.inputs, replay=full, loss=one.loss)
    found = passed(recorded, classifier, batch)
    assert "out of memory" in caplog.text
    assert size not in recorded._graphs._graphs
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    for name, one in expected[1].items():
        torch.testing.assert_close(found[1][name], one, atol=2e-6, rtol=1e-3, msg=name)
    assert tape.replayed == 0


def test_dropout_draws_anew_at_each_replay(micro):
    recorded, _, tape, classifier, data = micro()
    classifier.dropout.p = 0.5
    losses = {float(recorded.backward(data.collate([0, 1, 2, 3]))) for _ in range(4)}
    assert tape.replayed == 3
    assert len(losses) > 1


def test_closed_packs_have_few_sizes_and_valid_positions():
    for longest in (16, 64, 512):
        sizes = set()
        for tokens in range(1, 4_000, 7):
            lengths = np.full(-(-tokens // longest), longest)
            lengths[-1] -= lengths.sum() - tokens
            pack = Pack(ids=np.ones(tokens, np.int32), offsets=np.concatenate([[0], np.cumsum(lengths)]))
            found = append_filler_segment(pack, 8, longest)
            assert found.offsets[:-1].tolist() == pack.offsets.tolist()
            assert found.offsets[-1] == len(found.ids)
            assert 1 <= found.lengths[-1] <= longest
            assert found.positions(None).max() < longest
            assert found.longest == longest
            assert not found.ids[tokens:].any()
            assert len(found.ids) <= tokens + 1 + max(1, tokens // 8)
            sizes.add(len(found.ids))
        if longest == 512:
            assert len(sizes) <= 8 * 12


def test_cuda_in_half_precision_replays_and_nothing_else(learner, monkeypatch, pretend_cuda):
    pretend_cuda()
    classifier, _ = learner()
    monkeypatch.setattr(optimizer, "choose_step_tokens", lambda device, width: 1_000)
    run = functools.partial(
        optimizer.RunConfig,
        settings=TrainSettings(),
        learning_rate=1e-4,
        batch_size=4,
        weight_average=0.0,
        labels=LABELS,
        class_weights=None,
    )
    for device, dtype, replayed in (
        ("cuda:0", "bfloat16", True),
        ("cuda:0", "float32", False),
        ("cpu", "bfloat16", False),
    ):
        assert bool(MicroBatches(classifier, run(device=device, dtype=dtype))._graphs) is replayed


def test_graphs_share_the_memory_of_the_device_that_trains(monkeypatch):
    """Which may be another than the process's current one, where its launches would not be recorded but made."""
    seen = []

    class Within:
        def __init__(self, *given, **named):
            seen.append((type(self).__name__, given[1:] if isinstance(given[0], Graph) else given, named))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

    class Device(Within):
        pass

    class Recording(Within):
        pass

    class Graph:
        def replay(self):
            return "again"

    monkeypatch.setattr(torch.cuda, "device", Device)
    monkeypatch.setattr(torch.cuda, "graph", Recording)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(cuda_graphs, "_recording_stream", functools.cache(cuda_graphs._recording_stream.__wrapped__))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    record = cuda_graphs._Recorder(torch.device("cuda:1"))
    again, loss = record(lambda: torch.ones(()))
    record(lambda: torch.ones(()))
    assert (again(), float(loss)) == ("again", 1.0)
    assert seen == 2 * [
        ("Device", (torch.device("cuda:1"),), {}),
        ("Recording", (), {"pool": "pool", "stream": "stream of cuda:1"}),
    ]
