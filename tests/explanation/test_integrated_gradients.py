"""Integrated gradients of a model's logits by its embeddings, on a twin that leaves the model as it is."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch import nn

from sentiment_batch import Scorer
from sentiment_batch.errors import DeviceError, ModelError
from sentiment_batch.explanation import integrated_gradients
from sentiment_batch.explanation.attribution import find_log_odds_directions
from sentiment_batch.explanation.integrated_gradients import IntegratedGradients
from sentiment_batch.model.stock import LoadedModel
from sentiment_batch.tokenization.offsets import locate_tokens
from tests.rare_models import write_rare_model
from tests.stock_models import FAMILIES, write_stock_model

MASK = 4
TEXTS = ["the film was great", "boring", "a wonderful story, never dull and so fine", "the the the", "so-so!"]


class Sum(nn.Module):
    """A network that is linear in its embeddings: the logits are a product of their sum."""

    def __init__(self, vocabulary: int, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.words, self.head = nn.Embedding(vocabulary, 8), nn.Linear(8, classes)

    def get_input_embeddings(self):
        return self.words

    def forward(self, input_ids, attention_mask):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return SimpleNamespace(logits=self.head((self.words(input_ids) * mask[..., None]).sum(dim=1)))


@pytest.fixture
def make(tiny_base, vocabulary):
    """A model around a network, with the tokenizer of the tiny base."""

    def make(network: nn.Module, backend: Tokenizer | None = None) -> LoadedModel:
        return LoadedModel(
            network=network.eval(),
            backend=backend or Tokenizer.from_file(str(tiny_base / "tokenizer.json")),
            labels=("negative", "neutral", "positive"),
            meta=None,
            positions=64,
            width=8,
            vocabulary=len(vocabulary),
            pad_id=0,
            long_text="head",
        )

    return make


@pytest.fixture
def texts(scorer):
    """Some texts' tokens, and which of them are the texts' own."""
    located = locate_tokens(scorer.backend.tokenizer, TEXTS)
    return located.tokens, located.spans[:, 0] >= 0


def directions(rows, classes=3):
    return np.random.default_rng(2).normal(size=(rows, classes)).astype(np.float32)


def projected(loaded, tokens, wanted, masked):
    """What is asked of each segment's logits: of the text, or of the text with all its own tokens masked."""
    found = []
    for number, (start, stop) in enumerate(zip(tokens.offsets, tokens.offsets[1:], strict=False)):
        ids = tokens.ids[start:stop].astype(np.int64)
        if masked is not None:
            ids[1:-1] = masked
        found.append(float((loaded.logits(torch.from_numpy(ids)[None], None).cpu().numpy() * wanted[number]).sum()))
    return np.array(found)


def sums(weights, tokens):
    return np.add.reduceat(weights, tokens.offsets[:-1])


@pytest.mark.parametrize("budget", [1, 20, 10_000])
def test_the_weights_of_a_linear_network_are_exact(make, texts, vocabulary, budget):
    tokens, own = texts
    loaded, wanted = make(Sum(len(vocabulary))), directions(len(TEXTS))
    weights = IntegratedGradients(loaded, "cpu").weigh_tokens(tokens, own, wanted, budget)
    difference = projected(loaded, tokens, wanted, None) - projected(loaded, tokens, wanted, MASK)
    assert sums(weights, tokens) == pytest.approx(difference, abs=1e-4)
    assert (weights[~own] == 0).all()
    embeddings, head = loaded.network.words.weight.detach(), loaded.network.head.weight.detach()
    each = ((embeddings[tokens.ids] - embeddings[MASK]) @ head.T).numpy()
    by_hand = (each * wanted[np.repeat(tokens.owners, tokens.lengths)]).sum(axis=1)
    assert weights[own] == pytest.approx(by_hand[own], abs=1e-5)


def test_without_a_mask_token_the_mean_embedding_is_the_baseline(make, texts, vocabulary):
    from tokenizers import models

    tokens, own = texts
    loaded, wanted = make(Sum(len(vocabulary)), Tokenizer(models.WordLevel({"a": 0}, "a"))), directions(len(TEXTS))
    weights = IntegratedGradients(loaded, "cpu").weigh_tokens(tokens, own, wanted, 100)
    embeddings, head = loaded.network.words.weight.detach(), loaded.network.head.weight.detach()
    each = ((embeddings[tokens.ids] - embeddings.mean(dim=0)) @ head.T).numpy()
    by_hand = (each * wanted[np.repeat(tokens.owners, tokens.lengths)]).sum(axis=1)
    assert weights[own] == pytest.approx(by_hand[own], abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_with_many_steps_the_weights_add_up_to_the_difference(family, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr(integrated_gradients, "PATH_POINTS", 128)
    folder = write_stock_model(family, tmp_path / family)
    with Scorer.load(str(folder), device="cpu", dtype=dtype) as scorer:
        engine = scorer.backend
        located = locate_tokens(engine.tokenizer, TEXTS)
        tokens, own = located.tokens, located.spans[:, 0] >= 0
        mask = engine.loaded.backend.token_to_id("[MASK]") or engine.loaded.backend.token_to_id("<mask>")
        made = IntegratedGradients(engine.loaded, "cpu")
        reference = LoadedModel(
            **{field.name: getattr(engine.loaded, field.name) for field in fields(LoadedModel)} | {"network": None}
        )
        object.__setattr__(
            reference, "network", Scorer.load(str(folder), device="cpu", dtype="float32").backend.loaded.network
        )
        wanted = find_log_odds_directions(np.full((len(TEXTS), 3), [0.2, 0.3, 0.5], dtype=np.float32))
        weights = made.weigh_tokens(tokens, own, wanted, 64)
        expected = projected(reference, tokens, wanted, None) - projected(reference, tokens, wanted, mask)
        assert sums(weights, tokens) == pytest.approx(expected, rel=0.05, abs=0.1 if dtype == "bfloat16" else 0.02)
        assert np.abs(weights).max() > 0.05


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["distilbert", "roberta", "modernbert"])
def test_the_model_is_left_as_it_was(family, dtype, tmp_path):
    import pyarrow as pa

    batch = pa.record_batch({"text": pa.array(TEXTS * 3, pa.large_string())})
    with Scorer.load(str(write_stock_model(family, tmp_path / family)), device="cpu", dtype=dtype) as scorer:
        network = scorer.backend.loaded.network
        before = [part.copy() for _, part in scorer.probabilities([batch], ["text"])]
        kept = {name: weight.clone() for name, weight in network.state_dict().items()}
        places = [weight.data_ptr() for weight in network.parameters()]
        located = locate_tokens(scorer.backend.tokenizer, TEXTS)
        with torch.inference_mode():  # whatever the caller's program is in
            made = IntegratedGradients(scorer.backend.loaded, "cpu")
            made.weigh_tokens(located.tokens, located.spans[:, 0] >= 0, directions(len(TEXTS)), 64)
        after = [part for _, part in scorer.probabilities([batch], ["text"])]
        assert all((one == other).all() for one, other in zip(before, after, strict=True))
        assert all(torch.equal(weight, kept[name]) for name, weight in network.state_dict().items())
        assert [weight.data_ptr() for weight in network.parameters()] == places
        assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())
        assert not network.get_input_embeddings()._forward_hooks
        twin = made._network
        assert all(weight.dtype == torch.float32 for weight in twin.parameters())
        if dtype == "float32":
            assert [weight.data_ptr() for weight in twin.parameters()] == places


