"""A plugin that breaks its promises ends a run with one line that names it; nothing is published, nothing is left."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from sentiment_batch.cli.signals import SignalExit
from sentiment_batch.data import formats, readers, writers
from sentiment_batch.plugins.hookspecs import hookimpl
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.records import Split
from tests.cli.helpers import CPU, failed

ROWS = pa.record_batch({"review": ["the film was great", None, "boring"], "label": ["pos", "neg", "neg"]})
SPLIT = Split(index=0, label="sheet 1", num_rows=3)
GOOD_READER = {
    "schema": ROWS.schema,
    "num_rows": 3,
    "splits": lambda: [SPLIT],
    "batches": lambda split: iter([ROWS]),
    "close": lambda: None,
    "identity": lambda: {"version": 1},
}


@pytest.fixture
def install(monkeypatch):
    """`install(open)` makes `open` the plugin `sheets` for `.sheet`, read and written."""

    def install(open):
        @hookimpl
        def register(registry):
            registry.add("sheets", open, suffixes=(".sheet",))

        plugin = SimpleNamespace(register_readers=register, register_writers=register)
        entry = SimpleNamespace(name="sheets", dist=None, load=lambda: plugin)
        plugins = Plugins((readers, writers), lambda: [entry])
        monkeypatch.setattr(formats, "get_plugins", lambda: plugins)

    return install


def crash(*arguments):
    raise ZeroDivisionError("oh\nno")


def leave(*arguments):
    sys.exit(0)


def crash_late(split):
    yield ROWS
    raise ZeroDivisionError("oh\nno")


def leave_late(split):
    yield ROWS
    sys.exit()


def endless(split):
    while True:
        yield ROWS


class Raising:
    """A reader whose parts, all but one, are good; that one raises when it is looked at."""

    def __init__(self, part):
        self._part = part

    def __getattr__(self, name):
        if name == self._part:
            raise RuntimeError(f"no {name} today")
        if name not in GOOD_READER:
            raise AttributeError(name)
        return GOOD_READER[name]


OTHER = pa.record_batch({"other": [1]})
READERS = {
    "open crashes": (crash, "ZeroDivisionError: oh no"),
    "open exits": (leave, "it called sys.exit(0)"),
    "open gives nothing": (None, "has no attribute 'schema'"),
    "no schema": ({"schema": None}, "its schema has the type NoneType"),
    "a schema that is none": ({"schema": {"review": "string"}}, "its schema has the type dict"),
    "schema raises": (Raising("schema"), "RuntimeError: no schema today"),
    "num_rows raises": (Raising("num_rows"), "RuntimeError: no num_rows today"),
    "num_rows is a text": ({"num_rows": "3"}, "its num_rows is '3'"),
    "no batches": ({"batches": None}, "has no method batches()"),
    "splits crash": ({"splits": crash}, "ZeroDivisionError: oh no"),
    "splits exit": ({"splits": leave}, "it called sys.exit(0)"),
    "splits of None": ({"splits": lambda: None}, "'NoneType' object is not iterable"),
    "splits that are none": ({"splits": lambda: [0, 1]}, "it returned an object of the type int as a split"),
    "splits with wrong indices": ({"splits": lambda: [Split(index=7, label="a")]}, "has the index 7"),
    "batches crash": ({"batches": crash}, "ZeroDivisionError: oh no"),
    "batches exit": ({"batches": leave}, "it called sys.exit(0)"),
    "batches crash late": ({"batches": crash_late}, "ZeroDivisionError: oh no"),
    "batches exit late": ({"batches": leave_late}, "it called sys.exit(None)"),
    "batches of None": ({"batches": lambda split: None}, "'NoneType' object is not iterable"),
    "a batch of None": (
        {"batches": lambda split: iter([ROWS, None])},
        "it returned an object of the type NoneType as a record batch",
    ),
    "a table": (
        {"batches": lambda split: [pa.table({"review": ["a"]})]},
        "it returned an object of the type Table as a record batch",
    ),
    "other columns": ({"batches": lambda split: [OTHER]}, "a batch with other columns than its schema"),
    "too few rows": ({"batches": lambda split: [ROWS.slice(1)]}, "it returned 2 rows in sheet 1 but announced 3"),
    "no rows": ({"batches": lambda split: []}, "it returned 0 rows in sheet 1"),
    "too many rows": ({"batches": lambda split: [ROWS, ROWS]}, "it returned more than the 3 rows of sheet 1"),
    "rows without end": ({"batches": endless}, "it returned more than the 3 rows of sheet 1"),
    "a total that lies": ({"num_rows": 4}, "it returned 3 rows in all but announced 4"),
    "identity crashes": ({"identity": crash}, "ZeroDivisionError: oh no"),
    "identity of anything": ({"identity": object}, "not JSON serializable"),
}
ONLY_SCORED = {"num_rows raises", "num_rows is a text", "identity crashes", "identity of anything"}
"""Nobody asks for these in training and evaluation."""


def opener(hostile):
    if hostile is None or callable(hostile):
        return hostile or (lambda *arguments: None)
    return lambda *arguments: SimpleNamespace(**GOOD_READER | hostile) if isinstance(hostile, dict) else hostile


@pytest.fixture
def run(cli, tiny_model, tmp_path):
    """Runs a command on `in.sheet` and sees to it that it leaves nothing behind."""
    (tmp_path / "reviews.csv").write_text("review,label\n" + "good,pos\nbad,neg\n" * 4)

    def run(command, source, *more):
        before = sorted(tmp_path.rglob("*"))
        filled = [str(word).format(tmp=tmp_path) for word in more]
        model = () if command == "train" else ("-m", tiny_model)
        result = cli(command, source.format(tmp=tmp_path), *filled, *model, *CPU)
        return result, [path for path in sorted(tmp_path.rglob("*")) if path not in before]

    return run


@pytest.mark.parametrize("case", READERS)
def test_a_hostile_reader_stops_scoring_by_its_name(run, install, case):
    hostile, said = READERS[case]
    install(opener(hostile))
    result, left = run("score", "in.sheet", "{tmp}/out.csv")
    failed(result, "plugin 'sheets' failed on in.sheet: ", said)
    assert left == []


@pytest.mark.parametrize("case", sorted(set(READERS) - ONLY_SCORED))
def test_a_hostile_reader_stops_evaluation_by_its_name(run, install, case):
    hostile, said = READERS[case]
    install(opener(hostile))
    result, left = run("evaluate", "in.sheet")
    failed(result, "plugin 'sheets' failed on in.sheet: ", said)
    assert left == []


@pytest.mark.parametrize("case", ["batches exit late", "too few rows", "splits that are none", "schema raises"])
def test_a_hostile_reader_stops_training_by_its_name(run, install, case, tiny_base):
    hostile, said = READERS[case]
    install(opener(hostile))
    result, left = run("train", "in.sheet", "--base", tiny_base, "--output", "{tmp}/model")
    failed(result, "plugin 'sheets' failed on in.sheet: ", said)
    assert left == []


def test_a_reader_that_fails_to_close_is_reported(run, install):
    for close in (crash, leave):
        install(opener({"close": close}))
        result, left = run("score", "in.sheet", "{tmp}/out.csv", "--overwrite")
        assert result.exit_code == 0
        assert "plugin 'sheets' failed on in.sheet: " in result.stderr
        assert {path.name for path in left} in ({"out.csv", "out.csv.manifest.json"}, set())


class Draft:
    """A writer that leaves a draft beside the destination, which only `abort` takes away."""

    def __init__(self, location, **parts):
        self._path = f"{location}.draft"
        self._parts = parts
        with open(self._path, "w"):
            pass

    def write(self, batch):
        self._part("write")

    def commit(self):
        self._part("commit")

    def abort(self):
        Path(self._path).unlink(missing_ok=True)
        self._part("abort")

    def _part(self, name):
        part = self._parts.get(name)
        return part() if part else None


WRITERS = {
    "open crashes": (crash, "ZeroDivisionError: oh no"),
    "open exits": (leave, "it called sys.exit(0)"),
    "open gives nothing": (lambda *arguments: None, "its NoneType has no method write()"),
    "write crashes": ({"write": crash}, "ZeroDivisionError: oh no"),
    "write exits": ({"write": leave}, "it called sys.exit(0)"),
    "commit crashes": ({"commit": crash}, "ZeroDivisionError: oh no"),
    "commit exits": ({"commit": leave}, "it called sys.exit(0)"),
    "write and abort crash": ({"write": leave, "abort": crash}, "it called sys.exit(0)"),
    "commit crashes and abort exits": ({"commit": crash, "abort": leave}, "ZeroDivisionError: oh no"),
}


def beside_work(left):
    """What is left beside the folder of scores from which the same command goes on."""
    return [path for path in left if not any(part.endswith(".scoring") for part in path.parts)]


@pytest.mark.parametrize("case", WRITERS)
def test_a_hostile_writer_stops_scoring_by_its_name(run, install, tmp_path, case):
    hostile, said = WRITERS[case]
    install(hostile if callable(hostile) else lambda location, *more: Draft(location, **hostile))
    result, left = run("score", "{tmp}/reviews.csv", "{tmp}/out.sheet")
    failed(result, f"plugin 'sheets' failed on {tmp_path}/out.sheet: ", said)
    assert beside_work(left) == []


@pytest.mark.parametrize("case", WRITERS)
def test_a_hostile_writer_of_a_side_table_is_named(cli, install, tmp_path, case):
    hostile, said = WRITERS[case]
    (tmp_path / "scored.csv").write_text("text,sentiment,sentiment_score\ngood,pos,0.9\nbad,neg,0.8\n")
    install(hostile if callable(hostile) else lambda location, *more: Draft(location, **hostile))
    result = cli("summary", tmp_path / "scored.csv", "--output", tmp_path / "out.sheet")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"Error: plugin 'sheets' failed on {tmp_path}/out.sheet: ")
    assert said in result.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["scored.csv"]


@pytest.mark.parametrize("option", ["--input-format", "--output-format"])
def test_a_hostile_plugin_that_is_named_is_no_different(run, install, option):
    install(leave)
    result, left = run("score", "{tmp}/reviews.csv", "{tmp}/out.csv", option, "sheets")
    failed(result, "plugin 'sheets' failed on ", "it called sys.exit(0)")
    assert beside_work(left) == []


class OwnInterrupt(KeyboardInterrupt):
    """A subclass of an interrupt that no user can cause."""


class OwnExit(SystemExit):
    """A subclass of the exit that no signal raises."""


OWN_ENDS = (GeneratorExit, OwnInterrupt, OwnExit, BaseException)
"""What ends a program without a traceback, or passes handlers of `Exception`."""


@pytest.mark.parametrize("kind", OWN_ENDS)
@pytest.mark.parametrize("part", ["open", "splits", "batches", "next batch", "close"])
def test_whatever_a_reader_raises_is_named_as_its_fault(run, install, kind, part):
    def fail(*arguments):
        raise kind("oh no")

    def fail_late(split):
        yield ROWS
        fail()

    hostile = {"splits": {"splits": fail}, "batches": {"batches": fail}, "close": {"close": fail}}
    parts = hostile.get(part, {"batches": fail_late})
    install(fail if part == "open" else opener(parts))
    result, _ = run("score", "in.sheet", "{tmp}/out.csv")
    if part == "close":  # all rows were read by then
        assert result.exit_code == 0
        assert "plugin 'sheets' failed on in.sheet: " in result.stderr
    else:
        failed(result, "plugin 'sheets' failed on in.sheet: ")


@pytest.mark.parametrize("kind", OWN_ENDS)
@pytest.mark.parametrize("part", ["open", "write", "commit", "abort"])
def test_whatever_a_writer_raises_is_named_as_its_fault(run, install, tmp_path, kind, part):
    def fail(*arguments):
        raise kind("oh no")

    parts = {part: fail} | ({"write": crash} if part == "abort" else {})
    install(fail if part == "open" else lambda location, *more: Draft(location, **parts))
    result, left = run("score", "{tmp}/reviews.csv", "{tmp}/out.sheet")
    failed(result, f"plugin 'sheets' failed on {tmp_path}/out.sheet: ")
    assert beside_work(left) == []


@pytest.mark.parametrize("kind", OWN_ENDS)
def test_whatever_a_plugin_raises_at_import_is_recorded(kind):
    def fail():
        raise kind("oh no")

    entry = SimpleNamespace(name="sheets", dist=None, load=fail)
    plugin, *_ = Plugins((readers, writers), lambda: [entry]).load_third_parties()
    assert plugin.error == f"{kind.__name__}: oh no"


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SignalExit(143)])
def test_interrupts_by_the_user_pass_a_plugin(run, install, end):
    def stop(*arguments):
        raise end

    install(opener({"splits": stop}))
    result, left = run("score", "in.sheet", "{tmp}/out.csv")
    assert (result.exit_code, left) == (130 if isinstance(end, KeyboardInterrupt) else 143, [])
    assert "Interrupted" in result.stderr
