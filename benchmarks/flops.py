"""The share of a device's peak that a pass reaches: its operations by the model's sizes, and the peak as measured here.

Operations are those of the products of matrices, as if the last layer were not short; see README.md.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

PEAK_SIZES = {"cpu": 1_024, "cuda": 8_192}
"""Rows and columns of the product that measures the peak."""
PEAK_SECONDS = 0.5


def count_operations(folder: str | Path, lengths: npt.NDArray[np.int64]) -> float:
    """Floating-point operations of a forward pass over texts of so many tokens each.

    Args:
        folder: of a DistilBERT.
        lengths: (N,) tokens of each text.
    """
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    width, hidden, layers = config["dim"], config["hidden_dim"], config["n_layers"]
    linear = layers * 2 * (4 * width * width + 2 * width * hidden)
    attention = layers * 4 * width
    return float(linear * lengths.sum() + attention * np.square(lengths.astype(np.float64)).sum())


def measure_peak(device: str, dtype: str) -> float:
    """Floating-point operations per second of the largest product, the best of half a second."""
    import torch

    size = PEAK_SIZES[device.partition(":")[0]]
    one, other = (torch.ones((size, size), dtype=getattr(torch, dtype), device=device) for _ in range(2))
    best, until = float("inf"), time.perf_counter() + PEAK_SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        product = one @ other
        if device != "cpu":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    del product
    return 2 * size**3 / best
