"""No run deletes or replaces a file that no run wrote, and no file in the place of one of ours stops a run for ever."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.files.checksums import MAX_JSON_BYTES, checked_json, hash_json
from sentiment_batch.records import WriteOptions
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output.verify import verify_output
from sentiment_batch.scoring.pipeline import score_table
from tests.scoring.cut_off import cut_off_after

ROWS, PART = 50, 20
BAD_ROW = b"7,too,many\n"
NESTED = b'{"content": ' + b"[" * 200_000


@pytest.fixture
def run(scorer, tmp_path):
    """Scores `in.csv`, of which one row is bad, into an output of the test's folder; `parts` cuts the run off."""
    rows = [b"%d,film %d was great\n" % (n, n) for n in range(ROWS)]
    (tmp_path / "in.csv").write_bytes(b"id,text\n" + BAD_ROW + b"".join(rows))

    def run(out, parts=None, *, overwrite=False, **options):
        job = ScoreJob(
            source=f"{tmp_path}/in.csv",
            destination=f"{tmp_path}/{out}",
            quiet=True,
            part_rows=PART,
            on_bad_row="mark",
            text_columns=("text",),
            write=WriteOptions(overwrite=overwrite),
        )
        job = dataclasses.replace(job, **options)
        if parts is None:
            return score_table(job, lambda: scorer)
        with cut_off_after(parts):
            score_table(job, lambda: scorer)
        return None

    return run


def snapshot(folder):
    """What lies in a folder: kinds, link targets and contents. A sparse file stands by its size."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file() and status.st_size < 10**7:
            found[name] = path.read_bytes()
        else:
            found[name] = (status.st_mode, status.st_size if path.is_file() else None)
    return found


def make(path, kind):
    """Put something of the user's at a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
        (path / "thesis").write_text("mine")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        (path.parent.parent / "thesis").write_text("mine")
        path.symlink_to(path.parent.parent / "thesis")
    elif kind == "dead link":
        path.symlink_to(path.parent.parent / "nowhere")
    elif kind == "hard link":
        (path.parent.parent / "thesis").write_text("mine")
        os.link(path.parent.parent / "thesis", path)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(5 * 2**30)
    elif kind == "too large":
        with path.open("wb") as file:
            file.truncate(MAX_JSON_BYTES + 1)
    else:
        path.write_bytes(kind if isinstance(kind, bytes) else kind.encode())


def refused(run, tmp_path, name, *arguments, **options):
    """A run is refused in one line that holds a name, and changes nothing."""
    before = snapshot(tmp_path)
    with pytest.raises((OutputError, InputError)) as caught:
        run(*arguments, **options)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert snapshot(tmp_path) == before


FOREIGN = [
    ("thesis.txt", "mine"),
    ("part-list.xlsx", "mine"),
    ("part-00000.scores.bak", "mine"),
    ("data/part-list.xlsx", "mine"),
    ("data/2024/part-00000.csv", "mine"),
    ("old/thesis.txt", "mine"),
    ("job.json", "mine"),
    ("job.json", '{"mine": 1}'),
    ("job.json", NESTED),
    ("job.json", "huge"),
    ("manifest.json", '{"mine": 1}'),
    ("part-00000.json", '{"mine": 1}'),
    *((name, "pipe") for name in ("job.json", "manifest.json", "part-00000.json", "lock", "lock.holder", "scratch")),
    *((name, "folder") for name in ("job.json", "manifest.json", "part-00000.scores", "lock", "lock.holder")),
    *((name, "link") for name in ("job.json", "lock", "lock.holder", "scratch", "data", "old")),
    ("lock", "dead link"),
]


@pytest.mark.parametrize("suffix", ["", ".done"])
@pytest.mark.parametrize(("name", "kind"), FOREIGN)
def test_a_foreign_work_folder_is_refused_by_name(run, tmp_path, name, kind, suffix):
    work = tmp_path / f".out.csv.scoring{suffix}"
    make(work / name, kind)
    if kind != "link" or name not in ("data", "old"):
        refused(run, tmp_path, work.name, "out.csv", overwrite=True)
    else:
        refused(run, tmp_path, "link" if name == "data" and not suffix else name, "out.csv", restart=True)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("name", "kind"), [("thesis", "mine"), ("data/part-x.csv", "mine"), ("job.json", "pipe")])
def test_a_foreign_file_among_parts_is_refused(run, tmp_path, name, kind, restart):
    run("out.csv", 1)
    if name == "job.json":
        (tmp_path / ".out.csv.scoring" / name).unlink()
    make(tmp_path / ".out.csv.scoring" / name, kind)
    refused(run, tmp_path, name, "out.csv", restart=restart)


@pytest.mark.parametrize("name", ["lock", "lock.holder"])
def test_a_lock_with_a_second_name_is_not_written(run, tmp_path, name):
    make(tmp_path / ".out.csv.scoring" / name, "hard link")
    if name == "lock":
        refused(run, tmp_path, "lock", "out.csv")
    else:
        run("out.csv")
    assert (tmp_path / "thesis").read_text() == "mine"


