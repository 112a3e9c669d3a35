"""Temperature scaling: finds the number by which to divide the logits, so that probabilities agree with accuracy.

It changes no predicted label, only the probabilities. Source: Guo et al. 2017, "On Calibration of Modern Neural
Networks".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.evaluation.metrics import Codes, calibration_error, reliability, row_losses
from sentiment_batch.model.probabilities import Floats, softmax

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.2, 10.0
"""A temperature beyond these describes rows of another kind than the model was trained for, not its confidence."""
PRIOR_ROWS = 10.0
"""Weight of the prior, in rows that are labelled as the model itself predicts. The prior keeps few rows from moving the
temperature far, and separable rows from driving it to zero. Among thousands of validation rows it hardly counts."""
MIN_CALIBRATION_ROWS = 50
"""Fewer rows give a temperature by chance: with 50 rows its standard error is about a fifth of its value."""
FOLDS = 5
"""Folds of the cross-fit. Each fit has four fifths of the rows."""
TEMPERATURE_DECIMALS = 4
"""More decimals than any number of rows determines, so that the last bits of the logits do not matter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How a model was calibrated."""

    temperature: float
    """The number that divides the logits; 1 leaves them as they are."""
    reason: str
    """How the temperature was found, or why it is 1."""
    rows: int
    """Number of rows that it was fitted on."""
    before: dict[str, Any]
    """`calibration_error`, `loss` and `reliability` of these rows at a temperature of 1."""
    after: dict[str, Any]
    """The same after calibration. Each row has the temperature that was fitted on the other folds, without this row."""
    is_determined: bool
    """True if the rows tell which temperature is best, which may be 1. Else it is unknown how good the scores are."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        """Restore the record from what `to_json` returned. Version 0.2.0 and earlier did not store `is_determined`.

        Raises:
            KeyError, TypeError: the values are no calibration.
        """
        return cls(**{"is_determined": values["temperature"] != 1} | dict(values))

    def __str__(self) -> str:
        if self.temperature == 1.0:
            return f"temperature 1: {self.reason}"
        return (
            f"temperature {self.temperature:g}, {self.reason}; "
            f"calibration error {self.before['calibration_error']:.4f} before, {self.after['calibration_error']:.4f} "
            f"after, on rows that it was not fitted on; loss {self.before['loss']:.4f} before, "
            f"{self.after['loss']:.4f} after"
        )


def calibrate(logits_NK: Floats, codes_N: Codes) -> Calibration:
    """Find the temperature of a model by rows that it was not trained on.

    It stays 1 if the rows do not determine it, or if it would not lower the loss of rows that it was not fitted on.

    Args:
        logits_NK: the logits of the model; N is at least 1.
        codes_N: the true classes. Each row counts the same, whatever class weights the model was trained with.
    """
    # Unless a fit pays, the temperature is 1, and nothing changes
    before = after = measure_calibration(logits_NK, codes_N)
    temperature, reason = 1.0, _explain_no_fit(logits_NK, codes_N)
    is_determined = reason is None
    if reason is None:
        # The published temperature is fitted on all rows. It is judged by rows that took no part in a fit.
        fitted = measure_calibration(_cross_fit(logits_NK, codes_N), codes_N)
        reason = "no other temperature lowers the loss of rows that it was not fitted on"
        if fitted["loss"] < before["loss"]:
            temperature, after = fit_temperature(logits_NK, codes_N), fitted
            reason = f"fitted on {len(codes_N):,} validation rows"
    return Calibration(
        temperature=temperature,
        reason=reason,
        rows=len(codes_N),
        before=before,
        after=after,
        is_determined=is_determined,
    )


def fit_temperature(logits_NK: Floats, codes_N: Codes) -> float:
    """The temperature T, within its limits, with the lowest mean log loss of softmax(logits / T).

    The loss is convex in 1/T. Where its derivative is zero, the mean of the logit that is expected under
    softmax(logits / T) equals the mean logit of the true class. `PRIOR_ROWS` blend this target with the logit that the
    model itself expects.
    """
    # A shift of all logits of a row changes no probability. With the largest at 0, no power overflows.
    centred_NK = logits_NK.astype(np.float64) - logits_NK.max(axis=1, keepdims=True)
    weight = PRIOR_ROWS / (len(codes_N) + PRIOR_ROWS)
    true = float(centred_NK[np.arange(len(codes_N)), codes_N].mean())
    target = (1.0 - weight) * true + weight * _expected(centred_NK, 1.0)
    low, high = 1.0 / MAX_TEMPERATURE, 1.0 / MIN_TEMPERATURE
    if _expected(centred_NK, high) - _expected(centred_NK, low) < 1e-9:  # all logits are equal
        return 1.0
    # The expected logit rises with 1/T, so the interval that holds the target can be halved. 60 halvings of an interval
    # of length 4.9 reach the precision of a float.
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _expected(centred_NK, middle) < target else (low, middle)
    return round(2.0 / (low + high), TEMPERATURE_DECIMALS)


def measure_calibration(logits_NK: Floats, codes_N: Codes) -> dict[str, Any]:
    """`calibration_error`, `loss` in nats and `reliability` of softmax(logits), as plain values."""
    probabilities_NK = softmax(logits_NK)
    return {
        "calibration_error": calibration_error(probabilities_NK, codes_N),
        "loss": float(row_losses(probabilities_NK, codes_N).mean()),
        "reliability": reliability(probabilities_NK, codes_N),
    }


def _explain_no_fit(logits_NK: Floats, codes_N: Codes) -> str | None:
    """Why no temperature is fitted on these rows; None if it is."""
    if len(codes_N) < MIN_CALIBRATION_ROWS:
        return f"{len(codes_N):,} validation rows are too few to fit it on, which takes {MIN_CALIBRATION_ROWS}"
    if len(np.unique(codes_N)) < 2:
        return "the validation rows are all of one class"
    if not np.isfinite(logits_NK).all():
        return "the model gives logits that are not finite"
    return None


def _cross_fit(logits_NK: Floats, codes_N: Codes) -> Floats:
    """The logits (N, K), each row divided by the temperature that is fitted on the other folds."""
    # A fixed seed, so that the same logits always give the same temperature
    folds_N = np.random.default_rng(0).permutation(len(codes_N)) % FOLDS
    scaled_NK = np.empty_like(logits_NK)
    for fold in range(FOLDS):
        inside = folds_N == fold
        scaled_NK[inside] = logits_NK[inside] / np.float32(fit_temperature(logits_NK[~inside], codes_N[~inside]))
    return scaled_NK


def _expected(centred_NK: npt.NDArray[np.float64], sharpness: float) -> float:
    """The mean over the rows of the logit that is expected under softmax(sharpness * logits). It rises with sharpness.

    Args:
        centred_NK: the logits, shifted so that the largest of each row is 0.
        sharpness: 1/T.
    """
    powers_NK = np.exp(sharpness * centred_NK)
    return float(((powers_NK * centred_NK).sum(axis=1) / powers_NK.sum(axis=1)).mean())
