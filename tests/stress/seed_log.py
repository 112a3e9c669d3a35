"""A log to which a stress run appends a line for each seed, so that it can be stopped and continued."""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path


class SeedLog:
    """The log of a stress run.

    Args:
        path: the log. The seeds that it has are not run again.
    """

    def __init__(self, path: Path) -> None:
        self.done: dict[int, Counter[str]] = {}
        """By seed, how often each outcome came."""
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            if match := re.fullmatch(r"seed (\d+): (.*), \d+ s", line):
                pairs = (part.rpartition(" ") for part in match[2].split("; "))
                self.done[int(match[1])] = Counter({name: int(count) for name, _, count in pairs})
        self._path = path

    def run(self, seeds: Iterable[int], work: Callable[[int], Counter[str]], folder: Path) -> bool:
        """Run the seeds that are missing; False if one raised an error, which is in the log then.

        Args:
            seeds: all seeds.
            work: runs one, and counts its outcomes.
            folder: a temporary folder, whose name stays out of the log.
        """
        for seed in seeds:
            if seed in self.done:
                continue
            started = time.monotonic()
            try:
                self.done[seed] = work(seed)
            except Exception:
                self.say(f"seed {seed}: BROKEN\n{traceback.format_exc()}".replace(str(folder), "FOLDER"))
                return False
            self.say(f"seed {seed}: {describe(self.done[seed])}, {time.monotonic() - started:.0f} s")
        return True

    def sum_up(self) -> Counter[str]:
        """How often each outcome came in all seeds."""
        return sum(self.done.values(), Counter())

    def say(self, line: str) -> None:
        """Append a line, and print it."""
        with self._path.open("a", encoding="utf-8") as log:
            for stream in (sys.stdout, log):
                print(line, file=stream, flush=True)


def describe(counts: Counter[str]) -> str:
    """The outcomes with their numbers, in a line."""
    return "; ".join(f"{name} {count}" for name, count in sorted(counts.items()))