NEIGHBOURS = [
    "mine",
    "",
    '{"row": 0}',
    '{"content": {"files": []}, "sha256": ""}',
    checked_json({"files": 7}),
    checked_json({"files": [{"name": 7}]}),
    NESTED,
    "folder",
    "pipe",
    "dead link",
    "huge",
]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("ending", ["manifest.json", "problems.jsonl"])
@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_a_foreign_file_beside_the_output_stays(run, tmp_path, kind, ending, overwrite):
    make(tmp_path / f"out.csv.{ending}", kind)
    refused(run, tmp_path, f"out.csv.{ending}", "out.csv", overwrite=overwrite)


def test_an_edited_list_of_bad_rows_stays(run, tmp_path):
    run("out.csv")
    listed = tmp_path / "out.csv.problems.jsonl"
    listed.write_bytes(listed.read_bytes().replace(b'"row": 0', b'"row": 1'))
    refused(run, tmp_path, listed.name, "out.csv", overwrite=True)


def test_the_files_of_a_run_are_replaced_with_overwrite(run, tmp_path):
    for out in ("out.csv", "out/"):
        run(out, limit=30)
        assert run(out, overwrite=True).rows == ROWS + 1
        assert verify_output(f"{tmp_path}/{out}").bad_rows == 1


def test_the_list_of_a_plugins_writer_has_no_manifest(run, tmp_path):
    run("out.csv")
    (tmp_path / "out.csv.manifest.json").unlink()
    assert run("out.csv", overwrite=True).rows == ROWS + 1


def test_a_foreign_file_that_appears_at_the_end_stays(run, tmp_path, monkeypatch):
    from sentiment_batch.scoring.output import manifest

    real = manifest._gather_problems

    def gather(journal):
        (tmp_path / "out.csv.problems.jsonl").write_text("mine")
        return real(journal)

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "_gather_problems", gather)
        with pytest.raises(OutputError, match="not written by a scoring run"):
            run("out.csv")
    assert not (tmp_path / "out.csv").exists()
    (tmp_path / "out.csv.problems.jsonl").unlink()
    assert run("out.csv").rows_resumed == ROWS + 1


@pytest.mark.parametrize("ending", ["manifest.json", "problems.jsonl"])
@pytest.mark.parametrize("link", [False, True])
def test_an_input_beside_the_output_is_not_replaced(run, tmp_path, ending, link):
    source = tmp_path / f"out.csv.{ending}"
    source.write_text('{"text": "fine"}\n')
    if link:
        (tmp_path / "linked.jsonl").symlink_to(source)
        source = tmp_path / "linked.jsonl"
    options = {"source": str(source), "input_format": "jsonl", "on_bad_row": "fail"}
    refused(run, tmp_path, f"out.csv.{ending}", "out.csv", overwrite=True, **options)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_list_of_bad_rows_that_is_read_is_not_replaced(run, tmp_path, scheme):
    run("out.csv")
    source = tmp_path / "out.csv.problems.jsonl"
    options = {"source": f"{scheme}{source}", "text_columns": ("reason",), "on_bad_row": "fail"}
    refused(run, tmp_path, source.name, "out.csv", overwrite=True, **options)


@pytest.mark.parametrize("name", ["part-list.xlsx", "part-00000.txt", "2024/part-00000.csv", "_SUCCESS.txt"])
def test_a_foreign_file_in_a_finished_data_set_stays(run, tmp_path, name):
    run("out/")
    make(tmp_path / "out" / name, "mine")
    before = snapshot(tmp_path / "out")
    with pytest.raises(OutputError, match=f"holds other things than a finished data set.*{name.partition('/')[0]}"):
        run("out/", overwrite=True)
    assert snapshot(tmp_path / "out") == before


def test_a_data_set_without_its_manifest_is_not_replaced(run, tmp_path):
    run("out/")
    (tmp_path / "out.manifest.json").unlink()
    with pytest.raises(OutputError, match=r"with its manifest \('part-00000"):
        run("out/", overwrite=True)
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_parts_of_another_job_are_not_taken_over(run, tmp_path):
    run("whole.csv")
    run("other.csv", 2, limit=45)
    run("out.csv", 1)
    for file in (tmp_path / ".other.csv.scoring").glob("part-*"):
        shutil.copy(file, tmp_path / ".out.csv.scoring")
    assert run("out.csv").rows_resumed == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


ABSURD = [
    {"rows": -5},
    {"rows": 10**30},
    {"rows": 19},
    {"rows": 20.0},
    {"rows": "20"},
    {"rows": None},
    {"bytes": -1},
    {"index": -1},
    {"counts": {}},
    {"counts": []},
    {"counts": {"bad": 0, "compiled": 0, "labels": {"positive": -3}}},
    {"counts": {"bad": 0, "compiled": 0, "labels": {"positive": float("nan")}}},
    {"counts": {"bad": 0, "compiled": 0, "labels": [], "tokens": {}}},
    {"file": "../../thesis"},
    {"file": "\0"},
    {"file": 7},
    {"sha256": 7},
    {"job": "of another"},
    {"more": 1},
]


