"""What the tests of the commands share: one line of error, and the command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

CPU = ("--device", "cpu", "--dtype", "float32")


def failed(result, *parts, code=1):
    """The command ended with `code` and one line that holds all `parts`; nothing went to standard output."""
    lines = [line for line in result.stderr.splitlines() if line]
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    if code == 1:
        assert [line for line in lines if line.startswith("Error: ")] == [lines[-1]]
    for part in parts:
        assert part in lines[-1]
    return lines[-1]


def command(*arguments, **environment):
    """Starts the command line in a new process; variables of the user's settings are taken out first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SENTIMENT_BATCH_")}
    return subprocess.Popen(
        [sys.executable, "-m", "sentiment_batch", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=kept | {"OMP_NUM_THREADS": "1"} | environment,
    )
