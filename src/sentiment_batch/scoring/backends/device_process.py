"""The program of one process of a `Fleet`: texts in from standard input, probabilities out to standard output."""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any, BinaryIO

import torch

from sentiment_batch.scoring.backends.local import LocalEngine
from sentiment_batch.scoring.backends.row_blocks import Window


def main() -> None:
    """Load the model that the first message names, then score stream after stream until the other side closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one decides
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints goes to standard error, not among the messages
    try:
        model, settings, sharing = pickle.load(source)
        torch.set_num_threads(max(1, torch.get_num_threads() // sharing))
        engine = LocalEngine(model, settings)
        _send(target, engine.description)
        while True:
            expected_rows = pickle.load(source)
            for scored in engine.scored(_windows(source), expected_rows=expected_rows):
                _send(target, (scored.probabilities, dataclasses.asdict(scored.counts), scored.failures))
    except (EOFError, BrokenPipeError):
        pass  # nobody is there any more
    except BaseException as error:
        error.add_note(f"In the process for {settings.device}:\n{traceback.format_exc()}")
        _send(target, error)


def _windows(source: BinaryIO) -> Iterator[Window]:
    """The windows of one stream, of which only the texts travel."""
    while (packed := pickle.load(source)) is not None:
        yield Window.of_texts(packed)


def _send(target: BinaryIO, message: Any) -> None:
    pickle.dump(message, target, protocol=5)
    target.flush()


if __name__ == "__main__":
    main()
