"""A model folder with a fault is refused in one line that names the fault and what helps, as a model and as a base."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch

from sentiment_batch.errors import ModelError
from sentiment_batch.model import folder_faults
from sentiment_batch.model.classifier import load_base
from sentiment_batch.model.hub import resolve_model
from sentiment_batch.model.stock import load_classifier
from sentiment_batch.scoring.scorer import Scorer
from tests.stock_models import edit_json, write_stock_model

DESCRIPTION = {"labels": {}, "text": {"max_length": 20, "long_text": "head"}}


@pytest.fixture
def folder(tmp_path, tiny_model):
    """A copy of a good model, to be damaged."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def refused(load, *parts):
    """Loading fails in one line that holds all `parts`, and no advice of another library."""
    with pytest.raises(ModelError) as caught:
        load()
    message = str(caught.value)
    assert "\n" not in message
    assert not [word for word in ("trust_remote_code", "ignore_mismatched_sizes", "force_download") if word in message]
    for part in parts:
        assert part in message
    return message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": 5}, "its text is 5"),
        ({"text": {"max_length": -1}}, "its text.max_length is -1"),
        ({"text": {"max_length": 1}}, "its text.max_length is 1"),
        ({"text": {"max_length": "20"}}, "its text.max_length is '20'"),
        ({"text": {"max_length": True}}, "its text.max_length is True"),
        ({"text": {"long_text": "middle"}}, "its text.long_text is 'middle'"),
        ({"text": {"long_text": ["head"]}}, "its text.long_text is ['head']"),
        ({"text": {"special_tokens_as_text": "yes"}}, "its text.special_tokens_as_text is 'yes'"),
        ({"text": None}, "its text is None"),
        ({"labels": 5}, "its labels is 5"),
        ({"labels": []}, "its labels is []"),
        ({"labels": {"labels": ["a", "b"]}}, "its labels is {"),
        ({"labels": {"labels": 3, "kind": "words", "values": {}, "stars": []}}, "its labels is {"),
        ({"labels": {"labels": ["a", "b"], "kind": "words", "values": {"a": 5}, "stars": []}}, "its labels is {"),
        ({"labels": {"labels": ["a", 5], "kind": "words", "values": {}, "stars": []}}, "its labels is {"),
        (
            {
                "labels": {
                    "labels": ["a"],
                    "kind": "stars",
                    "values": {},
                    "stars": [{"label": "a", "low": "1", "high": 2}],
                }
            },
            "its labels is {",
        ),
        ({"batch": {"tokens": None, "texts": 3}}, "its batch is {"),
        ({"calibration": 5}, "its calibration is 5"),
        ({"data": []}, "its data is []"),
    ],
)
def test_a_wrong_value_in_our_description_is_named(folder, changes, said):
    (folder / "sentiment_batch.json").write_text(json.dumps(DESCRIPTION | changes))
    message = refused(lambda: load_classifier(folder), "sentiment_batch.json is damaged: ", said)
    assert message.endswith("Restore it, or train again.")


def test_values_that_may_be_missing_may_be_null(folder):
    optional = dict.fromkeys(("batch", "calibration", "data", "best", "input", "metrics", "settings"))
    text = {"max_length": None, "long_text": None, "special_tokens_as_text": None}
    (folder / "sentiment_batch.json").write_text(json.dumps({"labels": {}, "text": text} | optional))
    assert load_classifier(folder).meta is not None


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("config.json", {"model_type": None}, "does not know its family (model_type None)"),
        ("config.json", {"model_type": "llama99"}, "does not know its family (model_type 'llama99')"),
        ("config.json", {"id2label": ["bad", "good"]}, 'id2label in its config.json must be an object such as {"0"'),
        ("config.json", {"id2label": {"x": "bad", "y": "good"}}, "id2label in its config.json must be an object"),
        ("config.json", {"vocab_size": 5}, "in the shape (5, 32), but its weights have ("),
        (
            "config.json",
            {"id2label": {str(n): f"{n} stars" for n in range(5)}},
            "names 5 labels, but the weights have 2 outputs",
        ),
        ("tokenizer_config.json", {"model_max_length": "64"}, "model_max_length in its tokenizer_config.json is '64'"),
        (
            "tokenizer_config.json",
            {"model_max_length": 1},
            "takes at most 1 tokens, of which its tokenizer needs 2",
        ),
    ],
)
def test_a_wrong_value_of_a_stock_model_is_named(folder, file, changes, said):
    edit_json(folder, file, **changes)
    refused(lambda: load_classifier(folder), str(folder), said)


