"""The sizes of the steps of gpu.sh: in full, and small ones to try it on a CPU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much each step does, enough for seconds of each contestant."""

    device: str
    width: int
    fit_seconds: float
    long_rows: int
    short_rows: int
    peer_rows: int
    """The rows of these that the stock pipeline scores as well, which takes a thousand a second."""
    search_rows: int
    batch_sizes: tuple[int, ...]
    ablation_rows: int
    memory_rows: tuple[int, ...]
    bench_seconds: float
    runs: int
    speed_steps: int
    """Optimizer steps of each trainer in a round."""
    epoch_steps: int
    """Those of an epoch."""
    train_rows: int | None
    """Of IMDb and of SST-2; None takes all."""
    test_rows: int | None
    compare_rows: int
    """Trained on by both trainers, for each seed, in processes of their own."""
    compare_test_rows: int
    seeds: tuple[int, ...]
    """Of what is compared, and of SST-2."""
    max_length: int | None
    """Tokens of a text that is trained on; None takes what fits."""


FULL = Sizes(
    device="cuda",
    width=768,
    fit_seconds=3.0,
    long_rows=25_000,
    short_rows=200_000,
    peer_rows=2_048,
    search_rows=256,
    batch_sizes=(32, 128),
    ablation_rows=8_192,
    memory_rows=(10_000, 100_000),
    bench_seconds=2.0,
    runs=3,
    speed_steps=60,
    epoch_steps=1_563,
    train_rows=None,
    test_rows=None,
    compare_rows=4_000,
    compare_test_rows=10_000,
    seeds=(1, 2, 3),
    max_length=None,
)
SMOKE = Sizes(
    device="cpu",
    width=24,
    fit_seconds=0.1,
    long_rows=16,
    short_rows=16,
    peer_rows=8,
    search_rows=4,
    batch_sizes=(8,),
    ablation_rows=16,
    memory_rows=(40,),
    bench_seconds=0.1,
    runs=1,
    speed_steps=2,
    epoch_steps=3,
    train_rows=40,
    test_rows=20,
    compare_rows=40,
    compare_test_rows=40,
    seeds=(1,),
    max_length=32,
)
