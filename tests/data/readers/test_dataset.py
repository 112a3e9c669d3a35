"""Several files of one format are read as one table: folders and globs of CSV, JSON lines and Arrow."""

from __future__ import annotations

import contextlib
import json

import pyarrow as pa
import pyarrow.feather as feather
import pytest

from sentiment_batch.data.formats import open_reader
from sentiment_batch.data.readers.dataset import names_several_files
from sentiment_batch.data.readers.dataset_files import find_files
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.records import Dialect, ReadOptions


@pytest.fixture
def days(tmp_path):
    """Three files with the same columns, in another order in the last."""
    (tmp_path / "day-2.csv").write_text("id,text\n3,so so\n")
    (tmp_path / "day-1.csv").write_text("id,text\n1,good\n2,bad\n")
    (tmp_path / "day-10.csv").write_text("text,id\nfine,4\n")
    return tmp_path


def rows(location, **settings):
    reader = open_reader(str(location), **settings)
    try:
        return [row for split in reader.splits() for batch in reader.batches(split) for row in batch.to_pylist()]
    finally:
        reader.close()


def test_a_glob_is_read_in_natural_order_in_splits(days):
    assert [row["id"] for row in rows(days / "day-*.csv")] == ["1", "2", "3", "4"]
    reader = open_reader(str(days / "day-*.csv"))
    assert [split.index for split in reader.splits()] == [0, 1, 2]
    assert [split.label.rpartition("/")[2] for split in reader.splits()] == ["day-1.csv", "day-2.csv", "day-10.csv"]
    assert [location.rpartition("/")[2] for location in reader.locations] == ["day-1.csv", "day-2.csv", "day-10.csv"]
    assert reader.num_rows is None
    (batch,) = reader.batches(reader.splits()[2])  # in any order, each split by itself
    assert batch.to_pylist() == [{"id": "4", "text": "fine"}]


def test_a_folder_is_read_by_the_endings_of_its_files(days):
    assert len(rows(days)) == len(rows(days, format="csv")) == 4
    with pytest.raises(InputError, match=r"day-1\.csv is text, such as CSV; give `input_format=\"csv\"`"):
        rows(days, format="parquet")


def dialect(location, **settings):
    with contextlib.closing(open_reader(str(location), **settings)) as reader:
        return reader.dialect


def test_a_format_that_endings_show_is_said_to_be_assumed(days, tmp_path_factory):
    found = dialect(days)
    assert (found.format, found.delimiter) == ("csv", ",")
    assert found.assumed == ("format", "delimiter", "encoding", "header")
    assert dialect(days, format="csv").format is None
    assert dialect(days / "*.csv").format is None
    tables = tmp_path_factory.mktemp("tables")  # a format without a dialect
    feather.write_feather(pa.table({"text": ["good"]}), tables / "a.feather")
    assert dialect(tables) == Dialect(format="arrow", assumed=("format",))
    assert dialect(tables / "*.feather") is None


@pytest.mark.parametrize("format", ["csv", None])
def test_a_folder_with_the_log_of_a_delta_table_is_refused(days, format):
    (days / "_delta_log").mkdir()
    with pytest.raises(InputError, match=f"may hold rows that were replaced. Read it as delta://{days}"):
        rows(days, format=format)
    assert len(rows(days / "*.csv")) == 4


def test_folders_give_partitions(days):
    folder = days / "by" / "year=2024"
    folder.mkdir(parents=True)
    (days / "day-1.csv").rename(folder / "a.csv.gz").rename(folder / "a.csv")
    assert [row["year"] for row in rows(days / "by", format="csv")] == [2024, 2024]


def test_keys_that_a_file_of_json_lacks_are_null(tmp_path):
    for number, row in enumerate([{"text": "good", "n": 1}, {"text": "bad", "n": 1.5, "more": "x"}]):
        (tmp_path / f"{number}.jsonl").write_text(json.dumps(row) + "\n")
    found = rows(tmp_path / "*.jsonl")
    assert found == [{"text": "good", "n": 1.0, "more": None}, {"text": "bad", "n": 1.5, "more": "x"}]
    assert open_reader(str(tmp_path / "*.jsonl")).num_rows == 2


def test_arrow_files_are_read_together(tmp_path):
    for number in range(2):
        table = pa.table({"text": [f"film {number}"]})
        with pa.OSFile(str(tmp_path / f"{number}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    assert [row["text"] for row in rows(tmp_path / "*.arrow")] == ["film 0", "film 1"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("id,review", r"day-2\.csv has other columns than .*day-1\.csv: it lacks 'text'\. Give all files the same"),
        ("id,text,stars", r"day-2\.csv has other columns than .*day-1\.csv: it also has 'stars'"),
    ],
)
def test_other_columns_are_refused_with_the_file(days, header, said):
    (days / "day-2.csv").write_text(f"{header}\n{',x' * header.count(',')}\n")
    with pytest.raises(InputError, match=said):
        rows(days / "day-*.csv")


def test_other_types_are_refused_with_the_file(tmp_path):
    (tmp_path / "1.jsonl").write_text('{"text": "good", "n": 1}\n')
    (tmp_path / "2.jsonl").write_text('{"text": "bad", "n": {"a": 1}}\n')
    with pytest.raises(InputError, match=r"2\.jsonl does not match the other files: column 'n'"):
        rows(tmp_path / "*.jsonl")


def test_files_of_several_formats_are_refused(days):
    (days / "day-3.jsonl").write_text('{"text": "good"}\n')
    with pytest.raises(InputError, match=r"matches files of several formats, such as .*day-1\.csv and .*day-3\.jsonl"):
        rows(days / "day-*", format="csv")


