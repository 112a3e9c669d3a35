"""Runs one command and prints, as one line of JSON, its exit status, seconds, peak memory and what it printed last.

It imports next to nothing: Linux counts the memory of the process that starts a command towards the command's peak.
"""

import json
import os
import subprocess
import sys
import time

if __name__ == "__main__":
    started = time.perf_counter()
    child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
    printed = child.stdout.read() if child.stdout else b""
    _, status, usage = os.wait4(child.pid, 0)
    print(
        json.dumps(
            {
                "status": os.waitstatus_to_exitcode(status),
                "seconds": time.perf_counter() - started,
                # in bytes on a Mac, in units of 1,024 elsewhere
                "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1_024),
                "printed": printed.decode("utf-8"),
            }
        )
    )
