"""Finds the words that mark some texts, such as those of a label, against others.

A word marks some texts if more of them hold it than others do, beyond chance, which Fisher's exact test decides. The
words are ranked by log odds with a prior. Source: Monroe, Colaresi and Quinn 2008, "Fightin' Words", section 3.5. A
word counts once in a text.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

MIN_TEXTS = 30
"""Texts that each side of a comparison needs."""
MIN_TEXTS_WITH_WORD = 3
"""Texts of the sample that must hold a word."""
MAX_CHANCE = 0.01
"""The highest probability with which a comparison lists any word by chance alone."""
MIN_DEVIATIONS = 2.5
"""Standard deviations by which the log odds of a word must differ, which is less than the exact test asks for."""
PRIOR_TEXTS = 50.0
"""Texts that the prior is worth, in which each word is as frequent as in both parts together."""
SMALLEST_COUNT = 0.5
"""What is added to each count, so that no log odds are infinite."""
LAST_MARK = 0x3100
"""The code point above the marks of letters: accents, and the vowel signs of Indic, Arabic and other scripts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkingWord:
    """A word that marks some texts."""

    word: str
    """The word in lower case."""
    deviations: float
    """By how many standard deviations its log odds are above those in the other texts."""
    share: float
    """The share of these texts that hold the word."""
    other_share: float
    """The share of the other texts that hold it."""


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
        # Few texts differ in many words by chance
        if min(texts) < MIN_TEXTS or not self._terms:
            return []
        counts = [np.asarray(self._holds[np.flatnonzero(part)].sum(axis=0)).ravel() for part in (inside, outside)]
        deviations = _count_deviations(counts, texts)
        # The exact test is slow, so it only sees words that may pass
        likely = np.flatnonzero(deviations >= MIN_DEVIATIONS)
        chances = _compute_chances([count[likely] for count in counts], texts)
        # The more words there are, the more of them differ by chance. So the chance is divided among them (Bonferroni).
        clear = likely[chances <= MAX_CHANCE / len(self._terms)]
        best = clear[np.argsort(-deviations[clear], kind="stable")][: self._max_words]
        return [
            MarkingWord(
                word=self._terms[place],
                deviations=round(float(deviations[place]), 2),
                share=round(float(counts[0][place] / texts[0]), 4),
                other_share=round(float(counts[1][place] / texts[1]), 4),
            )
            for place in best.tolist()
        ]


@functools.cache
def word_pattern() -> str:
    """The pattern of a word. Words are compared in lower case.

    `\\w` alone would cut words at these marks, such as most words in Hindi.
    """
    marks = "".join(one for one in map(chr, range(LAST_MARK)) if unicodedata.category(one).startswith("M"))
    return rf"(?<![\w{marks}])\w[\w{marks}'’]*[\w{marks}](?![\w{marks}])"


def _count_deviations(counts: Sequence[Floats], texts: Sequence[int]) -> Floats:
    """By how many standard deviations the log odds of each word (V,) differ in two parts.

    Args:
        counts: for each part, the number of its texts that hold the word (V,).
        texts: the number of texts of each part.
    """
    # Each part gets `PRIOR_TEXTS` more texts with the words of all texts, so that rare words differ little
    prior = PRIOR_TEXTS * (counts[0] + counts[1]) / sum(texts)
    with_word = [count + prior + SMALLEST_COUNT for count in counts]
    without = [total - count + PRIOR_TEXTS - prior + SMALLEST_COUNT for count, total in zip(counts, texts, strict=True)]
    log_odds = [np.log(one / other) for one, other in zip(with_word, without, strict=True)]
    # The variance of log odds is about the sum of 1 / count over the four cells of word and part
    variance: Floats = sum((1 / one for one in (*with_word, *without)), np.zeros_like(prior))
    deviations: Floats = (log_odds[0] - log_odds[1]) / np.sqrt(variance)
    return deviations


def _compute_chances(counts: Sequence[Floats], texts: Sequence[int]) -> Floats:
    """The chance (V,) that the first part holds each word at least as often, if the texts with it are spread by chance.

    Source: Fisher's exact test. Deviations alone would call rare words clear too often if one part is small.

    Args:
        counts: for each part, the number of its texts that hold the word (V,).
        texts: the number of texts of each part.
    """
    from scipy.stats import hypergeom

    chances: Floats = hypergeom.sf(counts[0] - 1, sum(texts), counts[0] + counts[1], texts[0])
    return chances


def _count_words(texts: Sequence[str]) -> tuple[list[str], Any]:
    """The V words of N texts, and a sparse matrix (N, V) that shows which texts hold which words."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(
        token_pattern=word_pattern(), binary=True, min_df=MIN_TEXTS_WITH_WORD, dtype=np.float32
    )
    try:
        holds = vectorizer.fit_transform(texts)
    except ValueError:  # no word is in `min_df` texts
        return [], None
    return vectorizer.get_feature_names_out().tolist(), holds.tocsr()
