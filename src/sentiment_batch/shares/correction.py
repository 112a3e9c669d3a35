"""Corrects shares of predicted labels for the known errors of a model (adjusted counts), with intervals.

If a model calls 10 % of the negative texts positive, a table without one positive text still has 10 % positive labels.
The confusion on labelled rows shows how much of this to take back. This assumes that texts of each true label are
mistaken as often as in those rows, however frequent the label is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.evaluation.intervals import TAIL_PERCENTILES

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.shares.known_model import KnownModel

    Floats = npt.NDArray[np.float64]

ASSUMPTION = "if texts of each true label are mistaken as often as in the rows that the model was measured on"
INTERVAL_DRAWS = 1_000
"""Draws from which the intervals are computed."""
MAX_CLASSES = 40
"""Classes of a model whose shares are corrected. More have too few labelled rows for each pair of labels."""
PRIOR_ROWS = 1.0
"""Rows that are added to the counts of K labels before a draw, 1/K to each, so that a count of 0 does not mean never.
For two labels this is Jeffreys' prior. For more labels, Jeffreys' prior would add errors that no row has shown. Source:
Berger, Bernardo and Sun 2015, "Overall objective priors"."""
SEED = 0
MIN_PIVOT = 1e-6
"""Smaller singular values of a confusion matrix are noise."""


class ShareCorrector:
    """Corrects shares by the confusion of a model.

    Source of the method: Forman 2008, "Quantifying counts and costs via classification" (adjusted count); for several
    labels Vaz, Izbicki and Stern 2019, "Quantification under prior probability shift". The draws are made once, so that
    many groups take no longer than one.

    Args:
        confusion: (K, K) labelled rows of class i that were taken for class j; each class has rows.
    """

    def __init__(self, confusion: Sequence[Sequence[int]]) -> None:
        counts = np.array(confusion, dtype=np.float64)
        generator = np.random.default_rng(SEED)
        rates = counts / counts.sum(axis=1, keepdims=True)
        # Each row of the confusion is a sample of its class, so its rates are uncertain, too. Each draw is one guess.
        drawn = np.stack([generator.dirichlet(_add_prior(row), INTERVAL_DRAWS) for row in counts], axis=1)
        # The predicted shares q and the true shares p obey q = rates^T p. So p = (rates^T)^-1 q. The pseudo-inverse
        # also exists if the model takes two classes for each other so often that the matrix has no inverse.
        # Shapes: (K, K), and (draws, K, K).
        self._inverse = np.linalg.pinv(rates.T, rcond=MIN_PIVOT)
        self._drawn_inverses = np.linalg.pinv(np.swapaxes(drawn, 1, 2), rcond=MIN_PIVOT)

    def correct(self, rows: Floats) -> tuple[Floats, Floats]:
        """The corrected shares (K,), and their 95 % intervals (K, 2).

        The intervals cover the randomness of the labelled rows and of the rows of the table.

        Args:
            rows: (K,) the rows with each label; at least one in all.
        """
        generator = np.random.default_rng(SEED + 1)  # the same rows have the same interval in every group
        shares = _to_shares(self._inverse @ (rows / rows.sum()))
        # Draw d pairs one guess of the rates with one guess of the predicted shares.
        drawn = generator.dirichlet(_add_prior(rows), INTERVAL_DRAWS)
        corrected = _to_shares(np.einsum("dij,dj->di", self._drawn_inverses, drawn))
        # The prior moves the draws a little. So the interval could miss the share itself, and is widened then.
        low, high = np.percentile(corrected, TAIL_PERCENTILES, axis=0)
        return shares, np.stack([np.minimum(low, shares), np.maximum(high, shares)], axis=1)


def explain_no_correction(known: KnownModel | None, found: Sequence[str]) -> str | None:
    """Why shares cannot be corrected, in words; None if they can.

    Args:
        known: what is known of the model; None if nothing is.
        found: the labels of the table.
    """
    if known is None:
        return "the errors of the model are not known. Name the model with `model`"
    if known.confusion is None:
        return f"{known.source} does not say how often the model errs on labelled rows"
    if known.has_neutral_band:
        return "a neutral band gave the label neutral, which the model does not have"
    foreign = [label for label in found if label not in known.labels]
    if foreign:
        return f"the table has the label {foreign[0]!r}, which the model does not have"
    if len(known.labels) != len(known.confusion) or len(known.labels) > MAX_CLASSES:
        return f"the model does not have between 2 and {MAX_CLASSES} labels"
    empty = [label for label, row in zip(known.labels, known.confusion, strict=True) if not sum(row)]
    return f"the model was measured on no row with the label {empty[0]!r}" if empty else None


def _add_prior(counts_K: Floats) -> Floats:
    return counts_K + PRIOR_ROWS / len(counts_K)


def _to_shares(values: Floats) -> Floats:
    """The nearest shares that are not negative and add up to 1 on the last axis (Euclidean projection).

    Source: Duchi et al. 2008, "Efficient projections onto the l1-ball for learning in high dimensions", figure 1.
    """
    # The projection subtracts one number from all values and cuts off below 0. `excess[i]` is this number if the i + 1
    # largest values stay above 0. The right i is the last one for which they do.
    ordered = -np.sort(-values, axis=-1)
    excess = (np.cumsum(ordered, axis=-1) - 1) / np.arange(1, values.shape[-1] + 1)
    last = (ordered > excess).sum(axis=-1, keepdims=True) - 1
    shares: Floats = np.maximum(values - np.take_along_axis(excess, last, axis=-1), 0.0)
    return shares
