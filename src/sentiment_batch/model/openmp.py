"""Keeps waiting threads of OpenMP from holding a core. Beside other programs, spinning made training ten times slower.

OpenMP comes with torch. It reads the environment when torch is loaded (`wait_passively`). `wait_briefly` helps later.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""What a user sets to choose how threads wait."""
MAX_TEAMS = 16
"""Teams of threads that are started at most. Fewer than needed only change nothing."""


@contextlib.contextmanager
def wait_passively() -> Iterator[None]:
    """Makes the waiting threads of torch sleep instead of spin, if this block or a child process of it loads torch.

    Spinning threads gain 5 % on an idle machine. What the user has set stays. After the block, the environment is as it
    was, because other programs that the user starts may want to spin.
    """
    if _is_chosen_by_user():
        yield
        return
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    try:
        yield
    finally:
        os.environ.pop("OMP_WAIT_POLICY", None)


@contextlib.contextmanager
def wait_briefly(device: str) -> Iterator[None]:
    """In this block, waiting threads spin for microseconds, not milliseconds, even if torch was loaded long ago.

    GNU's OpenMP, which torch for Linux brings, spins briefly while there are more threads than cores, unless the user
    has chosen otherwise. So this starts teams of threads, which sleep until the block ends.
    """
    import torch

    threads = torch.get_num_threads()
    done = threading.Event()
    try:
        if device == "cpu" and threads > 1 and not _is_chosen_by_user():
            # OpenMP counts one thread, and threads - 1 more for each team. With the team of the caller and these teams,
            # it counts more threads than cores.
            for _ in range(min(MAX_TEAMS, ((os.cpu_count() or 1) - 1) // (threads - 1))):
                started = threading.Event()
                threading.Thread(target=_start_team, args=(started, done), daemon=True).start()
                started.wait()
        yield
    finally:
        done.set()


def _start_team(started: threading.Event, done: threading.Event) -> None:
    """Compute something in parallel, for which OpenMP gives this Python thread a team of its own; then sleep."""
    import torch

    try:
        torch.zeros(100_000).add_(1)  # torch computes less than 32,768 numbers in one thread
    finally:
        started.set()
    done.wait()


def _is_chosen_by_user() -> bool:
    return not os.environ.keys().isdisjoint(VARIABLES)
