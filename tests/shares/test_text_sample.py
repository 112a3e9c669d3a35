"""The sample of texts: it fits into memory, and depends on nothing but the rows."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment_batch.shares import text_sample
from sentiment_batch.shares.text_sample import TextSample


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_sample_is_bounded_and_does_not_depend_on_batches(monkeypatch, batch):
    monkeypatch.setattr(text_sample, "MAX_TEXTS", 50)
    sample = TextSample()
    for start in range(0, 1000, batch):
        rows = np.arange(start, min(1000, start + batch))
        places, draws = sample.choose(len(rows))
        codes = np.stack([rows[places] + 1, rows[places]], axis=1)
        sample.add([None if row == 500 else f"text {row}" for row in rows[places]], codes, draws)
        assert len(sample.texts) <= 100 + batch
    sample.trim()
    chosen = sample.codes()[:, 1].tolist()
    assert sample.texts == [f"text {row}" for row in chosen]
    draws = np.random.default_rng(text_sample.SEED).random(1000)
    draws[500] = 1.0
    assert chosen == sorted(np.argsort(draws)[:50].tolist())
