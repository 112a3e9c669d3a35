"""The classifier computes the same as the stock model that it is saved as, and takes no base that cannot carry it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sentiment_batch.errors import ModelError
from sentiment_batch.model.classifier import EncoderClassifier, load_base, save_classifier


def test_the_stock_head_computes_the_linear_layer_exactly(tiny_base):
    encoder, _ = load_base(tiny_base)
    torch.manual_seed(1)
    classifier = EncoderClassifier(encoder, 5, dropout=0.3).eval()
    torch.nn.init.normal_(classifier.linear.weight)
    torch.nn.init.normal_(classifier.linear.bias)
    ids = torch.randint(5, 60, (7, 11))
    with torch.inference_mode():
        np.testing.assert_allclose(classifier.to_stock("abcde")(ids).logits, classifier(ids), rtol=2e-6, atol=2e-6)


def test_a_classifier_takes_back_what_it_was_saved_as(tiny_base):
    saved, other = (EncoderClassifier(load_base(tiny_base)[0], 3, dropout=0.1) for _ in range(2))
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.add_(torch.randn_like(parameter))
    other.load_stock_weights(saved.to_stock("abc"))
    for name, weight in saved.state_dict().items():
        assert torch.equal(other.state_dict()[name], weight), name


def test_more_labels_than_the_width_can_hold_are_refused(tiny_base):
    encoder, _ = load_base(tiny_base)
    EncoderClassifier(encoder, 16, dropout=0.1)
    with pytest.raises(ModelError, match=r"17 classes need an encoder at least 34 wide; this one is 32"):
        EncoderClassifier(encoder, 17, dropout=0.1)


def test_saving_does_not_disturb_the_generator_of_a_training(tiny_base, tmp_path):
    encoder, tokenizer = load_base(tiny_base)
    classifier = EncoderClassifier(encoder, 2, dropout=0.1)
    state = torch.get_rng_state()
    save_classifier(tmp_path, classifier, tokenizer, ("a", "b"), 64)
    assert torch.equal(state, torch.get_rng_state())


def test_a_base_without_all_weights_is_refused(tiny_base, tmp_path):
    base = shutil.copytree(tiny_base, tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    del weights["transformer.layer.1.ffn.lin1.weight"]
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights of the encoder: .*ffn\.lin1\.weight"):
        load_base(base)


def test_a_base_with_weights_that_are_no_numbers_is_refused(tiny_base, tmp_path):
    base = shutil.copytree(tiny_base, tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][3, 1] = float("nan")
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        ModelError, match=r"are no finite numbers: 'embeddings\.word_embeddings\.weight'\. Take another"
    ):
        load_base(base)
