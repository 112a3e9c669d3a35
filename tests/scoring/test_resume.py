"""An interrupted run is resumed, and writes what an uninterrupted run writes, byte for byte."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data import formats, readers, writers
from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.files.checksums import checked_json, hash_json
from sentiment_batch.plugins.hookspecs import hookimpl
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.records import Split, WriteOptions
from sentiment_batch.scoring import annotate
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output import fingerprint
from sentiment_batch.scoring.output.journal import Journal
from sentiment_batch.scoring.pipeline import score_table
from sentiment_batch.scoring.scorer import Scorer
from tests.crashes import Runner
from tests.scoring.cut_off import CutOffError, cut_off_after

ROWS, PART = 95, 20
OUTPUTS = ("out.parquet", "out.csv", "out.jsonl.gz", "out.arrow", "out.arrows", "out/", "tables.csv/")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("resume") / "in.parquet"
    texts = [None if n % 9 == 4 else f"the film {n % 31} was great" for n in range(ROWS)]
    kinds = pa.array([f"kind {n % 3}" for n in range(ROWS)]).dictionary_encode()
    pq.write_table(pa.table({"id": range(ROWS), "text": texts, "kind": kinds}), path, row_group_size=33)
    return path


@pytest.fixture
def run(scorer, source, tmp_path, monkeypatch):
    """Scores the source into a file of the test's folder; the run is interrupted after `parts` parts, if given."""

    def run(out, parts=None, by=scorer, **options):
        job = ScoreJob(source=str(source), destination=f"{tmp_path}/{out}", quiet=True, part_rows=PART)
        job = dataclasses.replace(job, **options)
        if parts is None:
            return score_table(job, lambda: by)
        with cut_off_after(parts):
            score_table(job, lambda: by)
        return None

    return run


def content(path):
    """The bytes of a file, or of all files of a folder; None where nothing is."""
    path = Path(str(path).rstrip("/"))
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    return path.read_bytes() if path.exists() else None


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("out", OUTPUTS)
@pytest.mark.parametrize("parts", [1, 3, 5])
def test_a_resumed_run_writes_what_an_unbroken_one_writes(run, tmp_path, out, parts):
    whole = run("whole-" + out)
    run(out, parts)
    assert content(tmp_path / out) is None
    assert len(hidden(tmp_path)) == 1
    resumed = run(out)
    assert content(tmp_path / out) == content(tmp_path / ("whole-" + out))
    assert hidden(tmp_path) == []
    assert (whole.rows_resumed, resumed.rows_resumed) == (0, min(parts * PART, ROWS))
    for field in ("rows", "tokens", "null", "repeated", "cut", "labels"):
        assert getattr(resumed, field) == getattr(whole, field)
    names = ["input", "input_state", "rows", "files"]
    first, second = (
        json.loads((tmp_path / f"{name.rstrip('/')}.manifest.json").read_text())["content"]
        for name in (out, "whole-" + out)
    )
    assert [first[name] for name in names[:3]] == [second[name] for name in names[:3]]
    assert [file["sha256"] for file in first["files"]] == [file["sha256"] for file in second["files"]]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "arrow", "arrows", "csv.zst"])
def test_an_input_of_every_format_can_be_resumed(scorer, run, source, tmp_path, ending):
    path = str(tmp_path / f"in.{ending}")
    with_columns = pq.read_table(source)
    writer = formats.open_writer(path, with_columns.schema)
    for batch in with_columns.to_batches(max_chunksize=17):
        writer.write(batch)
    writer.commit()
    for out in ("out.csv", "out/"):
        run("whole-" + out, source=path)
        run(out, 2, source=path)
        assert run(out, source=path).rows_resumed == 2 * PART
        assert content(tmp_path / out) == content(tmp_path / ("whole-" + out))


