"""Notices texts unlike those that a model was trained on, by a small fingerprint of the training texts.

A text is unlike if one of its measures lies far outside of those of the training texts. A table is unlike as a whole if
its commonest pieces have other shares than in random samples of the training texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.tokenization.text_measures import SCRIPTS, Shares, TextMeasures, TextMeter

if TYPE_CHECKING:
    from sentiment_batch.tokenization.packing import Integers, Tokens
    from sentiment_batch.tokenization.tokenizer import TextTokenizer

FORMAT = 1
"""The format of a fingerprint; one of another format is not used."""
MAX_TRAINING_TEXTS = 4_096
"""Training texts that the fingerprint is made from, evenly spaced."""
MAX_TEXTS_PER_BLOCK = 256
"""Rows of a block whose texts are compared, evenly spaced, so that comparing takes under 2 % of the time."""
COMMON_PIECES = 128
"""The commonest pieces, whose shares are compared."""
QUANTILES = {"low": 0.005, "median": 0.5, "high": 0.995}
"""The quantiles of the training texts that are stored for each measure."""
MIN_UNLIKE_SHARE = 0.1
"""Share of unlike texts from which on there is a warning."""
MIN_UNLIKE_TEXTS = 3
"""Unlike texts from which on there is a warning, or all texts of a smaller table."""
MIN_SCRIPT_SHARE = 0.005
"""Share of the training texts' letters from which on the model knows a script."""
MIN_REASON_SHARE = 0.25
"""Share of the unlike texts from which on a reason is named."""
SPREAD_DRAWS = 64
"""Random samples of training texts whose distance from the other training texts is measured."""
MAX_SPREAD_FACTOR = 2.0
"""How many times the largest of these distances a table may have."""
MIN_DISTANCE = 0.03
"""The least distance at which a table is unlike. The tweets about one airline are within 0.023 of those about all, and
of film reviews they are at 0.036 and more (measured)."""
NAMED_PIECES = 8
"""Pieces with the largest part of a distance, which are left out: such as the name of the one product in a table."""
MIN_LETTERS = 2
"""Letters of a text from which on its script is judged."""
MAX_REASONS = 2
"""Reasons that are named, those of most texts first."""
SCRIPT, WORDS = "other script", "other words"
_REASONS = {
    "unknown or single-letter pieces": ("odd_pieces", "high", 1.0, 0.15),
    "words in small pieces": ("characters_per_token", "low", 0.85, 0.0),
    WORDS: ("common_pieces", "low", 0.7, 0.0),
    "shorter": ("tokens", "low", 0.5, 0.0),
    "longer": ("tokens", "high", 2.0, 0.0),
}
"""By each reason: the measure, the quantile of the training texts, and the factor and the step that give its bound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """How like the texts of a table are to those that the model was trained on; `str` gives the warning."""

    unlike: float
    """The share of the compared texts that are unlike."""
    reasons: tuple[str, ...]
    """In which ways; empty if there is nothing to warn of."""

    def __str__(self) -> str:
        share = f"{100 * self.unlike:.0f} %"
        subject = "the texts look" if share == "0 %" else f"{share} of the texts look"
        return (
            f"{subject} unlike those the model was trained on ({', '.join(self.reasons)}). Its labels may be wrong "
            "more often."
        )


def make_fingerprint(texts: Sequence[str], tokens: Tokens, tokenizer: TextTokenizer) -> dict[str, Any]:
    """The fingerprint of training texts (N,) with their tokens, as plain values for sentiment_batch.json."""
    rows = pick_evenly(len(texts), MAX_TRAINING_TEXTS)
    measures = TextMeter(tokenizer).measure(texts, tokens, rows)
    counts = np.bincount(measures.ids)
    common = np.argsort(-counts, kind="stable")[:COMMON_PIECES]
    common = common[counts[common] > 0]
    pieces = _count_pieces(measures, common)
    letters = measures.letters.sum(axis=0) / max(1, measures.letters.sum())
    return {
        "format": FORMAT,
        "texts": len(rows),
        **{name: _summarize(values) for name, values in _list_values(measures, pieces).items()},
        "scripts": {name: round(share, 4) for name, share in zip(SCRIPTS, letters.tolist(), strict=True) if share > 0},
        "pieces": common.tolist(),
        "shares": (pieces.sum(axis=0) / max(1, pieces.sum())).round(5).tolist(),
        "spread": _measure_spread(pieces),
    }


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TextFingerprint:
    """What a model's fingerprint says of its training texts."""

    texts: int
    """Training texts that it was made from."""
    bounds: dict[str, float]
    """By each reason, the measure beyond which a text is unlike."""
    known_scripts: npt.NDArray[np.bool_]
    """(S,) whether the training texts are in each of `SCRIPTS`."""
    pieces: Integers
    """(C,) the ids of the commonest pieces."""
    shares: Shares
    """(C + 1,) their shares among all pieces, and the share of all others."""
    spread: float
    """What `_measure_spread` gave."""

    @classmethod
    def parse(cls, meta: Mapping[str, Any] | None) -> TextFingerprint | None:
        """The fingerprint in the content of a sentiment_batch.json.

        Returns:
            The fingerprint; None if there is none, or none that this version can use.
        """
        stored = (meta or {}).get("texts")
        try:
            if stored is None or stored["format"] != FORMAT:
                return None
            fingerprint = cls(
                texts=int(stored["texts"]),
                bounds={
                    reason: factor * float(stored[name][quantile]) + step
                    for reason, (name, quantile, factor, step) in _REASONS.items()
                },
                known_scripts=np.array([stored["scripts"].get(name, 0.0) >= MIN_SCRIPT_SHARE for name in SCRIPTS]),
                pieces=np.array(stored["pieces"], dtype=np.int64),
                shares=np.array(stored["shares"], dtype=np.float64),
                spread=float(stored["spread"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return None
        is_sound = fingerprint.texts > 0 and fingerprint.shares.shape == (fingerprint.pieces.size + 1,)
        return fingerprint if is_sound and fingerprint.pieces.min(initial=0) >= 0 else None


class TextComparer:
    """Compares texts with a fingerprint; the counts of several blocks can be added.

    Args:
        fingerprint: the fingerprint of a model.
        tokenizer: the tokenizer of the model.
    """

    def __init__(self, fingerprint: TextFingerprint, tokenizer: TextTokenizer) -> None:
        self._fingerprint = fingerprint
        self._meter = TextMeter(tokenizer)

    def count(self, texts: Sequence[str], tokens: Tokens, rows: Integers) -> Counter[str]:
        """Compare some of the texts of a block; `judge` takes the counts.

        Args:
            texts: (D,) the different texts.
            tokens: their tokens.
            rows: (N,) the number of the text of each row.
        """
        chosen, repeats = np.unique(rows[pick_evenly(len(rows), MAX_TEXTS_PER_BLOCK)], return_counts=True)
        if not len(chosen):
            return Counter()
        measures = self._meter.measure(texts, tokens, chosen)
        pieces = _count_pieces(measures, self._fingerprint.pieces)
        signs = self._find_signs(measures, pieces)
        counts = {"texts": int(repeats.sum()), "different": len(chosen)}
        counts["unlike"] = int(repeats @ np.any(list(signs.values()), axis=0))
        counts |= {name: int(repeats @ sign) for name, sign in signs.items()}
        # Each different text counts once here, because repeats would look like a shift of the commonest pieces.
        counts |= {f"piece {number}": count for number, count in enumerate(pieces.sum(axis=0).tolist())}
        return Counter({name: count for name, count in counts.items() if count})

    def _find_signs(self, measures: TextMeasures, pieces: Integers) -> dict[str, npt.NDArray[np.bool_]]:
        """By each reason, (N,) whether it holds for a text."""
        values, letters = _list_values(measures, pieces), measures.letters.sum(axis=1)
        foreign = 2 * measures.letters @ self._fingerprint.known_scripts < letters
        signs = {SCRIPT: foreign & (letters >= MIN_LETTERS)}
        for reason, bound in self._fingerprint.bounds.items():
            name, quantile, *_ = _REASONS[reason]
            signs[reason] = values[name] < bound if quantile == "low" else values[name] > bound
        return signs


def judge(counts: Mapping[str, int], fingerprint: TextFingerprint) -> Likeness | None:
    """How like the compared texts are, None if there are none.

    Args:
        counts: the sum of what `TextComparer.count` gave.
        fingerprint: the fingerprint that the texts were compared with.
    """
    texts, unlike = counts.get("texts", 0), counts.get("unlike", 0)
    if not texts:
        return None
    reasons: list[str] = []
    if unlike >= max(MIN_UNLIKE_SHARE * texts, min(MIN_UNLIKE_TEXTS, texts)):
        named = [name for name in (SCRIPT, *_REASONS) if counts.get(name, 0) >= MIN_REASON_SHARE * unlike]
        reasons = sorted(named, key=lambda name: -counts[name])[:MAX_REASONS]
    pieces = [counts.get(f"piece {number}", 0) for number in range(len(fingerprint.shares))]
    bound = MIN_DISTANCE + MAX_SPREAD_FACTOR * fingerprint.spread * (1 / counts["different"] + 1 / fingerprint.texts)
    if not reasons and measure_distance(pieces, fingerprint.shares) > bound:
        reasons = [WORDS]
    return Likeness(unlike=round(unlike / texts, 4), reasons=tuple(reasons))


def pick_evenly(count: int, most: int) -> Integers:
    """At most `most` of the numbers from 0 to `count` - 1, evenly spaced and in rising order."""
    return np.arange(count) if count <= most else np.arange(most) * count // most


def measure_distance(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The Jensen-Shannon divergence of two histograms in bits, without the `NAMED_PIECES`; 0 if one is empty."""
    both = np.array([first, second], dtype=np.float64)
    totals = both.sum(axis=1, keepdims=True)
    if not totals.all():
        return 0.0
    both /= totals
    ratios = np.divide(both, both.mean(axis=0), out=np.ones_like(both), where=both > 0)
    parts = np.sort((both * np.log2(ratios)).sum(axis=0))
    return float(parts[:-NAMED_PIECES].sum() / 2)


def _list_values(measures: TextMeasures, pieces: Integers) -> dict[str, Shares]:
    """The measures of each text (N,) by name."""
    return {
        "tokens": measures.tokens.astype(np.float64),
        "characters_per_token": measures.characters_per_token,
        "odd_pieces": measures.odd_pieces,
        "common_pieces": pieces[:, :-1].sum(axis=1) / np.maximum(1, pieces.sum(axis=1)),
    }


def _summarize(values: Shares) -> dict[str, float]:
    return {name: round(float(np.quantile(values, quantile)), 4) for name, quantile in QUANTILES.items()}


def _count_pieces(measures: TextMeasures, common: Integers) -> Integers:
    """(N, C + 1) how often each of C common pieces occurs in each text, and all other pieces."""
    numbers = np.full(int(common.max(initial=0)) + 2, len(common))
    numbers[common] = np.arange(len(common))
    columns = numbers[np.minimum(measures.ids, len(numbers) - 1)]
    width = len(common) + 1
    counts = np.bincount(measures.owners * width + columns, minlength=len(measures.tokens) * width)
    return counts.reshape(len(measures.tokens), width)


def _measure_spread(pieces: Integers) -> float:
    """How far random samples of the texts are from the others: the distance of n and m texts is at most about this
    times 1/n + 1/m.
    """
    texts, draws = len(pieces), np.random.default_rng(0)
    size, total = min(64, texts // 2), pieces.sum(axis=0)
    if not size:
        return 0.0
    samples = (pieces[draws.permutation(texts)[:size]].sum(axis=0) for _ in range(SPREAD_DRAWS))
    distance = max(measure_distance(sample, total - sample) for sample in samples)
    return round(distance / (1 / size + 1 / (texts - size)), 4)
