"""`verify` finds whatever happened to an output since it was written."""

from __future__ import annotations

import json
import os
import random
import re
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data import formats, readers, writers
from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.files.checksums import checked_json
from sentiment_batch.plugins.hookspecs import hookimpl
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.records import ReadOptions
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output.manifest import read_manifest
from sentiment_batch.scoring.output.verify import verify_output
from sentiment_batch.scoring.pipeline import score_table

OUTPUTS = ("out.parquet", "out.csv", "out.csv.gz", "out.jsonl", "out.arrow", "out/")


@pytest.fixture
def scored(scorer, tmp_path):
    """Scores 50 rows into an output of the test's folder, and gives its location."""

    def scored(out, **options):
        source = tmp_path / "in.parquet"
        pq.write_table(pa.table({"id": range(50), "text": [f"film {n} was great" for n in range(50)]}), source)
        destination = f"{tmp_path}/{out}"
        job = ScoreJob(source=str(source), destination=destination, quiet=True, part_rows=20, **options)
        score_table(job, lambda: scorer)
        return destination

    return scored


@pytest.mark.parametrize("out", OUTPUTS)
def test_a_sound_output_is_counted_against_its_input(scored, out, tmp_path):
    found = verify_output(scored(out))
    assert (found.rows, found.files) == (50, 3 if out == "out/" else 1)
    assert found.input == f"{tmp_path}/in.parquet has the same number of rows"


def test_tables_whose_first_row_looks_like_data_are_counted(scorer, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("The film was a joy from beginning to end.,5\nA dull and slow film without any point.,1\n")
    job = ScoreJob(
        source=str(source),
        destination=str(out),
        text_columns=("column_1",),
        read=ReadOptions(header=False),
        quiet=True,
    )
    score_table(job, lambda: scorer)
    out_lines = out.read_text().splitlines()
    assert out_lines[0] == "column_1,column_2,sentiment,sentiment_score"
    found = verify_output(str(out))
    assert (found.rows, found.input) == (2, f"{source} has the same number of rows")


@pytest.mark.parametrize("older", [1, 2])
def test_a_manifest_of_an_older_format_is_read(older, tmp_path):
    stored = {"format": older, "rows": 0, "files": [], "problems": None, "input": ["as it was"]}
    if older == 1:
        stored |= {"IN": "in.csv", "--no-quotes": False, "--input-format": "csv", "--output-format": "csv"}
    else:
        stored |= {"source": "in.csv", "settings": {"quotes": True, "input_format": "csv", "output_format": "csv"}}
    (tmp_path / "manifest").write_bytes(checked_json(stored))
    found = read_manifest(str(tmp_path / "manifest"))
    assert (found["input"], found["input_state"]) == (None, ["as it was"])


def test_the_manifest_says_what_sha256sum_says(scored, tmp_path):
    import hashlib

    destination = scored("out.csv")
    content = json.loads((tmp_path / "out.csv.manifest.json").read_text())["content"]
    data = (tmp_path / "out.csv").read_bytes()
    assert content["files"] == [
        {"name": "out.csv", "rows": 50, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    ]
    assert destination.endswith(content["files"][0]["name"])


@pytest.mark.parametrize("out", OUTPUTS)
def test_any_flipped_bit_is_found(scored, out, tmp_path):
    destination = scored(out)
    path = tmp_path / "out" / "part-00001.parquet" if out == "out/" else tmp_path / out
    sound = path.read_bytes()
    chance = random.Random(3)
    for _ in range(50):
        damaged = bytearray(sound)
        bit = chance.randrange(len(sound) * 8)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(damaged))
        with pytest.raises(OutputError, match="was changed: its SHA-256"):
            verify_output(destination)
    path.write_bytes(sound)
    assert verify_output(destination).rows == 50


def test_a_flipped_bit_in_the_manifest_is_found(scored, tmp_path):
    destination = scored("out.csv")
    path = tmp_path / "out.csv.manifest.json"
    sound = path.read_bytes()
    chance = random.Random(4)
    for _ in range(100):
        damaged = bytearray(sound)
        bit = chance.randrange(len(sound) * 8)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(damaged))
        try:
            verify_output(destination)
        except (InputError, OutputError):
            continue
        assert json.loads(damaged) == json.loads(sound)  # only the blanks around the values differ


@pytest.mark.parametrize("out", ["out.parquet", "out/"])
def test_a_file_that_was_cut_or_taken_away_is_found(scored, out, tmp_path):
    destination = scored(out)
    path = tmp_path / "out" / "part-00001.parquet" if out == "out/" else tmp_path / out
    os.truncate(path, 100)
    with pytest.raises(
        OutputError, match=r"has 100 bytes, but [\d,]+ were written\. Score the table again and replace"
    ):
        verify_output(destination)
    path.unlink()
    with pytest.raises(OutputError, match="cannot be read"):
        verify_output(destination)


