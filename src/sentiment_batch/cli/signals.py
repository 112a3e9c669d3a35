"""Ends the command line cleanly after Ctrl-C and SIGTERM, at any point of the program."""

from __future__ import annotations

import signal
import threading
from typing import Any, NoReturn


class SignalExit(SystemExit):
    """Raised by a signal. The exit code is 130 after Ctrl-C and 143 after SIGTERM, as a shell reports them."""

    code: int
    is_signal = True
    """Tells it from the `sys.exit()` of a plugin, for packages that do not import the command line."""


def handle_signals() -> None:
    """Let both signals raise `SignalExit`, so that nothing half-written stays and finished work is saved."""
    if threading.current_thread() is threading.main_thread():  # other threads cannot set a handler
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _exit)


def _exit(number: int, frame: Any) -> NoReturn:
    raise SignalExit(128 + number)
