"""BERT encoders as bases: as DistilBERT they compute the same, and what cannot be converted is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sentiment_batch.errors import ModelError
from sentiment_batch.model import bert_base
from sentiment_batch.model.classifier import EncoderClassifier, load_base, save_classifier
from tests import stock_models
from tests.stock_models import edit_json, write_stock_model

SHAPES = [
    {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 4, "intermediate_size": 24},
    {"num_hidden_layers": 12, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 96},
    {"num_hidden_layers": 3, "hidden_act": "relu", "type_vocab_size": 1},
    {"num_hidden_layers": 2, "hidden_act": "gelu_new", "max_position_embeddings": 40, "pad_token_id": 3},
]


def write_bert(folder, tokens="bert", **shape):
    """Write a random BERT encoder with its pooler, and a tokenizer, as on the Hub."""
    from transformers import BertConfig, BertModel

    tokenizer = stock_models._tokenizer(tokens)
    usual = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 32}
    config = BertConfig(vocab_size=len(tokenizer), **usual | shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = BertModel(config)
        for weight in network.parameters():
            weight.data += 0.2 * torch.randn_like(weight)  # layer norms stay near 1, so that inputs matter
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("shape", SHAPES)
def test_a_converted_encoder_computes_the_same(shape, tmp_path):
    from transformers import BertModel

    folder = write_bert(tmp_path / "bert", **shape)
    encoder, tokenizer = load_base(folder)
    random = np.random.default_rng(1)
    ids = torch.tensor(random.integers(len(tokenizer), size=(5, 30)))
    mask = torch.tensor(np.arange(30) < random.integers(1, 31, size=(5, 1)))
    with torch.inference_mode():
        theirs = BertModel.from_pretrained(folder).eval()(input_ids=ids, attention_mask=mask).last_hidden_state
        ours = encoder.eval()(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.allclose(ours[mask], theirs[mask], atol=2e-5)
    assert encoder.config.attention_dropout == 0.0


@pytest.mark.parametrize("tokens", ["bert", "xlm-roberta"])
def test_a_saved_classifier_gives_its_scores_in_stock_code(tokens, tmp_path):
    from transformers import pipeline

    encoder, tokenizer = load_base(write_bert(tmp_path / "bert", tokens))
    classifier = EncoderClassifier(encoder, 2, dropout=0.0).eval()
    save_classifier(tmp_path / "model", classifier, tokenizer, ("negative", "positive"), 32)
    texts = ["the great film", "Où est le café?", "so dull " * 9]
    found = pipeline("text-classification", model=str(tmp_path / "model"), top_k=None)(texts)
    for text, scores in zip(texts, found, strict=True):
        ids = torch.tensor([tokenizer.backend_tokenizer.encode(text).ids])
        with torch.inference_mode():
            expected = classifier(ids).softmax(dim=1)[0]
        given = {score["label"]: score["score"] for score in scores}
        assert [given["negative"], given["positive"]] == pytest.approx(expected.tolist(), abs=1e-5)


def test_an_encoder_within_a_classifier_is_taken_alone(tmp_path):
    encoder, _ = load_base(write_stock_model("bert", tmp_path / "bert"))
    assert (encoder.config.model_type, encoder.config.n_layers) == ("distilbert", 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layer_norm_eps": 1e-5}, "has layer norms with an epsilon of 1e-05"),
        ({"is_decoder": True}, "is a decoder"),
        ({"position_embedding_type": "relative_key"}, "has relative positions"),
    ],
)
def test_what_distilbert_cannot_compute_is_refused(changes, words, tmp_path):
    folder = write_bert(tmp_path / "bert")
    edit_json(folder, "config.json", **changes)
    with pytest.raises(ModelError, match=f"{words}, which DistilBERT does not have. Take another base."):
        load_base(folder)


def test_a_conversion_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    right = bert_base._rename_weights

    def rename_badly(weights):
        renamed = right(weights)
        return renamed | {"embeddings.position_embeddings.weight": weights["embeddings.position_embeddings.weight"]}

    monkeypatch.setattr(bert_base, "_rename_weights", rename_badly)
    with pytest.raises(ModelError, match="cannot be converted: as a DistilBERT it computes something else"):
        load_base(write_bert(tmp_path / "bert"))


def test_a_bert_without_all_weights_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_bert(tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights of the encoder: .*output\.dense\.weight"):
        load_base(folder)


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "modernbert"])
def test_other_families_are_refused_by_name(family, tmp_path):
    with pytest.raises(ModelError, match=f"is a {family} model, which cannot be a base. Take a DistilBERT or BERT"):
        load_base(write_stock_model(family, tmp_path / family))


def test_a_conversion_leaves_the_generator_of_a_training_alone(tmp_path):
    folder = write_bert(tmp_path / "bert")
    state = torch.get_rng_state()
    load_base(folder)
    load_base(folder)
    assert torch.equal(state, torch.get_rng_state())
