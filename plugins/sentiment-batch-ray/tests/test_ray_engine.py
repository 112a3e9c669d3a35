"""A real Ray cluster on this machine: no row is lost, repeated or moved, even if actors die."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import sentiment_batch_ray.engine

from sentiment_batch import DeviceError, Scorer, UsageError
from sentiment_batch.testing import EngineSuite, write_tiny_model

ROWS, PART = 4_000, 250
ACTORS = {"actors": "2"}
MAX_SECONDS = 400
"""Time in which everything must happen, even if other programs use the machine, because actors start slowly then."""
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own, some of which come from its threads


@pytest.fixture(scope="session", autouse=True)
def cluster(tmp_path_factory):
    """The address of a cluster for all tests, which has room for four actors on any number of cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        context = ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=128 * 2**20)
        yield context.address_info["gcs_address"]
        ray.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("ray") / "model")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("ray") / "in.parquet"
    texts = [None if row % 13 == 5 else f"the film {row * row} was {('good', 'bad')[row % 2]}" for row in range(ROWS)]
    pq.write_table(pa.table({"id": range(ROWS), "text": texts}), path, row_group_size=900)
    return path


@pytest.fixture(scope="module")
def expected(source, model, tmp_path_factory):
    """The files that this machine writes without Ray."""
    folder = tmp_path_factory.mktemp("alone")
    done = run(source, folder / "out", model)
    assert done.returncode == 0, done.stderr
    return content(folder / "out")


def command(source, out, model, *options):
    settings = ("--dtype", "float32", "--deterministic", "--part-rows", PART, "--quiet")
    given = ("score", source, f"{out}/", "--model", model, *settings, *options)
    return [sys.executable, "-m", "sentiment_batch", *map(str, given)]


def run(*given):
    return subprocess.run(command(*given), capture_output=True, text=True)


