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


def test_the_same_command_trains_the_same_weights_and_another_seed_others(cli, tmp_path, tiny_base, reviews_csv):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = cli(
            "train", reviews_csv, "--base", tiny_base, "-o", tmp_path / name, "--seed", seed, "--device", "cuda"
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


def test_training_goes_on_in_smaller_parts_when_memory_runs_out(cli, tmp_path, tiny_base, reviews_csv):
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 24 * 2**20) / total)
    try:
        result = cli(
            "train", reviews_csv, "--base", tiny_base, "-o", tmp_path / "m", "--device", "cuda", "--batch-size", 54
        )
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert result.exit_code == 0, result.output
