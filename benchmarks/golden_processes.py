"""Runs commands and functions in processes that are forked from this one, and kills some of them on the way.

The libraries are imported once, before the first fork. This saves seconds for each command.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.forked import exit_after


class ForkedCommands:
    """Runs commands of sentiment-batch in one folder, each in a forked process.

    Args:
        folder: the folder to work in; it also takes what the commands print.
        tell: prints what runs now.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.folder = folder
        self._tell = tell

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What a command prints on standard output; it must succeed."""
        self._tell(" ".join(arguments)[:150])
        status = self._forked(lambda: _command_line(arguments), stdin)
        if status != 0:
            raise SystemExit(f"{' '.join(arguments)} ended with status {status}:\n{self._standard_error()}")
        return (self.folder / "stdout").read_bytes()

    def kill(self, *arguments: str, work: str, json_files: int) -> None:
        """Run a command and kill it after so many JSON files were put into its work folder."""
        self._tell(f"kill {' '.join(arguments)}"[:150])

        def run() -> None:
            _die_after(self.folder / work, json_files)
            _command_line(arguments)

        status = self._forked(run, b"")
        if status != -signal.SIGKILL or not (self.folder / work).is_dir():
            raise SystemExit(f"{' '.join(arguments)} was to be killed and ended with status {status}")

    def call(self, what: str, call: Callable[[], None]) -> None:
        """Call a function in the folder; `what` says what it does."""
        self._tell(what)
        if self._forked(call, b"") != 0:
            raise SystemExit(f"{what}:\n{self._standard_error()}")

    def _forked(self, call: Callable[[], object], stdin: bytes) -> int:
        """The exit status of a child that calls `call` in the folder; negative if a signal ended it."""
        (self.folder / "stdin").write_bytes(stdin)
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        def run() -> None:
            os.chdir(self.folder)
            for number, name in enumerate(("stdin", "stdout", "stderr")):
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
                os.dup2(os.open(name, flags, 0o666), number)
            call()

        exit_after(run)

    def _standard_error(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")[-3000:]


def import_libraries() -> None:
    """Import what each command needs, once; none of it starts a thread."""
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import tokenizers  # noqa: F401
    import torch  # noqa: F401
    import transformers.models.distilbert.modeling_distilbert  # noqa: F401


def _command_line(arguments: Sequence[str]) -> None:
    """Be `python -m sentiment_batch` with these arguments."""
    sys.argv = ["sentiment-batch", *arguments]
    runpy.run_module("sentiment_batch", run_name="__main__", alter_sys=True)


def _die_after(work: Path, json_files: int) -> None:
    """Kill this process right after so many JSON files have been renamed into `work`."""
    count = 0
    folder = os.path.realpath(work)

    def dying(real: Callable[..., None]) -> Callable[..., None]:
        def call(source: Any, target: Any, **options: Any) -> None:
            nonlocal count
            real(source, target, **options)
            place = os.path.realpath(os.fspath(target))
            count += os.path.dirname(place) == folder and place.endswith(".json")
            if count == json_files:
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.replace, os.rename = dying(os.replace), dying(os.rename)  # type: ignore[assignment]
