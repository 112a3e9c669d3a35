"""Intervals of the difference between two ways, measured on the same seeds or rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

DRAWS = 10_000
SHARE = 0.95


def over_seeds(differences: Sequence[float]) -> dict[str, Any]:
    """The mean of paired differences with Student's interval; a single difference has no interval."""
    from scipy.stats import t

    values = np.asarray(differences, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "interval": None}
    half = float(t.ppf((1 + SHARE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"mean": mean, "interval": [mean - half, mean + half]}


def over_rows(differences: npt.NDArray[np.floating[Any]]) -> list[float]:
    """The bootstrap interval of the mean of (n,) differences, one for each row.

    The draws are counts of each different value, so that no draw is as large as the rows.
    """
    values, counts = np.unique(np.round(differences, 9), return_counts=True)
    drawn = np.random.default_rng(0).multinomial(counts.sum(), counts / counts.sum(), size=DRAWS)
    means = drawn @ values / counts.sum()
    return [float(one) for one in np.quantile(means, [(1 - SHARE) / 2, (1 + SHARE) / 2])]