@pytest.mark.parametrize("name", ["many", "many/", "many/*.parquet", "many/**/b.parquet"])
def test_a_folder_or_glob_can_be_resumed_and_goes_by_its_files(run, source, tmp_path, name):
    table = pq.read_table(source)
    (tmp_path / "many" / "year=2024").mkdir(parents=True)
    pq.write_table(table.slice(0, 50), tmp_path / "many" / "a.parquet")
    pq.write_table(table, tmp_path / "many" / "b.parquet")
    if "*" not in name:
        pq.write_table(table.slice(0, 30), tmp_path / "many" / "year=2024" / "c.parquet")
    run("whole.csv", source=f"{tmp_path}/{name}")
    run("out.csv", 2, source=f"{tmp_path}/{name}")
    assert run("out.csv", source=f"{tmp_path}/{name}").rows_resumed == 2 * PART
    assert content(tmp_path / "out.csv") == content(tmp_path / "whole.csv")
    run("more.csv", 2, source=f"{tmp_path}/{name}")
    pq.write_table(table.slice(1), tmp_path / "many" / "b.parquet")
    with pytest.raises(OutputError, match=r"b\.parquet had [\d,]+ bytes and has"):
        run("more.csv", source=f"{tmp_path}/{name}")


@pytest.mark.parametrize("out", ["out.csv", "out/"])
def test_what_is_done_is_not_scored_again(run, scorer, tmp_path, monkeypatch, out):
    run(out, 3)
    seen = []
    real = type(scorer.backend)._launch

    def launch(self, tokenized, *arguments):
        if tokenized.block.known is None:
            seen.append((tokenized.block.start, tokenized.block.rows))
        return real(self, tokenized, *arguments)

    monkeypatch.setattr(type(scorer.backend), "_launch", launch)
    run(out)
    assert seen == [(60, 20), (80, 15)]


def test_rows_of_finished_parts_are_not_read_for_a_folder(run, source, tmp_path, monkeypatch):
    from sentiment_batch.data.readers.parquet import ParquetReader

    run("out/", 4)
    read = []
    real = ParquetReader.batches
    monkeypatch.setattr(ParquetReader, "batches", lambda self, split: (read.append(split.index), real(self, split))[1])
    run("out/")
    assert read == [0, 2]  # the first rows only show which column holds the text


def test_a_folder_has_a_file_per_part_and_the_mark_of_success(run, tmp_path):
    summary = run("out/")
    names = [f"part-{n:05d}.parquet" for n in range(5)]
    assert sorted(content(tmp_path / "out")) == ["_SUCCESS", *names]
    tables = [pq.read_table(tmp_path / "out" / name) for name in names]
    assert [table.num_rows for table in tables] == [20, 20, 20, 20, 15]
    assert pa.concat_tables(tables)["id"].to_pylist() == list(range(ROWS))
    assert summary.rows == ROWS
    assert pq.read_table(tmp_path / "out").num_rows == ROWS


def test_a_folder_of_no_rows_still_has_its_columns(run, tmp_path):
    run("out/", limit=0)
    (part,) = (path for path in (tmp_path / "out").iterdir() if path.name != "_SUCCESS")
    assert pq.read_schema(part).names == ["id", "text", "kind", "sentiment", "sentiment_score"]


def test_a_folder_that_is_none_of_ours_is_never_replaced(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"exists already|holds other things"):
            run("out/", write=WriteOptions(overwrite=overwrite))
    assert content(tmp_path / "out") == {"diary.txt": b"mine"}
    assert hidden(tmp_path) == []


def test_a_finished_folder_is_replaced_with_overwrite(run, tmp_path):
    run("out/", limit=90)
    with pytest.raises(OutputError, match="exists already"):
        run("out/")
    assert run("out/", write=WriteOptions(overwrite=True)).rows == ROWS
    assert pq.read_table(tmp_path / "out").num_rows == ROWS
    assert hidden(tmp_path) == []


