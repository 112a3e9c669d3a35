"""Frames of narwhals, each of which wraps a frame of another library."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer


def annotate_narwhals(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """The wrapped frame with its scores, wrapped again."""
    return sys.modules["narwhals"].from_native(scorer(frame.to_native(), text_column=chosen))
