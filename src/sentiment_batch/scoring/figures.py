"""The figures of a scoring run that conditions such as `share(negative) > 0.3` may name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sentiment_batch.gates.conditions import Figures, Gate, refuse_unknown
from sentiment_batch.scoring.likeness import is_calibrated
from sentiment_batch.tokenization.text_fingerprint import find_fingerprint

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.scoring.summary import Summary

SCORE_FIGURES = ("share", "no_text", "bad_rows", "unlike", "expected_accuracy", "rows")
"""The names of the figures."""


def list_score_figures(summary: Summary) -> Figures:
    """The value of each figure; `no_text` and `bad_rows` are shares of all rows here."""
    rows, labelled = summary.rows, sum(summary.labels.values())
    return {
        "share": {label: count / labelled if labelled else None for label, count in summary.labels.items()},
        "no_text": summary.null / rows if rows else None,
        "bad_rows": summary.bad_rows / rows if rows else None,
        "unlike": summary.unlike,
        "expected_accuracy": summary.expected_accuracy,
        "rows": rows,
    }


def refuse_unknown_score_figures(gates: Sequence[Gate], scorer: Scorer, *, reuses: bool = False) -> None:
    """Refuse gates whose figures a run of a scorer will not have, before anything is scored.

    Args:
        gates: the gates.
        scorer: the model.
        reuses: True if only the texts that an earlier output lacks are scored. There may be none.

    Raises:
        UsageError: there is such a gate.
    """
    meta = scorer.description.meta
    missing: dict[str, str] = {}
    # A gate without a value would fail after hours of scoring, so it is refused now
    if find_fingerprint(meta) is None:
        missing |= dict.fromkeys(("unlike", "expected_accuracy"), "the model has no fingerprint of its training texts")
    elif reuses:
        why = "with `reuse` only new texts are compared with those of the training, and there may be none"
        missing |= dict.fromkeys(("unlike", "expected_accuracy"), why)
    elif not is_calibrated(meta):
        missing["expected_accuracy"] = "the model is not calibrated"
    elif scorer.settings.neutral_band is not None:
        missing["expected_accuracy"] = "with `neutral_band` no accuracy is expected, because neutral is no label"
    refuse_unknown(gates, labels=scorer.added.sentiments, missing=missing)