CHANGES = {
    "limit": {"limit": 94},
    "part_rows": {"part_rows": 10},
    "columns": {"keep": ("id", "text")},
    "on_bad_row": {"on_bad_row": "mark"},
    "escape_formulas": {"write": WriteOptions(escape_formulas=True)},
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_setting_of_the_job_is_refused_by_name(run, tmp_path, name):
    run("out.csv", 2)
    before = sorted(path.name for path in (tmp_path / ".out.csv.scoring").iterdir())
    with pytest.raises(OutputError, match=rf"`?{name}(=True)?`? (was|were) .* and (is|are) .*`restart=True`"):
        run("out.csv", **CHANGES[name])
    assert sorted(path.name for path in (tmp_path / ".out.csv.scoring").iterdir()) == before
    assert run("out.csv", restart=True, **CHANGES[name]).rows_resumed == 0


SETTINGS = {
    "decimals": {"decimals": 3},
    "output columns": {"probabilities": True},
    "max_length": {"max_length": 32},
    "long_text": {"long_text": "tail"},
    "batch_tokens": {"batch_tokens": 512},
    "deterministic": {"deterministic": True},
    "dtype": {"dtype": "bfloat16"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_another_setting_of_the_scorer_is_refused_by_name(run, tiny_model, name):
    run("out.csv", 2)
    settings = {"device": "cpu", "dtype": "float32"} | SETTINGS[name]
    with (
        Scorer.load(str(tiny_model), **settings) as other,
        pytest.raises(OutputError, match=rf"`?{name}(=True)?`? (was|were) .* and (is|are) .*`restart=True`"),
    ):
        run("out.csv", by=other)


def test_another_model_is_refused_even_under_the_same_name(run, make_model):
    run("out.csv", 2)
    with (
        Scorer.load(str(make_model("negative", "positive", seed=6)), device="cpu", dtype="float32") as other,
        pytest.raises(OutputError, match=r"model was [0-9a-f]{64} and is [0-9a-f]{64}"),
    ):
        run("out.csv", by=other)


def test_another_version_is_refused_by_name(run, monkeypatch):
    run("out.csv", 2)
    monkeypatch.setattr(fingerprint.importlib.metadata, "version", lambda name: "9.9")
    with pytest.raises(OutputError, match=r"sentiment-batch was .* and is 9\.9"):
        run("out.csv")


def test_another_version_of_pyarrow_is_refused_by_name(run, monkeypatch):
    run("out/", 2)
    monkeypatch.setattr(pa, "__version__", "9.9")
    with pytest.raises(OutputError, match=r"pyarrow was .* and is 9\.9"):
        run("out/")


def test_a_run_of_an_earlier_version_stored_no_pyarrow(run, tmp_path):
    run("out/", 2)
    work = tmp_path / ".out.scoring"
    stored = json.loads((work / "job.json").read_text())["content"]
    del stored["job"]["pyarrow"], stored["job"]["plugins"]
    (work / "job.json").write_bytes(checked_json(stored))
    for number in range(2):
        record = json.loads((work / f"part-0000{number}.json").read_text())["content"]
        (work / f"part-0000{number}.json").write_bytes(checked_json(record | {"job": hash_json(stored)}))
    with pytest.raises(OutputError, match=r"begun by another run: pyarrow was not given and is \d[^;]*\. Repeat"):
        run("out/")


def test_another_kind_of_cpu_is_refused_by_name(run, scorer, tmp_path, monkeypatch):
    run("out.csv", 2)
    elsewhere = dataclasses.replace(scorer.description, hardware="Intel CPU, AVX512")
    with monkeypatch.context() as patch:
        patch.setattr(scorer.backend, "description", elsewhere)
        with pytest.raises(OutputError, match=r"device was .+ CPU, .+ and is Intel CPU, AVX512.*`restart=True`"):
            run("out.csv")
    assert run("out.csv").rows_resumed == 2 * PART


def test_an_input_that_was_touched_grown_or_exchanged_is_refused(run, source, tmp_path):
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(source.read_bytes())
    run("out.csv", 2, source=str(copy))
    os.utime(copy, (1, 1))
    with pytest.raises(OutputError, match=r"copy\.parquet has been changed since"):
        run("out.csv", source=str(copy))
    pq.write_table(pq.read_table(source), copy)
    with pytest.raises(OutputError, match=r"copy\.parquet had [\d,]+ bytes and has [\d,]+"):
        run("out.csv", source=str(copy))
    with pytest.raises(OutputError, match=r"the input was .*copy\.parquet and is .*in\.parquet"):
        run("out.csv", source=str(source))


def test_a_folder_with_another_file_names_the_file(run, source, tmp_path):
    folder = tmp_path / "days"
    folder.mkdir()
    for name in ("a.parquet", "b.parquet"):
        (folder / name).write_bytes(source.read_bytes())
    run("out.csv", 2, source=str(folder))
    (folder / "c.parquet").write_bytes(source.read_bytes())
    with pytest.raises(OutputError, match=r"the input was 2 files and is 3, with 'c\.parquet'"):
        run("out.csv", source=str(folder))
    (folder / "b.parquet").unlink()
    (folder / "c.parquet").unlink()
    with pytest.raises(OutputError, match=r"the input was 2 files and is 1, without 'b\.parquet'"):
        run("out.csv", source=str(folder))


def test_an_input_that_changes_under_the_run_publishes_nothing(run, source, tmp_path, monkeypatch):
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(source.read_bytes())
    real = annotate.PartWriter.finish
    monkeypatch.setattr(
        annotate.PartWriter, "finish", lambda self, **given: (real(self, **given), os.utime(copy, (1, 1)))
    )
    with pytest.raises(InputError, match="was changed while it was read"):
        run("out.csv", source=str(copy))
    assert content(tmp_path / "out.csv") is None


@pytest.mark.parametrize("out", ["out.csv", "out/"])
@pytest.mark.parametrize("ending", [".scores", ".json", ".parquet", "job"])
def test_any_flipped_bit_in_a_part_is_found(run, tmp_path, out, ending, caplog):
    if (ending == ".scores") == out.endswith("/") or (ending == ".parquet") != out.endswith("/") == (ending != ".json"):
        pytest.skip("this output has no such files")
    run("whole-" + out)
    run(out, 3)
    work = tmp_path / f".{out.rstrip('/')}.scoring"
    files = [path for path in work.rglob("*") if path.is_file()]
    name = work / "job.json" if ending == "job" else next(path for path in files if path.name == f"part-00001{ending}")
    sound = {path: path.read_bytes() for path in files}
    chance = random.Random(7)
    for _ in range(12):
        for path, data in sound.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        damaged = bytearray(sound[name])
        bit = chance.randrange(len(damaged) * 8)
        damaged[bit // 8] ^= 1 << bit % 8
        name.write_bytes(bytes(damaged))
        journal = Journal(work, out)
        if ending == "job":
            with pytest.raises(OutputError, match=r"its description .*job\.json is missing or damaged\. Start over"):
                journal.begin({}, restart=False)
        else:
            assert len(journal._files.find_first()[0]) == 1
        journal._lock.release()
    if ending != "job":
        assert run(out).rows_resumed == PART
        assert content(tmp_path / out) == content(tmp_path / ("whole-" + out))


@pytest.mark.parametrize("out", ["out.csv", "out/"])
@pytest.mark.parametrize("data", [None, b"", b'{"content": {"format": 3}, "sha256": ""}'])
def test_a_run_without_its_description_says_so(run, tmp_path, out, data):
    run(out, 2)
    job = tmp_path / f".{out.rstrip('/')}.scoring" / "job.json"
    job.unlink()
    if data is not None:
        job.write_bytes(data)
    with pytest.raises(
        OutputError, match=rf"its description {job} is missing or damaged\. Start over with `restart=Tr"
    ):
        run(out)
    assert run(out, restart=True).rows_resumed == 0


def test_standard_input_cannot_be_resumed_and_a_line_reports_it(run, source, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "sentiment_batch")
    data = source.read_bytes()

    def from_pipe(parts=None):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(reading)
            os.write(writing, data)
            os._exit(0)
        os.close(writing)
        os.dup2(reading, 0)
        os.close(reading)
        monkeypatch.setattr(sys, "stdin", os.fdopen(0, "r", closefd=False))
        return run("out.csv", parts, source="-", input_format="parquet")

    saved = os.dup(0)
    try:
        from_pipe(2)
        assert "cannot be resumed" in caplog.text
        assert list(tmp_path.iterdir()) == []
        assert from_pipe().rows_resumed == 0
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        while True:
            try:
                os.wait()
            except ChildProcessError:
                break


def test_an_input_without_an_identity_removes_no_parts(run, monkeypatch):
    run("out.csv", 2)
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "read_input_state", lambda *arguments, **options: None)
        with pytest.raises(OutputError, match="was begun by another run"):
            run("out.csv")
    assert run("out.csv").rows_resumed == 2 * PART


def test_a_missing_model_removes_no_parts(run, source, tmp_path):
    run("out.csv", 2)
    job = ScoreJob(source=str(source), destination=str(tmp_path / "out.csv"), quiet=True, part_rows=PART)

    def missing():
        raise OutputError("no model")

    with pytest.raises(OutputError, match="no model"):
        score_table(job, missing)
    assert run("out.csv").rows_resumed == 2 * PART


HOLDER = """
import sys, time
from sentiment_batch.scoring.output.journal import Journal
from pathlib import Path
journal = Journal(Path(sys.argv[1]), "out.csv")
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_run_on_one_output_names_the_first(run, tmp_path):
    work = tmp_path / ".out.csv.scoring"
    other = subprocess.Popen([sys.executable, "-c", HOLDER, str(work)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=rf"out\.csv is being written by process {other.pid} on "):
            run("out.csv")
        assert work.exists()
    finally:
        other.kill()
        other.communicate()
    assert run("out.csv").rows == ROWS  # a lock does not outlive its process


@pytest.fixture(scope="module")
def crash(tmp_path_factory):
    runner = Runner(SENTIMENT_BATCH_CACHE=str(tmp_path_factory.mktemp("crash")))
    yield runner
    runner.close()


@pytest.fixture
def command(tiny_model, source, tmp_path):
    """The command that scores the first 45 rows, three parts, into an output."""

    def command(out):
        options = ["--device", "cpu", "--dtype", "float32", "--part-rows", PART, "--limit", 45, "--model", tiny_model]
        return ["score", source, f"{tmp_path}/{out}", *options, "--quiet", "--json"]

    return command


def sweep(crash, command, tmp_path, out, check, choose, **disk):
    """Runs the command with a fault at operations on files that `choose` picks; `check` looks at each outcome."""
    unbroken = crash.run(*command("whole-" + out))
    assert unbroken["status"] == 0
    whole = content(tmp_path / ("whole-" + out))
    for number in choose(unbroken["operations"]):
        first = crash.run(
            *command(out), disk={name: number if value is None else value for name, value in disk.items()}
        )
        assert content(tmp_path / out) in (None, whole), number
        if first["operations"] is not None and first["operations"] < number:
            return
        check(first, number)
        if content(tmp_path / out) is None or hidden(tmp_path):
            again = crash.run(*command(out))
            assert again["status"] == 0, (number, again["err"])
            assert hidden(tmp_path) == [], number
        assert content(tmp_path / out) == whole, number
        for path in tmp_path.iterdir():
            if not path.name.startswith("whole-"):
                subprocess.run(["rm", "-rf", path], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("out", [pytest.param("out.csv", marks=pytest.mark.stress), "out/"])
def test_a_run_killed_at_any_operation_on_files_loses_nothing(crash, command, tmp_path, out, end_points):
    def check(first, number):
        assert first["status"] == -9

    sweep(crash, command, tmp_path, out, check, lambda total: end_points(total, every=8), kill_at=None)


@pytest.mark.slow
@pytest.mark.parametrize("out", ["out.parquet", pytest.param("out/", marks=pytest.mark.stress)])
def test_an_error_at_any_operation_on_files_loses_nothing(crash, command, tmp_path, out, end_points):
    def check(first, number):
        assert first["status"] in (0, 1), (number, first["err"])
        assert "Traceback" not in first["err"], (number, first["err"])
        if first["status"] == 1:
            lines = [line for line in first["err"].splitlines() if line.startswith("Error: ")]
            assert len(lines) == 1, first["err"]
            assert "disk is full" in lines[0], lines

    sweep(crash, command, tmp_path, out, check, lambda total: end_points(total, every=10), error_at=None, code=28)


@pytest.mark.parametrize("out", ["out.parquet", "out/"])
def test_the_same_command_resumes_after_a_kill(crash, command, tmp_path, out):
    number, rows = 0, []
    while len(rows) < 2:  # the operations that end the first two parts
        number += 1
        killed = crash.run(*command(out), disk={"kill_at": number, "only": ["replace"]})
        assert killed["status"] == -9
        resumed = json.loads(crash.run(*command(out))["out"])["rows_resumed"]
        rows += [resumed] if resumed and resumed not in rows else []
        subprocess.run(["rm", "-rf", tmp_path / out, *tmp_path.glob(".out*")], check=True)
    assert rows == [PART, 2 * PART]


def test_a_file_that_may_not_grow_is_one_line_and_a_run_resumes(crash, command, tmp_path):
    first = crash.run(*command("out.csv"), limit=1_500)
    assert first["status"] == 1
    assert "larger than the limit" in first["err"]
    assert content(tmp_path / "out.csv") is None
    assert crash.run(*command("out.csv"))["status"] == 0


def test_a_full_device_is_one_clear_line(crash, command, tmp_path):
    arguments = command("out.csv")
    arguments[2] = "/dev/full"
    first = crash.run(*arguments, "--output-format", "csv")
    assert first["status"] == 1
    assert "/dev/full cannot be written: the disk is full" in first["err"]


class Rows:
    """A plugin's reader of a table that has a version."""

    version = 1

    def __init__(self, location, options):
        self.schema = pa.schema([("text", pa.string())])
        self.num_rows = None

    def splits(self):
        return [Split(index=0, label="the table")]

    def batches(self, split):
        for n in range(0, ROWS, 7):
            texts = [f"film {m} was great" for m in range(n, min(n + 7, ROWS))]
            yield pa.record_batch({"text": pa.array(texts, pa.string())}, schema=self.schema)

    def close(self):
        pass


class Versioned(Rows):
    def identity(self):
        return {"version": self.version}


@pytest.fixture
def plugin(monkeypatch):
    """Installs a reader of `db://` and of `.rows`, and a writer that records everything."""

    def plugin(reader, version="1.0"):
        @hookimpl
        def register_readers(registry):
            registry.add("rows", reader, suffixes=(".rows",), schemes=("db",))

        dist = SimpleNamespace(name="rows-plugin", version=version)
        point = SimpleNamespace(name="rows", dist=dist, load=lambda: SimpleNamespace(register_readers=register_readers))
        fresh = Plugins((readers, writers), lambda: [point])
        monkeypatch.setattr(formats, "get_plugins", lambda: fresh)

    return plugin


def test_a_plugins_reader_that_reports_its_state_can_be_resumed(run, plugin, tmp_path, monkeypatch):
    plugin(Versioned)
    run("whole.csv", source="db://host/table")
    run("out.csv", 2, source="db://host/table")
    assert run("out.csv", source="db://host/table").rows_resumed == 2 * PART
    assert content(tmp_path / "out.csv") == content(tmp_path / "whole.csv")
    run("more.csv", 2, source="db://host/table")
    monkeypatch.setattr(Rows, "version", 2)
    with pytest.raises(OutputError, match=r"the input was .*1.* and is .*2"):
        run("more.csv", source="db://host/table")


def test_another_version_of_a_plugin_is_refused_by_name(run, plugin):
    plugin(Versioned, "1.0")
    run("out/", 2, source="db://host/table")
    assert run("out/", source="db://host/table").rows_resumed == 2 * PART
    run("more/", 2, source="db://host/table")
    plugin(Versioned, "1.1")
    with pytest.raises(OutputError, match=r"another run: plugins were rows-plugin 1\.0 and are rows-plugin 1\.1\."):
        run("more/", source="db://host/table")


def test_a_plugins_reader_without_a_state_cannot_be_resumed(run, plugin, tmp_path, caplog):
    caplog.set_level("INFO", "sentiment_batch")
    plugin(Rows)
    run("out.csv", 2, source="db://host/table")
    assert "nothing shows whether db://host/table stays the same" in caplog.text
    assert list(tmp_path.iterdir()) == []
    assert run("out/", source="db://host/table").rows == ROWS


def test_a_plugins_reader_of_a_file_goes_by_the_file(run, plugin, tmp_path):
    plugin(Rows)
    (tmp_path / "a.rows").write_bytes(b"state")
    run("out.csv", 2, source=str(tmp_path / "a.rows"))
    assert run("out.csv", source=str(tmp_path / "a.rows")).rows_resumed == 2 * PART


def test_a_folder_is_not_resumed_as_a_file_nor_the_reverse(run, tmp_path):
    for first, second in (("out.parquet", "out.parquet/"), ("more.parquet/", "more.parquet")):
        run(first, 2)
        with pytest.raises(OutputError, match=r"the output was .* and is"):
            run(second)
        assert run(first).rows_resumed == 2 * PART


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "disk")])
def test_an_old_folder_comes_back_when_the_new_one_does_not_come(run, tmp_path, monkeypatch, error):
    run("out/", limit=30)
    before = content(tmp_path / "out")
    real = os.rename

    def rename(source, target):
        if str(target) == str(tmp_path / "out") and "data" in str(source):
            raise error
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises((KeyboardInterrupt, OutputError)):
            run("out/", write=WriteOptions(overwrite=True))
    assert content(tmp_path / "out") == before
    assert run("out/", write=WriteOptions(overwrite=True)).rows_resumed == ROWS


