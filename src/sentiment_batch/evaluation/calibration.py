"""Makes probabilities mean what they say: logits and true classes in, the one temperature to divide the logits by out.

Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks") changes no label, only how sure the
model is of it. It knows no model and no files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.evaluation.metrics import calibration_error, reliability, row_losses
from sentiment_batch.model.probabilities import Floats, softmax

Codes = npt.NDArray[np.int64]

LOWEST, HIGHEST = 0.2, 10.0
"""A temperature beyond these speaks of other rows than the model was trained for, rather than of its confidence."""
PRIOR_ROWS = 10.0
"""So many rows more, labelled as the model itself says: few rows move the temperature little, and separable ones do not
drive it to zero. Of the 2,500 rows that validate 25,000 reviews they are a trifle."""
LEAST_ROWS = 50
"""Of fewer, chance decides: the temperature of 50 rows has a standard error of about a fifth of itself."""
FOLDS = 5
DECIMALS = 4
"""Of the temperature: more than any number of rows can tell, and the same whatever the last bits of the logits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How a model was calibrated."""

    temperature: float
    """What its logits are divided by; 1 leaves them as they are."""
    reason: str
    """How it was found, or why it is 1."""
    rows: int
    """That it was fitted on."""
    before: dict[str, Any]
    """`calibration_error`, `loss` and `reliability` of these rows at a temperature of 1."""
    after: dict[str, Any]
    """The same, of each row at the temperature that the other folds give: what rows that took no part would see."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        if self.temperature == 1.0:
            return f"temperature 1: {self.reason}"
        return (
            f"temperature {self.temperature:g}, {self.reason}; "
            f"calibration error {self.before['calibration_error']:.4f} before, {self.after['calibration_error']:.4f} "
            f"after, on rows that it was not fitted on; loss {self.before['loss']:.4f} and {self.after['loss']:.4f}"
        )


def calibrate(logits_NK: Floats, codes_N: Codes) -> Calibration:
    """The temperature for a model, by rows that it was not trained on.

    It stays 1 where the rows cannot tell it, or where it would not lower the loss of rows that it was not fitted on.

    Args:
        logits_NK: as the model gives them, N at least 1.
        codes_N: the true classes; each row counts the same, whatever class weights the model was trained with.
    """
    before = measured(logits_NK, codes_N)
    kept = _reason_to_keep(logits_NK, codes_N)
    if kept is None:
        after = measured(_cross_fitted(logits_NK, codes_N), codes_N)
        if after["loss"] < before["loss"]:
            temperature = fit(logits_NK, codes_N)
            reason = f"fitted on {len(codes_N):,} validation rows"
            return Calibration(temperature=temperature, reason=reason, rows=len(codes_N), before=before, after=after)
        kept = "no other lowers the loss of rows that it was not fitted on"
    return Calibration(temperature=1.0, reason=kept, rows=len(codes_N), before=before, after=before)


def fit(logits_NK: Floats, codes_N: Codes) -> float:
    """The temperature T with the lowest mean log loss of softmax(logits / T), between `LOWEST` and `HIGHEST`.

    The loss is convex in 1/T. Where its derivative is zero, the logit that is expected under softmax(logits / T) is, on
    average, the logit of the true class; `PRIOR_ROWS` blend this target with the logit that the model itself expects.
    """
    centred_NK = logits_NK.astype(np.float64) - logits_NK.max(axis=1, keepdims=True)
    weight = PRIOR_ROWS / (len(codes_N) + PRIOR_ROWS)
    true = float(centred_NK[np.arange(len(codes_N)), codes_N].mean())
    target = (1.0 - weight) * true + weight * _expected(centred_NK, 1.0)
    low, high = 1.0 / HIGHEST, 1.0 / LOWEST
    if _expected(centred_NK, high) - _expected(centred_NK, low) < 1e-9:  # equal logits are equal at any temperature
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _expected(centred_NK, middle) < target else (low, middle)
    return round(2.0 / (low + high), DECIMALS)


def measured(logits_NK: Floats, codes_N: Codes) -> dict[str, Any]:
    """`calibration_error`, `loss` in nats and `reliability` of softmax(logits), as plain values."""
    probabilities_NK = softmax(logits_NK)
    return {
        "calibration_error": calibration_error(probabilities_NK, codes_N),
        "loss": float(row_losses(probabilities_NK, codes_N).mean()),
        "reliability": reliability(probabilities_NK, codes_N),
    }


def _reason_to_keep(logits_NK: Floats, codes_N: Codes) -> str | None:
    """Why nothing is to be fitted on these rows, None if it is."""
    if len(codes_N) < LEAST_ROWS:
        return f"{len(codes_N):,} validation rows are too few to fit it on, which takes {LEAST_ROWS}"
    if len(np.unique(codes_N)) < 2:
        return "the validation rows are all of one class"
    if not np.isfinite(logits_NK).all():
        return "the model gives logits that are no numbers"
    return None


def _cross_fitted(logits_NK: Floats, codes_N: Codes) -> Floats:
    """The logits (N, K), each row divided by the temperature that is fitted on the folds without it."""
    folds_N = np.random.default_rng(0).permutation(len(codes_N)) % FOLDS
    cool_NK = np.empty_like(logits_NK)
    for fold in range(FOLDS):
        inside = folds_N == fold
        cool_NK[inside] = logits_NK[inside] / np.float32(fit(logits_NK[~inside], codes_N[~inside]))
    return cool_NK


def _expected(centred_NK: npt.NDArray[np.float64], sharpness: float) -> float:
    """The mean over the rows of the logit that is expected under softmax(sharpness * logits); it rises with sharpness.

    Args:
        centred_NK: logits whose largest in each row is 0.
        sharpness: 1/T.
    """
    powers_NK = np.exp(sharpness * centred_NK)
    return float(((powers_NK * centred_NK).sum(axis=1) / powers_NK.sum(axis=1)).mean())