@pytest.mark.parametrize("change", ABSURD)
def test_an_absurd_record_of_a_part_is_made_again(run, tmp_path, change):
    run("whole.csv")
    run("out.csv", 2)
    record = tmp_path / ".out.csv.scoring" / "part-00000.json"
    record.write_bytes(checked_json(json.loads(record.read_text())["content"] | change))
    assert run("out.csv").rows_resumed == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


ABSURD_JOBS = [
    [],
    7,
    {"format": 3},
    {"format": 3, "job": 7},
    {"format": 3, "job": {"input": 7, "settings": 7}},
    {"format": 3, "job": {"input": [{"path": 7, "bytes": "x"}]}},
]


@pytest.mark.parametrize("content", ABSURD_JOBS)
def test_an_absurd_job_never_gives_its_parts_away(run, tmp_path, content):
    run("out.csv", 1)
    work = tmp_path / ".out.csv.scoring"
    (work / "job.json").write_bytes(checked_json(content))
    if isinstance(content, dict):  # with parts that name it
        record = json.loads((work / "part-00000.json").read_text())["content"]
        (work / "part-00000.json").write_bytes(checked_json(record | {"job": hash_json(content)}))
    with pytest.raises(OutputError, match=r"`restart=True`") as caught:
        run("out.csv")
    assert "\n" not in str(caught.value)
    assert run("out.csv", restart=True).rows == ROWS + 1


def test_parts_of_a_job_that_was_swapped_are_made_again(run, tmp_path):
    run("whole.csv")
    run("other.csv", 1, limit=45)
    run("out.csv", 1)
    shutil.copy(tmp_path / ".out.csv.scoring" / "job.json", tmp_path / ".other.csv.scoring")
    assert run("other.csv").rows_resumed == 0
    assert (tmp_path / "other.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("kind", ["pipe", "folder", "huge", "too large", NESTED, checked_json({"format": 3}), "mine"])
def test_verify_refuses_what_is_no_manifest(run, tmp_path, kind):
    run("out.csv")
    (tmp_path / "out.csv.manifest.json").unlink()
    make(tmp_path / "out.csv.manifest.json", kind)
    with pytest.raises(InputError, match=r"out\.csv\.manifest\.json"):
        verify_output(f"{tmp_path}/out.csv")


@pytest.mark.parametrize("name", ["source", "settings", "rows", "input_state", "files", "problems", "counts"])
@pytest.mark.parametrize("value", [None, [], {}, 7, "x", -1, {"input_format": 1}, [[]]])
def test_verify_takes_no_wrong_types_of_a_manifest(run, tmp_path, name, value):
    run("out.csv")
    path = tmp_path / "out.csv.manifest.json"
    content = json.loads(path.read_text())["content"]
    path.write_bytes(checked_json(content | {name: value}))
    with contextlib.suppress(InputError, OutputError):  # any other error fails the test
        verify_output(f"{tmp_path}/out.csv")


def test_a_manifest_without_one_of_its_keys_is_no_bug(run, tmp_path):
    run("out.csv")
    path = tmp_path / "out.csv.manifest.json"
    whole = json.loads(path.read_text())["content"]
    lacking = [{key: value for key, value in whole.items() if key != name} for name in whole]
    settings = whole["settings"]
    lacking += [
        whole | {"settings": {key: value for key, value in settings.items() if key != name}} for name in settings
    ]
    for content in lacking:
        path.write_bytes(checked_json(content))
        with contextlib.suppress(InputError, OutputError):  # any other error fails the test
            verify_output(f"{tmp_path}/out.csv")


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_verify_refuses_a_pipe_among_the_files(run, tmp_path, kind):
    run("out/")
    (tmp_path / "out" / "part-00001.parquet").unlink()
    make(tmp_path / "out" / "part-00001.parquet", kind)
    with pytest.raises(OutputError, match=r"part-00001\.parquet belongs to the output and cannot be read"):
        verify_output(f"{tmp_path}/out/")


def test_a_work_folder_that_stays_shows_whose_it_is(run, tmp_path, monkeypatch):
    """Else a later run would take it for a folder of the user's, and refuse to start."""
    unlink = Path.unlink

    def unlink_all_but_parts(path, missing_ok=False):
        if path.name.endswith(".scores"):
            raise OSError(errno.EIO, "the disk fails")
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink_all_but_parts)
        run("out.csv")
    whole = (tmp_path / "out.csv").read_bytes()
    left = tmp_path / ".out.csv.scoring.done"
    assert (left / "job.json").exists()
    (tmp_path / "out.csv").unlink()
    run("out.csv", overwrite=True)
    assert (tmp_path / "out.csv").read_bytes() == whole
    assert not left.exists()
