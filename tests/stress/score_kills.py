"""Kills scoring runs: at random times, and at every operation on files; then goes on and compares the bytes.

    python -m tests.stress.score_kills --kills 200 --log tests/stress/score_kills.log

A tiny model is made first. A job is killed again and again, each time at a random moment of what an unbroken run takes,
until it ends by itself; its output must equal an unbroken run's byte for byte, hold every row once and in order, and
pass `verify`. Then each operation on files of a small job is its last one once, and each fails once with a full disk.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tests.crashes import Runner
from tests.stress.models import tiny_model

ROWS, PART_ROWS = 4_000, 250
SMALL_ROWS, SMALL_PART = 60, 20
OUTPUTS = ("out.parquet", "out.csv.gz", "out.jsonl", "out.arrow", "out/")
SOURCES = ("in.parquet", "in.csv")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
ENDS = {signal.SIGKILL: {-9}, signal.SIGINT: {130, -2}, signal.SIGTERM: {143, -15}}


class Stress:
    """One folder, one model, and a count of what went wrong."""

    def __init__(self, folder, say, seed):
        self.folder, self.say = folder, say
        self.chance = random.Random(seed)
        self.model = tiny_model(folder / "model")
        self.runner = Runner(SENTIMENT_BATCH_CACHE=str(folder / "cache"))
        self.kills = self.wrong = self.resumed = 0
        texts = [None if n % 11 == 5 else f"the film {n % 997} was great and {n}" for n in range(ROWS)]
        table = pa.table({"id": range(ROWS), "text": texts})
        pq.write_table(table, folder / "in.parquet", row_group_size=700)
        pa.csv.write_csv(table, folder / "in.csv")

    def command(self, source, out, rows=ROWS, part=PART_ROWS):
        options = ["--device", "cpu", "--dtype", "float32", "--part-rows", part, "--limit", rows, "--quiet"]
        return ["score", self.folder / source, f"{self.folder}/{out}", "--model", self.model, *options]

    def content(self, out):
        path = Path(f"{self.folder}/{out}".rstrip("/"))
        if path.is_dir():
            return {file.name: file.read_bytes() for file in sorted(path.iterdir())}
        return path.read_bytes() if path.exists() else None

    def clear(self, out):
        for path in self.folder.iterdir():
            if path.name.lstrip(".").startswith(out.rstrip("/")):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def fault(self, what, reply=None):
        self.wrong += 1
        self.say(f"WRONG {what}" + (f": status {reply['status']}, {reply['err'].strip()[-300:]}" if reply else ""))

    def whole(self, source, out, **size):
        """The bytes of an unbroken run, and how long it takes."""
        name = "whole-" + out
        self.clear(name)
        started = time.monotonic()
        reply = self.runner.run(*self.command(source, name, **size))
        seconds = time.monotonic() - started
        if reply["status"] != 0:
            self.fault(f"unbroken run into {out}", reply)
        return self.content(name), seconds

    def kill_until_done(self, source, out, whole, seconds):
        """Kill one job again and again until it ends by itself."""
        self.clear(out)
        moments = []
        while True:
            number = self.chance.choice(SIGNALS)
            moment = self.chance.uniform(0, seconds * (0.5 if moments else 1.0))
            reply = self.runner.run(*self.command(source, out), signal=[int(number), moment])
            if reply["status"] in ENDS[number]:
                self.kills += 1
                moments.append(f"{number.name[3:]} {moment:.2f}")
                if "Traceback" in reply["err"]:
                    self.fault(f"a traceback after {number.name}", reply)
                if self.content(out) not in (None, whole):
                    self.fault(f"{out} is half-published after {number.name} at {moment:.2f} s")
                if len(moments) < 12:
                    continue
                reply = self.runner.run(*self.command(source, out))
            # A kill in the last moment of a run finds the output published.
            if reply["status"] != 0 and not (moments and "exists already" in reply["err"]):
                self.fault(f"{out} after {moments}", reply)
            break
        self.check(out, whole, moments)

    def check(self, out, whole, moments):
        if self.content(out) != whole:
            self.fault(f"{out} differs from an unbroken run's after {moments}")
        reply = self.runner.run("verify", f"{self.folder}/{out}")
        if reply["status"] != 0:
            self.fault(f"verify {out} after {moments}", reply)
        self.say(f"{out}: {len(moments)} kills ({', '.join(moments)} s), equal")

    def sweep(self, out, how, **disk):
        """One fault at each operation on files of a small job."""
        size = {"rows": SMALL_ROWS, "part": SMALL_PART}
        whole, _ = self.whole("in.parquet", out, **size)
        number = 0
        while True:
            number += 1
            self.clear(out)
            given = {name: number if value is None else value for name, value in disk.items()}
            first = self.runner.run(*self.command("in.parquet", out, **size), disk=given)
            if first["operations"] is not None and first["operations"] < number:
                break
            self.kills += how == "killed"
            if "Traceback" in first["err"]:
                self.fault(f"{out}, {how} at operation {number}: a traceback", first)
            if self.content(out) not in (None, whole):
                self.fault(f"{out}, {how} at operation {number}: half-published")
            again = self.runner.run(*self.command("in.parquet", out, **size))
            if again["status"] != 0 and not (self.content(out) == whole and "exists already" in again["err"]):
                self.fault(f"{out}, {how} at operation {number}: does not go on", again)
            if self.content(out) != whole:
                self.fault(f"{out}, {how} at operation {number}: differs")
        self.say(f"{out}: {how} at each of {number - 1} operations on files, gone on with, equal")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="at random times; default: 200")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="write what is printed here too")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(given.log.open("w")) if given.log else None

        def say(line):
            for stream in filter(None, (sys.stdout, log)):
                print(line, file=stream, flush=True)

        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="score-kills-")))
        stress = Stress(folder, say, given.seed)
        stack.callback(stress.runner.close)
        pairs = [(source, out, *stress.whole(source, out)) for source in SOURCES for out in OUTPUTS]
        while stress.kills < given.kills:
            for source, out, whole, seconds in pairs:
                stress.kill_until_done(source, out, whole, seconds)
        say(f"{stress.kills} kills at random times")
        for out in ("out.parquet", "out.csv", "out/"):
            stress.sweep(out, "killed", kill_at=None)
            stress.sweep(out, "a full disk", error_at=None)
            stress.sweep(out, "a full disk that stays full", error_at=None, forever=True)
        say(f"{stress.kills} kills in all, {stress.wrong} wrong")
    sys.exit(1 if stress.wrong else 0)


if __name__ == "__main__":
    main()