def test_a_folder_without_mark_or_with_other_files_is_refused(scored, tmp_path):
    destination = scored("out/")
    (tmp_path / "out" / "part-00003.parquet").write_bytes(b"")
    with pytest.raises(OutputError, match=r"'part-00003\.parquet', which is not part"):
        verify_output(destination)
    (tmp_path / "out" / "part-00003.parquet").unlink()
    (tmp_path / "out" / "_SUCCESS").unlink()
    with pytest.raises(OutputError, match="has no _SUCCESS"):
        verify_output(destination)


def test_a_changed_or_missing_input_is_no_fault_of_the_output(scored, tmp_path):
    destination = scored("out.csv")
    os.utime(tmp_path / "in.parquet", (1, 1))
    assert "was changed since, so the number of its rows was not compared" in verify_output(destination).input
    (tmp_path / "in.parquet").unlink()
    assert "is not there" in verify_output(destination).input


def broken_reader(location, options):
    raise ValueError("no such driver")


@pytest.mark.parametrize(
    ("input_format", "reader", "why"),
    [
        ("excel", None, r"needs the plugin for Excel workbooks\. Install it with"),
        ("rows", None, "no format is called 'rows'"),
        ("rows", broken_reader, "no such driver"),
    ],
)
def test_a_missing_or_broken_plugin_of_the_input_is_no_fault(
    scored, cli, tmp_path, monkeypatch, input_format, reader, why
):
    destination, path = scored("out.csv"), tmp_path / "out.csv.manifest.json"
    manifest = json.loads(path.read_text())["content"]
    manifest["settings"]["input_format"] = input_format
    path.write_bytes(checked_json(manifest))

    @hookimpl
    def register_readers(registry):
        registry.add("rows", reader)

    point = SimpleNamespace(name="rows", dist=None, load=lambda: SimpleNamespace(register_readers=register_readers))
    fresh = Plugins((readers, writers), lambda: [point] * (reader is not None))
    monkeypatch.setattr(formats, "get_plugins", lambda: fresh)
    result = cli("verify", destination)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "out.csv is complete" in result.stdout
    assert re.search(rf"the rows of the input were not counted: .*{why}", result.stdout)


def test_a_limit_is_remembered(scored):
    assert verify_output(scored("out.csv", limit=30)).rows == 30


@pytest.mark.parametrize("name", ["other.csv", "other", "-", "/dev/null"])
def test_an_output_without_a_manifest_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="manifest"):
        verify_output(name if name.startswith(("-", "/")) else f"{tmp_path}/{name}")


def test_the_list_of_bad_rows_is_checked_too(scorer, tmp_path):
    (tmp_path / "in.csv").write_bytes(b"text,n\ngreat,1\ndull\n")
    job = ScoreJob(source=str(tmp_path / "in.csv"), destination=str(tmp_path / "o.csv"), quiet=True, on_bad_row="mark")
    score_table(job, lambda: scorer)
    assert verify_output(str(tmp_path / "o.csv")).bad_rows == 1
    (tmp_path / "o.csv.problems.jsonl").write_text("{}\n")
    with pytest.raises(OutputError, match=r"problems\.jsonl has 3 bytes"):
        verify_output(str(tmp_path / "o.csv"))


def test_the_command_says_what_it_found(cli, scored, tmp_path):
    destination = scored("out/")
    result = cli("verify", destination)
    assert result.exit_code == 0
    assert "is complete: 3 files" in result.output
    found = json.loads(cli("verify", destination, "--json").stdout)
    assert (found["rows"], found["bad_rows"]) == (50, 0)
    os.truncate(tmp_path / "out" / "part-00000.parquet", 5)
    result = cli("verify", destination)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("out", ["o.jsonl", "o.csv", "o.parquet", "o.jsonl/"])
def test_an_output_without_rows_is_complete(scored, out):
    assert verify_output(scored(out, limit=0)).rows == 0


def test_input_and_output_are_found_from_any_folder(scorer, tmp_path, monkeypatch):
    (tmp_path / "in.csv").write_text("text\ngreat\n")
    monkeypatch.chdir(tmp_path)
    score_table(ScoreJob(source="in.csv", destination="out.tsv/", quiet=True), lambda: scorer)
    assert sorted(os.listdir("out.tsv")) == ["_SUCCESS", "part-00000.tsv"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "in.csv").write_text("other")
    assert verify_output(f"{tmp_path}/out.tsv").input.endswith("in.csv has the same number of rows")
