"""Every row gets its own score by both strategies, whatever its batch; in a fixed shape, the same bits."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch.errors import ModelError
from sentiment_batch.model import hub
from sentiment_batch.model.classifier import EncoderClassifier, load_base, save_classifier
from sentiment_batch.model.forward.packed import PackedStrategy
from sentiment_batch.model.forward.strategies import PaddedStrategy
from sentiment_batch.scoring.backends import row_blocks, text_setup
from sentiment_batch.scoring.backends.row_blocks import Counts
from sentiment_batch.scoring.scorer import Scorer
from tests.conftest import WORDS
from tests.ragged_tokens import stock_probabilities
from tests.stock_models import LIMIT, edit_json, write_stock_model

STRATEGIES = {"distilbert": PackedStrategy, "modernbert": PaddedStrategy}
WORDY = st.lists(st.sampled_from(WORDS), min_size=1, max_size=40).map(" ".join)
TEXTS = st.none() | st.sampled_from(["", " \n", "the film was great", "boring"]) | WORDY  # some of them repeat
SMALL = {"tokens": 4 * LIMIT, "texts": 6}


@contextlib.contextmanager
def conditions(block_rows, threads):
    """Rows of a block, and threads that torch may use."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", block_rows)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Gives a scorer of a family; each set of settings is loaded once."""
    folder = tmp_path_factory.mktemp("exact")
    folders = {family: str(write_stock_model(family, folder / family)) for family in STRATEGIES}
    loaded = {}

    def load(family, **options):
        key = repr((family, options))
        if key not in loaded:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(text_setup, "DETERMINISTIC_BATCH", SMALL)
                loaded[key] = Scorer.load(folders[family], **{"device": "cpu", "dtype": "float32"} | options)
            assert isinstance(loaded[key].backend.strategy, STRATEGIES[family])
        return loaded[key]

    yield load
    for scorer in loaded.values():
        scorer.close()


@pytest.fixture(scope="module")
def own(load):
    """The score of one text by the stock network alone; NaN for no text."""
    known = {}

    def own(family, text):
        if not (text or "").strip():
            return np.full(3, np.nan)
        if (family, text) not in known:
            engine = load(family).backend
            known[family, text] = stock_probabilities(engine.loaded, engine.tokenizer([text]))[0]
        return known[family, text]

    return own


def scores(scorer, texts):
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    found = [part for _, part in scorer.probabilities([batch], ["text"])]
    return np.concatenate(found) if found else np.empty((0, 3), np.float32)


@settings(max_examples=80)
@given(
    family=st.sampled_from(list(STRATEGIES)),
    texts=st.lists(TEXTS, max_size=40),
    budget=st.sampled_from([1, 40, 100, 2_048]),
    block_rows=st.sampled_from([1, 3, 10, 8_192]),
    threads=st.integers(1, 3),
)
def test_each_row_gets_the_score_of_the_stock_network(load, own, family, texts, budget, block_rows, threads):
    with conditions(block_rows, threads):
        found = scores(load(family, batch_tokens=budget), texts)
    expected = np.array([own(family, text) for text in texts]).reshape(-1, 3)
    np.testing.assert_allclose(found, expected, atol=5e-6)


@settings(max_examples=60)
@given(
    family=st.sampled_from(list(STRATEGIES)),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    texts=st.lists(WORDY, min_size=1, max_size=25),
    budget=st.sampled_from([None, 1, 100]),
    block_rows=st.sampled_from([1, 3, 10, 8_192]),
    threads=st.integers(1, 3),
    data=st.data(),
)
def test_deterministic_scores_have_the_same_bits_beside_any_rows(
    load, family, dtype, texts, budget, block_rows, threads, data
):
    options = {"dtype": dtype, "deterministic": True}
    with conditions(8_192, 1):
        expected = scores(load(family, **options), texts)
    order = data.draw(st.permutations(range(len(texts))))[data.draw(st.integers(0, len(texts) - 1)) :]
    with conditions(block_rows, threads):
        found = scores(load(family, **options, batch_tokens=budget), [texts[row] for row in order])
    assert np.array_equal(found, expected[order])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_deterministic_bits_of_a_large_encoder_are_the_same(offline_base, tmp_path, dtype):
    encoder, tokenizer = load_base(hub.resolve_model(offline_base))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        classifier = EncoderClassifier(encoder, 2, dropout=0.1)
        torch.nn.init.normal_(classifier.linear.weight, std=0.5)
    save_classifier(tmp_path, classifier, tokenizer, ("a", "b"), 256)
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(WORDS, size)) for size in [*random.integers(1, 40, 40), *[60, 254, 400]]]
    with Scorer.load(str(tmp_path), device="cpu", dtype=dtype, deterministic=True) as scorer:
        with conditions(8_192, 1):
            expected = scores(scorer, texts)
        order = random.permutation(len(texts))
        for some in (order, order[30:33], order[-1:]):
            with conditions(45, 2):
                assert np.array_equal(scores(scorer, [texts[row] for row in some]), expected[some])


@pytest.mark.parametrize("family", STRATEGIES)
def test_deterministic_scores_are_the_same_scores(load, own, family):
    texts = [" ".join(WORDS[:n]) for n in range(1, 40)]
    expected = [own(family, text) for text in texts]
    np.testing.assert_allclose(scores(load(family, deterministic=True), texts), expected, atol=5e-6)


def test_a_deterministic_run_takes_the_models_shape(tmp_path, make_model):
    folder = make_model("a", "b")
    reported = {"labels": {}, "text": {"max_length": 64, "long_text": "head"}}
    for batch, tokens, texts in ((None, 8_192, 256), ({"tokens": 100, "texts": 3}, 100, 3), (SMALL, 128, 6)):
        (folder / "sentiment_batch.json").write_text("{}")
        edit_json(folder, "sentiment_batch.json", **reported, batch=batch)
        with Scorer.load(folder, device="cpu", dtype="float32", deterministic=True, batch_tokens=77) as scorer:
            shape = scorer.backend.strategy.shape
            assert (shape.tokens, shape.texts, scorer.description.batch_tokens) == (tokens, texts, tokens)
    edit_json(folder, "sentiment_batch.json", batch={"tokens": 8, "texts": 0})
    with Scorer.load(folder, device="cpu", dtype="float32", deterministic=True) as scorer:
        assert (scorer.backend.strategy.shape.tokens, scorer.backend.strategy.shape.texts) == (64, 1)
    edit_json(folder, "sentiment_batch.json", batch={"tokens": "many"})
    with pytest.raises(ModelError, match=r"sentiment_batch.json is damaged: its batch is .*Restore it"):
        Scorer.load(folder, device="cpu", dtype="float32", deterministic=True)


def test_cut_repeated_and_empty_rows_are_counted_over_all_blocks(load):
    long = "great " * 99
    texts = ["a", None, "", "a", long, long, "film", " ", "a", long]
    for block_rows, repeated, cut in ((8_192, 4, 1), (5, 2, 2), (1, 0, 3)):
        scorer = load("distilbert")
        scorer.counts = counts = Counts()
        with conditions(block_rows, 2):
            scores(scorer, texts)
        assert (counts.rows, counts.null, counts.repeated, counts.cut) == (10, 3, repeated, cut)
        assert counts.tokens == 3 * (7 - repeated - cut) + LIMIT * cut


@pytest.mark.parametrize("texts", [[], [None] * 5, ["", " "], ["film"], ["film"] * 50])
@pytest.mark.parametrize("block_rows", [1, 3])
def test_progress_is_reported_in_rows_to_the_last(load, texts, block_rows):
    reported = []
    with conditions(block_rows, 2):
        batch = pa.record_batch({"text": pa.array(texts, pa.string())})
        list(load("distilbert").probabilities([batch], ["text"], reported.append))
    assert sum(reported) == len(texts)


def test_a_token_without_an_embedding_is_an_error(load):
    scorer = Scorer.load(load("distilbert").model, device="cpu", dtype="float32")
    engine = scorer.backend
    engine._started = dataclasses.replace(engine._started, facts=dataclasses.replace(engine.facts, vocabulary=20))
    with pytest.raises(ModelError, match=r"gives the token \d+, but the model knows only 20: .*Fetch the model again"):
        scores(scorer, ["the film was great"])


def test_a_tokenizer_of_another_model_is_an_error_of_one_line(tmp_path):
    folder = write_stock_model("bert", tmp_path / "model")
    described = json.loads((folder / "tokenizer.json").read_text())
    words = described["model"]["vocab"]
    words["the"] = len(words)
    (folder / "tokenizer.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match="the two do not belong together"), Scorer.load(folder, device="cpu") as scorer:
        scores(scorer, ["the film"])
