"""Runs steps in forked processes, alone or side by side, each with its own log, exit code and time limit.

So a step that crashes, hangs or breaks the device's context does not harm the others.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pathlib import Path

TIMED_OUT = 124
"""The exit code of `timeout`."""
NOT_STARTED = 125
GRACE = 5.0
"""Seconds that a process has to end after the signal."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One test run or benchmark."""

    name: str
    limit: float
    """Seconds."""
    run: Callable[[], object]
    prints_json: bool = False
    """Its standard output is its JSON."""
    alone: bool = True
    """Whether nothing may run beside it, for it measures seconds."""


def outcomes(chosen: list[Step], folder: Path, until: float) -> Iterator[tuple[str, int, float]]:
    """Name, exit code and seconds of each step, in the order in which they end. Neighbours may run side by side."""
    for alone, group in itertools.groupby(chosen, lambda step: step.alone):
        some = list(group)
        for together in [[one] for one in some] if alone else [some]:
            yield from _run(together, folder, until)


def _run(together: list[Step], folder: Path, until: float) -> Iterator[tuple[str, int, float]]:
    """The same for steps that run side by side, until `until` at the latest.

    When the time of a step is over, it is ended with all processes that it started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    started = time.monotonic()
    if until - started <= 1:
        yield from ((step.name, NOT_STARTED, 0.0) for step in together)
        return
    running = {_fork(step, folder): step for step in together}
    try:
        while running:
            time.sleep(0.05)
            seconds = time.monotonic() - started
            for pid, step in list(running.items()):
                status = _status(pid)
                if status is None and seconds > min(step.limit, until - started):
                    status = TIMED_OUT
                if status is not None:
                    del running[pid]
                    _end(pid)
                    yield step.name, status, seconds
    finally:
        for pid in running:
            _end(pid)


def _fork(step: Step, folder: Path) -> int:
    pid = os.fork()
    if pid == 0:
        _child(step, folder)
    return pid


def _status(pid: int) -> int | None:
    """The exit code of a process, None while it runs."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _child(step: Step, folder: Path) -> NoReturn:
    def run() -> None:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        log = os.open(folder / f"{step.name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 2)
        os.dup2(log, 1)
        if step.prints_json:
            path = folder / f"{step.name}.json"
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 1)
        step.run()

    exit_after(run)


def exit_after(run: Callable[[], object]) -> NoReturn:
    """Call `run`, then end this forked process with the exit code that a program of its own would have."""
    status = 1
    try:
        run()
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = int(error.code) if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _end(pid: int) -> None:
    """End the processes of a step that are left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        until = time.monotonic() + GRACE
        while time.monotonic() < until:
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    break
            except ChildProcessError:  # it was waited for
                break
            time.sleep(0.05)


def remark(status: int) -> str:
    """An explanation of an exit code."""
    return {TIMED_OUT: "  took too long", NOT_STARTED: "  not started: no time was left"}.get(status, "")