def test_a_null_among_the_labels_is_named(folder):
    edit_json(folder, "config.json", id2label={"0": "bad", "1": None})
    message = folder_faults.explain_load_error(folder, TypeError("as Transformers 5.17 raises it"))
    assert message.startswith("id2label in its config.json must be an object such as")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_its_own_is_named(folder, name):
    edit_json(folder, name, auto_map={"AutoConfig": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]})
    edit_json(folder, "config.json", model_type="evil")
    refused(lambda: load_classifier(folder), "needs Python code of its own (auto_map)", "never run")


@pytest.mark.parametrize(
    ("content", "installed", "said"),
    [
        (
            b"\n\x0e",
            (),
            "needs the package sentencepiece and protobuf. Install it with pip install sentencepiece protobuf",
        ),
        (b"\n\x0e", ("protobuf",), "pip install sentencepiece."),
        (b"aGVsbG8= 0\n", ("sentencepiece",), "needs the package tiktoken. Install it with pip install tiktoken"),
    ],
)
def test_a_missing_package_of_a_tokenizer_is_named(folder, monkeypatch, content, installed, said):
    monkeypatch.setattr(folder_faults, "_is_installed", lambda module: module in installed)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(content)
    assert said in folder_faults.explain_load_error(folder, ValueError("`tiktoken` is required"))


def test_labels_without_names_are_as_many_as_the_outputs(tmp_path):
    folder = write_stock_model("distilbert", tmp_path / "model", labels=("bad", "so so", "good"))
    edit_json(folder, "config.json", id2label=None, label2id=None)
    refused(lambda: load_classifier(folder), "'LABEL_2'", '`labels=["negative", "neutral", "positive"]`')
    assert load_classifier(folder, ("bad", "so so", "good")).labels == ("bad", "so so", "good")


ADAPTER = {"base_model_name_or_path": "somebody/base", "peft_type": "LORA"}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 267\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"adapter_config.json": json.dumps(ADAPTER), "model.safetensors": None}, "adapter of 'somebody/base', not a"),
        ({"adapter_config.json": "{}", "model.safetensors": None, "config.json": None}, "merge_and_unload()"),
        ({"model.safetensors": None, "model.onnx": "x"}, "but model.onnx, which is for ONNX Runtime"),
        ({"model.safetensors": None, "q4.gguf": "GGUF"}, "but q4.gguf, which is for llama.cpp"),
        ({"model.safetensors": None, "tf_model.h5": "x"}, "but tf_model.h5, which is for TensorFlow"),
        ({"model.safetensors": None, "model.pt": "x"}, "but model.pt, and pickled weights are never loaded"),
        (
            {"model.safetensors": POINTER},
            "model.safetensors is a Git LFS pointer, not the file itself. Run git lfs pull",
        ),
    ],
)
def test_a_folder_of_another_kind_is_named(folder, files, said):
    for name, content in files.items():
        (folder / name).unlink(missing_ok=True)
        if content is not None:
            (folder / name).write_text(content)
    for setting in ("model", "base"):
        refused(lambda setting=setting: resolve_model(str(folder), setting=setting), str(folder), said)


def test_models_below_a_folder_are_named(tmp_path, tiny_model):
    shutil.copytree(tiny_model, tmp_path / "run" / "checkpoint-500")
    refused(lambda: resolve_model(str(tmp_path / "run")), f"Name the model in it, {tmp_path}/run/checkpoint-500.")
    refused(lambda: resolve_model(str(tmp_path)), f"Name the model in it, {tmp_path}/run/checkpoint-500.")
    shutil.copytree(tiny_model, tmp_path / "run" / "checkpoint-1000")
    refused(lambda: resolve_model(str(tmp_path / "run")), "in it: 'checkpoint-500', 'checkpoint-1000'.")


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_a_file_in_a_model_folder_leads_to_the_folder(folder, name):
    (folder / name).touch()
    refused(lambda: resolve_model(str(folder / name)), "is a file", f"Name its folder, {folder}.")


@pytest.mark.parametrize("closed", ["", "config.json", "tokenizer.json", "model.safetensors"])
def test_what_may_not_be_read_is_named(folder, monkeypatch, closed):
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(folder / closed) and real(path, mode))
    refused(lambda: resolve_model(str(folder)), str(folder / closed), "may not be read. Check its permissions")


