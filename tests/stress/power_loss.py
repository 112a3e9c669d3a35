"""Constructs what a power cut may leave of a command, and runs the command again on it.

    python -m tests.stress.power_loss --log tests/stress/power_loss.log

Each command is recorded once; `tests/lost_writes.py` says which states a power cut behind each of its operations may
leave. A state is put on the disk. Then:

- What is published is nothing, the old or the new; after the command has ended with success it is the new.
- The same command (of a training: with --resume) succeeds, publishes the bytes of an unbroken run and leaves nothing
  behind. It may refuse only in a line that names the cure, which must then work.
- Parts that were finished are there, and a training has its last state or a later one.

All states are looked at; the command is run again on some of them, as many as `REPEATED` says.

The run may be stopped at any time: a second one goes on after the last line of the log.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentiment_batch.scoring.output.part_files import PartFiles
from sentiment_batch.training.checkpoint import state_file
from tests.crash_cases import Case, Place, list_cases, read_tree, write_tree
from tests.file_operations import find_compiler, read_operations
from tests.lost_writes import DiskState, History
from tests.stress.crash_points import Count, Log, make_place
from tests.warm_commands import IGNORE_CHANGE_TIMES

STATES_PER_LINE = 500
REPEATED = {"score": 200, "score into a database": 150, "train": 60}
"""States of each command of a kind on which it runs again. A training takes ten times as long as scoring."""
MAX_WRONG_LINES = 10
CURES = ("--restart", "--overwrite", "--resume")


def record(place: Place, case: Case) -> History:
    """What an unbroken command does.

    Raises:
        AssertionError: the library has not seen all of it.
    """
    place.reset(case)
    inodes = {name: (place.work / name).stat().st_ino for name in ["", *case.start]}
    file = place.folder / "record"
    file.unlink(missing_ok=True)
    done = place.run(case, record=str(file))
    assert done.status == 0, done
    history = History(place.work, case.start, inodes, read_operations(file))
    assert history.end().read() == read_tree(place.work), f"{case.name}: the record is not complete"
    return history


def draw_numbers(total: int, number: int, seed: int = 1) -> set[int]:
    """So many of the numbers below `total`, or all."""
    return set(random.Random(seed).sample(range(total), min(number, total)))


def check_state(
    place: Place, case: Case, history: History, state: DiskState, *, repeat: bool = True
) -> tuple[str, list[str]]:
    """Look at a state, and run the command again on it if `repeat` is True: how that ended, and what is wrong."""
    write_tree(place.work, {})
    state.write(place.work)
    try:
        found = case.read_output(place)
    except Exception as error:  # a database that cannot be read
        return "unreadable", [f"what is published cannot be read: {error}"]
    wrong = [] if case.may_be_published(found) else ["something else is published"]
    reported = [text for before, text in history.notes if before <= state.after]
    if "done" in reported and found != case.new:
        wrong.append("the command had ended with success, and its output is lost")
    if found != case.new:
        wrong += _find_lost_parts(place.work, reported)
    if not repeat:
        return "looked at", wrong
    again = place.run(case, case.again)
    if again.status != 0:
        return _try_cure(place, case, found, again.error, wrong)
    return "repeated", wrong + _compare(place, case)


def _find_lost_parts(work: Path, reported: list[str]) -> list[str]:
    """What is missing of the finished parts and of the last state of a training."""
    finished = max((int(text.split()[1]) for text in reported if text.startswith("finished")), default=0)
    rows = max((count_rows(record.parent) for record in work.rglob("job.json")), default=0)
    lost = [f"{finished} rows were finished, and {rows} are left"] if rows < finished else []
    steps = [int(text.split()[-1]) for text in reported if text.startswith("saved")]
    if steps:
        values = state_file.read_state(work / "model.training")
        if values is None or values["step"] < steps[-1]:
            return [*lost, f"step {steps[-1]} was saved, and is lost"]
        state_file.read_state_tensors(work / "model.training", values)
    return lost


def count_rows(folder: Path) -> int:
    """Rows of the undamaged parts in a work folder, from the first on."""
    parts, _ = PartFiles(folder).find_first()
    return sum(part.rows for part in parts)


def _try_cure(place: Place, case: Case, found: Any, error: str, wrong: list[str]) -> tuple[str, list[str]]:
    """A command was refused: do what the message says."""
    if found == case.new and case.new == case.read_output(place):
        return "complete", wrong  # the output is there, and was not touched
    cure = next((word for word in CURES if word in error), None)
    if cure is None or "Traceback" in error:
        return "refused", [*wrong, f"refused without a cure: {error.strip()[-300:]}"]
    cured = place.run(case, [*case.command, cure])
    if cured.status != 0:
        return "refused", [*wrong, f"the cure {cure} of {error.strip()[-200:]!r} does not work: {cured}"]
    return f"cured by {cure}", wrong + _compare(place, case)


def _compare(place: Place, case: Case) -> list[str]:
    wrong = [] if case.read_output(place) == case.new else ["run again, it published something else"]
    end = place.describe_end()
    if end != case.end:
        names = sorted(name for name in {*end, *case.end} if end.get(name, 0) != case.end.get(name, 0))
        wrong.append(f"run again, these files differ: {names}")
    return wrong


def check_states(place: Place, case: Case, *, repeated: int, first: int, say: Callable[[str], None]) -> Count:
    """Check all states of a case, from one on, and repeat the command on some."""
    begun, started, wrong, ends = first, time.monotonic(), 0, Counter()  # type: ignore[var-annotated]
    history = record(place, case)
    states = list(history.list_states())
    drawn = draw_numbers(len(states), repeated)
    for number, state in enumerate(states, 1):
        if number < first:
            continue
        ended, found = check_state(place, case, history, state, repeat=number - 1 in drawn)
        ends[ended] += 1
        for what in found if wrong < MAX_WRONG_LINES else ():
            shown = what.replace(f"{place.work}/", "")
            say(f"WRONG {case.name}, state {number}, {state.model}, after operation {state.after}: {shown}")
        wrong += bool(found)
        if (number % STATES_PER_LINE == 0 or number == len(states)) and not wrong:
            say(f"{case.name}: states {begun} to {number} held ({_format(ends)})")
            begun, ends = number + 1, Counter()
    if wrong:
        say(f"WRONG {case.name}: {wrong} of {len(states)} states")
        return Count(len(states), wrong)
    models = _format(Counter(state.model for state in states))
    seconds = time.monotonic() - started
    say(f"{case.name}: all {len(states)} states held ({models}; repeated on {len(drawn)}), {seconds:.0f} s")
    return Count(len(states), 0)


def _format(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.most_common())


def main() -> None:
    """Read the options and begin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="commands with these words in their names")
    parser.add_argument("--share", type=float, default=1.0, help="of the repeated runs; default 1")
    parser.add_argument("--log", type=Path, help="append what is printed here too, and go on after what it holds")
    given = parser.parse_args()
    if find_compiler() is None:
        sys.exit("there is no C compiler for the library that records operations, or this is not Linux")
    cases = list_cases(with_server=False)
    log = Log(given.log, "states", len(cases))
    with make_place(with_server=False, **{IGNORE_CHANGE_TIMES: "1"}) as place:

        def check(case: Case, first: int) -> Count:
            place.prepare(case)
            kind = "score into a database" if case.is_database else case.command[0]
            repeated = round(REPEATED[kind] * given.share)
            return check_states(place, case, repeated=repeated, first=first, say=log.say)

        wrong = log.check_cases(cases, given.only, check)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
