"""Notices texts unlike those that a model was trained on, by a small fingerprint of the training texts.

A text is unlike if one of its measures lies far outside of those of the training texts. A table is unlike as a whole if
its commonest pieces have other shares than in random samples of the training texts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentiment_batch.tokenization.text_measures import SCRIPTS, TextMeasures, TextMeter, count_pairs

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
MAX_PIECES = 2**24
"""Pieces of the largest vocabulary."""
QUANTILES = {"low": 0.005, "median": 0.5, "high": 0.995}
"""The quantiles of the training texts that are stored for each measure."""
MIN_UNLIKE_SHARE = 0.1
"""Share of unlike texts from which on there is a warning."""
MIN_UNLIKE_TEXTS = 3
"""A warning needs at least this many unlike texts. In a smaller table, all texts must be unlike."""
MIN_SCRIPT_SHARE = 0.005
"""Share of the training texts' letters from which on the model knows a script."""
MIN_REASON_SHARE = 0.25
"""Share of the unlike texts from which on a reason is named."""
SPREAD_DRAWS = 64
"""Random samples of training texts whose distance from the other training texts is measured."""
MAX_SPREAD_FACTOR = 2.0
"""A table is unlike if its distance exceeds this many times the largest distance of the random samples."""
MIN_DISTANCE = 0.03
"""The least distance at which a table is unlike. The tweets about one airline are within 0.023 of those about all, and
of film reviews they are at 0.036 and more (measured)."""
NUM_IGNORED_PIECES = 8
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
"""Per reason: the measure, and the quantile, factor and step of its bound (factor * quantile + step)."""


def make_fingerprint(texts: Sequence[str], tokens: Tokens, tokenizer: TextTokenizer) -> dict[str, Any]:
    """The fingerprint of training texts (N,) with their tokens, as plain values for sentiment_batch.json."""
    rows = pick_evenly(len(texts), MAX_TRAINING_TEXTS)
    measures = TextMeter(tokenizer).measure(texts, tokens, rows)
    counts = np.bincount(measures.ids)
    common = np.argsort(-counts, kind="stable")[:COMMON_PIECES]
    # This also adds the share of the common pieces to the measures, which are stored as quantiles below.
    pieces, letters = _count_pieces(measures, common), measures.letters.sum(axis=0)
    scripts = (letters / max(1, letters.sum())).round(4).tolist()
    values = {
        name: {quantile: round(float(np.quantile(value, at)), 4) for quantile, at in QUANTILES.items()}
        for name, value in measures.values.items()
    }
    return values | {
        "format": FORMAT,
        "texts": len(rows),
        "scripts": {name: share for name, share in zip(SCRIPTS, scripts, strict=True) if share},
        "pieces": common.tolist(),
        "shares": (pieces.sum(axis=0) / max(1, pieces.sum())).round(5).tolist(),
        "spread": _measure_spread(pieces),
    }


