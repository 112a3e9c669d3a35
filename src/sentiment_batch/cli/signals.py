"""What Ctrl-C and SIGTERM do to the command line: an orderly end from wherever the program is; for the doors only."""

from __future__ import annotations

import signal
import threading
from typing import Any, NoReturn


class Ended(SystemExit):
    """The end that a signal asks for; with 130 after Ctrl-C and 143 after SIGTERM, as a shell reports them."""

    code: int


def end_in_order() -> None:
    """From here on both signals raise `Ended`, so that nothing half-written stays and work that is done is kept."""
    if threading.current_thread() is threading.main_thread():  # elsewhere no handler can be set
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)


def _end(number: int, frame: Any) -> NoReturn:
    raise Ended(128 + number)
