"""The figures of a summary that conditions such as `share(negative) > 0.3` may name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sentiment_batch.gates.conditions import Figures, Gate, refuse_unknown
from sentiment_batch.shares.correction import explain_no_correction

if TYPE_CHECKING:
    from sentiment_batch.shares.known_model import KnownModel
    from sentiment_batch.shares.result import ShareSummary

FIGURES = ("share", "corrected", "mean_score", "no_text", "unsure", "unlike", "expected_accuracy", "rows")
"""The names of the figures."""


def list_figures(summary: ShareSummary) -> Figures:
    """The value of each figure; `no_text` and `unsure` are shares here."""
    total = summary.total
    labelled = total.rows - total.no_text
    return {
        "share": {label: one.share for label, one in total.shares.items()},
        "corrected": {label: one.corrected for label, one in total.shares.items()},
        "mean_score": total.mean_score,
        "no_text": total.no_text / total.rows if total.rows else None,
        "unsure": total.unsure / labelled if total.unsure is not None and labelled else None,
        "unlike": summary.unlike,
        "expected_accuracy": summary.expected_accuracy,
        "rows": total.rows,
    }


def refuse_unknown_figures(gates: Sequence[Gate], known: KnownModel | None) -> None:
    """Refuse gates whose figures a summary will not have, by what is known before the table is read.

    Raises:
        UsageError: there is such a gate.
    """
    # A gate that cannot be computed fails the command now, not after an hour of reading.
    missing = {}
    for name in ("unlike", "expected_accuracy"):
        if known is None or getattr(known, name) is None:
            missing[name] = "no manifest beside the table holds it"
    if (why := explain_no_correction(known, ())) is not None:
        missing["corrected"] = why
    refuse_unknown(gates, labels=known.names if known is not None else None, missing=missing)


def refuse_unknown_labels(gates: Sequence[Gate], summary: ShareSummary) -> None:
    """Refuse gates whose figures the table has not.

    Raises:
        UsageError: a gate names a label that no row has and the model has not, or a figure that the table lacks.
    """
    missing = {} if summary.no_correction is None else {"corrected": summary.no_correction}
    if summary.total.unsure is None:
        missing |= dict.fromkeys(("unsure", "mean_score"), "the table has no scores")
    if summary.is_changed:
        missing |= dict.fromkeys(("unlike", "expected_accuracy"), "the table was changed since it was scored")
    # A table without a single label says nothing about which labels exist.
    labels = summary.labels if summary.total.rows > summary.total.no_text else None
    refuse_unknown(gates, labels=labels, missing=missing)
