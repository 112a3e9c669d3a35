"""The package's own texts, on which every fast path is compared with its reference."""

from __future__ import annotations

import importlib.resources


def read_parity_texts() -> list[str]:
    """The check texts: short reviews, then five of them joined at a time, then all of them joined."""
    file = importlib.resources.files("sentiment_batch.tokenization").joinpath("parity_texts.txt")
    lines = file.read_text(encoding="utf-8").splitlines()
    fives = [" ".join(lines[start : start + 5]) for start in range(0, len(lines), 5)]
    return [*lines, *fives, " ".join(lines)]
