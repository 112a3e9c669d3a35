"""An engine of a plugin does blocks and parts in any order; the output is the one that this machine writes alone."""

from __future__ import annotations

import dataclasses
import pickle
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch import Scorer, ScoreSettings, Worker
from sentiment_batch.data import formats, readers, writers
from sentiment_batch.errors import DeviceError, InputError, OutputError, PluginError, UsageError
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.plugins.registry import Format, Registry
from sentiment_batch.scoring import worker_parts
from sentiment_batch.scoring.annotate import TableAnnotator
from sentiment_batch.scoring.backends import distributed, row_blocks
from sentiment_batch.scoring.backends.tasks import BlockTask, PartTask
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output import fingerprint
from sentiment_batch.scoring.output.paths import locate_output
from sentiment_batch.scoring.pipeline import score_table
from tests.thread_engine import Plugin, Threads, made

ROWS, PART = 95, 10
OUTPUTS = ("out.parquet", "out.csv", "out.jsonl.gz", "out.arrow", "out/", "tables.csv.gz/")


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    both = Plugins((readers, writers, Plugin()), entry_points=lambda: [])
    monkeypatch.setattr(formats, "get_plugins", lambda: both)
    monkeypatch.setattr(row_blocks, "MAX_ROWS_PER_BLOCK", 4)
    made.clear()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("distributed") / "in.parquet"
    texts = [None if n % 9 == 4 else f"the film {n % 31} was great" for n in range(ROWS)]
    pq.write_table(pa.table({"id": range(ROWS), "text": texts}), path, row_group_size=33)
    return path


@pytest.fixture
def engine(tiny_model):
    with Scorer.load(tiny_model, dtype="float32", engine="threads") as scorer:
        yield scorer


@pytest.fixture
def run(scorer, source, tmp_path):
    def run(out, by=scorer, **options):
        given = {"source": str(source), "destination": f"{tmp_path}/{out}", "quiet": True, "part_rows": PART}
        return score_table(ScoreJob(**given | options), lambda: by)

    return run


def content(path):
    path = Path(str(path).rstrip("/"))
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    return path.read_bytes() if path.exists() else None


def tasks(kind=PartTask):
    return [task for engine in made for task in engine.tasks if isinstance(task, kind)]


