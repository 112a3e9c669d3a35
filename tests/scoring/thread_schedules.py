"""Scores a table under a seeded scheduler: threads change places at odd moments, and stages fail or are left early.

The seed decides where each thread pauses, which stage fails at which item, and when the run is left. The operating
system decides the rest, so that a seed can be repeated, but its threads may change places elsewhere.
"""

from __future__ import annotations

import contextlib
import faulthandler
import random
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.model.forward.packed import PackedModel
from sentiment_batch.scoring import annotate
from sentiment_batch.scoring.backends.local import LocalBackend
from sentiment_batch.scoring.backends.prefetch import Stages
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.pipeline import score_table
from tests.scoring.simulated_kills import killed_at

PLACES = ("read", "tokenize", "launch", "compute", "finish", "write")
"""Where a run can fail, in the order in which a row passes them. The last two are in the thread that consumes."""
ENDINGS = ("well", "well", "fault", "left")
ROWS, PART_ROWS = 40, 6
SWITCH_SECONDS = 1e-6
MAX_PAUSE_SECONDS = 0.002
MAX_RUN_SECONDS = 120
"""After these, all stacks are printed, and the process ends."""


class InjectedFaultError(Exception):
    """What goes wrong in a stage."""


class LaterFaultError(Exception):
    """What goes wrong in other stages after that."""


class Schedule:
    """The pauses and the fault of one seed."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self._seed, self._chances, self._lock = seed, {}, threading.Lock()
        self.ending, self.place, self.item = chance.choice(ENDINGS), chance.choice(PLACES), chance.randrange(6)
        self.share = chance.choice((0.1, 0.5, 0.9))
        """Share of the moments in which a thread pauses."""
        self._passed = dict.fromkeys(PLACES, 0)
        self.fired = False

    def pause(self, place: str) -> None:
        """Let other threads go first, or not."""
        with self._lock:
            chance = self._chances.setdefault(place, random.Random(f"{self._seed} {place}"))
            seconds = chance.random() * MAX_PAUSE_SECONDS if chance.random() < self.share else None
        if seconds is not None:
            time.sleep(seconds)

    def pass_by(self, place: str) -> None:
        """Count an item at its place, and fail there if the seed wants it.

        Raises:
            InjectedFaultError, KeyboardInterrupt: it does.
        """
        self.pause(place)
        with self._lock:
            number, self._passed[place] = self._passed[place], self._passed[place] + 1
        if self.ending == "fault" and place == self.place and number == self.item:
            self.fired = True
            raise InjectedFaultError(f"{place} {number}")
        if self.ending == "left" and place == "write" and number == self.item:
            self.fired = True
            raise KeyboardInterrupt

    def fail_later(self) -> None:
        """Fail in a stage after another one has failed, or after the run was left.

        Raises:
            LaterFaultError: in half of the seeds.
        """
        if self._seed % 2:
            raise LaterFaultError


@contextlib.contextmanager
def following(schedule: Schedule) -> Iterator[None]:
    """Within it, threads change places as often as they can, and each stage pauses and fails by the schedule."""
    switch = sys.getswitchinterval()
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, place in (
            (LocalBackend, "_tokenize", "tokenize"),
            (LocalBackend, "_launch", "launch"),
            (PackedModel, "logits", "compute"),
            (LocalBackend, "_finish", "finish"),
            (annotate.PartWriter, "write", "write"),
        ):
            patch.setattr(owner, name, _passing(getattr(owner, name), place, schedule))
        patch.setattr(Stages, "_put", _pausing(Stages._put, "put", schedule))
        patch.setattr(Stages, "_take", _pausing(Stages._take, "take", schedule))
        patch.setattr(annotate, "read_rows", _reading(annotate.read_rows, schedule))
        sys.setswitchinterval(SWITCH_SECONDS)
        faulthandler.dump_traceback_later(MAX_RUN_SECONDS, exit=True, file=sys.__stderr__)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            sys.setswitchinterval(switch)


def _passing(real, place, schedule):
    def passing(*arguments, **options):
        schedule.pass_by(place)
        found = real(*arguments, **options)
        schedule.pause(place)
        return found

    return passing


def _pausing(real, name, schedule):
    def pausing(stages, *arguments):
        schedule.pause(name)
        if name == "put" and stages._stopped:
            schedule.fail_later()
        found = real(stages, *arguments)
        schedule.pause(name)
        return found

    return pausing


def _reading(real, schedule):
    def reading(*arguments):
        for batch in real(*arguments):
            for start in range(0, batch.num_rows, PART_ROWS // 2):  # more items than the file has batches
                schedule.pass_by("read")
                yield batch.slice(start, PART_ROWS // 2)

    return reading


class Trial:
    """Runs of one table into one kind of output, compared with an unbroken run."""

    def __init__(self, scorer, source: Path, folder: Path, out: str) -> None:
        self._scorer, self._source, self._folder, self._out = scorer, source, folder, out
        self._whole = self._run("whole-" + out)

    def run_seed(self, seed: int) -> str:
        """Score under the schedule of a seed, then score again what it left; returns how the first run ended.

        Raises:
            AssertionError: a run wrote other bytes, raised another error than the first, or left a thread.
        """
        schedule, threads = Schedule(seed), set(threading.enumerate())
        error: BaseException | None = None
        found = None
        with following(schedule):
            try:
                found = self._run(self._out)
            except (InjectedFaultError, LaterFaultError, KeyboardInterrupt) as raised:
                error = raised
        if schedule.fired:
            wanted = InjectedFaultError if schedule.ending == "fault" else KeyboardInterrupt
            assert type(error) is wanted, repr(error)
            assert found is None
            assert not (self._folder / self._out).exists(), "an output was published in spite of the fault"
            found = self._run(self._out)
        assert found == self._whole, "the bytes differ from those of an unbroken run"
        assert _wait_for_end(threads) == []
        for path in self._folder.iterdir():
            if path.name.lstrip(".").startswith(self._out.rstrip("/")):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return f"{schedule.ending} in {schedule.place}" if schedule.ending == "fault" else schedule.ending

    def _run(self, out: str):
        destination = self._folder / out
        job = ScoreJob(source=str(self._source), destination=f"{self._folder}/{out}", quiet=True, part_rows=PART_ROWS)
        with killed_at(None):  # which waits for no disk
            score_table(job, lambda: self._scorer)
        if destination.is_dir():
            return {path.name: path.read_bytes() for path in destination.iterdir()}
        return destination.read_bytes()


def make_source(path: Path) -> Path:
    """A table to score, written to `path`."""
    texts = [None if n % 9 == 4 else f"the film {n % 31} was great" for n in range(ROWS)]
    pq.write_table(pa.table({"id": range(ROWS), "text": texts}), path, row_group_size=17)
    return path


def _wait_for_end(before: set[threading.Thread]) -> list[threading.Thread]:
    """The threads that are left of those that a run started; they may take a moment to end."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        left = [one for one in threading.enumerate() if one not in before and "tqdm" not in one.name]
        if not left:
            break
        time.sleep(0.005)
    return left
