"""Finds the words on which the labels of a model rest most, over all measured texts.

A comparison of all texts, which costs nothing, says which words mark those that get a label. This is an association, so
each of these words is then left out of some texts: its weight is what the log odds of the label lose without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.data.columns import is_scored
from sentiment_batch.data.texts import hash_content
from sentiment_batch.evaluation.marking_words import MarkingWord, WordComparer, word_pattern

if TYPE_CHECKING:
    import numpy.typing as npt

    Weights = npt.NDArray[np.float64]
    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.scoring.scorer import Scorer

MAX_TEXTS = 20_000
"""Different texts that are compared."""
MAX_CHARACTERS = 2_000
"""Characters of a text that count."""
MAX_WORDS = 12
"""Words of a label."""
MAX_WORDS_IN_ALL = 36
"""Words of all labels, but `MIN_WORDS` of each label in any case."""
MIN_WORDS = 4
MAX_TEXTS_PER_WORD = 30
"""Texts from which a word is left out."""
MAX_CHARACTERS_PER_WORD = 10_000
"""Characters of these texts. So 36 words cost about what 720,000 characters or 720 short reviews cost."""
MIN_TEXTS_PER_WORD = 4
"""Fewer weights say little about their mean."""
PRIOR_TEXTS = 5
"""Words are ordered as if they weighed nothing in this many more texts, so that no word of few texts comes first."""
SMALLEST_PROBABILITY = 1e-7
"""Smaller ones count as this, so that no log odds are infinite."""

Pairs = list[tuple[str, str]]
"""Texts with a word and without it."""


def weigh_marking_words(scorer: Scorer, texts: Sequence[str], predicted_N: Codes) -> dict[str, Any]:
    """Find the words that mark the texts of each predicted label, and what the label loses without each of them.

    Args:
        scorer: the model.
        texts: (N,) the texts.
        predicted_N: the predicted class of each.

    Returns:
        `texts`, the number of different texts that were compared; and under `labels` the words of each label, the
        heaviest first. Each has its `weight`, `low` and `high` (Student's 95 % interval), the number of `texts` that it
        was left out of, and what `MarkingWord` says.
    """
    # A sample of different texts, with the predicted class of each
    chosen = _choose_texts(texts)
    codes_N = np.array([predicted_N[place] for _, place in chosen], dtype=np.int64)
    clipped = [text for text, _ in chosen]
    comparer = WordComparer(clipped, max(MIN_WORDS, min(MAX_WORDS, MAX_WORDS_IN_ALL // len(scorer.labels))))
    # For each label, the words that mark its texts, and some of these texts with and without each word
    marking, pairs = [], []
    for code in range(len(scorer.labels)):
        inside = codes_N == code
        candidates = [clipped[place] for place in np.flatnonzero(inside)]
        for word in comparer.compare(inside, ~inside):
            some = _leave_out(word.word, candidates)
            if len(some) >= MIN_TEXTS_PER_WORD:
                marking.append((code, word))
                pairs.append(some)
    # Score all these texts in one call, and describe the words, the heaviest first
    labels: dict[str, list[dict[str, Any]]] = {label: [] for label in scorer.labels}
    for (code, word), weights in zip(marking, _weigh_pairs(scorer, [code for code, _ in marking], pairs), strict=True):
        labels[scorer.labels[code]].append(_describe(word, weights))
    for found in labels.values():
        found.sort(key=lambda one: -one["weight"] * one["texts"] / (one["texts"] + PRIOR_TEXTS))
    return {"texts": len(chosen), "labels": labels}


def _choose_texts(texts: Sequence[str]) -> list[tuple[str, int]]:
    """Different texts, cut, with the place of each, in an order that depends on nothing but the texts."""
    places = {text[:MAX_CHARACTERS]: place for place, text in enumerate(texts)}
    digests = {text: hash_content(text.encode("utf-8", "surrogatepass")) for text in places}
    return [(text, places[text]) for text in sorted(places, key=digests.__getitem__)[:MAX_TEXTS]]


def _leave_out(word: str, texts: Sequence[str]) -> Pairs:
    """The first texts that hold the word and something else, and what they are without it."""
    pairs: Pairs = []
    left, pattern = MAX_CHARACTERS_PER_WORD, re.compile(word_pattern())
    for text in texts:
        without = pattern.sub(lambda found: "" if found[0].lower() == word else found[0], text)
        if without == text or not is_scored(without):  # a text of this word alone leaves nothing to score
            continue
        pairs.append((text, without))
        left -= len(text)
        if len(pairs) == MAX_TEXTS_PER_WORD or (left <= 0 and len(pairs) >= MIN_TEXTS_PER_WORD):
            break
    return pairs


def _weigh_pairs(scorer: Scorer, codes: Sequence[int], pairs: Sequence[Pairs]) -> list[Weights]:
    """For each word the weights in its texts: the log odds of its label with it minus those without it."""
    from sentiment_batch.explanation.attribution import predict_probabilities

    if not pairs:
        return []
    # A text may hold several of the words. Each text is scored once.
    distinct = list(dict.fromkeys(text for some in pairs for pair in some for text in pair))
    rows = {text: row for row, text in enumerate(distinct)}
    probabilities_NK = predict_probabilities(scorer, distinct).astype(np.float64)
    weights = []
    for code, some in zip(codes, pairs, strict=True):
        with_word, without = (probabilities_NK[[rows[pair[side]] for pair in some]] for side in (0, 1))
        weights.append(_compute_log_odds(with_word, code) - _compute_log_odds(without, code))
    return weights


def _compute_log_odds(probabilities_NK: Weights, code: int) -> Weights:
    """(N,) the log odds of one class. The others are added up, because 1 minus a probability near 1 is not exact."""
    parts = probabilities_NK[:, code], np.delete(probabilities_NK, code, axis=1).sum(axis=1)
    own_N, others_N = (np.log(np.maximum(part, SMALLEST_PROBABILITY)) for part in parts)
    log_odds_N: Weights = own_N - others_N
    return log_odds_N


def _describe(word: MarkingWord, weights: Weights) -> dict[str, Any]:
    """The plain values of a word, with the mean of its weights and Student's 95 % interval."""
    from scipy.special import stdtrit

    mean, error = weights.mean(), weights.std(ddof=1) / np.sqrt(len(weights))
    reach = float(stdtrit(len(weights) - 1, 0.975)) * error
    ends = {"weight": mean, "low": mean - reach, "high": mean + reach}
    return asdict(word) | {name: round(float(value), 3) for name, value in ends.items()} | {"texts": len(weights)}
