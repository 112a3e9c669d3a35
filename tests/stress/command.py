"""Runs one command line, or any function, in a process of its own under limits, and tells how that went.

The processes are forked from this one, which has imported the libraries but called nothing in them: hundreds of files
can then be tried in minutes, and one that crashes or hangs takes nobody with it. Linux and macOS only.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

GB = 1 << 30
_UNIT = 1 if sys.platform == "darwin" else 1024
"""Of ru_maxrss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a process ended."""

    code: int
    """The exit code; minus the number of the signal that ended it."""
    printed: str
    """Standard output and error, together."""
    seconds: float
    peak: int
    """Bytes of memory at most."""
    late: bool
    """Whether it was killed because its time was up."""

    @property
    def error(self) -> str:
        """The last line, without what it begins with."""
        lines = self.printed.strip().splitlines()
        return lines[-1].removeprefix("Error: ") if lines else ""

    def clear(self) -> bool:
        """Whether it failed as it should: exit code 1 or 2, and exactly one line of error, the last one."""
        lines = self.printed.strip().splitlines()
        errors = [line for line in lines if line.startswith("Error: ")]
        return self.code in (1, 2) and errors == lines[-1:] and "Traceback" not in self.printed


def command(*arguments: object, seconds: float = 60, memory: int = 4 * GB) -> Outcome:
    """The command line `sentiment-batch` with these arguments.

    Args:
        *arguments: what stands behind the name of the program.
        seconds: it is killed after so many.
        memory: bytes of address space that it may have beyond what the libraries take before it begins.
    """

    def run() -> None:
        from sentiment_batch.cli import group

        group.main([str(argument) for argument in arguments], prog_name="sentiment-batch")

    return apart(run, seconds=seconds, memory=memory)


def apart(work: Callable[[], object], *, seconds: float = 60, memory: int = 4 * GB) -> Outcome:
    """Call `work` in a process of its own; its exit code is 0, what it gives to `SystemExit`, or 70 for a traceback."""
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _become(work, writing, memory)
    os.close(writing)
    printed, late = _listen(reading, child, started + seconds)
    _, status, usage = os.wait4(child, 0)
    return Outcome(
        code=os.waitstatus_to_exitcode(status),
        printed=printed.decode("utf-8", "replace"),
        seconds=time.monotonic() - started,
        peak=usage.ru_maxrss * _UNIT,
        late=late,
    )


def _become(work: Callable[[], object], writing: int, memory: int) -> None:
    """Be the new process; never returns."""
    code = 70
    try:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.setdefault("COLUMNS", "100000")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit = memory + _address_space()
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        work()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _address_space() -> int:
    """Bytes of address space that this process has already; torch alone maps gigabytes that it never touches."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 16 * GB
    return pages * os.sysconf("SC_PAGE_SIZE")


def _listen(reading: int, child: int, deadline: float) -> tuple[bytes, bool]:
    """All that the process prints until it ends; it is killed at the deadline."""
    chunks: list[bytes] = []
    late = False
    with selectors.DefaultSelector() as selector, os.fdopen(reading, "rb", buffering=0) as stream:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(max(deadline - time.monotonic(), 0)) and not late:
                os.kill(child, signal.SIGKILL)
                late = True
                deadline += 30
            chunk = stream.read(1 << 16)
            if not chunk:
                return b"".join(chunks), late
            chunks.append(chunk)


def left_behind(*folders: Path, but: Sequence[Path] = ()) -> list[str]:
    """The names of all files and folders in `folders`, without those of `but`."""
    return sorted(str(path.relative_to(folder)) for folder in folders for path in folder.rglob("*") if path not in but)
