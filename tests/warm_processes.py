"""Starts the processes of several devices as forks of one that has imported everything: that saves four seconds each.

`python -m tests.warm_processes` forks a process for each pair of pipes that it receives, and tells how each ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

REQUEST_BYTES = 12
"""Of each request, filled up with spaces."""


class Server:
    """Forks processes on request. `Popen` stands in for `subprocess.Popen` in the module that starts processes."""

    def __init__(self):
        self._socket, other = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_processes"], stdin=other, cwd=Path(__file__).parents[1]
        )
        other.close()

    def fork(self, *descriptors):
        """The number of a new process that has these as its standard input and output."""
        socket.send_fds(self._socket, [b"fork".ljust(REQUEST_BYTES)], descriptors)
        return self._receive()

    def status(self, pid):
        """How a process ended; None while it runs."""
        self._socket.sendall(str(pid).encode().ljust(REQUEST_BYTES))
        return self._receive()

    def close(self):
        self._socket.close()
        self._process.wait(10)

    def _receive(self):
        data = b""
        while not data.endswith(b"\n"):
            data += self._socket.recv(1)
        return json.loads(data)

    def Popen(self, command, stdin, stdout):
        assert command[-1] == "sentiment_batch.scoring.backends.device_process"
        return Process(self)


class Process:
    """The part of `subprocess.Popen` that is needed, for a process that a server forked."""

    def __init__(self, server):
        self._server, self._code = server, None
        (theirs_in, ours_in), (ours_out, theirs_out) = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(ours_in, "wb"), os.fdopen(ours_out, "rb")
        self.pid = server.fork(theirs_in, theirs_out)
        os.close(theirs_in)
        os.close(theirs_out)

    def poll(self):
        if self._code is None:
            self._code = self._server.status(self.pid)
        return self._code

    def wait(self, timeout=60):
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("a forked process", timeout)
            time.sleep(0.005)
        return self._code

    def terminate(self, number=signal.SIGTERM):
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        self.terminate(signal.SIGKILL)


def _serve():
    import transformers.models.distilbert.modeling_distilbert
    import transformers.models.distilbert.tokenization_distilbert  # noqa: F401

    from sentiment_batch.scoring.backends import device_process

    requests = socket.socket(fileno=0)
    while True:
        words, descriptors, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 2)
        if not words:
            return
        if not descriptors:
            pid, status = os.waitpid(int(words), os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif (answer := os.fork()) == 0:
            _become(device_process, requests, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        requests.sendall(json.dumps(answer).encode() + b"\n")


def _become(program, requests, descriptors):
    """Be the process that scores on a device, until it ends."""
    status = 1
    try:
        requests.detach()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        program.serve_model()
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    _serve()
