"""Estimates how many texts of a table also occur in another table, of which only a small sketch is stored."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sentiment_batch.data.texts import hash_text

SKETCH_SIZE = 1_024
"""Digests in a sketch, of 4 bytes each. By the sketch of 25,000 texts, about 40 of 1,000 others can be judged."""
MIN_COMMON_TEXTS = 3
"""Different texts that must be in both tables before a share is estimated; fewer may be there by chance."""


def make_sketch(texts: Iterable[str]) -> str:
    """The smallest digests of the different texts, in Base64; see Cohen and Kaplan 2007 on bottom-k sketches."""
    return base64.b64encode(_digest(texts)[:SKETCH_SIZE].tobytes()).decode("ascii")


def estimate_common_share(texts: Iterable[str], sketch: str) -> float | None:
    """The share of the different texts that are among those of the sketch; None if too few can be judged.

    Texts with a digest above the largest one of the sketch are ignored. A known text with a smaller digest would be in
    the sketch, so the share among these is an estimate of the share among all. A damaged sketch gives None, too.
    """
    try:
        known = np.frombuffer(base64.b64decode(sketch, validate=True), dtype="<u4")
    except (TypeError, ValueError):
        return None
    digests = _digest(texts)
    # A sketch that is not full holds all texts, so every digest can be judged
    if len(known) >= SKETCH_SIZE:
        digests = digests[digests <= known[-1]]
    common = int(np.isin(digests, known).sum())
    return round(common / len(digests), 4) if common >= MIN_COMMON_TEXTS else None


def _digest(texts: Iterable[str]) -> npt.NDArray[np.uint32]:
    """The digests of the different texts, in rising order."""
    return np.unique(np.frombuffer(b"".join(hash_text(text)[:4] for text in texts), dtype="<u4"))
