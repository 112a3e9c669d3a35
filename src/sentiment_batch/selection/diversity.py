"""Chooses rows that are uncertain and differ from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats


def choose_diverse(vectors: Floats, weights: Floats, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Choose rows by the seeding of k-means++ with weights.

    The next row is drawn with a probability that is proportional to its weight times the squared distance from its
    vector to the nearest vector chosen so far. Of a few rows drawn so, the best is taken (Arthur and Vassilvitskii
    2007, https://dl.acm.org/doi/10.5555/1283383.1283494). BADGE chooses rows to label in this way (Ash et al. 2020,
    https://arxiv.org/abs/1906.03671).

    Args:
        vectors: (N, D) the vectors of the rows.
        weights: (N,) how uncertain each row is, at least 0.
        count: the rows to choose, at least 1.
        seed: the seed of the draws.

    Returns:
        (min(count, N),) the numbers of different rows, in the order in which they were chosen.
    """
    from sklearn.cluster import kmeans_plusplus

    # k-means++ refuses to draw more rows than there are, and there is nothing to choose
    if count >= len(vectors):
        return np.arange(len(vectors))
    _, drawn = kmeans_plusplus(vectors, count, sample_weight=weights, random_state=seed)
    # Once all vectors are at distance 0 from a chosen one, rows are drawn that were drawn before.
    rest = np.setdiff1d(np.arange(len(vectors)), drawn)
    rest = rest[np.argsort(-weights[rest], kind="stable")]
    different = np.concatenate([list(dict.fromkeys(drawn.tolist())), rest]).astype(np.int64)
    return different[:count]
