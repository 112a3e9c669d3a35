"""Judges whether scored texts are like those of the training, and estimates how many labels are right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.report.formatting import format_percent
from sentiment_batch.tokenization.text_fingerprint import MIN_UNLIKE_SHARE, find_fingerprint, judge

if TYPE_CHECKING:
    from sentiment_batch.scoring.backends.row_blocks import Counts
    from sentiment_batch.settings import ScoreSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class TextCheck:
    """What is known of scored texts without their true labels; `str` gives the warning."""

    unlike: float | None = None
    """The share of texts that look unlike those of the training; None if the model has no fingerprint of them."""
    unlike_reasons: tuple[str, ...] = ()
    """How the texts differ, in words; empty if there is nothing to warn of."""
    expected_accuracy: float | None = None
    """The mean of the calibrated probability of each row's label. None if the model is not calibrated, if the texts
    are unlike, or if a `neutral_band` gives other labels."""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TextCheck:
        """Restore a check from values that hold its fields."""
        return cls(
            unlike=values["unlike"],
            unlike_reasons=tuple(values["unlike_reasons"]),
            expected_accuracy=values["expected_accuracy"],
        )

    def __str__(self) -> str:
        # If few single texts are unlike, the table as a whole is.
        share = f"{format_percent(self.unlike, 0)} of " if (self.unlike or 0) >= MIN_UNLIKE_SHARE else ""
        reasons = ", ".join(self.unlike_reasons)
        unlike = f"{share}the texts look unlike those the model was trained on ({reasons})"
        return f"{unlike}. Its labels may be wrong more often."


def judge_texts(meta: Mapping[str, Any] | None, settings: ScoreSettings, counts: Counts) -> TextCheck:
    """Judge what was counted in some rows.

    Args:
        meta: the content of the model's sentiment_batch.json, if there is one.
        settings: the settings of the scoring.
        counts: what was counted.
    """
    fingerprint = find_fingerprint(meta)
    if meta is None or fingerprint is None or not counts.sample:
        return TextCheck()
    unlike, reasons = judge(counts.sample, fingerprint)
    is_expected = is_calibrated(meta) and not reasons and settings.neutral_band is None
    accuracy = round(counts.confidence / counts.scored, 4) if is_expected and counts.scored else None
    return TextCheck(unlike=unlike, unlike_reasons=reasons, expected_accuracy=accuracy)


def is_calibrated(meta: Mapping[str, Any] | None) -> bool:
    """True if the rows that validated a model were enough to find its temperature.

    Args:
        meta: the content of the model's sentiment_batch.json, if there is one.
    """
    calibration = (meta or {}).get("calibration")
    if not isinstance(calibration, Mapping):
        return False
    # Version 0.2.0 and earlier did not store `is_determined`. A fitted temperature is practically never 1.
    return bool(calibration.get("is_determined", calibration.get("temperature") != 1))


def find_confusion(meta: Mapping[str, Any] | None) -> tuple[tuple[int, ...], ...] | None:
    """The confusion of a model in the content of sentiment_batch.json; None if there is none.

    That of the test rows comes first, because no choice was made on them; else it is that of the validation rows. Rows
    that lack a label are passed over.
    """
    metrics = (meta or {}).get("metrics")
    measured = [metrics.get(name) for name in ("test", "validation")] if isinstance(metrics, Mapping) else []
    found = [check_confusion(one.get("confusion")) for one in measured if isinstance(one, Mapping)]
    known = [one for one in found if one is not None]
    # A label without any rows says nothing, so a confusion with rows of every label is better
    complete = [one for one in known if all(map(sum, one))]
    return next(iter(complete or known), None)


def check_confusion(value: Any) -> tuple[tuple[int, ...], ...] | None:
    """`value` if it is a square matrix of counts, else None."""
    try:
        rows = tuple(tuple(row) for row in value)
    except TypeError:
        return None
    is_square = len(rows) > 1 and all(len(row) == len(rows) for row in rows)
    return rows if is_square and all(type(count) is int and count >= 0 for row in rows for count in row) else None
