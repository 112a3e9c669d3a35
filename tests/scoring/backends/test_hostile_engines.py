"""An engine that breaks its promises ends a run with one line that names its plugin; nothing is published."""

from __future__ import annotations

import dataclasses
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch import Worker, hookimpl
from sentiment_batch.data import formats, readers, writers
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.scoring.backends import row_blocks
from tests.cli.helpers import failed

NAMED = "plugin 'cruel' failed on --engine hostile: "
ENDS = {
    "exits": (SystemExit(0), "it called sys.exit(0)"),
    "crashes": (RuntimeError("it died\nbadly"), "RuntimeError: it died badly"),
    "cancels": (CancelledError(), "CancelledError"),
    "ends as a generator": (GeneratorExit(), "GeneratorExit"),
}
RESULTS = {
    "a number": (lambda result: 42, "a result of the type int"),
    "nothing": (lambda result: None, "a result of the type NoneType"),
}
OF_BLOCKS = {
    "too few rows": ({"probabilities": pa.array([0.5]).to_numpy()}, "its result has scores of the shape (1,)"),
    "a list": ({"probabilities": [[0.5, 0.5]]}, "its result has scores of the shape None"),
    "no counts": ({"counts": None}, "the counts or the failures in its result"),
    "failures that are none": ({"failures": (1,)}, "the counts or the failures in its result"),
    "no failures": ({"failures": None}, "TypeError: "),
}
OF_PARTS = {"no part": ({"part": None}, "AttributeError: "), "no data": ({"data": None}, "data of the type NoneType")}


class Hostile:
    """An engine that does each task at once. The values in `parts` take the place of its attributes."""

    parts: ClassVar[dict[str, object]] = {}

    def __init__(self, model, settings, options):
        self.worker, self.workers, self.closed = Worker(model, settings), 2, 0
        self.description = self.worker.description
        for name, value in self.parts.items():
            setattr(self, name, value)
        made.append(self)

    def submit(self, task):
        future = Future()
        result = self.end(task)
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
        return future

    def end(self, task):
        return self.change(self.worker(task))

    def change(self, result):
        return result

    def close(self):
        self.closed += 1


made: list[Hostile] = []


@pytest.fixture
def run(monkeypatch, cli, tiny_model, tmp_path):
    """`run(parts, kind)` scores a table of that kind with an engine that has these parts."""

    class Plugin:
        @hookimpl
        def register_engines(self, registry):
            registry.add("hostile", Hostile)

    entry = SimpleNamespace(name="cruel", dist=None, load=Plugin)
    plugins = Plugins((readers, writers), lambda: [entry])
    monkeypatch.setattr(formats, "get_plugins", lambda: plugins)
    made.clear()
    (tmp_path / "in.csv").write_text("text\n" + "good\nbad\n" * 4)
    pq.write_table(pa.table({"text": ["good", "bad"] * 4}), tmp_path / "in.parquet")

    def run(parts, kind="csv"):
        monkeypatch.setattr(Hostile, "parts", parts)
        out = tmp_path / "out.csv"
        options = ("-m", tiny_model, "--engine", "hostile", "--part-rows", 3)
        return cli("score", tmp_path / f"in.{kind}", out, *options), out

    return run


def test_an_engine_that_keeps_its_promises_is_used(run):
    for kind in ("csv", "parquet"):
        result, out = run({}, kind)
        assert (result.exit_code, out.read_bytes().count(b"\n")) == (0, 9), result.stderr
        out.unlink()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("case", ENDS)
def test_whatever_a_task_raises_is_named_as_its_fault(run, case, kind):
    error, said = ENDS[case]
    result, out = run({"end": lambda task: error}, kind)
    failed(result, NAMED, said)
    assert not out.exists()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("case", RESULTS)
def test_a_result_of_another_type_is_refused(run, case, kind):
    change, said = RESULTS[case]
    result, out = run({"change": change}, kind)
    failed(result, NAMED, said)
    assert not out.exists()


@pytest.mark.parametrize("case", [*OF_BLOCKS, *OF_PARTS])
def test_a_result_with_odd_parts_is_refused(run, case):
    parts, said = (OF_BLOCKS | OF_PARTS)[case]
    kind = "csv" if case in OF_BLOCKS else "parquet"
    result, out = run({"change": lambda result: dataclasses.replace(result, **parts)}, kind)
    failed(result, NAMED, said)
    assert not out.exists()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_submit_without_a_future_is_refused(run, kind):
    result, _ = run({"submit": lambda task: None}, kind)
    failed(result, NAMED, "its submit() returned an object of the type NoneType, not Future")


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("csv", "it returned the result of task 0 for task 1"),
        ("parquet", "it returned part 0 with 3 rows for part "),
    ],
    ids=["block", "part"],
)
def test_the_result_of_another_task_is_refused(run, monkeypatch, ending, words):
    first = []
    monkeypatch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", 4)

    def change(result):
        first.append(result)
        return first[0]

    result, out = run({"change": change}, ending)
    failed(result, NAMED, words)
    assert not out.exists()


def test_one_future_for_two_parts_is_refused(run):
    future = Future()
    result, _ = run({"submit": lambda task: future}, "parquet")
    failed(result, NAMED, "its submit() returned the same future for two tasks")


@pytest.mark.parametrize("error", [OSError("no"), SystemExit(0), GeneratorExit()])
def test_an_engine_that_fails_to_close_is_only_reported(run, error):
    def close():
        raise error

    result, out = run({"close": close})
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count(f"warning: {NAMED}") == 1
    assert out.exists()


@pytest.mark.parametrize(
    ("parts", "said"), [({"workers": "2"}, "has '2' workers"), ({"description": None}, "no descr")]
)
def test_an_engine_that_is_refused_is_closed(run, parts, said):
    result, _ = run(parts)
    failed(result, NAMED, said)
    assert made[0].closed == 1
