"""The files of a folder are read as one table although their columns differ, and no value changes."""

from __future__ import annotations

import decimal
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.columns import extract_texts, holds_json
from sentiment_batch.data.formats import open_reader
from sentiment_batch.data.readers.parquet import ParquetReader
from sentiment_batch.errors import InputError
from sentiment_batch.records import JSON_MARK, ReadOptions
from tests.data.readers.helpers import read, read_splits

JSON_FIELD = pa.field("v", pa.string(), metadata={JSON_MARK: b"1"})


@pytest.fixture
def folder(tmp_path):
    """Writes one Parquet file with the column `v` for each array or table; gives the folder."""

    def folder(*columns, place="{}.parquet"):
        for number, column in enumerate(columns):
            path = tmp_path / "data" / place.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(column if isinstance(column, pa.Table) else pa.table({"v": column}), path)
        return tmp_path / "data"

    return folder


def marked(*values):
    return pa.table([pa.array(values, pa.string())], schema=pa.schema([JSON_FIELD]))


def read_folder(location, format=None) -> pa.Table:
    reader = open_reader(str(location), format=format)
    try:
        return read_splits(reader)
    finally:
        reader.close()


# JSON text


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_texts_beside_json_text_become_json_text(tmp_path, order):
    lines = {"a": [{"v": "x"}, {"v": 1}], "b": [{"v": "2"}, {"v": "[word"}, {"v": 'a "b"'}, {"v": None}]}
    for place, name in enumerate(order):
        (tmp_path / f"{place}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines[name]))
    found = read_folder(tmp_path / "*.jsonl")
    assert holds_json(found.schema.field("v"))
    expected = {"a": ['"x"', "1"], "b": ['"2"', '"[word"', '"a \\"b\\""', None]}
    assert found.column("v").to_pylist() == [value for name in order for value in expected[name]]
    (batch,) = found.combine_chunks().to_batches()
    texts = {"a": ["x", "1"], "b": ["2", "[word", 'a "b"', None]}
    assert extract_texts(batch, ["v"]).to_pylist() == [text for name in order for text in texts[name]]


def test_scores_of_mixed_json_lines_are_those_of_the_texts(tmp_path, cli, tiny_model):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"review": "[x good", "v": "x"}\n{"review": "bad", "v": 1}\n')
    (tmp_path / "in" / "b.jsonl").write_text('{"review": "fine", "v": "2"}\n{"review": ["no text"], "v": "word"}\n')
    done = cli("score", tmp_path / "in", tmp_path / "out.jsonl", "-m", tiny_model, "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["v"] for row in rows] == ["x", 1, "2", "word"]
    assert [row["review"] for row in rows] == ["[x good", "bad", "fine", ["no text"]]
    assert [row["sentiment"] is None for row in rows] == [False, False, False, True]


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        (pa.array([2, None]), ["2", None]),
        (pa.array([0.5, None]), ["0.5", None]),
        (pa.array([True, None]), ["true", None]),
        (pa.array([decimal.Decimal("1.50"), None]), ["1.50", None]),
        (pa.array(["2", None]).dictionary_encode(), ['"2"', None]),
        (pa.array(["2", None], pa.string_view()), ['"2"', None]),
        (pa.array([["2"], None]), ['["2"]', None]),
        (pa.array([{"k": 1}, None]), ['{"k": 1}', None]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_values_of_json_beside_json_text_become_json_text(folder, plain, expected):
    found = read(ParquetReader, folder(marked("1", '"x"'), plain))
    assert holds_json(found.schema.field("v"))
    assert found.column("v").to_pylist() == ["1", '"x"', *expected]


@pytest.mark.parametrize(
    "plain", [pa.array([b"x"]), pa.array([0], pa.date32()), pa.array([[0]], pa.list_(pa.date32()))]
)
def test_values_that_json_lacks_are_refused_beside_json_text(folder, plain):
    with pytest.raises(InputError, match=r"1\.parquet .* column 'v' is .* where they have JSON text\. Give all"):
        read(ParquetReader, folder(marked("1"), plain))


@pytest.mark.parametrize(
    "plain", [pa.array([float("nan")]), pa.array([[float("inf")]]), pa.array([{"k": float("inf")}])]
)
def test_nan_is_not_lost_beside_json_text(folder, plain):
    with pytest.raises(InputError, match=r"1\.parquet, row group 0, column 'v': NaN and infinity are not JSON"):
        read(ParquetReader, folder(marked("1"), plain))


def test_marks_that_not_all_files_have_are_dropped(folder):
    tables = [
        pa.table([pa.array(["x"])], schema=pa.schema([pa.field("v", pa.string(), metadata=marks)]))
        for marks in ({"type": "postgresql:uuid", "kept": "1"}, {"kept": "1"}, {"type": "postgresql:uuid", "kept": "1"})
    ]
    assert read(ParquetReader, folder(*tables)).schema.field("v").metadata == {b"kept": b"1"}
    assert read(ParquetReader, folder(tables[0], pa.nulls(1), tables[2])).schema.field("v").metadata == {
        b"type": b"postgresql:uuid",
        b"kept": b"1",
    }


# Types


@pytest.mark.parametrize("nest", [lambda one: one, lambda one: pa.array([one.to_pylist()], pa.list_(one.type))])
def test_decimals_and_floats_are_not_mixed(folder, nest):
    exact = nest(pa.array([decimal.Decimal("1234567890123456789.25")], pa.decimal128(21, 2)))
    for columns in ((exact, nest(pa.array([1.5]))), (nest(pa.array([1.5], pa.float32())), exact)):
        with pytest.raises(InputError, match=r"1\.parquet does not match the other files: column 'v' is "):
            read(ParquetReader, folder(*columns))
    assert read(ParquetReader, folder(exact, nest(pa.array([7])))).num_rows == 2


@pytest.mark.parametrize(
    ("first", "second", "unified"),
    [
        (pa.string(), pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.dictionary(pa.int16(), pa.large_string()), pa.string(), pa.large_string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int8(), pa.string(), ordered=True), pa.string()),
        (pa.string(), pa.string_view(), pa.large_string()),
        (pa.string_view(), pa.dictionary(pa.int8(), pa.string()), pa.large_string()),
        (pa.list_(pa.string()), pa.list_(pa.large_string()), pa.list_(pa.large_string())),
        (pa.binary(), pa.large_binary(), pa.large_binary()),
        (pa.binary_view(), pa.binary(), pa.large_binary()),
        (pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ns")),
    ],
)
def test_types_of_the_same_values_go_together(tmp_path, first, second, unified):
    value = {"timestamp": 10**9, "binary": b"x", "large_binary": b"x", "list": ["x"], "large_list": ["x"]}
    one = next((value for name, value in value.items() if str(unified).startswith(name)), "x")
    for number, kind in enumerate((first, second)):
        plain = pa.array([one, None], unified)
        column = plain.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else plain.cast(kind)
        schema = pa.schema([("v", kind)])
        with pa.OSFile(str(tmp_path / f"{number}.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(pa.record_batch([column], schema=schema))
    found = read_folder(tmp_path / "*.arrow").column("v")
    assert found.type == unified
    assert found.to_pylist() == pa.array([one, None, one, None], unified).to_pylist()


def test_times_that_a_finer_unit_does_not_hold_are_refused(folder):
    late = pa.array([253_402_300_799_000], pa.timestamp("ms"))
    with pytest.raises(InputError, match=r"0\.parquet, row group 0, column 'v': .*out of bounds"):
        read(ParquetReader, folder(late, pa.array([0], pa.timestamp("ns"))))


# Partitions


@pytest.mark.parametrize("held", [[1], [{"a": 1}], [0.5]])
@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_a_partition_of_another_type_is_refused_at_once(tmp_path, held, format):
    for value, columns in (("x", {"text": ["a"], "cat": held}), ("y", {"text": ["b"]})):
        place = tmp_path / f"cat={value}"
        place.mkdir()
        if format == "parquet":
            pq.write_table(pa.table(columns), place / "a.parquet")
        else:
            (place / "a.jsonl").write_text(json.dumps({name: values[0] for name, values in columns.items()}))
    message = r"cat=y/a\.\w+, column 'cat': the name of its folder gives 'y', but other files hold .* Rename the folder"
    with pytest.raises(InputError, match=message):
        open_reader(str(tmp_path), format=format)


def test_a_partition_fills_the_files_without_the_column(folder, caplog):
    table = pa.table({"text": ["a"]})
    folder(table.append_column("cat", pa.array([1])), place="cat=7/a.parquet")
    location = folder(table, place="cat=8/a.parquet")
    assert read(ParquetReader, location).column("cat").to_pylist() == [1, 8]
    assert not caplog.records
    folder(table, place="other/a.parquet")
    assert read(ParquetReader, location).column("cat").to_pylist() == [1, 8, None]
    assert "only some of the 3 files hold 'cat'; the rows of the others are null there" in caplog.text


def test_a_partition_beside_json_text_becomes_json_text(folder):
    folder(marked("1", '"x"'))
    location = folder(pa.table({"text": ["a"]}), place="v=7/a.parquet")
    assert read(ParquetReader, location).column("v").to_pylist() == ["1", '"x"', '"7"']


def test_a_column_left_out_is_not_filled_from_the_folder(folder):
    reader = ParquetReader(str(folder(pa.table({"text": ["a"], "cat": [1]}), place="cat=x/a.parquet")), ReadOptions())
    reader.select_columns(["text"])
    assert read_splits(reader).to_pylist() == [{"text": "a", "cat": None}]
    reader.close()


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode there")
def test_a_partition_that_is_not_utf_8_is_refused(folder):
    location = folder(pa.table({"text": ["a"]}), place="cat=1/a.parquet")
    os.rename(location / "cat=1", os.fsencode(location) + b"/cat=\xff")
    with pytest.raises(InputError, match=r"column 'cat': the name of its folder, .*, is not UTF-8\. Rename the folder"):
        read(ParquetReader, location)
