"""Commands that are killed at operations on files, or lose power: a sample of what `make stress` tries in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash_cases import list_cases
from tests.file_operations import Operation, find_compiler
from tests.lost_writes import MODELS, History
from tests.stress.crash_points import check_point, make_place
from tests.stress.power_loss import check_state, draw_numbers, record
from tests.warm_commands import IGNORE_CHANGE_TIMES

CASES = {case.name: case for case in list_cases(with_server=False)}
POINTS = {
    "score a CSV file to a file": range(3, 200, 29),
    "score to a folder with --overwrite": range(70, 120, 9),
    "train": (7, 29, 100),
}
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler, or not Linux")


@pytest.fixture(scope="module")
def place():
    with make_place(with_server=False, **{IGNORE_CHANGE_TIMES: "1"}) as place:
        yield place


@needs_compiler
@pytest.mark.parametrize("name", POINTS)
def test_a_command_killed_at_some_operations_is_repeated(place, name):
    case = CASES[name]
    place.prepare(case)
    found = {number: check_point(place, case, number) for number in POINTS[name]}
    assert {number: wrong for number, wrong in found.items() if wrong} == {}
    assert sum(wrong == [] for wrong in found.values()) >= 3


@needs_compiler
@pytest.mark.parametrize("name", ["score a Parquet file to a folder", "score bad rows to a file"])
def test_a_command_that_lost_power_is_repeated(place, name):
    case = CASES[name]
    place.prepare(case)
    history = record(place, case)
    states = list(history.list_states())
    assert len(states) > 300
    drawn = [states[number] for number in draw_numbers(len(states), 12)]
    assert [wrong for state in drawn for wrong in check_state(place, case, history, state)[1]] == []


def operations(*steps):
    """Operations in a folder: words as in `create 2 /a`, with the number of the file or folder."""
    made = []
    for step in steps:
        kind, inode, path, *more = step.split(" ")
        data = more[0].encode() if kind == "write" else b""
        other = "/folder" + more[0] if kind in ("rename", "link") else ""
        made.append(Operation(kind.replace("-", " "), "/folder" + path, other, int(inode), 0, data))
    return made


def states_after(*steps):
    """The contents that a power cut may leave after all these operations, in each model."""
    history = History(Path("/folder"), {}, {"": 1}, operations(*steps))
    found = {}
    for model in MODELS:
        contents = [state.read() for state in history.list_states_after(len(steps), model)]
        found[model] = {tuple(sorted((name, data and data.decode()) for name, data in one.items())) for one in contents}
    return found


def test_what_was_not_synced_may_be_lost_or_kept():
    found = states_after("create 2 /a", "write 2 /a xy")
    assert found["journal"] == found["strict"] == {(), (("a", b""),), (("a", "xy"),), (("a", "\0\0"),)}


def test_only_the_journal_saves_the_name_of_a_synced_file():
    found = states_after("create 2 /a", "write 2 /a xy", "fsync 2 /a")
    assert found == {"journal": {(("a", "xy"),)}, "strict": {(), (("a", "xy"),)}}


def test_what_was_synced_is_in_every_state():
    found = states_after("create 2 /a", "write 2 /a xy", "fsync 2 /a", "rename 2 /a /b", "fsync-of-a-folder 1 ")
    assert found["journal"] | found["strict"] == {(("b", "xy"),)}


def test_names_come_in_their_order_or_in_any():
    steps = ("mkdir 2 /a", "mkdir 3 /b", "fsync-of-a-folder 1 ", "rmdir 3 /b", "rename 2 /a /c")
    found = states_after(*steps)
    in_order = {(("a", None), ("b", None)), (("a", None),), (("c", None),)}
    assert found["journal"] == in_order
    assert found["strict"] == in_order | {(("b", None), ("c", None))}


def test_a_file_with_two_names_is_one_file(tmp_path):
    steps = ("create 2 /a", "write 2 /a xy", "link 2 /a /b")
    history = History(Path("/folder"), {}, {"": 1}, operations(*steps))
    history.end().write(tmp_path)
    assert (tmp_path / "a").samefile(tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"xy"