def content(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def actors():
    """The processes of the actors. Ray puts the name of the class into their command lines."""
    found = [process for process in psutil.Process().children(recursive=True) if "ray::_Actor" in name_of(process)]
    return found


def name_of(process):
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return ""


def parts(out):
    return len(list(out.parent.glob(f".{out.name}.scoring/part-*.json")))


def wait_for(condition, seconds=MAX_SECONDS):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"the condition was not met in {seconds} seconds"
        time.sleep(0.005)


class TestRay(EngineSuite):
    engine = "ray"
    options = ACTORS


def test_a_killed_actor_is_replaced_and_every_row_scored_once(source, model, expected, cluster, tmp_path):
    out = tmp_path / "out"
    options = ("--engine", "ray", "--engine-option", f"address={cluster},actors=2")
    child = subprocess.Popen(command(source, out, model, *options), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: parts(out) >= 2)
    actors()[0].send_signal(signal.SIGKILL)
    _, message = child.communicate(timeout=MAX_SECONDS)
    assert child.returncode == 0, message
    assert "a Ray actor died" in message
    assert content(out) == expected


@pytest.mark.parametrize(
    ("number", "engine"),
    [
        pytest.param(signal.SIGKILL, "local", marks=pytest.mark.stress),
        (signal.SIGTERM, "ray"),
    ],
)
def test_a_killed_run_can_be_resumed(source, model, expected, cluster, tmp_path, number, engine):
    """The resumed run may use this engine or another."""
    out = tmp_path / "out"
    options = ("--engine", "ray", "--engine-option", f"address={cluster},actors=2")
    child = subprocess.Popen(command(source, out, model, *options), stderr=subprocess.PIPE, text=True)
    first = out.parent / f".{out.name}.scoring" / "part-00000.json"  # actors end their parts in any order
    wait_for(lambda: parts(out) >= 3 and first.exists())
    child.send_signal(number)
    _, message = child.communicate(timeout=MAX_SECONDS)
    assert child.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143}[number], message
    assert not out.exists()
    finished = parts(out)
    assert finished >= 3
    done = subprocess.run(
        [*command(source, out, model, *(options if engine == "ray" else ())), "--json"],
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    resumed = json.loads(done.stdout)["rows_resumed"]
    assert resumed == finished * PART if engine == "ray" else PART <= resumed <= finished * PART  # up to the first gap
    assert content(out) == expected


class Poison:
    """A task that kills the actor that runs it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_task_that_kills_every_actor_ends_only_itself(model, monkeypatch):
    monkeypatch.setattr(sentiment_batch_ray.engine, "MAX_ATTEMPTS", 2)
    with Scorer.load(str(model), engine="ray", engine_options={"actors": "1"}) as scorer:
        engine = scorer.backend.engine
        poison = engine.submit(Poison())
        with pytest.raises(DeviceError, match=r"^2 Ray actors died one after the other with the same task"):
            poison.result(timeout=MAX_SECONDS)
        assert len(scorer(pa.table({"text": ["good", None, "bad"]}))) == 3  # by the actor that came instead


def test_tasks_fail_if_no_actor_is_left_and_none_starts(model, tmp_path, caplog):
    moved = shutil.copytree(model, tmp_path / "model")
    with Scorer.load(str(moved), engine="ray", engine_options={"actors": "1"}) as scorer:
        shutil.rmtree(moved)
        engine = scorer.backend.engine
        with pytest.raises(DeviceError, match=r"^no Ray actor is left, and no other starts: .*model") as caught:
            engine.submit(Poison()).result(timeout=MAX_SECONDS)
        assert "\x1b" not in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        with pytest.raises(DeviceError, match="no Ray actor is left"):
            engine.submit(Poison()).result(timeout=10)


def test_open_tasks_end_when_the_engine_is_closed(model):
    scorer = Scorer.load(str(model), engine="ray", engine_options={"actors": "1"})
    engine = scorer.backend.engine
    futures = [engine.submit(Sleep()) for _ in range(4)]
    scorer.close()
    for future in [*futures, engine.submit(Sleep())]:
        with pytest.raises(DeviceError, match="the engine was closed"):
            future.result(timeout=10)


def test_an_error_in_the_engine_itself_is_raised(model, monkeypatch):
    with Scorer.load(str(model), engine="ray", engine_options={"actors": "1"}) as scorer:
        monkeypatch.setattr(sentiment_batch_ray.engine.RayEngine, "_on_done", lambda self, *about: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            scorer.backend.engine.submit(Sleep()).result(timeout=MAX_SECONDS)


def test_a_task_of_an_actor_killed_for_memory_is_done_by_another(model, monkeypatch):
    """When the memory monitor of Ray kills an actor, the error is not of the type of a dead actor."""
    with Scorer.load(str(model), engine="ray", engine_options={"actors": "1"}) as scorer:
        engine, real = scorer.backend.engine, sentiment_batch_ray.engine.RayEngine._on_done
        first = []

        def came(self, actor, work, done):
            if not first:
                first.append(work)
                ray.kill(actor)
                done = Future()
                done.set_exception(ray.exceptions.OutOfMemoryError("the node was low on memory"))
            real(self, actor, work, done)

        monkeypatch.setattr(sentiment_batch_ray.engine.RayEngine, "_on_done", came)
        assert len(scorer(pa.table({"text": ["good", "bad"]}))) == 2
        assert first[0].deaths == 1
        assert engine._failure is None


def test_actors_without_room_join_when_there_is_some(model, monkeypatch, caplog):
    monkeypatch.setattr(sentiment_batch_ray.engine, "MAX_START_SECONDS", 3.0)
    here = {"engine": "ray", "engine_options": {"actors": "1", "cpus": "3"}}
    first = Scorer.load(str(model), **here)
    opened = []
    thread = threading.Thread(target=lambda: opened.append(Scorer.load(str(model), **here)))
    thread.start()
    wait_for(lambda: "waiting for the Ray cluster to have room for an actor" in caplog.text)
    assert not opened
    first.close()
    thread.join(MAX_SECONDS)
    with opened[0] as second:
        assert len(second(pa.table({"text": ["good", "bad"]}))) == 2


def test_a_task_that_has_not_started_can_be_cancelled(model):
    with Scorer.load(str(model), engine="ray", engine_options={"actors": "1"}) as scorer:
        engine = scorer.backend.engine
        futures = [engine.submit(Sleep()) for _ in range(5)]
        assert [future.cancel() for future in futures] == [False, False, True, True, True]
        assert futures[0].exception(timeout=MAX_SECONDS) is not None


class Sleep:
    """A task that sleeps and then fails, because it is no task that a worker knows."""

    def __reduce__(self):
        return time.sleep, (0.5,)


@pytest.mark.parametrize(
    ("settings", "options", "kind", "message"),
    [
        ({}, {"actor": "2"}, UsageError, "`engine=\"ray\"` has no option 'actor'; its options are address, actors"),
        (
            {},
            {"actors": "two"},
            UsageError,
            "the option actors of `engine_options` is 'two'; it must be a number above 0",
        ),
        ({}, {"actors": "0"}, UsageError, "the option actors of `engine_options` is '0'"),
        (
            {},
            {"actors": "9"},
            DeviceError,
            "the option actors of `engine_options` is 9, but the Ray cluster has room for 4",
        ),
        ({}, {"cpus": "64"}, DeviceError, "too few for one actor with 64"),
        ({"device": "cuda:1"}, {}, UsageError, "Ray chooses the devices"),
        ({"device": "cuda"}, {}, DeviceError, "the Ray cluster has no GPU"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(model, settings, options, kind, message):
    with pytest.raises(kind) as caught:
        Scorer.load(str(model), engine="ray", engine_options=options, **settings)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_cluster_that_is_not_there_is_named(source, model, tmp_path):
    done = run(source, tmp_path / "out", model, "--engine", "ray", "--engine-option", "address=127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: no Ray cluster at 127.0.0.1:1: ")


def test_the_command_of_the_page_on_clusters_runs(cluster, source, model, tmp_path, monkeypatch):
    page = Path(__file__).parents[3] / "docs" / "how-to" / "cluster.md"
    if not page.exists():
        pytest.skip("the pages are not part of the plugin's own archive")
    (line,) = re.findall(r"^\$ sentiment-batch (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    monkeypatch.setenv("RAY_ADDRESS", cluster)  # the actors of this cluster work in another folder
    places = {"new_reviews.parquet": str(source), "my-model": str(model)}
    words = [sys.executable, "-m", "sentiment_batch", *(places.get(word, word) for word in shlex.split(line))]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "from_ray").num_rows == ROWS


def test_ray_data_maps_a_scorer(source, model):
    """The example in the README runs."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    scorer = Scorer.load(str(model), dtype="float32", device="cpu")
    table = ray.data.read_parquet(str(source), override_num_blocks=1)  # each further worker would import torch
    scored = table.map_batches(scorer, batch_format="pyarrow")
    found = scored.to_pandas().sort_values("id", ignore_index=True)
    here = scorer(pq.read_table(source)).to_pandas()
    assert found["id"].tolist() == list(range(ROWS))
    labels = [frame["sentiment"].astype(object).fillna("").tolist() for frame in (found, here)]
    assert labels[0] == labels[1]
    assert (found["sentiment_score"] - here["sentiment_score"]).abs().max() <= 2e-4


def test_the_signal_handler_of_the_program_is_restored(model):
    assert threading.current_thread() is threading.main_thread()
    code = (
        "import signal; before = signal.getsignal(signal.SIGTERM); from sentiment_batch import Scorer; "
        f"s = Scorer.load({str(model)!r}, engine='ray', engine_options={{'actors': '1'}}); "
        "assert signal.getsignal(signal.SIGTERM) is before; s.close(); print('closed')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=MAX_SECONDS)
    assert done.stdout == "closed\n", done.stderr
