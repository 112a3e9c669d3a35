"""Samples the texts of a scored table, whose words are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    Codes = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

MAX_TEXTS = 20_000
"""Texts of the sample."""
MAX_CHARACTERS = 2_000
"""Characters of a text that count."""
SEED = 0


@dataclass(kw_only=True, slots=True, eq=False)
class TextSample:
    """A uniform random sample of rows with their texts. The same rows in the same order give the same sample.

    Each row gets a random number, its draw. The rows with the smallest draws are the sample.
    """

    texts: list[str] = field(default_factory=list)
    _codes: list[Codes] = field(default_factory=list)
    """The number of the label of each row, then those of its values."""
    _draws: list[float] = field(default_factory=list)
    _limit: float = 1.0
    """A row with a larger draw than this cannot be in the sample any more, so its text is not read."""
    _generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def choose(self, rows: int) -> tuple[Codes, Floats]:
        """The rows among the next ones that may be in the sample.

        Args:
            rows: the number of the next rows.

        Returns:
            (n,) their indices among the next rows, and (n,) the draws that decide.
        """
        draws = self._generator.random(rows)
        places = np.flatnonzero(draws < self._limit)
        return places, draws[places]

    def add(self, texts: Sequence[str | None], codes: Codes, draws: Floats) -> None:
        """Add chosen rows.

        Args:
            texts: (n,) their texts; rows without one are left out.
            codes: (n, D) the numbers of their labels and values.
            draws: (n,) as `choose` gave them.
        """
        for text, row, draw in zip(texts, codes, draws.tolist(), strict=True):
            if text is not None and row[0]:
                self.texts.append(text[:MAX_CHARACTERS])
                self._codes.append(row)
                self._draws.append(draw)
        # Trimmed at twice the size, so that sorting costs little for each row.
        if len(self.texts) > 2 * MAX_TEXTS:
            self.trim()

    def trim(self) -> None:
        """Keep the rows with the smallest draws."""
        if len(self.texts) <= MAX_TEXTS:
            return
        kept = np.sort(np.argsort(self._draws)[:MAX_TEXTS]).tolist()
        # Later rows need a smaller draw than the largest one that is kept.
        self._limit = max(self._draws[place] for place in kept)
        for rows in (self.texts, self._codes, self._draws):
            rows[:] = [rows[place] for place in kept]

    def codes(self) -> Codes:
        """(N, D) the numbers of the labels and values."""
        return np.stack(self._codes)
