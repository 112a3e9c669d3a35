"""A run that was killed after it had published its output is finished by the same command, even if IN is OUT."""

from __future__ import annotations

import json
import os
import shutil
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.errors import InputError, OutputError, UsageError
from sentiment_batch.records import WriteOptions
from sentiment_batch.scoring import pipeline
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output import journal, manifest, targets
from sentiment_batch.scoring.output.targets import FolderTarget
from sentiment_batch.scoring.output.verify import verify_output
from sentiment_batch.scoring.pipeline import score_table
from tests.crashes import Runner
from tests.scoring.cut_off import CutOffError

ROWS, PART = 45, 20
PLACES = ("in.csv", "in.parquet", "in/")


def write_input(folder, name):
    """Write the input anew, and remove all else; a CSV has a bad row."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    table = pa.table({"id": range(ROWS), "text": [f"film {n % 31} was great" for n in range(ROWS)]})
    if name == "in.csv":
        rows = "".join(f"{row['id']},{row['text']}\n" for row in table.to_pylist())
        (folder / name).write_text(f"id,text\n{rows}7,too,many\n")
    elif name == "in/":
        (folder / "in").mkdir()
        for n in (0, 30):
            pq.write_table(table.slice(n, 30), folder / "in" / f"part-{n:05d}.parquet")
        (folder / "in" / "_SUCCESS").touch()
        files = [{"name": f"part-{n:05d}.parquet", "rows": 0, "bytes": 0, "sha256": ""} for n in (0, 30)]
        (folder / "in.manifest.json").write_bytes(manifest.checked_json({"files": files, "problems": None}))
    else:
        pq.write_table(table, folder / name)


def content(path):
    return {file.name: file.read_bytes() for file in path.iterdir()} if path.is_dir() else path.read_bytes()


@pytest.fixture
def score(scorer, tmp_path):
    """Scores a place of the test's folder into itself or into another place."""

    def score(source, out=None, *, overwrite=True, **options):
        job = ScoreJob(
            source=f"{tmp_path}/{source}",
            destination=f"{tmp_path}/{out or source}",
            quiet=True,
            part_rows=PART,
            on_bad_row="mark",
            write=WriteOptions(overwrite=overwrite),
            **options,
        )
        return score_table(job, lambda: scorer)

    return score


def dies(*arguments, **options):
    raise CutOffError


def end_after_publication(score, monkeypatch, *arguments, **options):
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "_copy_beside_output", dies)
        with pytest.raises(CutOffError):
            score(*arguments, **options)


def end_while_clearing(score, monkeypatch, *arguments, keep=(), **options):
    """End a run when it has removed its work folder but for some files, by their endings."""
    real = journal.remove_work_folder

    def remove(folder):
        if not folder.name.endswith(".done") or not folder.exists():
            return real(folder)
        for path in folder.iterdir():
            if not path.name.endswith(tuple(keep)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise CutOffError

    with monkeypatch.context() as patch:
        patch.setattr(journal, "remove_work_folder", remove)
        with pytest.raises(CutOffError):
            score(*arguments, **options)


def test_a_published_output_is_not_aborted(score, tmp_path, monkeypatch):
    """`abort` of a plugin's writer may remove the output, because nobody calls it after `commit` has returned."""
    open_writer = targets.formats.open_writer

    def open_fragile(location, schema, **options):
        writer = open_writer(location, schema, **options)
        monkeypatch.setattr(type(writer), "abort", lambda self: (tmp_path / "out.csv").unlink(missing_ok=True))
        return writer

    monkeypatch.setattr(targets.formats, "open_writer", open_fragile)
    write_input(tmp_path, "in.csv")
    end_after_publication(score, monkeypatch, "in.csv", "out.csv")
    assert (tmp_path / "out.csv").exists()
    assert score("in.csv", "out.csv").rows_resumed == ROWS + 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("end", [end_after_publication, end_while_clearing])
def test_a_run_in_place_is_finished_by_its_command(score, tmp_path, monkeypatch, place, end):
    write_input(tmp_path, place)
    whole = score(place)
    output = content(tmp_path / place)
    write_input(tmp_path, place)
    end(score, monkeypatch, place)
    assert content(tmp_path / place) == output
    again = score(place)
    assert content(tmp_path / place) == output
    same = ("rows", "labels", "tokens", "null", "repeated", "problems", "input", "text_columns")
    assert [getattr(again, name) for name in same] == [getattr(whole, name) for name in same]
    assert again.rows_resumed == again.rows
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    with pytest.raises(Exception, match="sentiment"):  # the columns are there now
        score(place)


@pytest.mark.parametrize(
    ("source", "out"), [("in/", "in/out.parquet"), ("in/*.parquet", "in/out.parquet"), ("in/", "in/out/")]
)
@pytest.mark.parametrize("end", [end_after_publication, end_while_clearing])
def test_a_run_into_its_own_folder_is_finished_by_its_command(score, tmp_path, monkeypatch, source, out, end):
    write_input(tmp_path, "in/")
    end(score, monkeypatch, source, out, overwrite=False)
    output = content(tmp_path / out)
    again = score(source, out, overwrite=False)
    assert again.rows_resumed == again.rows == ROWS
    assert content(tmp_path / out) == output
    assert not [path for path in (tmp_path / "in").iterdir() if path.name.startswith(".")]


def test_a_new_file_beside_such_an_output_is_no_part_of_its_run(score, tmp_path, monkeypatch):
    write_input(tmp_path, "in/")
    end_after_publication(score, monkeypatch, "in/", "in/out.parquet", overwrite=False)
    pq.write_table(pa.table({"id": [1], "text": ["late"]}), tmp_path / "in" / "late.parquet")
    with pytest.raises((OutputError, UsageError)):
        score("in/", "in/out.parquet", overwrite=False)


@pytest.mark.parametrize("keep", [(), ("job.json",), ("job.json", ".scores"), ("job.json", "manifest.json", ".json")])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_that_was_clearing_up_is_done(score, tmp_path, monkeypatch, keep, overwrite):
    write_input(tmp_path, "in.csv")
    end_while_clearing(score, monkeypatch, "in.csv", "out.csv", keep=keep)
    before = os.stat(tmp_path / "out.csv").st_ino
    assert score("in.csv", "out.csv", overwrite=overwrite).rows_resumed == ROWS + 1
    assert os.stat(tmp_path / "out.csv").st_ino == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in.csv",
        "out.csv",
        "out.csv.manifest.json",
        "out.csv.problems.jsonl",
    ]
    if not overwrite:
        with pytest.raises(OutputError, match="exists already"):
            score("in.csv", "out.csv", overwrite=False)


