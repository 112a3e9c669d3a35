"""Runs the command line in a warm process: in itself, or in a fork that is killed at its n-th operation on files.

The process has imported everything and has run a command before, and it keeps the models, so that a run takes about a
tenth of a second. `python -m tests.warm_commands` reads requests as JSON lines and answers each with one.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import file_operations

MAX_SECONDS = 120
IGNORE_CHANGE_TIMES = "TESTS_IGNORE_CHANGE_TIMES"
"""A variable for tests that put a file back as it was: its change time and inode cannot be put back."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    """The exit code; minus the number of the signal that ended it."""
    operations: int | None
    """The number of operations on the watched files; None after a kill."""
    printed: str
    """Standard output."""
    error: str
    """Standard error."""

    def __str__(self) -> str:
        return f"status {self.status}: {self.error.strip()[-500:]}"


class WarmCommands:
    """A warm process. Close it.

    Args:
        library: what `file_operations.build_library` made.
        **environment: variables of its environment.
    """

    def __init__(self, library: Path, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm-")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SENTIMENT_BATCH_")}
        quiet = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "COLUMNS": "100000"}
        self._texts = [Path(self._folder.name) / name for name in ("out", "err")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_commands", *map(str, self._texts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            env=inherited | quiet | {"LD_PRELOAD": str(library)} | environment,
        )

    def run(self, arguments: Sequence[object], *, environment: dict[str, str] | None = None, **watched: Any) -> Ended:
        """Run the command line.

        Args:
            arguments: of the command line.
            environment: variables to set before.
            **watched: arguments of `file_operations.watch`. If there are some, the command runs in a fork.
        """
        request = {"arguments": list(map(str, arguments)), "environment": environment or {}, "watched": watched}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        reply = self._process.stdout.readline()
        assert reply, f"the warm process died in {arguments}"
        printed, error = (path.read_text(errors="replace") for path in self._texts)
        return Ended(**json.loads(reply), printed=printed, error=error)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._folder.cleanup()


def _serve(out: str, err: str) -> None:
    replies = os.fdopen(os.dup(1), "w")
    _import_everything()
    with replies:
        for line in sys.stdin:  # ends when the other side closes it
            request = json.loads(line)
            for number, path in ((1, out), (2, err)):
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
                os.dup2(file, number)
                os.close(file)
            os.environ.update(request["environment"])
            answer = _run_in_fork(request) if request["watched"] else {"status": _run(request), "operations": None}
            print(json.dumps(answer), file=replies, flush=True)


def _import_everything() -> None:
    import pandas  # noqa: F401 - pyarrow imports it at the first conversion
    import transformers.models.auto.tokenization_auto
    import transformers.models.distilbert.modeling_distilbert
    import transformers.models.distilbert.tokenization_distilbert  # noqa: F401

    import sentiment_batch.cli.score
    import sentiment_batch.cli.train
    import sentiment_batch.data.readers.parquet
    import sentiment_batch.training.run  # noqa: F401
    from sentiment_batch.data.readers import input_state
    from sentiment_batch.scoring import pipeline
    from sentiment_batch.scoring.output.journal import Journal
    from sentiment_batch.training.checkpoint import state
    from sentiment_batch.training.checkpoint.state import TrainState
    from sentiment_batch.training.checkpoint.work_folder import WorkFolder

    load = pipeline._load_scorer

    @functools.cache
    def load_once(model: str, settings: Any) -> Any:
        return load(_Job(model, settings), _Paths())

    pipeline._load_scorer = lambda job, paths: contextlib.nullcontext(load_once(job.model, job.settings))  # type: ignore
    # A state is saved at every step, and what depends on the clock is always the same.
    state.MIN_SECONDS_BETWEEN_SAVES, state.MAX_SAVING_SHARE = 0.0, 1e9
    TrainState.seconds = 0.0  # type: ignore[assignment, method-assign]
    if IGNORE_CHANGE_TIMES in os.environ:
        input_state._identify_on_machine = lambda path, status: {}  # type: ignore[assignment]
    _note_after(Journal, "add", lambda journal, *_: f"finished {journal.finished_rows}")
    _note_after(WorkFolder, "save_state", lambda work_folder, values, *_: f"saved step {values['step']}")


@dataclass(frozen=True, slots=True)
class _Job:
    """What loading a model needs of a job."""

    model: str
    settings: Any


class _Paths:
    """What it needs of the output's paths: all outputs are files."""

    work_folder = Path()


def _note_after(owner: type, name: str, describe: Any) -> None:
    """Put a note into the record after each call of a method."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def noted(self: Any, *arguments: Any, **options: Any) -> Any:
        result = real(self, *arguments, **options)
        file_operations.add_note(describe(self, *arguments))
        return result

    setattr(owner, name, noted)


def _run(request: dict[str, Any]) -> int:
    """Run the command line in this process; its exit code."""
    status = 1
    try:
        from sentiment_batch.cli import group

        group.main(request["arguments"], prog_name="sentiment-batch")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    return status


def _run_in_fork(request: dict[str, Any]) -> dict[str, Any]:
    incoming, report = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(incoming)
        status = 1
        try:
            file_operations.watch(**request["watched"])
            status = _run(request)
            file_operations.add_note("done" if status == 0 else "failed")
            os.write(report, str(file_operations.count_operations()).encode())
        finally:
            os._exit(status)
    os.close(report)
    status = _wait(child)
    with os.fdopen(incoming, "rb") as pipe:
        count = pipe.read()
    return {"status": status, "operations": int(count) if count else None}


def _wait(child: int) -> int:
    """The exit code of a child, which is killed if it takes too long."""
    started = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - started > MAX_SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
