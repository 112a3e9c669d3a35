"""A state that is another run's or damaged is never gone on from; a whole one holds all that a run draws from."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from sentiment_batch.errors import OutputError
from sentiment_batch.model.classifier import load_base
from sentiment_batch.training.checkpoint import state, state_file
from sentiment_batch.training.checkpoint.state import StateSaver, capture_random, restore_random
from tests.conftest import BAD, GOOD
from tests.training.run_results import names, result


def test_all_generators_go_on_where_they_were():
    def draw():
        return torch.rand(3).tolist(), np.random.normal(size=3).tolist(), random.gauss(0, 1), random.random()

    torch.randn(1), np.random.normal(), random.gauss(0, 1)  # half of a pair is kept for the next call
    values, tensors = capture_random("cpu")
    expected = draw()
    draw()
    snapshot = state.Snapshot({"random": json.loads(json.dumps(values))}, tensors)
    restore_random(snapshot, "cpu")
    assert draw() == expected


def test_a_state_is_due_each_minute_and_later_if_saving_is_slow(monkeypatch):
    now = 0.0
    monkeypatch.setattr(state.time, "perf_counter", lambda: now)
    seconds = 2.0

    def write(snapshot):
        nonlocal now
        now += seconds

    class Still:
        def capture(self):
            return None

    saver = StateSaver(write)
    for wait, due in ((59.9, False), (60.0, True)):
        now = wait
        assert saver.is_due() is due
    saver.save(Still())
    for wait, due in ((59.9, False), (60.1, True)):
        now = 62.0 + wait
        assert saver.is_due() is due
    now, seconds = 200.0, 10.0
    saver.save(Still())
    for wait, due in ((199.9, False), (200.1, True)):
        now = 210.0 + wait
        assert saver.is_due() is due


# Another run


CHANGES = {
    "epochs": (4, "`epochs`: 3 before, 4 now"),
    "batch_size": (17, "`batch_size`: 18 before, 17 now"),
    "learning_rate": (0.01, "`learning_rate`: not set before, 0.01 now"),
    "weight_decay": (0.02, "`weight_decay`: 0.01 before, 0.02 now"),
    "warmup": (0.2, "`warmup`: 0.1 before, 0.2 now"),
    "layer_decay": (0.9, "`layer_decay`: 1.0 before, 0.9 now"),
    "label_smoothing": (0.1, "`label_smoothing`: 0.0 before, 0.1 now"),
    "random_crops": (0.5, "`random_crops`: not set before, 0.5 now"),
    "weight_average": (0.9, "`weight_average`: not set before, 0.9 now"),
    "dropout": (0.2, "`dropout`: 0.1 before, 0.2 now"),
    "max_length": (32, "`max_length`: not set before, 32 now"),
    "long_text": ("head", "`long_text`: head-tail before, head now"),
    "patience": (2, "`patience`: not set before, 2 now"),
    "class_weights": ("auto", "`class_weights`: none before, auto now"),
    "calibrate": (False, "`calibrate`: True before, False now"),
    "dtype": ("bfloat16", "`dtype`: float32 before, bfloat16 now"),
    "seed": (7, "`seed`: 42 before, 7 now"),
    "val_size": (0.2, "`val_size`: not set before, 0.2 now"),
    "folds": (3, "`folds`: 0 before, 3 now"),
    "limit": (50, "`limit`: not set before, 50 now"),
    "learning_curve": (True, "`learning_curve`: False before, True now"),
    "ensemble": (2, "`ensemble`: not set before, 2 now"),
}
OF_UNLABELLED = {
    "unlabelled_limit": (1, "`unlabelled_limit`: not set before, 1 now"),
    "unlabelled_confidence": (0.9, "`unlabelled_confidence`: not set before, 0.9 now"),
    "unlabelled_weight": (0.3, "`unlabelled_weight`: not set before, 0.3 now"),
}
"""Settings that need a table of unlabelled texts."""


@pytest.fixture
def refused(train, interrupted, whole, often):
    """Interrupts a run; resuming it with something else is refused, with one line that holds all `parts`."""
    interrupted(4)

    def refused(*parts, **chosen):
        with pytest.raises(OutputError) as error:
            train(resume=True, **chosen)
        text = str(error.value)
        assert "\n" not in text
        assert text.endswith("Use the same values again, or delete the run and start over with `restart=True`.")
        for part in parts:
            assert part in text
        return text

    yield refused
    assert result(train(resume=True)) == whole, "what was refused has changed nothing"


def test_a_changed_setting_is_refused_by_name(refused, settings):
    assert {*CHANGES, *OF_UNLABELLED, "base", "device"} == {field.name for field in dataclasses.fields(settings())}
    for name, (value, part) in CHANGES.items():
        text = refused(part, **{name: value})
        if name not in {"val_size", "folds", "limit", "seed"}:  # which change the rows, too
            assert text.count(" before, ") == 1
    texts = pa.table({"text": ["one film", "two films"]})
    for name, (value, part) in OF_UNLABELLED.items():
        refused(part, "the unlabelled texts: not set before", unlabelled=texts, **{name: value})


def test_changed_rows_labels_and_base_are_refused_by_name(refused, reviews, tiny_base, tmp_path, monkeypatch):
    rows = reviews()
    rows.texts[7] += "!"
    assert "(the training rows: sha256 " in refused(rows=rows)
    assert "validation" not in refused("the training rows", rows=rows)
    assert "`base`" not in refused("the training rows", "the validation rows", val=reviews(10, start=80))
    renamed = reviews(60, {"bad": BAD, "good": GOOD})
    assert " before, " in refused("the labels: negative, positive before, bad, good now", rows=renamed)
    other = tmp_path / "other"
    encoder, tokenizer = load_base(tiny_base)
    torch.nn.init.zeros_(encoder.embeddings.word_embeddings.weight)
    encoder.save_pretrained(other)
    tokenizer.save_pretrained(other)
    refused("`base`: sha256", base=str(other))


@pytest.mark.parametrize("name", ["sentiment-batch", "torch", "transformers", "tokenizers"])
def test_another_version_is_refused_by_name(refused, monkeypatch, name):
    version = importlib.metadata.version
    with monkeypatch.context() as patch:
        patch.setattr(importlib.metadata, "version", lambda one: "99.9" if one == name else version(one))
        refused(f"the version of {name}: {version(name)} before, 99.9 now")


def test_another_kind_of_device_is_refused_not_another_number(settings, reviews):
    from sentiment_batch.training.checkpoint.fingerprint import check_unchanged, compute_fingerprint
    from sentiment_batch.training.prepare import prepare

    data = prepare([reviews()], settings())
    first, second, cpu = (
        compute_fingerprint(settings(), data, "x", device, "float32") for device in ("cuda:0", "cuda:1", "cpu")
    )
    check_unchanged(Path("model"), first, second)
    with pytest.raises(OutputError, match="`device`: cpu before, cuda now"):
        check_unchanged(Path("model"), cpu, first)


def test_other_groups_are_refused_where_there_are_folds(settings, reviews):
    from sentiment_batch.training.checkpoint.fingerprint import check_unchanged, compute_fingerprint
    from sentiment_batch.training.prepare import prepare

    def fingerprint(groups):
        rows = dataclasses.replace(reviews(), groups=groups, group_column="film")
        return compute_fingerprint(settings(), prepare([rows], settings(folds=3)), "x", "cpu", "float32")

    alone, pairs = fingerprint([str(row) for row in range(60)]), fingerprint([str(row // 4) for row in range(60)])
    assert {name for name in alone if alone[name] != pairs[name]} == {"the folds"}
    with pytest.raises(OutputError, match=r"something has changed \(the folds: sha256 \w+\.\.\. before, sha256"):
        check_unchanged(Path("model"), alone, pairs)


def test_a_second_state_of_a_step_never_replaces_the_first(tmp_path, monkeypatch):
    def write(number):
        state_file.write_state(tmp_path, {"step": 0, "number": number}, {"one": torch.tensor([number])})

    def read():
        values = state_file.read_state(tmp_path)
        return values["number"], state_file.read_state_tensors(tmp_path, values)["one"].item()

    def full(path, content):
        raise OSError(28, "No space left on device")

    write(1)
    with monkeypatch.context() as patch:
        patch.setattr(state_file.atomic, "write_whole", full)
        with pytest.raises(OSError, match="No space left"):
            write(2)
    assert read() == (1, 1)
    for number in (2, 3):
        write(number)
        assert read() == (number, number)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_same_base_at_another_place_is_the_same(train, interrupted, whole, often, tiny_base, tmp_path):
    interrupted(4)
    (tmp_path / "link").symlink_to(tiny_base)
    assert result(train(resume=True, base=str(tmp_path / "link")))[:-1] == whole[:-1], "the report names its place"


# A damaged state


@pytest.fixture
def work(interrupted, often, tmp_path) -> Path:
    """The work folder of an interrupted run."""
    interrupted(4)
    return tmp_path / "model.training"


def damages(data: bytes, count: int):
    """Truncated, and with single bits flipped."""
    yield from (data[:length] for length in (0, 1, len(data) // 3, len(data) - 1))
    for place in random.Random(1).sample(range(8 * len(data)), count):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        yield bytes(flipped)


def test_no_damaged_values_are_taken_for_a_state(work):
    path, values, refused = work / "state.json", state_file.read_state(work), []
    for data in damages(path.read_bytes(), 400):
        path.write_bytes(data)
        try:
            assert state_file.read_state(work) == values  # a blank between the values is gone
        except OutputError as error:
            refused.append(str(error))
    assert len(refused) > 350
    assert all(re.search(r"state\.json is damaged .*`restart=True`\.$", message) for message in refused)


def test_no_damaged_tensors_are_taken_for_a_state(work):
    path, values = work / "state-4.safetensors", state_file.read_state(work)
    for data in damages(path.read_bytes(), 40):
        path.write_bytes(data)
        with pytest.raises(OutputError, match=r"state-4\.safetensors is damaged .*`restart=True`\.$"):
            state_file.read_state_tensors(work, values)
    path.unlink()
    with pytest.raises(OutputError, match=r"is damaged \(No such file"):
        state_file.read_state_tensors(work, values)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "3", '{"state": []}', '{"format": 1, "check": "", "state": {}}', "[" * 100_000, "\0"],
)
def test_a_file_that_is_no_state_is_one_line_however_it_begins(work, train, text):
    (work / "state.json").write_text(text)
    with pytest.raises(OutputError, match=r"is damaged .*`restart=True`\.$") as error:
        train(resume=True)
    assert "\n" not in str(error.value)
    with pytest.raises(OutputError, match=r"holds a run that cannot be read.*`restart=True`"):
        train()
    assert (work / "state.json").exists()
    train(restart=True)


def test_a_state_holds_no_pickle(work):
    from safetensors import safe_open

    assert names(work) == ["best", "lock", "lock.holder", "state-4.safetensors", "state.json"]
    with safe_open(work / "state-4.safetensors", "pt") as file:
        assert {"losses", "random.torch", "adamw.0.exp_avg", "weights.linear.weight"} <= set(file.keys())
    json.loads((work / "state.json").read_bytes())