@pytest.mark.parametrize("out", OUTPUTS)
def test_the_output_is_that_of_this_machine_byte_for_byte(run, engine, tmp_path, out):
    alone = run(out)
    expected = content(tmp_path / out)
    (tmp_path / "shared").mkdir()
    shared = run(f"shared/{out}", by=engine)
    assert content(tmp_path / "shared" / out) == expected
    assert sorted(task.index for task in tasks()) == list(range(10))
    counted = ("rows", "tokens", "null", "repeated", "cut", "labels", "rows_resumed")
    assert [getattr(shared, name) for name in counted] == [getattr(alone, name) for name in counted]
    assert not [path for path in (tmp_path / "shared").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "options",
    [{"limit": 0}, {"limit": 1}, {"limit": PART}, {"limit": PART + 1}, {"limit": 1_000}, {"keep": ("id",)}],
    ids=str,
)
@pytest.mark.parametrize("out", ["out.csv", "out/"])
def test_the_same_rows_and_columns_come_out(run, engine, tmp_path, out, options):
    run(out, **options)
    (tmp_path / "shared").mkdir()
    run(f"shared/{out}", by=engine, **options)
    assert content(tmp_path / "shared" / out) == content(tmp_path / out)
    assert len(tasks()) == max(1, -(-min(options.get("limit", ROWS), ROWS) // PART))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_input_that_cannot_be_read_from_anywhere_is_read_here(run, engine, source, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(worker_parts, "MAX_PARTS_PER_SPLIT", 3)  # a row group has 33 rows, a part 10
    frame = pd.read_parquet(source)
    table = tmp_path / f"in.{kind}"
    if kind == "parquet":
        table = source
    elif kind == "csv":
        frame.to_csv(table, index=False)
    else:
        frame.to_json(table, orient="records", lines=True)
    for out in ("out.csv", "out/"):
        run(out, source=str(table))
        run(f"shared-{out}", source=str(table), by=engine)
        assert content(tmp_path / f"shared-{out}") == content(tmp_path / out)
    assert not tasks()
    assert tasks(BlockTask)


def test_workers_send_files_of_a_folder_they_cannot_reach(run, engine, tmp_path):
    import fsspec

    run("out/")
    run("", by=engine, destination="memory://distributed/out/")
    found = fsspec.filesystem("memory").ls("/distributed/out", detail=False)
    expected = content(tmp_path / "out")
    assert {Path(name).name: fsspec.filesystem("memory").cat(name) for name in found} == expected


@pytest.mark.parametrize("out", ["out.csv", "out/"])
@pytest.mark.parametrize("fails_at", [1, 2, 5, 10])
def test_parts_beyond_gaps_are_not_done_again(run, engine, tmp_path, out, fails_at):
    run("alone-" + out)
    made[0].fails_at = fails_at
    with pytest.raises(DeviceError, match="it broke"):
        run(out, by=engine)
    time.sleep(0.2)  # what was under way may come to its end
    kept = len(list((tmp_path / f".{out.rstrip('/')}.scoring").glob("part-*.json")))
    assert content(tmp_path / out) is None
    made[0].tasks.clear()
    made[0].fails_at = None
    summary = run(out, by=engine)
    assert len(tasks()) == 10 - kept
    assert summary.rows_resumed in (kept * PART, kept * PART - 5)
    assert content(tmp_path / out) == content(tmp_path / f"alone-{out}")


@pytest.mark.parametrize("out", ["out.csv", "out/"])
def test_one_engine_resumes_the_run_of_another(run, engine, tmp_path, out):
    run("alone-" + out)
    made[0].fails_at = 6
    with pytest.raises(DeviceError):
        run(out, by=engine)
    run(out)  # on this machine, which does parts in their order
    assert content(tmp_path / out) == content(tmp_path / f"alone-{out}")


def test_bad_rows_are_listed_with_their_rows(run, engine, tmp_path):
    texts = pa.array([b"good", b"bad \xff", None, b"\xfe"] * 10, pa.binary())
    view = pa.StringArray.from_buffers(40, texts.buffers()[1], texts.buffers()[2], texts.buffers()[0])
    table = tmp_path / "bad.arrow"
    with pa.ipc.new_file(table, pa.schema([("text", pa.string())])) as file:
        file.write_batch(pa.record_batch([view], names=["text"]))
    run("out.csv", source=str(table), on_bad_row="mark")
    (tmp_path / "shared").mkdir()
    run("shared/out.csv", by=engine, source=str(table), on_bad_row="mark")
    assert content(tmp_path / "shared/out.csv") == content(tmp_path / "out.csv")
    assert content(tmp_path / "shared/out.csv.problems.jsonl") == content(tmp_path / "out.csv.problems.jsonl")
    assert content(tmp_path / "out.csv.problems.jsonl").count(b"\n") == 20


def test_a_frame_is_scored_in_blocks(engine, scorer, source):
    frame = pd.read_parquet(source)
    pd.testing.assert_frame_equal(engine(frame), scorer(frame))
    assert len(tasks(BlockTask)) == 24


def test_a_worker_that_would_score_otherwise_is_refused(run, engine, monkeypatch):
    real = fingerprint.describe_scoring
    answers = iter(range(100))
    monkeypatch.setattr(
        fingerprint, "describe_scoring", lambda *given: real(*given) | {"torch": f"2.{0 if next(answers) < 2 else 1}"}
    )
    with pytest.raises(UsageError, match=r"would give other scores: torch was 2\.0 and is 2\.1\."):
        run("out.csv", by=engine)


@pytest.fixture
def on_another_cpu(engine):
    """The worker of the engine, as if its machine had another CPU than the one that the engine described."""
    backend = made[-1].worker._scorer.backend
    backend.description = dataclasses.replace(backend.description, hardware="Intel CPU, AVX2")
    return engine


def test_a_worker_on_another_kind_of_cpu_is_refused_a_block(on_another_cpu, source):
    with pytest.raises(UsageError, match=r"device was .* CPU, .* and is Intel CPU, AVX2\. .* kind of CPU"):
        on_another_cpu(pd.read_parquet(source))


@pytest.mark.parametrize("out", ["out.csv", "out/"])
def test_a_worker_on_another_kind_of_cpu_is_refused_a_part(run, on_another_cpu, tmp_path, out):
    with pytest.raises(UsageError, match=r"device was .* CPU, .* and is Intel CPU, AVX2\."):
        run(out, by=on_another_cpu)
    assert content(tmp_path / out) is None


def test_an_input_that_changes_under_way_ends_the_run(run, engine, source, tmp_path, monkeypatch):
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(source.read_bytes())
    real = TableAnnotator.write

    def write(self, *given, **options):
        pq.write_table(pq.read_table(source).slice(1), copy)
        return real(self, *given, **options)

    monkeypatch.setattr(TableAnnotator, "write", write)
    with pytest.raises(InputError, match=r"copy\.parquet"):
        run("out.csv", by=engine, source=str(copy))
    assert content(tmp_path / "out.csv") is None


def test_a_file_of_a_worker_that_is_not_seen_here_is_named(run, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "MAX_SECONDS_UNTIL_SEEN", 0.2)
    real = Worker._do_part

    def part(self, task):
        done = real(self, task)
        return dataclasses.replace(done, data="elsewhere.parquet", host="machine-7")

    monkeypatch.setattr(Worker, "_do_part", part)
    with pytest.raises(OutputError, match=r"machine-7 wrote .*elsewhere.* not seen here"):
        run("out/", by=engine)
    assert content(tmp_path / "out") is None


def test_attempts_that_fail_leave_no_file(run, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(TableAnnotator, "write", lambda self, *given, **options: 1 / 0)
    with pytest.raises(PluginError, match=r"'.*' failed on `engine=\"threads\"`: ZeroDivisionError"):
        run("out/", by=engine)
    time.sleep(0.2)
    assert [path.name for path in tmp_path.rglob("*")] == []


def test_engines_that_are_not_there_or_no_engines_are_named(tiny_model):
    with pytest.raises(UsageError, match=r"no engine is called 'rai'; `engine` takes one of 'local', 'threads'"):
        Scorer.load(tiny_model, engine="rai")
    with pytest.raises(PluginError, match=r"on `engine=\"broken\"`: its object has no method submit\(\)"):
        Scorer.load(tiny_model, engine="broken")
    with pytest.raises(PluginError, match=r"on `engine=\"raising\"`: ZeroDivisionError"):
        Scorer.load(tiny_model, engine="raising")
    with pytest.raises(UsageError, match=r"`engine_options` is for engines of plugins"):
        ScoreSettings(engine_options={"actors": "8"})


def test_options_reach_the_engine_and_the_scorer_can_be_sent(tiny_model):
    with Scorer.load(tiny_model, engine="threads", engine_options={"workers": "5"}) as scorer:
        assert made[-1].workers == 5
        again = pickle.loads(pickle.dumps(scorer))
        assert again.settings == scorer.settings
    assert made[-1].closed == 1


def test_the_command_line_names_the_engine(cli, source, tmp_path, tiny_model):
    out = tmp_path / "out.csv"
    options = ("--engine", "threads", "--engine-option", "workers=2", "--model", tiny_model, "--part-rows", PART)
    result = cli("score", source, out, *options)
    assert result.exit_code == 0, result.stderr
    assert made[-1].workers == 2
    assert out.read_bytes().count(b"\n") == ROWS + 1
    wrong = cli("score", source, out, "--engine", "threads", "--engine-option", "workers")
    assert wrong.exit_code == 2
    assert "takes NAME=VALUE" in wrong.stderr


def test_engines_are_listed_and_have_different_names(cli):
    assert "\n--engine threads" in cli("plugins").stdout
    registry = Registry("one", "engine")
    registry.add("threads", Threads)
    other = Registry("other", "engine")
    other.add("threads", Threads)
    with pytest.raises(PluginError, match=r"the engine name 'threads' of plugin 'other' is taken by 'one'"):
        registry.with_all(other)


def test_an_input_that_tells_its_own_state_is_read_in_one_place(run, engine, tmp_path, monkeypatch):
    """Each worker would see a database in another state."""
    monkeypatch.setattr(fingerprint, "read_reported_state", lambda reader: {"rows": ROWS})
    run("out.csv", by=engine)
    assert not tasks()
    assert tasks(BlockTask)


def test_parts_of_another_job_beyond_a_gap_are_not_dropped(run, engine, tmp_path):
    made[0].fails_at = 10
    with pytest.raises(DeviceError):
        run("out.csv", by=engine)
    work = tmp_path / ".out.csv.scoring"
    (work / "part-00000.json").unlink()
    kept = sorted(path.name for path in work.glob("part-*.json"))
    assert kept
    with pytest.raises(OutputError, match=r"was begun by another run: `columns`"):
        run("out.csv", keep=("text",))
    assert sorted(path.name for path in work.glob("part-*.json")) == kept


def test_wide_blocks_are_limited_by_their_bytes(engine, monkeypatch):
    monkeypatch.setattr(distributed, "MAX_HELD_BYTES", 1)
    stream = engine.score_blocks(
        row_blocks.split_into_row_blocks(iter(pa.table({"text": ["a"] * 40}).to_batches()), ["text"])
    )
    next(stream)
    assert len(tasks(BlockTask)) <= 2
    assert sum(1 for _ in stream) == 9


def test_a_relative_url_has_a_work_folder_for_each_folder(tmp_path, monkeypatch):
    format = Format(
        name="db", open=print, suffixes=(), schemes=("db",), description="", options=(), owner="another plugin"
    )

    def works(url):
        found = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir(exist_ok=True)
            monkeypatch.chdir(tmp_path / name)
            found.append(locate_output(url, format).work_folder)
        return found

    here, there = works("db:///shop.db?table=scored")
    assert here != there
    for url in ("db:////data/shop.db?table=scored", "db://server/shop?table=scored"):
        here, there = works(url)
        assert here == there
