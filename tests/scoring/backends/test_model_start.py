"""A model that was checked once is loaded without Transformers, and gives the same bits; at any doubt it is not."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file

from sentiment_batch import Scorer
from sentiment_batch.errors import ModelError, UsageError
from sentiment_batch.explanation.attribution import explain_texts
from sentiment_batch.files.cache import cache_folder
from sentiment_batch.files.checksums import checked_json, read_checked_json
from sentiment_batch.model import fast_start
from sentiment_batch.model.forward import layers
from sentiment_batch.scoring.backends.model_start import start_model
from sentiment_batch.settings import ScoreSettings
from tests.stock_models import edit_json, write_stock_model

FAST = ("distilbert", "bert", "roberta")
"""Families that always start fast. Transformers reads the scores of XLM-RoBERTa's tokens with other last bits."""
TEXTS = ["the film was great", "boring", "a wonderful story, never dull and so fine", None, "Où est le café naïve?"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tiny_model, tmp_path):
    """A copy of the tiny model, to change."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def start(folder, **settings):
    return start_model(str(folder), "cpu", ScoreSettings(**{"dtype": "float32"} | settings))


def is_fast(folder, **settings):
    return start(folder, **settings).loaded is None


def scored(folder, **settings):
    """The probabilities of `TEXTS` and the description of the model, and whether the start was fast."""
    batch = pa.record_batch({"text": pa.array(TEXTS, pa.large_string())})
    with Scorer.load(folder, device="cpu", **settings) as scorer:
        fast = scorer.backend._started.loaded is None
        return [part for _, part in scorer.probabilities([batch], ["text"])], scorer.description, fast


def records():
    return sorted((cache_folder() / fast_start.CACHE_FOLDER).rglob("*.json"))


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAST)
def test_a_fast_start_gives_the_same_bits_and_description(family, dtype, deterministic, tmp_path):
    folder = write_stock_model(family, tmp_path / family)
    first, described, was_fast = scored(folder, dtype=dtype, deterministic=deterministic)
    again, described_again, is_fast = scored(folder, dtype=dtype, deterministic=deterministic)
    assert (was_fast, is_fast) == (False, True)
    assert described == described_again
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(first, again, strict=True))


def test_the_weights_of_a_fast_start_have_the_same_layouts(tiny_model):
    full, fast = (start(tiny_model).strategy.model.encoder for _ in range(2))
    for one, other in zip(full.layers, fast.layers, strict=True):
        assert torch.equal(one.qkv.weight, other.qkv.weight)
        assert (one.qkv.prepacked is None) == (other.qkv.prepacked is None)
    assert full.activation is fast.activation is layers.GELU
    assert full.norm.epsilon == fast.norm.epsilon


def test_an_automatic_dtype_keeps_its_reason(tiny_model):
    first, again = start(tiny_model, dtype="auto"), start(tiny_model, dtype="auto")
    assert (first.loaded is None, again.loaded is None) == (False, True)
    assert (first.dtype, first.batching, first.texts.policy) == (again.dtype, again.batching, again.texts.policy)


def test_commands_import_no_transformers_at_the_second_time(tiny_model, tmp_path):
    assert not is_fast(tiny_model, dtype="auto")
    table = tmp_path / "reviews.csv"
    table.write_text("text\nthe film was great\nboring\n")
    script = (
        "import sys\n"
        "from sentiment_batch.cli import group\n"
        f"options = ['--model', {str(tiny_model)!r}, '--device', 'cpu', '--quiet']\n"
        "group(['predict', 'good', *options], standalone_mode=False)\n"
        f"group(['score', {str(table)!r}, {str(tmp_path / 'scored.csv')!r}, *options], standalone_mode=False)\n"
        "print(sorted({'transformers', 'sklearn', 'scipy', 'torch._dynamo'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert len((tmp_path / "scored.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_changed_file_is_noticed(name, model):
    assert not is_fast(model)
    assert is_fast(model)
    if name == "model.safetensors":
        weights = load_file(model / name)
        weights["classifier.bias"] = weights["classifier.bias"] + 1
        save_file(weights, model / name, {"format": "pt"})
    else:
        (model / name).write_text((model / name).read_text() + "\n")
    assert not is_fast(model)
    assert is_fast(model)


def test_damage_is_reported_as_at_the_first_start(model):
    start(model)
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ModelError, match="its weights are damaged or incomplete"):
        start(model)
    (model / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"its config\.json is damaged"):
        start(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["holds_for"]["versions"].update(transformers="1.0"),
        lambda record: record["holds_for"].update(cpu=["another"]),
        lambda record: record["facts"].pop("width"),
        lambda record: record["shape"].update(prefix="bert"),
        lambda record: record["shape"].update(family="unheard of"),
        lambda record: record.pop("dtype"),
        lambda record: record.update(batching="in another way"),
    ],
)
def test_another_record_leads_to_a_full_start(change, tiny_model):
    assert not is_fast(tiny_model)
    (path,) = records()
    record = read_checked_json(path)
    change(record)
    path.write_bytes(checked_json(record))
    assert not is_fast(tiny_model)
    assert is_fast(tiny_model)  # the full start wrote it anew


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"content": {}, "sha256": "0"}'])
def test_a_damaged_record_is_ignored(content, tiny_model):
    start(tiny_model)
    (path,) = records()
    path.write_bytes(content)
    assert not is_fast(tiny_model)
    assert is_fast(tiny_model)


@pytest.mark.parametrize("name", fast_start.PACKAGES)
def test_another_version_of_a_library_needs_a_full_start(name, tiny_model, monkeypatch):
    start(tiny_model)
    real = fast_start.version
    monkeypatch.setattr(fast_start, "version", lambda package: "99" if package == name else real(package))
    assert not is_fast(tiny_model)


def test_each_text_policy_has_its_own_record(tiny_model):
    assert [is_fast(tiny_model, max_length=length) for length in (16, 32, 16, 32)] == [False, False, True, True]
    assert [is_fast(tiny_model, long_text=kept) for kept in ("head", "tail", "head", "tail")] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("damage", ["tokenizer", "weights", "logits"])
def test_no_record_is_written_if_the_files_give_something_else(damage, tiny_model, monkeypatch):
    if damage == "tokenizer":
        real = fast_start._load_backend

        def other(folder):
            backend = real(folder)
            backend.enable_truncation(5)
            return backend

        monkeypatch.setattr(fast_start, "_load_backend", other)
    elif damage == "weights":
        real = fast_start.load_weights
        monkeypatch.setattr(
            fast_start, "load_weights", lambda *given: {name: weight + 1e-6 for name, weight in real(*given).items()}
        )
    else:
        logits = iter([np.zeros(1, np.float32), np.ones(1, np.float32)])
        monkeypatch.setattr(fast_start, "compute_segment_logits", lambda *given: next(logits))
    assert not is_fast(tiny_model)
    assert records() == []


def test_no_record_is_written_for_a_model_that_changes_meanwhile(model, monkeypatch):
    monkeypatch.setattr(fast_start, "hash_model_folder", lambda folder: "of the new files")
    assert not is_fast(model)
    assert records() == []


def test_a_model_that_is_not_packed_starts_in_full(tmp_path):
    folder = write_stock_model("modernbert", tmp_path / "modernbert")
    assert not is_fast(folder)
    assert not is_fast(folder)
    assert records() == []


def test_another_activation_starts_in_full(tmp_path):
    folder = write_stock_model("bert", tmp_path / "bert")
    edit_json(folder, "config.json", hidden_act="relu")
    assert [is_fast(folder), is_fast(folder)] == [False, False]


def test_labels_are_renamed_and_refused_as_at_the_first_start(tmp_path, caplog):
    folder = write_stock_model("distilbert", tmp_path / "model")
    own = start(folder).facts.labels
    with caplog.at_level(logging.WARNING, "sentiment_batch"):
        renamed = start(folder, labels=("bad", "so so", "good"))
    assert renamed.loaded is None
    assert renamed.facts.labels == ("bad", "so so", "good")
    assert [record.getMessage() for record in caplog.records] == [
        "the model calls its labels 'negative', 'neutral', 'positive'; they are renamed to 'bad', 'so so', 'good'"
    ]
    with pytest.raises(UsageError, match="in this order"):
        start(folder, labels=own[::-1])


def test_an_unwritable_cache_is_no_error(tiny_model, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "file"))
    assert not is_fast(tiny_model)
    assert not is_fast(tiny_model)


def test_words_are_weighed_after_a_fast_start(tiny_model):
    def weighed():
        with Scorer.load(tiny_model, device="cpu", dtype="float32") as scorer:
            fast = scorer.backend._started.loaded is None
            return fast, explain_texts(scorer, ["the film was great"])

    (was_fast, first), (is_now_fast, again) = weighed(), weighed()
    assert (was_fast, is_now_fast) == (False, True)
    assert first == again


def test_the_network_of_a_changed_model_is_refused(model):
    start(model)
    with Scorer.load(model, device="cpu", dtype="float32") as scorer:
        edit_json(model, "config.json", note="changed")
        with pytest.raises(ModelError, match="was changed while it was in use"):
            _ = scorer.backend.loaded