def test_a_batch_that_does_not_fit_is_done_again_in_smaller_ones(make, texts, vocabulary, monkeypatch):
    tokens, own = texts
    made, wanted = IntegratedGradients(make(Sum(len(vocabulary))), "cpu"), directions(len(TEXTS))
    expected = made.weigh_tokens(tokens, own, wanted, 10_000)
    sizes, real = [], IntegratedGradients._batch

    def small(self, ids, *rest):
        sizes.append(ids.numel())
        if ids.numel() > 12:
            raise torch.OutOfMemoryError("no")
        return real(self, ids, *rest)

    monkeypatch.setattr(IntegratedGradients, "_batch", small)
    assert made.weigh_tokens(tokens, own, wanted, 10_000) == pytest.approx(expected, abs=1e-6)
    assert sizes[0] > 12
    monkeypatch.setattr(
        IntegratedGradients, "_batch", lambda self, *rest: (_ for _ in ()).throw(torch.OutOfMemoryError("no"))
    )
    with pytest.raises(DeviceError, match=r"does not hold one text of \d+ tokens with its gradients. Use a smaller"):
        made.weigh_tokens(tokens, own, wanted, 10_000)


@pytest.mark.parametrize("family", ["bigbird", "convbert", "fnet", "gpt2"])
def test_the_weights_of_a_text_do_not_feel_its_neighbours(family, tmp_path):
    with Scorer.load(str(write_rare_model(family, tmp_path / family)), device="cpu", dtype="float32") as scorer:
        engine, wanted = scorer.backend, directions(len(TEXTS))

        def weigh(*texts):
            located = locate_tokens(engine.tokenizer, texts)
            rows = [TEXTS.index(text) for text in texts]
            return IntegratedGradients(engine.loaded, "cpu").weigh_tokens(
                located.tokens, located.spans[:, 0] >= 0, wanted[rows], 1_000
            )

        assert weigh(*TEXTS) == pytest.approx(np.concatenate([weigh(text) for text in TEXTS]), abs=1e-5)


def test_embeddings_in_another_order_than_the_texts_are_refused(tmp_path):
    with Scorer.load(str(write_rare_model("xlnet", tmp_path / "xlnet")), device="cpu", dtype="float32") as scorer:
        located = locate_tokens(scorer.backend.tokenizer, TEXTS)
        with pytest.raises(ModelError, match="its embeddings do not stand in the order of its texts"):
            IntegratedGradients(scorer.backend.loaded, "cpu").weigh_tokens(
                located.tokens, located.spans[:, 0] >= 0, directions(len(TEXTS)), 100
            )


def test_where_float32_does_not_fit_the_twin_keeps_the_dtype(make, vocabulary, monkeypatch, caplog):
    real = integrated_gradients._make_twin

    def small(network, dtype):
        if dtype is not None:
            raise torch.OutOfMemoryError("no")
        return real(network, dtype)

    monkeypatch.setattr(integrated_gradients, "_make_twin", small)
    made = IntegratedGradients(make(Sum(len(vocabulary)).bfloat16()), "cpu")
    assert {weight.dtype for weight in made._network.parameters()} == {torch.bfloat16}
    assert "does not hold the model in float32" in caplog.text


class Deaf(Sum):
    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=self.head(torch.ones(len(input_ids), 8)))


class Nameless(Sum):
    def get_input_embeddings(self):
        raise NotImplementedError


class Nowhere(Sum):
    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=super().forward(input_ids, attention_mask).logits.detach())


class Endless(Sum):
    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=super().forward(input_ids, attention_mask).logits * torch.inf)


@pytest.mark.parametrize("kind", [Deaf, Nameless, Nowhere, Endless])
def test_a_model_without_gradients_is_one_clear_line(make, texts, vocabulary, kind):
    with pytest.raises(
        ModelError, match=r"this model does not allow to weigh words: .*\. Explain with another model\."
    ):
        IntegratedGradients(make(kind(len(vocabulary))), "cpu").weigh_tokens(*texts, directions(len(TEXTS)), 100)
