"""The program of one process of `MultiDeviceBackend`: texts come in on standard input, probabilities go out."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any, BinaryIO

import torch

from sentiment_batch.scoring.backends.local import LocalBackend
from sentiment_batch.scoring.backends.row_blocks import RowBlock


def serve_model() -> None:
    """Load the model that the first message names, then score stream after stream until the other side closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process decides when to stop
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the messages
    try:
        model, settings, sharing = pickle.load(source)
        # Processes that share a device, such as several on the CPU, would take each other's cores
        torch.set_num_threads(max(1, torch.get_num_threads() // sharing))
        backend = LocalBackend(model, settings)
        _send(target, backend.description)
        while True:
            expected_rows = pickle.load(source)
            for scored in backend.score_blocks(_receive_blocks(source), expected_rows=expected_rows):
                _send(target, (scored.probabilities, scored.counts, scored.failures))
    except (EOFError, BrokenPipeError):
        pass  # the parent process has ended
    except BaseException as error:
        # A pickled error has no traceback, so its text goes with it as a note
        error.add_note(f"In the process for {settings.device}:\n{traceback.format_exc()}")
        _send(target, error)


def _receive_blocks(source: BinaryIO) -> Iterator[RowBlock]:
    """The blocks of one stream, with their texts only."""
    while (packed := pickle.load(source)) is not None:
        yield RowBlock.unpack_texts(packed)


def _send(target: BinaryIO, message: Any) -> None:
    pickle.dump(message, target, protocol=5)
    target.flush()


if __name__ == "__main__":
    serve_model()
