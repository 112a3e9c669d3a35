"""Shows whether code of a plugin runs in this thread, so that what it prints does not mix with our output."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

_running = threading.local()
"""`depth` is the number of calls of plugins that this thread is inside of. A reader and a writer may run at once, in
threads of their own, so `contextlib.redirect_stdout`, which holds for the whole process, would mix them up."""


@contextlib.contextmanager
def mark_plugin_call() -> Iterator[None]:
    """Mark a block as a call of a plugin."""
    _running.depth = getattr(_running, "depth", 0) + 1
    try:
        yield
    finally:
        _running.depth -= 1


def is_plugin_running() -> bool:
    """True if this thread is inside of a call of a plugin."""
    return getattr(_running, "depth", 0) > 0