@pytest.mark.parametrize("name", ["sentiment_batch.json", "tokenizer.json", "config.json", "model.safetensors"])
@pytest.mark.parametrize("make", [os.mkdir, getattr(os, "mkfifo", os.mkdir)])
def test_a_folder_or_pipe_in_the_place_of_a_file_is_named(folder, name, make):
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    refused(lambda: resolve_model(str(folder)), f"{folder / name} is no regular file")


def test_a_folder_that_may_not_be_entered_is_named(folder, monkeypatch):
    def forbid(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_dir", forbid)
    refused(lambda: resolve_model(str(folder)), "may not be read. Check the permissions of its folders")


@pytest.fixture
def larger_tokenizer(folder):
    """A model whose tokenizer has two tokens that the weights do not know."""
    described = json.loads((folder / "tokenizer.json").read_text())
    words = described["model"]["vocab"]
    size = max(words.values())
    described["model"]["vocab"] = words | {"hallo": size + 1, "bonjour": size + 9}
    (folder / "tokenizer.json").write_text(json.dumps(described))
    return folder


def test_rows_of_tokens_without_an_embedding_are_marked(larger_tokenizer, caplog, tmp_path, cli):
    reviews = tmp_path / "reviews.csv"
    reviews.write_text('text\nthe film was great\nhallo film\n"a great, bonjour hallo"\nboring\n')
    command = ("score", reviews, tmp_path / "out.csv", "-m", larger_tokenizer, "--device", "cpu", "--dtype", "float32")
    failed = cli(*command)
    assert failed.exit_code == 1
    assert "row 1 (counted from 0)" in failed.stderr
    assert "the model has no embedding for tokens that its tokenizer gives: 'hallo', 'bonjour'" in failed.stderr
    marked = cli(*command, "--on-bad-row", "mark")
    assert marked.exit_code == 0, marked.stderr
    rows = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert [row.endswith(",,") for row in rows] == [False, True, True, False]
    problems = [json.loads(line) for line in (tmp_path / "out.csv.problems.jsonl").read_text().splitlines()]
    assert [problem["row"] for problem in problems] == [1, 2]
    with Scorer.load(str(larger_tokenizer), device="cpu", dtype="float32") as scorer:
        batch = pa.record_batch({"text": ["the film was great", "boring"]})
        assert all(np.isfinite(part).all() for _, part in scorer.probabilities([batch], ["text"]))


def test_a_base_with_tokens_without_an_embedding_is_refused(larger_tokenizer):
    refused(
        lambda: load_base(larger_tokenizer),
        "no embedding for tokens that its tokenizer gives: 'hallo', 'bonjour'",
        "Fetch the base again",
    )


def test_a_tokenizer_whose_frame_is_unknown_is_refused(folder):
    described = json.loads((folder / "tokenizer.json").read_text())
    described["model"]["vocab"]["[CLS]"] = 9_999
    described["added_tokens"] = [one for one in described["added_tokens"] if one["content"] != "[CLS]"]
    (folder / "tokenizer.json").write_text(json.dumps(described))
    refused(
        lambda: load_classifier(folder),
        "the tokenizer puts tokens around each text that the model has no embedding for",
    )


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("config.json", {"dim": 64}, "config.json asks for"),
        ("config.json", {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}, "Python code of its own"),
        ("config.json", {"vocab_size": 5}, "in the shape (5, 32), but its weights have ("),
    ],
)
def test_a_base_has_the_same_messages(folder, file, changes, said):
    edit_json(folder, file, **changes)
    refused(lambda: load_base(folder), str(folder), said)


@pytest.mark.parametrize(
    ("mismatched", "num_labels", "outputs"),
    [
        ([("head.weight", (3, 8), (2, 8)), ("head.bias", (3,), (2,))], 2, 3),
        ([("head.weight", (3, 8), (2, 8)), ("embeddings", (9, 8), (5, 8))], 2, None),
        ([("head.weight", (3, 8), (2, 4))], 2, None),
        ([("embeddings", (9, 8), (5, 8))], 2, None),
        ([], 2, None),
    ],
)
def test_outputs_are_counted_if_only_the_head_differs(mismatched, num_labels, outputs):
    shapes = [(name, torch.Size(stored), torch.Size(asked)) for name, stored, asked in mismatched]
    assert folder_faults.count_outputs(shapes, num_labels) == outputs