def test_a_damaged_file_is_named(days):
    (days / "day-2.csv").write_text("id,text\n3,so,so\n")
    with pytest.raises(InputError, match=r"day-2\.csv, line 2: 3 fields"):
        rows(days / "day-*.csv")
    problems = []
    found = rows(days / "day-*.csv", options=ReadOptions(on_bad_row=problems.append))
    assert [problem.row for problem in problems] == [0]
    assert len(found) == 4


def test_files_of_no_bytes_are_left_out(days, caplog):
    (days / "day-3.csv").write_bytes(b"")
    assert len(rows(days / "day-*.csv")) == 4
    assert "empty files are left out: 1 of 4" in caplog.text


def test_a_glob_without_files_is_refused(days):
    with pytest.raises(InputError, match=r"night-\*\.csv holds no \.csv files\. Check the path"):
        rows(days / "night-*.csv")


@pytest.mark.parametrize(
    ("location", "several"),
    [
        ("-", False),
        ("reviews.csv", False),
        ("day-*.csv", True),
        ("day-[12].csv", True),
        ("https://host/a.csv?x=[1]", False),
        ("s3://bucket/day-*.csv", True),
        ("s3://bucket/days/", True),
        ("https://host/a.csv?x=*", False),
    ],
)
def test_folders_and_globs_are_told_from_files(location, several):
    assert names_several_files(location) is several


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path):
    (tmp_path / "a[1].csv").write_text("text\ngood\n")
    assert rows(tmp_path / "a[1].csv") == [{"text": "good"}]


def test_an_interrupted_run_over_a_glob_is_resumed(days, cli, tiny_model, monkeypatch):
    from sentiment_batch.scoring.output.journal import Journal

    command = ("score", days / "day-*.csv", days / "out.jsonl", "-m", tiny_model, "--part-rows", "1", "--device", "cpu")
    whole, real, seen = cli(*command, "--quiet"), Journal.add, []
    expected = (days / "out.jsonl").read_bytes()
    assert whole.exit_code == 0, whole.stderr

    def fail(journal, *arguments, **settings):
        if len(seen) == 2:
            raise InputError("the disk is gone.")
        seen.append(1)
        return real(journal, *arguments, **settings)

    monkeypatch.setattr(Journal, "add", fail)
    assert cli(*command, "--overwrite").exit_code == 1
    monkeypatch.undo()
    resumed = cli(*command, "--overwrite")
    assert resumed.exit_code == 0, resumed.stderr
    assert "resuming after 2 rows" in resumed.stderr
    assert (days / "out.jsonl").read_bytes() == expected


@pytest.mark.parametrize("pattern", ["", "/*.csv"])
def test_files_with_hidden_names_are_left_out_with_a_warning(tmp_path, caplog, pattern):
    for name in ("a.csv", "_b.csv", "_SUCCESS", ".a.csv.crc"):
        (tmp_path / name).write_text("text\nfine\n")
    (tmp_path / "_temporary").mkdir()
    (tmp_path / "_temporary" / "c.csv").write_text("text\nfine\n")
    found = find_files(f"{tmp_path}{pattern}", (".csv",))
    assert [file.location for file in found] == [str(tmp_path / "a.csv")]
    warnings = [record.getMessage() for record in caplog.records if "begin with . or _" in record.getMessage()]
    assert [warning.partition(": ")[2] for warning in warnings] == [
        "files and folders whose names begin with . or _ are left out, such as '_b.csv'"
    ]


def test_hidden_files_that_a_pattern_names_are_read(tmp_path, caplog):
    (tmp_path / "_b.csv").write_text("text\nfine\n")
    assert [file.location for file in find_files(f"{tmp_path}/_*.csv", (".csv",))] == [str(tmp_path / "_b.csv")]
    assert not caplog.records


def test_a_pattern_of_files_of_no_known_format_asks_for_it(tmp_path):
    (tmp_path / "a.txt").write_text("text\nfine\n")
    with pytest.raises(UsageError, match="does not show the format; give `input_format`"):
        open_reader(f"{tmp_path}/*.txt")
    assert rows(f"{tmp_path}/*.txt", format="csv") == [{"text": "fine"}]


def test_files_that_are_written_differently_are_reported(days, caplog):
    assert len(rows(days / "day-*.csv")) == 4
    assert not caplog.records
    (days / "day-3.csv").write_text("id;text\n9;great, really\n")
    assert rows(days / "day-*.csv")[3] == {"id": "9", "text": "great, really"}
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{days}/day-*.csv: the files differ in the delimiter: ',' (3), ';' (1). "
        "Each is read with its own, unless `delimiter` names one for all"
    )


def test_a_model_folder_is_no_table(tmp_path):
    for name in ("config.json", "model.safetensors", "README.md"):
        (tmp_path / name).touch()
    for format in (None, "csv"):
        with pytest.raises(InputError, match=f"{tmp_path} is the folder of a model, not a table"):
            open_reader(str(tmp_path), format=format)


def test_columns_are_chosen_in_all_files(tmp_path):
    for year, n in (("2024", [1]), ("2025", [2.5])):
        folder = tmp_path / f"year={year}"
        folder.mkdir()
        table = pa.table({"text": ["good"], "n": n})
        feather.write_feather(table, folder / "a.arrow")
    with contextlib.closing(open_reader(str(tmp_path), format="arrow")) as reader:
        reader.select_columns(iter(["text", "year"]))
        found = [row for split in reader.splits() for batch in reader.batches(split) for row in batch.to_pylist()]
    assert found == [
        {"text": "good", "n": None, "year": 2024},
        {"text": "good", "n": None, "year": 2025},
    ]


def test_files_whose_reader_reads_all_columns_choose_none(days):
    with contextlib.closing(open_reader(str(days / "day-*.csv"))) as reader:
        assert not hasattr(reader, "select_columns")
