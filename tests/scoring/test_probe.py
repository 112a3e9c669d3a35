"""The dtype of scoring is decided by what the probe texts say, once per model and device, and never by a clock."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import numpy as np
import pytest

from sentiment_batch.cache import cache_folder
from sentiment_batch.errors import UsageError
from sentiment_batch.model import load_classifier
from sentiment_batch.scoring import probe
from sentiment_batch.tokenise import TextPolicy, Tokeniser


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def half(monkeypatch):
    """A CPU that has bfloat16, whatever this one has."""
    monkeypatch.setattr(probe, "bfloat16_reason", lambda device: (True, "as the test says"))


def chosen(folder, name="auto", digest="d" * 64, max_length=64):
    loaded = load_classifier(folder)
    policy = TextPolicy(max_length=max_length, long_text="head")
    tokeniser = Tokeniser(loaded.backend, policy, special_as_text=False)
    return probe.to_device(loaded, tokeniser, digest, "cpu", name)


def weights(loaded):
    return str(next(loaded.network.parameters()).dtype)


def remembered() -> list[Path]:
    return sorted(path for path in cache_folder().rglob("*") if path.is_file())


def test_the_probe_texts_are_short_middling_and_long():
    texts = probe.probe_texts()
    assert len(set(texts)) >= 40
    assert min(len(text.split()) for text in texts) < 10
    assert max(len(text.split()) for text in texts) > 400
    assert all(text.strip() for text in texts)


def test_bfloat16_is_taken_where_no_label_flips_and_says_why(tiny_model, half, monkeypatch):
    outcomes = iter([np.array([[0.9, 0.1]], np.float32), np.array([[0.8, 0.2]], np.float32)])
    monkeypatch.setattr(probe, "_probabilities", lambda *arguments: next(outcomes))
    loaded, choice = chosen(tiny_model)
    assert (choice.value, weights(loaded)) == ("bfloat16", "torch.bfloat16")
    assert choice.reason == (
        "as the test says; 0 labels of the probe texts flip, largest change of a probability 1.0e-01"
    )


def test_float32_is_taken_if_one_label_flips(tiny_model, half, monkeypatch):
    outcomes = iter([np.array([[0.9, 0.1], [0.51, 0.49]]), np.array([[0.9, 0.1], [0.49, 0.51]])])
    monkeypatch.setattr(probe, "_probabilities", lambda *arguments: next(outcomes))
    loaded, choice = chosen(tiny_model)
    assert (choice.value, weights(loaded)) == ("float32", "torch.float32")
    assert choice.reason.startswith("in bfloat16 1 labels of the probe texts flip")


def test_the_float32_that_remains_is_untouched_by_the_probe(tiny_model, half, monkeypatch):
    import torch

    monkeypatch.setattr(probe, "_probe", lambda reference, *rest: (1, 0.5))
    loaded, _ = chosen(tiny_model)
    fresh = load_classifier(tiny_model).network.state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in loaded.network.state_dict().items())


def test_the_outcome_is_computed_once_and_then_read(tiny_model, half, monkeypatch):
    calls = []
    real = probe._probabilities
    monkeypatch.setattr(probe, "_probabilities", lambda *arguments: calls.append(1) or real(*arguments))
    first = chosen(tiny_model)[1]
    assert len(calls) == 2
    assert chosen(tiny_model)[1] == first
    assert len(calls) == 2
    chosen(tiny_model, digest="e" * 64)
    chosen(tiny_model, max_length=32)
    assert len(calls) == 6
    assert len(remembered()) == 3


def test_the_choice_does_not_feel_a_slow_machine(tiny_model, half, monkeypatch, tmp_path):
    first = chosen(tiny_model)[1]
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "another"))
    for clock in ("time", "perf_counter", "monotonic"):
        monkeypatch.setattr(time, clock, lambda: random.random() * 1e6)
    assert chosen(tiny_model)[1] == first


@pytest.mark.parametrize("nonsense", ["", "{", "[]", '{"flips": "many", "largest": 1}', "{}", '{"flips": null}'])
def test_nonsense_in_the_cache_is_probed_again(tiny_model, half, nonsense, monkeypatch):
    monkeypatch.setattr(probe, "_probabilities", lambda *arguments: np.array([[0.9, 0.1]]))
    first = chosen(tiny_model)[1]
    (path,) = remembered()
    path.write_text(nonsense)
    assert chosen(tiny_model)[1] == first
    assert set(json.loads(path.read_text())) == {"flips", "largest"}


def test_a_cache_that_cannot_be_written_stops_nothing(tiny_model, half, monkeypatch, tmp_path):
    monkeypatch.setattr(probe, "_probabilities", lambda *arguments: np.array([[0.9, 0.1]]))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "file" / "below"))
    assert chosen(tiny_model)[1].value == "bfloat16"


def test_hardware_without_bfloat16_takes_float32_and_probes_nothing(tiny_model, monkeypatch):
    monkeypatch.setattr(probe, "bfloat16_reason", lambda device: (False, "this CPU has no bfloat16"))
    loaded, choice = chosen(tiny_model)
    assert (str(choice), weights(loaded)) == ("float32 (this CPU has no bfloat16)", "torch.float32")
    assert remembered() == []


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_dtype_that_was_asked_for_is_taken_without_a_probe(tiny_model, name):
    loaded, choice = chosen(tiny_model, name)
    assert (str(choice), weights(loaded)) == (f"{name} (as asked)", f"torch.{name}")
    assert remembered() == []


def test_float16_on_a_cpu_is_refused(tiny_model):
    with pytest.raises(UsageError, match="many times slower than float32 on a CPU"):
        chosen(tiny_model, "float16")
