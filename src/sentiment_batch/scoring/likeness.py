"""Tells whether the texts that were scored are like those of the training, and how many labels are likely right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sentiment_batch.tokenization.text_fingerprint import TextFingerprint, judge

if TYPE_CHECKING:
    from sentiment_batch.scoring.backends.row_blocks import Counts
    from sentiment_batch.settings import ScoreSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class TextCheck:
    """What is known of scored texts without their true labels."""

    unlike: float | None = None
    """The share of texts that look unlike those of the training; None if the model has no fingerprint of them."""
    unlike_reasons: tuple[str, ...] = ()
    """In which ways; empty if there is nothing to warn of."""
    expected_accuracy: float | None = None
    """The mean of the calibrated probability of each row's label. None if the model is not calibrated, if the texts
    are unlike, or if a `neutral_band` gives other labels."""
    warning: str | None = None
    """A sentence about texts that are unlike."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the warning."""
        return {name: value for name, value in asdict(self).items() if name != "warning"}


def judge_texts(meta: Mapping[str, Any] | None, settings: ScoreSettings, counts: Counts) -> TextCheck:
    """Judge what was counted in some rows.

    Args:
        meta: the content of the model's sentiment_batch.json, if there is one.
        settings: the settings of the scoring.
        counts: what was counted.
    """
    fingerprint = TextFingerprint.parse(meta)
    likeness = judge(counts.sample, fingerprint) if fingerprint else None
    if meta is None or likeness is None:
        return TextCheck()
    is_expected = meta.get("calibration") and not likeness.reasons and settings.neutral_band is None
    return TextCheck(
        unlike=likeness.unlike,
        unlike_reasons=likeness.reasons,
        expected_accuracy=round(counts.confidence / counts.scored, 4) if is_expected and counts.scored else None,
        warning=str(likeness) if likeness.reasons else None,
    )