@pytest.mark.parametrize("end", [end_after_publication, end_while_clearing])
def test_another_command_is_not_taken_for_the_published_one(score, tmp_path, monkeypatch, end):
    write_input(tmp_path, "in.csv")
    end(score, monkeypatch, "in.csv", "out.csv")
    with pytest.raises(OutputError, match="exists already"):
        score("in.csv", "out.csv", overwrite=False, limit=30)
    assert score("in.csv", "out.csv", limit=30).rows == 30


@pytest.mark.parametrize("options", [{"limit": 30}, {"text_columns": ("id",)}, {"keep": ("text",)}])
def test_another_command_in_place_is_refused_by_name(score, tmp_path, monkeypatch, options):
    write_input(tmp_path, "in.csv")
    end_after_publication(score, monkeypatch, "in.csv")
    output = content(tmp_path / "in.csv")
    with pytest.raises(OutputError, match=r"was begun by another run: `(limit|text_column|columns)`"):
        score("in.csv", **options)
    assert content(tmp_path / "in.csv") == output
    assert score("in.csv").rows == ROWS + 1


def test_an_output_that_was_changed_after_the_kill_is_scored(score, tmp_path, monkeypatch):
    for end in (end_after_publication, end_while_clearing):
        write_input(tmp_path, "in.csv")
        end(score, monkeypatch, "in.csv", "out.csv")
        (tmp_path / "out.csv").write_text("mine")
        with pytest.raises(OutputError, match="exists already"):
            score("in.csv", "out.csv", overwrite=False)
        assert (tmp_path / "out.csv").read_text() == "mine"


