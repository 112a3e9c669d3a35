"""The file with the unlabelled texts of a run: it is whole and of the same source, or it is read anew."""

from __future__ import annotations

import dataclasses
import os

import pytest

from sentiment_batch.training.self_training.unlabelled_file import UnlabelledTexts, restore_unlabelled, store_unlabelled

FOUND = UnlabelledTexts(
    name="pool.csv", texts=["one", "zwei \U0001f600", ""], rows=5, blank=1, labelled=1, limit=9, source="abc"
)


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "unlabelled.parquet"
    store_unlabelled(path, FOUND)
    return path


def test_what_was_stored_is_read(stored):
    assert restore_unlabelled(stored, "abc") == FOUND


def test_texts_of_another_source_or_none_are_not_taken(stored, tmp_path):
    assert restore_unlabelled(stored, "abd") is None
    assert restore_unlabelled(tmp_path / "missing.parquet", "abc") is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_a_damaged_file_is_not_taken(stored, share):
    data = bytearray(stored.read_bytes())
    stored.write_bytes(data[: int(share * len(data))])
    assert restore_unlabelled(stored, "abc") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are for Unix")
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert restore_unlabelled(tmp_path / "pipe", "abc") is None


def test_other_texts_have_another_digest():
    joined = dataclasses.replace(FOUND, texts=["onezwei \U0001f600", "", ""])
    assert joined.digest != FOUND.digest
