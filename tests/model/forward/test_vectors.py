"""The vectors of texts are those of the Transformers code, for every family, packed or padded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from benchmarks.emulated_int8 import emulate_int8
from sentiment_batch import ModelError, Scorer
from sentiment_batch.model.forward.int8_labels import Int8Strategy
from sentiment_batch.model.forward.layers import NormWeights
from sentiment_batch.model.forward.packed import PackedStrategy
from sentiment_batch.model.forward.strategies import PaddedStrategy
from sentiment_batch.model.forward.vectors import make_vector_strategy
from sentiment_batch.selection import vectors
from sentiment_batch.selection.vectors import compute_vectors
from tests.stock_models import FAMILIES, SENTENCES, write_stock_model

_NAN_NORM = NormWeights(torch.full((32,), torch.nan), torch.zeros(32), 1e-12)


def compute_alone(network, tokenizer, text, mean):
    """The vector of one text by the Transformers code."""
    ids = torch.tensor(tokenizer([text]).ids[None].astype(np.int64))
    with torch.inference_mode():
        last_BTD = network(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    return (last_BTD.mean(dim=1) if mean else last_BTD[:, 0])[0].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_are_those_of_the_stock_code(family, tmp_path):
    folder = write_stock_model(family, tmp_path / family)
    with Scorer.load(folder, device="cpu", dtype="float32") as scorer:
        texts = [*SENTENCES[:20], "a", " ".join(SENTENCES[:2])]
        found = compute_vectors(scorer, texts)
        network, tokenizer = scorer.local().loaded.network, scorer.tokenizer
        is_packed = isinstance(scorer.local().strategy, PackedStrategy)
        wanted = [compute_alone(network, tokenizer, text, mean=family == "modernbert") for text in texts]
    assert is_packed == (family != "modernbert")
    assert found.shape == (len(texts), 32)
    assert np.allclose(found, wanted, atol=2e-5)


def test_padded_batches_give_the_vectors_of_packs(scorer, monkeypatch):
    backend = scorer.local()
    packed = compute_vectors(scorer, SENTENCES)
    monkeypatch.setattr(backend, "strategy", PaddedStrategy(model=backend.loaded, device="cpu", classes=2))
    assert isinstance(make_vector_strategy(backend.strategy, 32, lambda: backend.loaded), PaddedStrategy)
    assert np.allclose(compute_vectors(scorer, SENTENCES), packed, atol=2e-5)


def test_a_long_text_has_the_mean_of_its_windows(tiny_model):
    text = " ".join(SENTENCES)
    with Scorer.load(tiny_model, device="cpu", dtype="float32", long_text="windows") as scorer:
        found = compute_vectors(scorer, [text, "a film"])
        tokens = scorer.tokenizer([text])
        strategy = make_vector_strategy(scorer.local().strategy, 32, lambda: scorer.local().loaded)
        windows = [strategy.logits(tokens, np.array([row])).numpy()[0] for row in range(len(tokens.owners))]
    assert len(windows) > 2
    assert np.allclose(found[0], np.average(windows, axis=0, weights=tokens.lengths), atol=1e-5)


def test_batches_and_blocks_do_not_change_vectors(scorer, monkeypatch):
    whole = compute_vectors(scorer, SENTENCES)
    done = []
    monkeypatch.setattr(vectors, "TEXTS_AT_ONCE", 7)
    assert np.allclose(compute_vectors(scorer, SENTENCES, done.append), whole, atol=1e-6)
    assert sum(done) == len(SENTENCES)
    assert compute_vectors(scorer, []).shape == (0, 32)


def test_a_scorer_still_gives_probabilities_afterwards(scorer):
    before = scorer.annotations_of(pa.array(SENTENCES)).to_pylist()
    compute_vectors(scorer, SENTENCES)
    assert scorer.annotations_of(pa.array(SENTENCES)).to_pylist() == before


def test_int8_gives_nearly_the_vectors_of_float32(tiny_model, monkeypatch):
    with emulate_int8(), Scorer.load(tiny_model, device="cpu", dtype="int8") as scorer:
        strategy = scorer.local().strategy
        found = compute_vectors(scorer, SENTENCES)
    if not isinstance(strategy, Int8Strategy):
        pytest.skip(f"no int8 here: {scorer}")
    with Scorer.load(tiny_model, device="cpu", dtype="float32") as exact:
        wanted = compute_vectors(exact, SENTENCES)
    assert 0 < np.abs(found - wanted).max() < 0.2 * np.abs(wanted).max()


def test_damaged_weights_are_one_clear_error(make_model):
    folder = make_model("negative", "positive", seed=9)
    with Scorer.load(folder, device="cpu", dtype="float32") as scorer:
        backend = scorer.local()
        broken = replace(backend.strategy.model, encoder=replace(backend.strategy.model.encoder, norm=_NAN_NORM))
        backend.strategy = replace(backend.strategy, model=broken)
        with pytest.raises(ModelError, match="no numbers"):
            compute_vectors(scorer, SENTENCES)
