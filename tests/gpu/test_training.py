"""What only a CUDA device can show; `make gpu` runs these and nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
import torch

from sentiment_batch import Scorer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


def weights(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_the_same_seed_trains_the_same_weights(cli, tmp_path, tiny_base, reviews_csv):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = cli(
            "train",
            reviews_csv,
            "--base",
            tiny_base,
            "-o",
            tmp_path / name,
            "--seed",
            seed,
            "--device",
            "cuda",
            "--folds",
            0,
        )
        assert result.exit_code == 0, result.output
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-6), ("bfloat16", 0.03)])
def test_scores_are_those_of_the_cpu(tiny_model, dtype, tolerance):
    texts = pa.record_batch({"text": [f"the film {n} was {'great ' * (n % 40)}" for n in range(300)]})
    with (
        Scorer.load(tiny_model, device="cuda", dtype=dtype) as gpu,
        Scorer.load(tiny_model, device="cpu", dtype="float32") as cpu,
    ):
        ours, theirs = (
            np.concatenate([rows for _, rows in scorer.probabilities([texts], ["text"])]) for scorer in (gpu, cpu)
        )
    assert np.abs(ours - theirs).max() <= tolerance


def test_the_same_call_repeats_its_bits(tiny_model):
    texts = pa.record_batch({"text": [f"the film {n} was {'bad ' * (n % 50)}" for n in range(500)]})
    with Scorer.load(tiny_model, device="cuda") as scorer:
        first, second = (
            np.concatenate([rows for _, rows in scorer.probabilities([texts], ["text"])]) for _ in range(2)
        )
    assert first.tobytes() == second.tobytes()


def test_replayed_passes_have_the_bits_of_launched_ones(tiny_base):
    from sentiment_batch.model.classifier import EncoderClassifier, load_base
    from sentiment_batch.model.device import make_repeatable
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.tokenization.packing import Pack
    from sentiment_batch.training.batches import Batch
    from sentiment_batch.training.optimizer import MicroBatches, RunConfig

    torch.manual_seed(0)
    classifier = EncoderClassifier(load_base(tiny_base)[0], 2, dropout=0.1).to("cuda:0")
    run = RunConfig(
        settings=TrainSettings(),
        learning_rate=1e-4,
        batch_size=8,
        weight_average=0.0,
        device="cuda:0",
        dtype="bfloat16",
        labels=("negative", "positive"),
        class_weights=None,
    )
    drawn = np.random.default_rng(0)
    batches = []
    for _ in range(12):
        offsets = np.concatenate([[0], np.cumsum(drawn.integers(1, 12, 8))])
        ids = drawn.integers(5, 40, offsets[-1]).astype(np.int32)
        batches.append(Batch(Pack(ids=ids, offsets=offsets), torch.from_numpy(drawn.integers(0, 2, 8))))
    outcomes = []
    for replayed in (False, True):
        micro = MicroBatches(classifier, run)
        if not replayed:
            micro._graphs._record = None
        classifier.zero_grad()
        with make_repeatable(1, "cuda:0"):
            losses = torch.stack([micro.backward(batch) for batch in batches])
            after = torch.cuda.get_rng_state("cuda:0")
        assert bool(micro._graphs._graphs) is replayed
        assert len(micro._graphs._graphs) < len(batches)
        outcomes.append([losses, after, *(one.grad for one in classifier.parameters())])
    for launched, found in zip(*outcomes, strict=True):
        assert torch.equal(launched, found)


def hungry(monkeypatch):
    """From here on a pass takes 5 MiB more of the device for each token, padded or packed."""
    from sentiment_batch.model.forward import packed_training
    from sentiment_batch.training import optimizer

    def taking(real):
        def way(classifier, texts, *more):
            extra = torch.empty(len(texts.ids) * 5 * 2**20, dtype=torch.uint8, device="cuda")
            logits = real(classifier, texts, *more)
            del extra
            return logits

        return way

    monkeypatch.setattr(optimizer, "compute_training_logits", taking(optimizer.compute_training_logits))
    monkeypatch.setattr(packed_training, "_compute_padded", taking(packed_training._compute_padded))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 3e-2)])
def test_gradients_are_the_same_when_memory_runs_out(tiny_base, monkeypatch, caplog, dtype, tolerance):
    from sentiment_batch.model.classifier import EncoderClassifier, load_base
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.tokenization.packing import Pack
    from sentiment_batch.training.batches import Batch
    from sentiment_batch.training.optimizer import MicroBatches, RunConfig

    torch.manual_seed(0)
    classifier = EncoderClassifier(load_base(tiny_base)[0], 2, dropout=0.0).eval()
    ids = np.random.default_rng(0).integers(5, 40, 32 * 20).astype(np.int32)
    batch = Batch(Pack(ids=ids, offsets=np.arange(0, 32 * 20 + 1, 20)), torch.arange(32) % 2)
    for module in classifier.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    gradients = []
    for device in ("cpu", "cuda:0"):
        run = RunConfig(
            settings=TrainSettings(),
            learning_rate=1e-4,
            batch_size=32,
            weight_average=0.0,
            device=device,
            dtype="float32" if device == "cpu" else dtype,
            labels=("negative", "positive"),
            class_weights=None,
        )
        classifier.to(device).zero_grad()
        if device != "cpu":
            hungry(monkeypatch)
            torch.cuda.empty_cache()
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 2**30) / total)
        micro = MicroBatches(classifier, run)
        try:
            micro.backward(batch)
        finally:
            if device != "cpu":
                torch.cuda.set_per_process_memory_fraction(1.0)
        gradients.append(classifier.linear.weight.grad.float().cpu().clone())
    assert micro.max_tokens < 32 * 20
    assert "out of memory" in caplog.text
    assert torch.allclose(gradients[0], gradients[1], atol=tolerance)
