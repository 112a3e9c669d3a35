"""Runs the command line many times and kills it: at its n-th file operation, at a given time, or by an error.

A server that has imported all packages forks a child for each run, so that a run does not include the start of Python.
`python -m tests.crashes` reads requests as JSON lines and answers each with one.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import importlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

OPERATIONS = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "open", "truncate")
"""The functions of `os` that count. Each `write` to a file counts, too."""
MAX_SECONDS = 120


class Disk:
    """Counts file operations, and kills the process at one of them or makes it fail."""

    def __init__(self, kill_at=None, error_at=None, code=errno.ENOSPC, only=None, forever=False):
        self.count = 0
        self.names = []
        self._kill_at, self._error_at, self._code, self._only, self._forever = kill_at, error_at, code, only, forever

    def install(self):
        for name in OPERATIONS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        real = io.open

        def opened(file, mode="r", *arguments, **options):
            if not any(letter in mode for letter in "wxa+") or "b" not in mode:
                return real(file, mode, *arguments, **options)
            if not isinstance(file, int):
                self._step("open")
            return Stream(real(file, mode, *arguments, **options), self._step)

        io.open = builtins.open = opened

    def _wrapped(self, name, real):
        def call(*arguments, **options):
            if name != "open" or (len(arguments) > 1 and arguments[1] & (os.O_CREAT | os.O_WRONLY)):
                self._step(name)
            return real(*arguments, **options)

        return call

    def _step(self, name):
        if self._only and name not in self._only:
            return
        self.count += 1
        self.names.append(name)
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._error_at is not None and (
            self.count == self._error_at or (self._forever and self.count > self._error_at)
        ):
            raise OSError(self._code, os.strerror(self._code))


class Stream:
    """A file whose writes are counted."""

    def __init__(self, below, step):
        self._below, self._step = below, step

    def write(self, data):
        self._step("write")
        return self._below.write(data)

    def __getattr__(self, name):
        return getattr(self._below, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._below.close()


def _child(request, report):
    """Run the command line in this forked process."""
    out, err = (os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666) for name in ("out", "err"))
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.update(request.get("environment", {}))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "limit" in request:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["limit"], request["limit"]))
    disk = Disk(**request.get("disk", {}))
    status = 1
    try:
        from sentiment_batch.__main__ import main

        sys.argv = ["sentiment-batch", *request["arguments"]]
        disk.install()
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # before the program has installed its handler
        status = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os.write(report, json.dumps({"operations": disk.count, "names": disk.names}).encode())
        os._exit(status)


def _serve():
    import click  # noqa: F401 - everything heavy, once
    import transformers.models.auto.tokenization_auto
    import transformers.models.distilbert.modeling_distilbert
    import transformers.models.distilbert.tokenization_distilbert  # noqa: F401

    import sentiment_batch.cli.score
    import sentiment_batch.cli.train
    import sentiment_batch.data.readers.parquet
    import sentiment_batch.scoring.pipeline
    import sentiment_batch.scoring.scorer
    import sentiment_batch.training.run  # noqa: F401

    with contextlib.suppress(ImportError):  # a table of regular expressions: compiling them takes half of a run
        from transformers.conversion_mapping import get_checkpoint_conversion_mapping

        get_checkpoint_conversion_mapping("distilbert")
    for name in os.environ.get("CRASHES_IMPORT", "").split():  # what else the runs need, such as s3fs
        importlib.import_module(name)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with replies:
        _answer(replies)


def _answer(replies):
    for line in sys.stdin:  # ends when the runner closes it
        request = json.loads(line)
        incoming, report = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(incoming)
            _child(request, report)
        os.close(report)
        status = _waited(child, request.get("signal"))
        with os.fdopen(incoming, "rb") as pipe:
            report = pipe.read()
        answer = json.loads(report) if report else {"operations": None, "names": []}
        print(json.dumps(answer | {"status": os.waitstatus_to_exitcode(status)}), file=replies, flush=True)


def _waited(child, planned):
    """Wait for the status of the child, and send it the planned signal (number, seconds) in time."""
    started = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        spent = time.monotonic() - started
        if planned and spent >= planned[1]:
            os.kill(child, planned[0])
            planned = None
        if spent > MAX_SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


class Runner:
    """Runs commands in a server. `run` returns the exit status (negative: the signal) and the printed texts."""

    def __init__(self, **environment):
        self._folder = tempfile.TemporaryDirectory(prefix="crash-")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SENTIMENT_BATCH_")}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.crashes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            env=inherited
            | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
            | environment,
        )
        self._lock = threading.Lock()

    def run(self, *arguments, **how):
        """Run the command line.

        Args:
            arguments: of the command line.
            how: `disk` (what `Disk` takes), `signal` (number, seconds), `limit` (bytes of a file), `environment`.
        """
        out, err = (os.path.join(self._folder.name, name) for name in ("out", "err"))
        request = {"arguments": [str(one) for one in arguments], "out": out, "err": err} | how
        with self._lock:
            print(json.dumps(request), file=self._server.stdin, flush=True)
            reply = self._server.stdout.readline()
        assert reply, "the server died"
        texts = {name: Path(path).read_text(errors="replace") for name, path in (("out", out), ("err", err))}
        return json.loads(reply) | texts

    def close(self):
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()
        self._folder.cleanup()


if __name__ == "__main__":
    _serve()
