"""The dtype of scoring is decided by the check texts, once per model and device, and never by a clock."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from sentiment_batch.errors import DeviceError, ModelError, UsageError
from sentiment_batch.files.cache import cache_folder
from sentiment_batch.model.forward import batches, parity, strategies
from sentiment_batch.model.forward.packed import PackedStrategy
from sentiment_batch.model.forward.strategies import PaddedStrategy
from sentiment_batch.model.stock import LoadedModel, load_classifier
from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer
from tests.rare_models import write_rare_model
from tests.stock_models import LIMIT, write_stock_model


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def half(monkeypatch):
    """A CPU that has bfloat16, whatever this one has."""
    monkeypatch.setattr(parity, "prefer_bfloat16", lambda device: (True, "as the test says"))


def chosen(folder, name="auto", digest="d" * 64, max_length=64, device="cpu"):
    loaded = load_classifier(folder)
    policy = TextPolicy(max_length=max_length, long_text="head")
    tokenizer = TextTokenizer(loaded.backend, policy, special_as_text=False)
    return parity.prepare_model(loaded, tokenizer, digest, device, name)


def weights(loaded):
    return str(next(loaded.network.parameters()).dtype)


def answers(monkeypatch, *outcomes):
    """The probabilities of the check texts, call by call: the stock strategy, the packed one, float32, bfloat16.

    Where packs are not taken, after those two: padded, each alone, and one short text.
    """
    left = [np.array(outcome, np.float32) for outcome in outcomes]
    monkeypatch.setattr(parity._ParityChecks, "_probabilities", lambda *arguments: left.pop(0))


def remembered() -> list[Path]:
    return sorted(path for path in cache_folder().rglob("*") if path.is_file())


def test_the_check_texts_are_short_medium_and_long():
    texts = parity.read_parity_texts()
    assert len(set(texts)) >= 40
    assert min(len(text.split()) for text in texts) < 10
    assert max(len(text.split()) for text in texts) > 400
    assert all(text.strip() for text in texts)


def test_bfloat16_is_taken_where_no_label_flips_and_says_why(tiny_model, half, monkeypatch):
    answers(monkeypatch, [[0.9, 0.1]], [[0.9, 0.1]], [[0.9, 0.1]], [[0.8, 0.2]])
    prepared = chosen(tiny_model)
    assert (prepared.dtype.value, weights(prepared.loaded)) == ("bfloat16", "torch.bfloat16")
    assert prepared.dtype.reason == (
        "as the test says; 0 labels of the check texts change, probabilities by at most 1.0e-01"
    )


def test_float32_is_taken_if_one_label_flips(tiny_model, half, monkeypatch):
    before, after = [[0.9, 0.1], [0.51, 0.49]], [[0.9, 0.1], [0.49, 0.51]]
    answers(monkeypatch, before, before, before, after)
    prepared = chosen(tiny_model)
    assert (prepared.dtype.value, weights(prepared.loaded)) == ("float32", "torch.float32")
    assert prepared.dtype.reason.startswith("in bfloat16 1 label of the check texts changes")


def test_the_float32_that_remains_is_untouched_by_the_probe(tiny_model, half, monkeypatch):
    before, after = [[0.51, 0.49]], [[0.49, 0.51]]
    answers(monkeypatch, before, before, before, after)
    prepared = chosen(tiny_model)
    assert prepared.dtype.value == "float32"
    fresh = load_classifier(tiny_model).network.state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in prepared.loaded.network.state_dict().items())


def test_the_outcomes_are_computed_once_and_then_read(tiny_model, half, monkeypatch):
    calls = []
    real = parity._ParityChecks._probabilities
    monkeypatch.setattr(parity._ParityChecks, "_probabilities", lambda *arguments: calls.append(1) or real(*arguments))
    first = chosen(tiny_model)
    assert len(calls) == 4  # the two strategies, the two dtypes
    again = chosen(tiny_model)
    assert (again.dtype, again.batching) == (first.dtype, first.batching)
    assert len(calls) == 4
    chosen(tiny_model, digest="e" * 64)
    chosen(tiny_model, max_length=32)
    assert len(calls) == 12
    assert len(remembered()) == 6
    assert {path.relative_to(cache_folder()).parts[:2] for path in remembered()} == {
        ("parity-checks-4", "d" * 32),
        ("parity-checks-4", "e" * 32),
    }


def test_packs_that_give_the_stock_scores_are_taken(tiny_model):
    prepared = chosen(tiny_model, "float32")
    assert isinstance(prepared.strategy, PackedStrategy)
    assert prepared.batching == "packed without padding"
    assert json.loads(remembered()[0].read_text())["content"]["difference"] < 1e-5


def test_a_changed_answer_or_one_of_another_model_is_not_used(tiny_model, monkeypatch):
    same, other = [[0.6, 0.4]], [[0.7, 0.3]]

    def check(digest, *outcomes):
        answers(monkeypatch, *outcomes)
        strategy = chosen(tiny_model, "float32", digest=digest).strategy
        (answer,) = (path for path in remembered() if digest[:32] in path.parts and "strategies" in path.name)
        return type(strategy), answer

    _, of_another = check("e" * 64, same, other, same, same, same)
    _, answer = check("d" * 64, same, same)
    for damaged in (of_another.read_bytes(), answer.read_bytes().replace(b"0.0", b"9.0")):
        answer.write_bytes(damaged)
        assert check("d" * 64, same, same) == (PackedStrategy, answer)
        assert answer.read_bytes() != damaged


@pytest.mark.parametrize("value", [0.601, float("nan")])
def test_packs_that_give_other_scores_are_not_taken(tiny_model, monkeypatch, caplog, value):
    same = [[0.6, 0.4]]
    answers(monkeypatch, same, [[value, 0.4]], same, same, same, same)
    for _ in range(2):  # the second time it is read
        prepared = chosen(tiny_model, "float32")
        assert isinstance(prepared.strategy, PaddedStrategy)
        assert prepared.batching == "padded batches, because packs give other scores"
    assert "this model is scored in padded batches" in caplog.text


def test_a_model_whose_code_changed_is_scored_in_rectangles(tiny_model, monkeypatch):
    real = parity.build_packed

    def changed(*arguments):
        packed, reason = real(*arguments)
        return (
            dataclasses.replace(packed, encoder=dataclasses.replace(packed.encoder, activation=torch.relu)),
            reason,
        )

    monkeypatch.setattr(parity, "build_packed", changed)
    assert isinstance(chosen(tiny_model, "float32").strategy, PaddedStrategy)


def test_padding_is_checked_for_a_family_that_cannot_be_packed(tmp_path, caplog):
    prepared = chosen(write_stock_model("modernbert", tmp_path / "model"), "float32", max_length=LIMIT)
    assert isinstance(prepared.strategy, PaddedStrategy)
    assert not prepared.strategy.equal_lengths
    assert "modernbert models cannot be packed" in prepared.batching
    assert [path.stem.split("-")[0] for path in remembered()] == ["padding"]
    assert caplog.messages == []


@pytest.mark.parametrize("family", ["convbert", "fnet", "gpt2", "mobilebert", "xlnet"])
def test_a_family_that_padding_changes_is_scored_without_it(family, tmp_path, caplog, monkeypatch):
    folder = write_rare_model(family, tmp_path / family)
    first = chosen(folder, "float32", max_length=LIMIT)
    assert first.strategy.equal_lengths
    assert first.loaded.padding_changes_scores
    assert first.batching.endswith("only texts of equal length share a batch, because padding changes its scores")
    own = [record.getMessage() for record in caplog.records if record.name == "sentiment_batch"]
    assert [text.partition(" by ")[0] for text in own] == ["padding changes scores"]
    calls = []
    monkeypatch.setattr(parity._ParityChecks, "_probabilities", lambda *arguments: calls.append(arguments))
    assert chosen(folder, "float32", max_length=LIMIT).strategy.equal_lengths  # as it was found out the first time
    assert len(calls) == 1


def test_a_model_that_fails_in_bfloat16_is_scored_in_float32(tmp_path, half):
    for _ in range(2):  # the second time it is read
        prepared = chosen(write_rare_model("fnet", tmp_path / "fnet"), max_length=LIMIT)
        assert (str(prepared.dtype), weights(prepared.loaded)) == (
            "float32 (its code fails in bfloat16)",
            "torch.float32",
        )


def test_memory_errors_and_our_own_errors_are_not_translated(tmp_path, monkeypatch):
    folder = write_rare_model("fnet", tmp_path / "fnet")
    errors = [(torch.OutOfMemoryError("no"), torch.OutOfMemoryError), (MemoryError(), torch.OutOfMemoryError)]
    errors += [(DeviceError("no"), DeviceError), (KeyboardInterrupt(), KeyboardInterrupt)]
    for error, kind in errors:
        monkeypatch.setattr(
            parity, "compute_segment_logits", lambda *arguments, error=error: (_ for _ in ()).throw(error)
        )
        with pytest.raises(kind):
            chosen(folder, "float32", max_length=LIMIT)


def test_the_choice_does_not_feel_a_slow_machine(tiny_model, half, monkeypatch, tmp_path):
    first = chosen(tiny_model).dtype
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "another"))
    for clock in ("time", "perf_counter", "monotonic"):
        monkeypatch.setattr(time, clock, lambda: random.random() * 1e6)
    assert chosen(tiny_model).dtype == first


@pytest.mark.parametrize("nonsense", ["", "{", "[]", '{"flips": "many", "largest": 1}', "{}", '{"flips": null}'])
def test_nonsense_in_the_cache_is_probed_again(tiny_model, half, nonsense, monkeypatch):
    monkeypatch.setattr(parity._ParityChecks, "_probabilities", lambda *arguments: np.array([[0.9, 0.1]]))
    first = chosen(tiny_model).dtype
    for path in remembered():
        path.write_text(nonsense)
    assert chosen(tiny_model).dtype == first
    assert {name for path in remembered() for name in json.loads(path.read_text())["content"]} == {
        "holds_for",
        "flips",
        "largest",
        "difference",
    }


def test_a_cache_that_cannot_be_written_stops_nothing(tiny_model, half, monkeypatch, tmp_path):
    monkeypatch.setattr(parity._ParityChecks, "_probabilities", lambda *arguments: np.array([[0.9, 0.1]]))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "file" / "below"))
    assert chosen(tiny_model).dtype.value == "bfloat16"


def test_hardware_without_bfloat16_takes_float32_unchecked(tiny_model, monkeypatch):
    monkeypatch.setattr(parity, "prefer_bfloat16", lambda device: (False, "this CPU has no bfloat16"))
    prepared = chosen(tiny_model)
    assert (str(prepared.dtype), weights(prepared.loaded)) == ("float32 (this CPU has no bfloat16)", "torch.float32")
    assert [path.stem.split("-")[0] for path in remembered()] == ["strategies"]


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_named_dtype_is_taken_without_a_check(tiny_model, name):
    prepared = chosen(tiny_model, name)
    assert (str(prepared.dtype), weights(prepared.loaded)) == (f"{name} (as asked)", f"torch.{name}")
    assert [path.stem.split("-")[0] for path in remembered()] == ["strategies"]


@pytest.fixture
def cpu_as_cuda(pretend_cuda, monkeypatch):
    """A CPU that computes what is sent to a CUDA device."""
    pretend_cuda()
    to, clock = LoadedModel.to, batches._Stopwatch
    monkeypatch.setattr(LoadedModel, "to", lambda self, device, dtype: to(self, "cpu", dtype))
    monkeypatch.setattr(batches, "_Stopwatch", lambda device: clock("cpu"))
    monkeypatch.setattr(strategies, "move_to_device", lambda tensor, device: tensor)


@pytest.mark.usefixtures("cpu_as_cuda")
def test_a_kernel_that_fails_on_cuda_is_one_clear_error(tiny_model, monkeypatch):
    assert isinstance(chosen(tiny_model, "bfloat16", device="cuda:0").strategy, PackedStrategy)
    real = PackedStrategy.logits

    def logits(self, tokens, rows):
        if self.device != "cpu":
            raise RuntimeError("no kernel image is available")
        return real(self, tokens, rows)

    monkeypatch.setattr(PackedStrategy, "logits", logits)
    with pytest.raises(ModelError, match=r'fails in bfloat16 .*no kernel image is available\). Try `dtype="float32"`'):
        chosen(tiny_model, "bfloat16", device="cuda:0")
    assert isinstance(chosen(tiny_model, "float32", device="cuda:0").strategy, PaddedStrategy)


@pytest.mark.usefixtures("cpu_as_cuda")
def test_an_old_device_scores_half_precision_in_padded_batches(tiny_model, pretend_cuda):
    pretend_cuda((7, 5))
    prepared = chosen(tiny_model, "bfloat16", device="cuda:0")
    assert isinstance(prepared.strategy, PaddedStrategy)
    assert prepared.batching.endswith("need compute capability 8.0, and this device has 7.5")


def test_float16_on_a_cpu_is_refused(tiny_model):
    with pytest.raises(UsageError, match="many times slower than float32 on a CPU"):
        chosen(tiny_model, "float16")
