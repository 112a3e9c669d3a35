"""A model that was trained here is refused if one of its files is damaged, mixed up or missing."""

from __future__ import annotations

import json
import shutil

import pytest

from sentiment_batch.errors import ModelError
from sentiment_batch.model.file_digests import add_digests
from sentiment_batch.model.hub import hash_model_folder

META = {"labels": {"labels": ["negative", "positive"]}, "text": {"max_length": 64, "long_text": "head"}}


@pytest.fixture
def folder(tiny_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "sentiment_batch.json").write_text(json.dumps(add_digests(META, folder), indent=2))
    return folder


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "sentiment_batch.json"]
)
def test_a_changed_file_of_a_model_is_named(folder, name):
    hash_model_folder(folder)
    data = bytearray((folder / name).read_bytes())
    place = data.index(b"64") if name == "sentiment_batch.json" else len(data) - 3
    data[place] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ModelError, match=rf"{name} is not what the training wrote.*remove `files` and `sha256`"):
        hash_model_folder(folder)


def test_a_missing_file_is_named_and_a_further_one_is_not(folder):
    before = hash_model_folder(folder)
    (folder / "notes.txt").write_text("mine")
    assert hash_model_folder(folder) != before
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer_config\.json is not what the training wrote"):
        hash_model_folder(folder)


@pytest.mark.parametrize("key", ["files", "sha256"])
def test_a_model_that_lost_one_of_the_digests_is_refused(folder, key):
    meta = json.loads((folder / "sentiment_batch.json").read_text())
    del meta[key]
    (folder / "sentiment_batch.json").write_text(json.dumps(meta))
    with pytest.raises(ModelError, match=r"sentiment_batch\.json is not what the training wrote"):
        hash_model_folder(folder)


def test_a_model_without_digests_may_be_changed(folder):
    (folder / "sentiment_batch.json").write_text(json.dumps(META))
    before = hash_model_folder(folder)
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert hash_model_folder(folder) != before