def test_what_cannot_be_read_again_is_never_the_same_input(score, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.csv")

    def send(*arguments, **options):
        writer = threading.Thread(target=(tmp_path / "pipe.csv").write_text, args=["id,text\n1,great\n"])
        writer.start()
        try:
            return score("pipe.csv", *arguments, **options)
        finally:
            writer.join()

    end_while_clearing(send, monkeypatch, "out.csv")
    with pytest.raises(OutputError, match="exists already"):
        send("out.csv", overwrite=False)
    assert send("out.csv").rows_resumed == 0


def test_an_older_data_set_with_more_parts_is_replaced(score, tmp_path, monkeypatch):
    write_input(tmp_path, "in.parquet")
    score("in.parquet", "out/")
    with monkeypatch.context() as patch:
        patch.setattr(FolderTarget, "publish", dies)
        with pytest.raises(CutOffError):
            score("in.parquet", "out/", limit=2 * PART)
    assert score("in.parquet", "out/", limit=2 * PART).rows_resumed == 2 * PART
    assert set(content(tmp_path / "out")) == {"_SUCCESS", "part-00000.parquet", "part-00001.parquet"}


def test_a_manifest_without_a_summary_is_no_obstacle(score, tmp_path, monkeypatch):
    write_input(tmp_path, "in.csv")
    end_while_clearing(score, monkeypatch, "in.csv", "out.csv")
    path = tmp_path / "out.csv.manifest.json"
    values = json.loads(path.read_text())["content"]
    for name, value in (("counts", {"bad": []}), ("counts", None), ("input", []), ("unlike_reasons", 7)):
        path.write_bytes(manifest.checked_json(values | {name: value}))
        (tmp_path / ".out.csv.scoring.done").mkdir(exist_ok=True)
        assert score("in.csv", "out.csv").rows_resumed == 0


@pytest.mark.parametrize("place", ["in.csv", "in/"])
def test_an_input_replaced_under_size_and_time_is_noticed(score, tmp_path, monkeypatch, place):
    write_input(tmp_path, place)
    file = tmp_path / "in.csv" if place == "in.csv" else tmp_path / "in" / "part-00000.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "publish", dies)
        with pytest.raises(CutOffError):
            score(place, "out.csv")
    status = file.stat()
    new = file.with_name(".new")
    new.write_bytes(file.read_bytes().replace(b"great", b"awful", 1))
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(new, file)
    with pytest.raises(OutputError, match=r"has its size and modification time of before, but was replaced, copied"):
        score(place, "out.csv")
    assert score(place, "out.csv", restart=True).rows_resumed == 0


def test_an_input_rewritten_in_the_run_publishes_nothing(score, tmp_path, monkeypatch):
    write_input(tmp_path, "in.csv")
    write = pipeline._write_rows

    def write_rows(*arguments):
        write(*arguments)
        status = (tmp_path / "in.csv").stat()
        (tmp_path / "in.csv").write_bytes((tmp_path / "in.csv").read_bytes().replace(b"great", b"awful", 1))
        os.utime(tmp_path / "in.csv", ns=(status.st_atime_ns, status.st_mtime_ns))

    monkeypatch.setattr(pipeline, "_write_rows", write_rows)
    with pytest.raises(InputError, match="was changed while it was read"):
        score("in.csv", "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_copy_of_the_folder_is_refused_by_name(score, tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    write_input(here, "in.csv")
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "publish", dies)
        with pytest.raises(CutOffError):
            score("here/in.csv", "here/out.csv")
    shutil.copytree(here, there)
    with pytest.raises(OutputError, match=r"the input was .*/here/in\.csv and is .*/there/in\.csv"):
        score("there/in.csv", "there/out.csv")
    shutil.rmtree(here)  # a machine on which the folder has the same path
    shutil.copytree(there, here)
    with pytest.raises(OutputError, match=r"replaced, copied or changed since\. .*`restart=True`"):
        score("here/in.csv", "here/out.csv")
    assert score("here/in.csv", "here/out.csv", restart=True).rows == ROWS + 1


@pytest.fixture(scope="module")
def crash(tmp_path_factory):
    runner = Runner(SENTIMENT_BATCH_CACHE=str(tmp_path_factory.mktemp("crash")))
    yield runner
    runner.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "place", [*PLACES[:1], *(pytest.param(place, marks=pytest.mark.stress) for place in PLACES[1:])]
)
def test_a_run_in_place_loses_nothing_at_any_kill(crash, tiny_model, tmp_path, place, end_points):
    options = ["--device", "cpu", "--dtype", "float32", "--part-rows", PART, "--model", tiny_model, "--quiet", "--json"]
    command = ["score", f"{tmp_path}/{place}", f"{tmp_path}/{place}", "--overwrite", "--on-bad-row", "mark", *options]
    for _ in range(2):  # the first run also fills the cache
        write_input(tmp_path, place)
        before = content(tmp_path / place)
        unbroken = crash.run(*command)
        assert unbroken["status"] == 0, unbroken["err"]
    whole = content(tmp_path / place)
    for number in end_points(unbroken["operations"], every=7):
        write_input(tmp_path, place)
        assert crash.run(*command, disk={"kill_at": number})["status"] == -9
        found = content(tmp_path / place) if (tmp_path / place).exists() else None
        assert found in (before, whole) or place == "in/", number
        hidden = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        if hidden or found != whole:
            again = crash.run(*command)
            assert again["status"] == 0, (number, unbroken["names"][number - 1], again["err"])
            assert json.loads(again["out"])["rows"] == ROWS + (place == "in.csv")
        assert content(tmp_path / place) == whole, number
        names = {place.rstrip("/"), f"{place.rstrip('/')}.manifest.json"}
        names |= {f"{place}.problems.jsonl"} if place == "in.csv" else set()
        assert {path.name for path in tmp_path.iterdir()} == names, number
        verify_output(f"{tmp_path}/{place}")
