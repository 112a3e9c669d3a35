"""The benchmark of int8's labels, and the emulation of its products."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from benchmarks import labels
from benchmarks.emulated_int8 import emulate_int8
from sentiment_batch.model.forward.int8_products import Int8Product, widen
from sentiment_batch.model.forward.layers import LinearWeights, linear
from sentiment_batch.model.torch_operators import has_fast_int8


def draw(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def multiply(x, weights):
    return Int8Product.build(weights, widen(None, x))(x, torch.float32)


def test_emulated_products_are_near_those_of_float32():
    weights, x = LinearWeights.prepack(draw(96, 64, seed=1) / 8, draw(96, seed=2)), draw(40, 64, seed=3)
    exact = linear(x, weights)
    with emulate_int8():
        found = multiply(x, weights)
    assert 0 < float((found - exact).std() / exact.std()) < 0.03
    if has_fast_int8():
        torch.testing.assert_close(found, multiply(x, weights), rtol=1e-4, atol=1e-4)


@pytest.fixture(autouse=True)
def no_cached_calibration(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "cache"))  # one by floats is not for later tests


def test_labels_of_both_dtypes_are_compared(tmp_path, tiny_model, reviews_csv, capsys):
    path, logits = tmp_path / "figures.json", tmp_path / "logits.npz"
    given = ["--model", tiny_model, "--table", reviews_csv, "--rows", 30, "--block", 20]
    labels.main([str(one) for one in (*given, "--json", path, "--logits", logits)])
    found = json.loads(path.read_text(encoding="utf-8"))["results"]
    scores = np.load(logits)
    assert found["rows"] == len(scores["int8"]) == 30
    assert found["other_labels"] == 0
    assert 0 < found["largest_error_of_a_margin"] < found["band"]
    assert 0 < found["largest_change_of_a_probability"] < found["band"] / 4  # the bound that is stated
    assert "other labels" in capsys.readouterr().out


def test_the_rule_of_the_band_is_applied_to_logits():
    int8 = np.array([[0.0, 3.0], [0.0, 0.5], [2.0, 0.0], [0.0, 4.0]])
    float32 = np.array([[0.0, 3.1], [0.2, 0.0], [0.0, 0.1], [0.0, 4.0]])
    audited = np.array([False, False, False, True])
    found = labels._compare(labels.Scores(int8=int8, float32=float32, audited=audited), band=1.0)
    assert found["other_labels"] == 1  # the third
    assert found["other_labels_without_the_band"] == 2
    assert found["scored_twice"] == 0.5  # inside the band, and audited
    assert found["widest_margin_of_another_label"] == 2.0
