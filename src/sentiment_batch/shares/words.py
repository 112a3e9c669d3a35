"""Finds the words that mark the texts of a label, or those of a group, in a sample of the texts.

A word marks some texts if more of them hold it than others do, beyond chance: by log odds with a prior. Source: Monroe,
Colaresi and Quinn 2008, "Fightin' Words", section 3.5. A word counts once in a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    Codes = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

MAX_TEXTS = 20_000
"""Texts of the sample."""
MAX_CHARACTERS = 2_000
"""Characters of a text that count."""
MIN_TEXTS = 30
"""Texts that each side of a comparison needs."""
MIN_TEXTS_WITH_WORD = 3
"""Texts of the sample that must hold a word."""
MIN_DEVIATIONS = 3.5
"""Standard deviations by which the log odds of a word must differ. Of thousands of words, some differ by 2 by luck."""
PRIOR_TEXTS = 50.0
"""Texts that the prior is worth, in which each word is as frequent as in both parts together."""
SMALLEST_COUNT = 0.5
"""What is added to each count, so that no log odds are infinite."""
SEED = 0
_WORD = r"(?u)\b\w[\w'’]*\w\b"


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkingWord:
    """A word that marks some texts."""

    word: str
    deviations: float
    """By how many standard deviations its log odds are above those in the other texts."""
    share: float
    """The share of these texts that hold the word."""
    other_share: float
    """The share of the other texts that hold it."""


@dataclass(kw_only=True, slots=True, eq=False)
class TextSample:
    """A uniform random sample of rows with their texts. The same rows in the same order give the same sample."""

    texts: list[str] = field(default_factory=list)
    _codes: list[Codes] = field(default_factory=list)
    """The number of the label of each row, then those of its values."""
    _draws: list[float] = field(default_factory=list)
    _limit: float = 1.0
    _generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def choose(self, rows: int) -> tuple[Codes, Floats]:
        """Which of the next rows may be in the sample, as their places, and the draws that decide."""
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
        if len(self.texts) > 2 * MAX_TEXTS:
            self.trim()

    def trim(self) -> None:
        """Keep the rows with the smallest draws."""
        if len(self.texts) <= MAX_TEXTS:
            return
        kept = np.sort(np.argsort(self._draws)[:MAX_TEXTS]).tolist()
        self._limit = max(self._draws[place] for place in kept)
        for rows in (self.texts, self._codes, self._draws):
            rows[:] = [rows[place] for place in kept]

    def codes(self) -> Codes:
        """(N, D) the numbers of the labels and values."""
        return np.stack(self._codes)


class WordComparer:
    """Compares the words of parts of a sample of N texts.

    Args:
        texts: the sample.
        max_words: words to list for each part.
    """

    def __init__(self, texts: Sequence[str], max_words: int) -> None:
        self._max_words = max_words
        self._terms, self._holds = _count_words(texts)

    def compare(self, inside: Flags, outside: Flags) -> list[MarkingWord]:
        """The words that mark the texts of one part against those of another; both parts are (N,)."""
        texts = [int(part.sum()) for part in (inside, outside)]
        if min(texts) < MIN_TEXTS or not self._terms:
            return []
        counts = [np.asarray(self._holds[np.flatnonzero(part)].sum(axis=0)).ravel() for part in (inside, outside)]
        deviations = _count_deviations(counts, texts)
        best = np.argsort(-deviations, kind="stable")[: self._max_words]
        return [
            MarkingWord(
                word=self._terms[place],
                deviations=round(float(deviations[place]), 2),
                share=round(float(counts[0][place] / texts[0]), 4),
                other_share=round(float(counts[1][place] / texts[1]), 4),
            )
            for place in best.tolist()
            if deviations[place] >= MIN_DEVIATIONS
        ]


def _count_deviations(counts: Sequence[Floats], texts: Sequence[int]) -> Floats:
    """By how many standard deviations the log odds of each word (V,) differ in two parts.

    Args:
        counts: for each part, the number of its texts that hold the word (V,).
        texts: the number of texts of each part.
    """
    prior = PRIOR_TEXTS * (counts[0] + counts[1]) / sum(texts)
    with_word = [count + prior + SMALLEST_COUNT for count in counts]
    without = [total - count + PRIOR_TEXTS - prior + SMALLEST_COUNT for count, total in zip(counts, texts, strict=True)]
    log_odds = [np.log(one / other) for one, other in zip(with_word, without, strict=True)]
    variance: Floats = sum((1 / one for one in (*with_word, *without)), np.zeros_like(prior))
    deviations: Floats = (log_odds[0] - log_odds[1]) / np.sqrt(variance)
    return deviations


def _count_words(texts: Sequence[str]) -> tuple[list[str], Any]:
    """The V words of N texts, and a sparse matrix (N, V) that tells which text holds which."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(token_pattern=_WORD, binary=True, min_df=MIN_TEXTS_WITH_WORD, dtype=np.float32)
    try:
        holds = vectorizer.fit_transform(texts)
    except ValueError:  # there is no word in so many texts
        return [], None
    return vectorizer.get_feature_names_out().tolist(), holds.tocsr()