def find_fingerprint(meta: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The fingerprint in the content of a sentiment_batch.json; None if it holds none of this format, or a bad one."""
    found: Mapping[str, Any] = (meta or {}).get("texts") or {}
    try:
        bounds = [found[name][quantile] for name, quantile, *_ in _REASONS.values()]
        numbers = [found["spread"], *bounds, *found["shares"], *found["scripts"].values()]
        # The file may be damaged or edited. A bad fingerprint only costs the comparison, so it is not an error.
        is_right = (
            found["format"] == FORMAT
            and found["texts"] >= 1
            and len(found["shares"]) == len(found["pieces"]) + 1
            and all(type(piece) is int and 0 <= piece < MAX_PIECES for piece in found["pieces"])
            and all(0 <= number < math.inf for number in numbers)
        )
    except (KeyError, TypeError, AttributeError):
        return None
    return found if is_right else None


class TextComparer:
    """Compares texts with a fingerprint; the counts of several blocks can be added.

    Args:
        fingerprint: what `make_fingerprint` gave.
        tokenizer: the tokenizer of the model.
    """

    def __init__(self, fingerprint: Mapping[str, Any], tokenizer: TextTokenizer) -> None:
        self._stored = fingerprint
        self._common = np.array(fingerprint["pieces"], dtype=np.int64)
        self._is_known = np.array([fingerprint["scripts"].get(name, 0) >= MIN_SCRIPT_SHARE for name in SCRIPTS])
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
        pieces = _count_pieces(measures, self._common)
        signs = self._find_signs(measures)
        counts = {"texts": int(repeats.sum()), "different": len(chosen)}
        counts["unlike"] = int(repeats @ np.any(list(signs.values()), axis=0))
        counts |= {name: int(repeats @ sign) for name, sign in signs.items()}
        # Each different text counts once here, because repeats would look like a shift of the commonest pieces.
        counts |= {f"piece {number}": count for number, count in enumerate(pieces.sum(axis=0).tolist())}
        return Counter({name: count for name, count in counts.items() if count})

    def _find_signs(self, measures: TextMeasures) -> dict[str, npt.NDArray[np.bool_]]:
        """For each reason, a boolean array (N,): true where it holds for a text."""
        letters = measures.letters.sum(axis=1)
        signs = {SCRIPT: (2 * measures.letters @ self._is_known < letters) & (letters >= MIN_LETTERS)}
        for reason, (name, quantile, factor, step) in _REASONS.items():
            bound, values = factor * self._stored[name][quantile] + step, measures.values[name]
            signs[reason] = values < bound if quantile == "low" else values > bound
        return signs


def judge(counts: Mapping[str, int], fingerprint: Mapping[str, Any]) -> tuple[float, tuple[str, ...]]:
    """The share of the compared texts that are unlike, and the reasons, which are empty if there is nothing to warn of.

    Args:
        counts: the sum of what `TextComparer.count` gave for one or more texts.
        fingerprint: what `make_fingerprint` gave.
    """
    texts, unlike = counts["texts"], counts.get("unlike", 0)
    reasons: list[str] = []
    if unlike >= max(MIN_UNLIKE_SHARE * texts, min(MIN_UNLIKE_TEXTS, texts)):
        named = [name for name in (SCRIPT, *_REASONS) if counts.get(name, 0) >= MIN_REASON_SHARE * unlike]
        reasons = sorted(named, key=lambda name: -counts[name])[:MAX_REASONS]
    # The distance of small samples is large by chance. So the bound grows by what samples of this size show.
    pieces = [counts.get(f"piece {number}", 0) for number in range(len(fingerprint["shares"]))]
    noise = fingerprint["spread"] * (1 / counts["different"] + 1 / fingerprint["texts"])
    if not reasons and measure_distance(pieces, fingerprint["shares"]) > MIN_DISTANCE + MAX_SPREAD_FACTOR * noise:
        reasons = [WORDS]
    return round(unlike / texts, 4), tuple(reasons)


def pick_evenly(count: int, most: int) -> Integers:
    """At most `most` of the numbers from 0 to `count` - 1, evenly spaced.

    Returns:
        (min(count, most),) the numbers in rising order.
    """
    return np.arange(count) if count <= most else np.arange(most) * count // most


def measure_distance(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The Jensen-Shannon divergence of two histograms in bits; 0 if one is empty.

    The `NUM_IGNORED_PIECES` bins that add most to it are left out.

    Args:
        first: (C + 1,) counts or shares.
        second: (C + 1,) counts or shares of the same bins.
    """
    both = np.array([first, second], dtype=np.float64)
    totals = both.sum(axis=1, keepdims=True)
    if not totals.all():
        return 0.0
    both /= totals
    # The mean of the Kullback-Leibler divergences from both to their mean. 0 * log(0) counts as 0.
    ratios = np.divide(both, both.mean(axis=0), out=np.ones_like(both), where=both > 0)
    parts = np.sort((both * np.log2(ratios)).sum(axis=0))
    return float(parts[:-NUM_IGNORED_PIECES].sum() / 2)


def _count_pieces(measures: TextMeasures, common: Integers) -> Integers:
    """(N, C + 1) how often each of C common pieces occurs in each text, and all other pieces.

    The share of the common ones is added to the measures.
    """
    # A table from ids to columns. All ids without a column of their own share the last column.
    numbers = np.full(int(common.max(initial=0)) + 2, len(common))
    numbers[common] = np.arange(len(common))
    columns = numbers[np.minimum(measures.ids, len(numbers) - 1)]
    pieces = count_pairs(measures.owners, columns, (len(measures.letters), len(common) + 1))
    measures.values["common_pieces"] = pieces[:, :-1].sum(axis=1) / np.maximum(1, pieces.sum(axis=1))
    return pieces


def _measure_spread(pieces: Integers) -> float:
    """The spread of random samples. The distance between n and m texts is at most about this times (1/n + 1/m).

    Args:
        pieces: (N, C + 1) what `_count_pieces` gave.
    """
    texts, draws = len(pieces), np.random.default_rng(0)
    size, total = min(64, texts // 2), pieces.sum(axis=0)
    if not size:
        return 0.0
    # Each sample is compared with all other training texts, which it shares none with.
    samples = (pieces[draws.permutation(texts)[:size]].sum(axis=0) for _ in range(SPREAD_DRAWS))
    distance = max(measure_distance(sample, total - sample) for sample in samples)
    return round(distance / (1 / size + 1 / (texts - size)), 4)
