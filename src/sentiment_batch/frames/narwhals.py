"""Frames of narwhals, which stand for those of other libraries."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer


def annotate(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """What it stands for with its scores, as a frame of narwhals again."""
    return sys.modules["narwhals"].from_native(scorer(frame.to_native(), text_column=chosen))
