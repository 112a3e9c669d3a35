"""Computes a vector for each text. Texts that the model finds alike have vectors that are near each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.errors import ModelError
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits, open_thread_pool
from sentiment_batch.model.forward.vectors import make_vector_strategy
from sentiment_batch.model.openmp import wait_briefly
from sentiment_batch.model.probabilities import average_segments

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.scorer import Scorer

TEXTS_AT_ONCE = 2_048
"""Texts whose tokens are in memory together: enough for batches of nearly equal lengths."""


def compute_vectors(
    scorer: Scorer, texts: Sequence[str], on_texts: Callable[[int], object] = lambda count: None
) -> Floats:
    """Compute the vector of each text, see `make_vector_strategy`. For a long text it is the mean over its windows.

    Args:
        scorer: the model, which is not changed.
        texts: (N,), none of them blank.
        on_texts: called with the number of texts that were done since its last call.

    Returns:
        (N, D) in float32, where D is the width of the model.

    Raises:
        ModelError: the model gives no vectors, or they are no numbers.
        DeviceError: a text alone does not fit into the device's memory.
    """
    backend = scorer.local()
    facts, device = backend.facts, backend.strategy.device
    strategy = make_vector_strategy(backend.strategy, facts.width, lambda: backend.loaded)
    budget = Budget(backend.description.batch_tokens)
    # An empty first part, so that no texts give an array of the right width
    parts = [np.empty((0, facts.width), dtype=np.float32)]
    with wait_briefly(device), open_thread_pool(device, single=strategy.shape is not None) as pool:
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            some = texts[start : start + TEXTS_AT_ONCE]
            tokens, _ = backend.tokenizer(some).replace_unknown(facts.vocabulary)
            vectors_SD = compute_segment_logits(strategy, tokens, budget, pool)
            # S segments of D numbers become one row for each text
            parts.append(average_segments(vectors_SD, tokens.owners, tokens.lengths))
            on_texts(len(some))
    vectors: Floats = np.concatenate(parts)
    if not np.isfinite(vectors).all():
        raise ModelError(
            f"{scorer.model} gives vectors that are no numbers: its weights are damaged, or too large for "
            f'{backend.description.dtype.value}. Try `dtype="float32"`, or another model.'
        )
    return vectors