def test_a_folder_with_anything_but_parts_in_it_is_not_replaced(run, tmp_path):
    run("out/")
    (tmp_path / "out" / "precious.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other things"):
        run("out/", write=WriteOptions(overwrite=True))
    assert (tmp_path / "out" / "precious.txt").exists()


def test_files_of_others_beside_the_output_stay(run, tmp_path):
    (tmp_path / "a.csv.problems.jsonl").write_text("mine")
    (tmp_path / "b.csv.manifest.json").mkdir()
    for name in ("a.csv", "b.csv"):
        with pytest.raises(OutputError, match="was not written by a scoring run"):
            run(name)
    assert (tmp_path / "a.csv.problems.jsonl").read_text() == "mine"
    run("c.csv")
    (tmp_path / "c.csv").unlink()
    run("c.csv")  # what an earlier run left beside it is no obstacle


def test_an_input_replaced_while_the_model_loads_is_an_error(scorer, tmp_path):
    (tmp_path / "in.csv").write_text("id,text\n1,good\n")

    def load():
        (tmp_path / "new.csv").write_text("text,id\ngood,1\n")
        os.utime(tmp_path / "new.csv", (1, 1))
        os.replace(tmp_path / "new.csv", tmp_path / "in.csv")
        return scorer

    job = ScoreJob(source=str(tmp_path / "in.csv"), destination=str(tmp_path / "out.csv"), quiet=True)
    with pytest.raises(InputError, match="was changed while it was read"):
        score_table(job, load)
    assert content(tmp_path / "out.csv") is None


