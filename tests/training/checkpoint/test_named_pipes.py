"""Named pipes in the places of our files end in an error, not in a wait for ever."""

from __future__ import annotations

import os

import pytest

from sentiment_batch.errors import OutputError
from sentiment_batch.settings import META_FILE
from sentiment_batch.training.checkpoint.model_folders import read_run_digest
from sentiment_batch.training.checkpoint.state_file import STATE_NAME, read_state


def test_a_pipe_in_place_of_the_state_is_an_error(tmp_path):
    os.mkfifo(tmp_path / STATE_NAME)
    with pytest.raises(OutputError, match=r"state\.json cannot be read: it is no regular file"):
        read_state(tmp_path)


def test_a_pipe_in_place_of_the_metadata_names_no_run(tmp_path):
    os.mkfifo(tmp_path / META_FILE)
    assert read_run_digest(tmp_path) is None
