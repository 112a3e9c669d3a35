"""Ends the command line cleanly after Ctrl-C, SIGTERM and SIGHUP, at any point of the program."""

from __future__ import annotations

import signal
import threading
from typing import Any, NoReturn


class SignalExit(SystemExit):
    """Raised by a signal. The exit code is 128 and the number of the signal, as a shell reports it."""

    code: int
    is_signal = True
    """Tells it from the `sys.exit()` of a plugin, for packages that do not import the command line."""


def handle_signals() -> None:
    """Let the signals raise `SignalExit`, so that nothing half-written stays and finished work is saved."""
    if threading.current_thread() is not threading.main_thread():  # other threads cannot set a handler
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    # A terminal that is closed sends SIGHUP, which Windows lacks. `nohup` asks programs to ignore it.
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        signal.signal(hang_up, _exit)


def _exit(number: int, frame: Any) -> NoReturn:
    raise SignalExit(128 + number)
