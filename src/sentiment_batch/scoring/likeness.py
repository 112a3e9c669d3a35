"""Tells whether the texts that were scored are like those of the training, and how many labels are likely right."""

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
    """In which ways; empty if there is nothing to warn of."""
    expected_accuracy: float | None = None
    """The mean of the calibrated probability of each row's label. None if the model is not calibrated, if the texts
    are unlike, or if a `neutral_band` gives other labels."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        # With few of them, the texts are unlike as a whole.
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
    is_expected = meta.get("calibration") and not reasons and settings.neutral_band is None
    accuracy = round(counts.confidence / counts.scored, 4) if is_expected and counts.scored else None
    return TextCheck(unlike=unlike, unlike_reasons=reasons, expected_accuracy=accuracy)
