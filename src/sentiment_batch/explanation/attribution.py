"""Explains predictions: computes the weight of each word of a text in its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sentiment_batch.data.columns import is_scored
from sentiment_batch.data.readers.json_types import replace_surrogates
from sentiment_batch.errors import UsageError
from sentiment_batch.explanation.integrated_gradients import IntegratedGradients
from sentiment_batch.explanation.words import Explanation, Word, scale_weights, weigh_words
from sentiment_batch.model.device import choose_batch_tokens
from sentiment_batch.model.openmp import wait_briefly
from sentiment_batch.tokenization.offsets import locate_tokens

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.backends.local import LocalBackend
    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.tokenization.packing import Tokens

TEXTS_AT_ONCE = 256
"""Texts explained together: enough for batches of nearly equal lengths, and few enough to bound the memory."""


def explain_texts(scorer: Scorer, texts: Sequence[str]) -> list[Explanation]:
    """Predict the label of each text, and weigh the words of the text in it.

    The weight of a token is that of its integrated gradients in the log-odds of the predicted label, which are its
    logit less the log-sum-exp of the others; see `IntegratedGradients.weigh_tokens`. The weights of a word's tokens are
    added, and those of a text divided by the largest. The logits of a text in several windows are the windows' mean,
    as in scoring.

    Args:
        scorer: the model, which is not changed.
        texts: (N,); a lone surrogate in a text counts as U+FFFD.

    Returns:
        (N,) in the order of the texts; labels and probabilities are those of scoring.

    Raises:
        ModelError: the model gives no gradients.
        DeviceError: a text alone does not fit into the device's memory.
    """
    if not texts:
        return []
    engine = scorer.local()
    gradients = IntegratedGradients(engine.loaded, engine.strategy.device)
    found: list[Explanation] = []
    with wait_briefly(engine.strategy.device):
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            found += _explain_block(scorer, engine, gradients, texts[start : start + TEXTS_AT_ONCE])
    return found


def check_texts(texts: Any) -> list[str]:
    """The list of texts for one text or an iterable of texts; None and NaN become empty texts.

    Raises:
        UsageError: `texts` is a table or holds no texts, or one of them is no text.
    """
    if isinstance(texts, str):
        return [texts]
    # An array of NumPy without a dimension has the method, but cannot be iterated over.
    if isinstance(texts, bytes | bytearray) or not hasattr(texts, "__iter__") or getattr(texts, "ndim", 1) == 0:
        raise UsageError(f"explain takes one text or several, not a value of the type {type(texts).__name__}.")
    if hasattr(texts, "columns") or isinstance(texts, Mapping):
        raise UsageError("explain takes texts, not a table. Give it a column of the table, such as table['text'].")
    return [_check_text(text, number) for number, text in enumerate(texts)]


def _check_text(text: Any, number: int) -> str:
    if isinstance(text, str):
        return text
    text = text.as_py() if isinstance(text, pa.Scalar) else text
    if text is None or type(text).__name__ == "NAType" or (isinstance(text, Real) and text != text):
        return ""
    if not isinstance(text, str):
        raise UsageError(f"text {number:,} (counted from 0) is of the type {type(text).__name__}. Give strings.")
    return text


def _explain_block(
    scorer: Scorer, engine: LocalBackend, gradients: IntegratedGradients, texts: Sequence[str]
) -> list[Explanation]:
    """Explain the texts (N,) of one block.

    Rows with a text are computed. The other ones get no label, and their white space is one piece.
    """
    clean = [str(replace_surrogates(text)) for text in texts]  # the length stays the same
    # The label and its probability are those of scoring, which may compute in another dtype.
    probabilities_NK = predict_probabilities(scorer, clean)
    full = [number for number, text in enumerate(clean) if is_scored(text)]
    located = locate_tokens(engine.tokenizer, [clean[number] for number in full])
    directions_NK = find_log_odds_directions(probabilities_NK[full])
    # The logits of a text are the mean over its windows, so each window counts by its share in the mean.
    directions_SK = directions_NK[located.tokens.owners] * _segment_shares(located.tokens)[:, None]
    # At most the default, whatever was set for scoring: a pass with gradients keeps much more in memory.
    budget = min(engine.description.batch_tokens, choose_batch_tokens(engine.strategy.device, engine.loaded.width))
    own = located.spans[:, 0] >= 0
    weights = gradients.weigh_tokens(located.tokens, own, directions_SK, budget)
    words: list[tuple[Word, ...]] = [(Word(text, None),) if text else () for text in texts]
    for place, number in enumerate(full):
        some = located.slice_of(place)
        spans, amounts = (values[some][own[some]].tolist() for values in (located.spans, weights))
        words[number] = scale_weights(weigh_words(texts[number], spans, amounts, located.unseen[place]))
    return [
        _make_explanation(scorer, text, row, pieces)
        for text, row, pieces in zip(texts, probabilities_NK, words, strict=True)
    ]


def predict_probabilities(scorer: Scorer, texts: Sequence[str]) -> Floats:
    """(N, K), NaN where a text gets no score."""
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    found: Floats = np.concatenate([part for _, part in scorer.probabilities([batch], ["text"])])
    return found


def find_log_odds_directions(probabilities_NK: Floats) -> Floats:
    """The gradients (N, K) of the log-odds of the likeliest label by the logits: 1 for it; the others share -1."""
    # d/dz of z_k - log(sum of exp(z_j), j != k) is 1 for k, and -p_j / (1 - p_k) for each other label.
    rows = np.arange(len(probabilities_NK)), probabilities_NK.argmax(axis=1)
    others_NK = probabilities_NK.astype(np.float64)
    others_NK[rows] = 0.0
    totals_N1 = others_NK.sum(axis=1, keepdims=True)
    # If the probabilities of all others are rounded to 0, they share evenly.
    even = 1.0 / (probabilities_NK.shape[1] - 1)
    shared_NK = np.divide(others_NK, totals_N1, out=np.full_like(others_NK, even), where=totals_N1 > 0)
    directions_NK: Floats = -shared_NK.astype(np.float32)
    directions_NK[rows] = 1.0
    return directions_NK


def _segment_shares(tokens: Tokens) -> Floats:
    """(S,): the share of each segment in the mean of its text's logits."""
    lengths = tokens.lengths
    shares: Floats = (lengths / np.bincount(tokens.owners, weights=lengths)[tokens.owners]).astype(np.float32)
    return shares


def _make_explanation(scorer: Scorer, text: str, row: Floats, words: tuple[Word, ...]) -> Explanation:
    if np.isnan(row).any():
        return Explanation(text=text, label=None, score=None, probabilities=None, words=words)
    decimals = scorer.settings.decimals
    named = {label: float(str(np.round(value, decimals))) for label, value in zip(scorer.labels, row, strict=True)}
    label = scorer.labels[int(row.argmax())]
    return Explanation(text=text, label=label, score=named[label], probabilities=named, words=words)
