"""Scores millions of short rows into a folder, is killed again and again, and resumes until it is done.

    python -m tests.stress.long_run --rows 10000000 --kill-every 60 --log tests/stress/long_run.log

The rows repeat: each tenth of the table is the same, and ends where a part ends. So the parts of the whole must be,
byte for byte, those of an unbroken run over a tenth, ten times over. Memory is measured four times a second; its slope
over the parts of a run must lie within the noise. Times are of the processor, so that a busy machine does the same.
Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.stress.models import tiny_model

TENTHS = 10
PARTS_OF_A_TENTH = 5
WORDS = ("good", "bad", "film", "play", "great", "poor", "fine", "dull")
WARM_SECONDS = 8
"""Memory grows while libraries and buffers are first used; what is measured before this is left out."""
MAX_SLOPE = 0.05
"""Growth of memory in a run that is noise: this share of its mean."""


def write_rows(path: Path, rows: int, repeats: int) -> None:
    """A table of `rows` short texts, `repeats` times over, with no column that tells the repeats apart."""
    texts = [f"{WORDS[n % 8]} {WORDS[n // 8 % 8]} {n % 1_009}" for n in range(rows)]
    table = pa.table({"text": texts})
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(repeats):
            writer.write_table(table, row_group_size=50_000)


class Process:
    """One run of the command, whose memory is measured."""

    def __init__(self, arguments: list[str], errors: Path) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        self.errors = errors
        with errors.open("w") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sentiment_batch", *arguments], stderr=stream, stdout=stream, env=environment
            )
        self.memory: list[tuple[float, int]] = []
        """Seconds of processor time, and bytes of resident memory."""

    def wait(self, seconds: float) -> int | None:
        """Wait for the end, and kill the process after so much processor time; its status, or None if it was killed."""
        while (status := self._process.poll()) is None:
            with contextlib.suppress(OSError, ValueError, IndexError):
                folder = Path(f"/proc/{self._process.pid}")
                user, system = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
                spent = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
                pages = int((folder / "statm").read_text().split()[1])
                self.memory.append((spent, pages * os.sysconf("SC_PAGE_SIZE")))
                if spent > seconds:
                    self._process.send_signal(signal.SIGKILL)
                    self._process.wait()
                    return None
            time.sleep(0.25)
        return status


def memory_growth(samples: list[tuple[float, int]]) -> float | None:
    """Growth of memory from the start to the end of a run by a straight line, as a share of its mean."""
    warm = [(seconds, size) for seconds, size in samples if seconds > WARM_SECONDS]
    if len(warm) < 10:
        return None
    slope = statistics.linear_regression(*zip(*warm, strict=True)).slope
    return slope * (warm[-1][0] - warm[0][0]) / statistics.fmean(size for _, size in warm)


def digests(folder: Path) -> list[str]:
    """The SHA-256 of each part of an output."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("part-*"))]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="default: 10,000,000")
    parser.add_argument(
        "--kill-every", type=float, default=60, help="seconds of work between kills on average; default: 60"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, required=True, help="append what is printed here, too")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    tenth = given.rows // TENTHS // PARTS_OF_A_TENTH * PARTS_OF_A_TENTH
    with given.log.open("a") as log, tempfile.TemporaryDirectory(prefix="long-run-") as name:

        def say(line: str) -> None:
            for stream in (sys.stdout, log):
                print(line.replace(name, "FOLDER"), file=stream, flush=True)

        folder = Path(name)
        os.environ["SENTIMENT_BATCH_CACHE"] = str(folder / "cache")
        options = ["--model", str(tiny_model(folder)), "--device", "cpu", "--dtype", "float32", "--quiet"]
        options += ["--part-rows", str(tenth // PARTS_OF_A_TENTH), "--text-column", "text"]
        write_rows(folder / "tenth.parquet", tenth, 1)
        write_rows(folder / "whole.parquet", tenth, TENTHS)
        started = time.monotonic()
        status = Process(["score", str(folder / "tenth.parquet"), f"{folder}/tenth/", *options], folder / "err").wait(
            1e9
        )
        seconds = time.monotonic() - started
        say(
            f"a tenth, {tenth:,} rows, unbroken: status {status}, {seconds:.0f} s, {tenth / seconds:,.0f} rows a second"
        )
        kills, growths, peaks, status, started = 0, [], [], None, time.monotonic()
        while status is None:
            process = Process(["score", str(folder / "whole.parquet"), f"{folder}/whole/", *options], folder / "err")
            status = process.wait(max(5.0, chance.expovariate(1 / given.kill_every)))
            kills += status is None
            peaks.append(max(size for _, size in process.memory))
            if (growth := memory_growth(process.memory)) is not None:
                growths.append(growth)
            parts = len(list((folder / ".whole.scoring").glob("part-*.json"))) if status is None else "all"
            say(
                f"run {len(peaks)}: {'killed' if status is None else f'status {status}'}, {parts} parts finished, peak "
                f"{peaks[-1] >> 20} MB" + (f", memory {growth:+.1%}" if growth is not None else "")
            )
        equal = digests(folder / "whole") == digests(folder / "tenth") * TENTHS
        slope = statistics.fmean(growths) if growths else 0.0
        verified = subprocess.run(
            [sys.executable, "-m", "sentiment_batch", "verify", f"{folder}/whole/"], capture_output=True, text=True
        )
        level = abs(slope) <= MAX_SLOPE and max(peaks) < 1.25 * statistics.median(peaks)
        say(
            f"{tenth * TENTHS:,} rows in {time.monotonic() - started:.0f} s, {kills} kills: status {status}, parts "
            f"{'equal to' if equal else 'DIFFERENT from'} ten times the tenth, verify {verified.returncode}, memory "
            f"{'level' if level else 'NOT LEVEL'}: {slope:+.1%} within a run on average of {len(growths)} runs, peaks "
            f"{min(peaks) >> 20} to {max(peaks) >> 20} MB"
        )
    return int(status != 0 or not equal or verified.returncode != 0 or not level)


if __name__ == "__main__":
    sys.exit(main())