def test_a_work_folder_that_is_a_link_is_not_emptied(run, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "thesis").write_text("mine")
    (tmp_path / ".out.csv.scoring").symlink_to(tmp_path / "docs")
    with pytest.raises(OutputError, match="is or holds a link"):
        run("out.csv")
    assert (tmp_path / "docs" / "thesis").exists()


def test_a_folder_published_by_a_killed_run_is_counted_in_full(run, tmp_path, monkeypatch):
    from sentiment_batch.scoring.output import manifest

    def dies(*arguments):
        raise CutOffError

    whole = run("whole/")
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "_copy_beside_output", dies)
        with pytest.raises(CutOffError):
            run("out/")
    again = run("out/")
    assert (again.rows, again.labels, again.rows_resumed) == (ROWS, whole.labels, ROWS)
    assert (tmp_path / "out.manifest.json").exists()
    assert hidden(tmp_path) == []


def test_names_that_are_not_utf8_stand_in_the_manifest(run, tmp_path):
    name = os.fsdecode(b"out\xff.csv")
    run(name, 2)
    assert run(name).rows_resumed == 2 * PART
    assert (tmp_path / f"{name}.manifest.json").exists()


@pytest.mark.parametrize("name", ["n" * 300 + ".csv", "/"])
def test_an_impossible_name_is_one_line_before_anything_is_read(run, tmp_path, name):
    destination = name if name == "/" else f"{tmp_path}/{name}"
    with pytest.raises(OutputError, match=r"the name is too long|no output can be written to"):
        run("x", destination=destination, output_format="csv")
