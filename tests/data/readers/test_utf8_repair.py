import datetime
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.readers import arrow
from sentiment_batch.data.readers.arrow import ArrowReader
from sentiment_batch.data.readers.parquet import ParquetReader
from sentiment_batch.data.readers.utf8_repair import repair_utf8
from sentiment_batch.data.readers.validate import validate_batch
from sentiment_batch.errors import InputError
from sentiment_batch.records import ReadOptions
from tests.data.readers.helpers import read

CAFE = b"caf\xe9"
RAW = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}


def strings(*values, kind=None):
    """An array of strings that holds these bytes, whatever they are."""
    kind = kind or pa.string()
    return pa.array(values, RAW[kind]).view(kind)


def lists(*rows, make=pa.ListArray):
    """An array of lists of strings, null where a row is None."""
    flat = [value for row in rows for value in row or []]
    ends = [sum(len(row or []) for row in rows[:end]) for end in range(len(rows) + 1)]
    offset = pa.int64() if make is pa.LargeListArray else pa.int32()
    return make.from_arrays(pa.array(ends, offset), strings(*flat), mask=pa.array([row is None for row in rows]))


def read_with_bad_rows(reader_class, location):
    """All rows, and the reported problems; each is reported before the batch that holds its row."""
    reported, rows, seen = [], [], 0
    reader = reader_class(str(location), ReadOptions(on_bad_row=reported.append))
    for split in reader.splits():
        first = seen
        for batch in reader.batches(split):
            batch.validate(full=True)
            seen += batch.num_rows
            rows += batch.to_pylist()
        known = [problem for problem in reported if problem.where.startswith(split.label + ",")]
        assert all(first + problem.row < seen for problem in known)
    reader.close()
    return rows, reported


@pytest.fixture(params=["parquet", "arrow", "arrows"])
def write(request, tmp_path):
    """Writes a table in one of the formats whose strings nobody checks; gives the reader and the path."""

    def write(table: pa.Table):
        path = tmp_path / f"a.{request.param}"
        if request.param == "parquet":
            pq.write_table(table, path)
            return ParquetReader, path
        opened = pa.ipc.new_file if request.param == "arrow" else pa.ipc.new_stream
        with opened(str(path), table.schema) as writer:
            writer.write_table(table)
        return ArrowReader, path

    return write


@pytest.mark.parametrize("kind", RAW, ids=str)
def test_the_error_for_a_bad_string_names_its_row_and_column(write, kind):
    reader_class, path = write(pa.table({"n": [1, 2, 3], "x": strings(b"good", None, CAFE, kind=kind)}))
    with pytest.raises(InputError) as caught:
        read(reader_class, path)
    message = str(caught.value)
    assert message.startswith(f"{path}")
    assert ", column 'x', row 2 (counted from 0): byte 0xe9 at offset 3 is not UTF-8" in message
    assert message.endswith('`on_bad_row="mark"`.')


@pytest.mark.parametrize("kind", RAW, ids=str)
def test_a_bad_row_stays_and_its_bytes_are_reported(write, kind):
    values = [b"good", None, CAFE, "größe".encode(), b"", b"\xff\xfe", "\ufffd".encode()]
    reader_class, path = write(pa.table({"x": strings(*values, kind=kind), "n": range(7)}))
    rows, reported = read_with_bad_rows(reader_class, path)
    assert [row["x"] for row in rows] == ["good", None, "caf\ufffd", "größe", "", "\ufffd\ufffd", "\ufffd"]
    assert [row["n"] for row in rows] == list(range(7))
    assert [(problem.row, problem.original) for problem in reported] == [(2, CAFE), (5, b"\xff\xfe")]
    assert {problem.where.removeprefix(str(path)).rpartition(", ")[2] for problem in reported} == {"column 'x'"}
    assert reported[0].reason == "byte 0xe9 at offset 3 is not UTF-8"


def test_bad_rows_are_numbered_within_their_row_group(tmp_path):
    values = [b"%d" % number for number in range(30_000)]
    for row in (3, 9_000, 9_001, 25_000):
        values[row] = CAFE
    pq.write_table(pa.table({"x": strings(*values)}), tmp_path / "a.parquet", row_group_size=10_000)
    rows, reported = read_with_bad_rows(ParquetReader, tmp_path / "a.parquet")
    assert [row for row, value in enumerate(rows) if value["x"] == "caf\ufffd"] == [3, 9_000, 9_001, 25_000]
    assert [(problem.where[-23:], problem.row) for problem in reported] == [
        ("row group 0, column 'x'", 3),
        ("row group 0, column 'x'", 9_000),
        ("row group 0, column 'x'", 9_001),
        ("row group 2, column 'x'", 5_000),
    ]


def test_bad_rows_of_a_stream_are_numbered_over_its_batches(tmp_path):
    batch = pa.record_batch({"x": strings(*[b"a"] * (arrow.MAX_ROWS_PER_BATCH + 5), CAFE)})
    with pa.ipc.new_stream(str(tmp_path / "a.arrows"), batch.schema) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch)
    rows, reported = read_with_bad_rows(ArrowReader, tmp_path / "a.arrows")
    assert [problem.row for problem in reported] == [arrow.MAX_ROWS_PER_BATCH + 5, 2 * arrow.MAX_ROWS_PER_BATCH + 11]
    assert len(rows) == 2 * arrow.MAX_ROWS_PER_BATCH + 12


def test_every_row_with_a_bad_dictionary_entry_is_reported(write):
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2, 1], pa.int8()), strings(b"good", CAFE, b"ok"))
    reader_class, path = write(pa.table({"x": column}))
    rows, reported = read_with_bad_rows(reader_class, path)
    assert [row["x"] for row in rows] == ["good", "caf\ufffd", None, "ok", "caf\ufffd"]
    assert [(problem.row, problem.original) for problem in reported] == [(1, CAFE), (4, CAFE)]


def test_a_bad_dictionary_entry_without_rows_is_ignored(write):
    column = pa.DictionaryArray.from_arrays(pa.array([0, 2]), strings(b"good", CAFE, b"ok"))
    reader_class, path = write(pa.table({"x": column}))
    rows, reported = read_with_bad_rows(reader_class, path)
    assert (rows, reported) == ([{"x": "good"}, {"x": "ok"}], [])
    assert read(reader_class, path).column("x").to_pylist() == ["good", "ok"]


@pytest.mark.parametrize("index", [pa.int8(), pa.uint16(), pa.int32(), pa.int64()], ids=str)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@pytest.mark.parametrize("ordered", [False, True])
def test_repaired_dictionaries_of_parquet_keep_their_type(tmp_path, index, kind, ordered):
    values = strings(b"good", CAFE, kind=kind)
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], index), values, ordered=ordered)
    pq.write_table(pa.table({"x": column, "n": [1, 2, 3]}), tmp_path / "a.parquet")
    rows, reported = read_with_bad_rows(ParquetReader, tmp_path / "a.parquet")
    assert [row["x"] for row in rows] == ["good", "caf\ufffd", None]
    assert [(problem.row, problem.original) for problem in reported] == [(1, CAFE)]
    sound = pa.table({"x": pa.DictionaryArray.from_arrays(column.indices, pa.array(["good", "bad"]), ordered=ordered)})
    pq.write_table(sound, tmp_path / "b.parquet")
    assert read(ParquetReader, tmp_path / "b.parquet").equals(sound)


def test_two_bad_columns_of_a_row_are_reported_separately(write):
    reader_class, path = write(pa.table({"x": strings(CAFE), "y": strings(b"\x80")}))
    rows, reported = read_with_bad_rows(reader_class, path)
    assert rows == [{"x": "caf\ufffd", "y": "\ufffd"}]
    assert [(problem.row, problem.where[-1 - len("column 'x'") :], problem.original) for problem in reported] == [
        (0, " column 'x'", CAFE),
        (0, " column 'y'", b"\x80"),
    ]


NESTED = {
    "list": lists([b"a"], [], None, [b"b", CAFE, b"\xff"]),
    "large list": lists([b"a"], [], None, [b"b", CAFE, b"\xff"], make=pa.LargeListArray),
    "fixed-size list": pa.FixedSizeListArray.from_arrays(strings(b"a", b"b", b"a", b"b", b"a", b"b", b"a", CAFE), 2),
    "struct": pa.StructArray.from_arrays([pa.array(range(4)), strings(b"a", b"b", b"c", CAFE)], ["n", "s"]),
    "map key": pa.MapArray.from_arrays([0, 1, 1, 1, 2], strings(b"a", CAFE), pa.array([1, 2])),
    "map value": pa.MapArray.from_arrays([0, 1, 1, 1, 2], pa.array(["a", "b"]), strings(b"a", CAFE)),
    "list of structs": pa.ListArray.from_arrays(
        [0, 1, 1, 1, 3], pa.StructArray.from_arrays([strings(b"a", b"b", CAFE)], ["s"])
    ),
    "list of dictionary": pa.ListArray.from_arrays(
        [0, 1, 1, 1, 3], pa.DictionaryArray.from_arrays(pa.array([0, 0, 1]), strings(b"a", CAFE))
    ),
    "extension": pa.ExtensionArray.from_storage(pa.json_(), strings(b"1", b"2", b"3", CAFE)),
}


@pytest.mark.parametrize("column", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("start", range(5))
def test_bad_strings_inside_nested_types_are_repaired(column, start):
    array, found = repair_utf8(column[start:])
    array.validate(full=True)
    assert array.type == column.type
    assert array.is_valid().equals(column.is_valid()[start:])
    assert array[: max(3 - start, 0)].to_pylist() == column[start:3].to_pylist()  # what is good stays
    assert found == ({3 - start: CAFE} if start < 4 else {})
    assert ["caf\ufffd" in str(row) for row in array[3 - start :].to_pylist()] == [True] * (start < 4)


def test_bad_strings_under_a_null_are_ignored():
    null = pa.array([True, False])
    struct = pa.StructArray.from_arrays([strings(CAFE, b"a")], ["s"], mask=null)
    listed = pa.ListArray.from_arrays([0, 1, 2], strings(CAFE, b"a"), mask=null)
    for column, expected in ((struct, [None, {"s": "a"}]), (listed, [None, ["a"]])):
        array, found = repair_utf8(column)
        assert (array.to_pylist(), found) == (expected, {})


def test_a_bad_string_in_an_unsupported_type_is_refused():
    kind = pa.run_end_encoded(pa.int32(), pa.string())
    column = pa.Array.from_buffers(kind, 2, [None], children=[pa.array([1, 2], pa.int32()), strings(b"a", CAFE)])
    batch = pa.record_batch({"x": column})
    with pytest.raises(
        InputError, match=r"a\.arrow, column 'x': strings inside run_end_encoded.* Repair them, or leave"
    ):
        validate_batch(batch, "a.arrow", on_bad_row=lambda problem: None)


def test_bad_offsets_next_to_a_bad_string_are_damage():
    offsets = pa.array([0, 900, 2], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.list_(pa.string()), 2, [None, offsets], children=[strings(b"a", CAFE)])
    with pytest.raises(InputError, match="offsets of a list point outside"):
        validate_batch(pa.record_batch({"x": broken}), "a.arrow", on_bad_row=lambda problem: None)


def test_other_damage_is_refused_with_on_bad_row_too():
    indices = pa.DictionaryArray.from_arrays(pa.array([0, 7]), pa.array(["a"]), safe=False)
    with pytest.raises(InputError, match=r"a\.arrow, column 'x', cannot be read: .*damaged"):
        validate_batch(pa.record_batch({"x": indices}), "a.arrow", on_bad_row=lambda problem: None)


def test_random_bytes_become_what_python_makes_of_them():
    dice = random.Random(3)
    values = [dice.randbytes(dice.randrange(9)) if dice.random() < 0.9 else None for _ in range(2000)]
    array, found = repair_utf8(strings(*values))
    assert array.to_pylist() == [value if value is None else value.decode("utf-8", "replace") for value in values]
    bad = {row: value for row, value in enumerate(values) if value is not None and not _decodes(value)}
    assert found == bad


def _decodes(value):
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_other_columns_come_out_as_they_went_in(write):
    table = pa.table(
        {
            "x": strings(CAFE, None),
            "when": pa.array([datetime.datetime(2024, 1, 1), None], pa.timestamp("us", "UTC")),
            "raw": pa.array([b"\xff", b""]),
        }
    ).replace_schema_metadata({"mine": "yes"})
    reader_class, path = write(table)
    reader = reader_class(str(path), ReadOptions(on_bad_row=lambda problem: None))
    [batch] = reader.batches(reader.splits()[0])
    reader.close()
    assert batch.schema.equals(table.schema, check_metadata=True)
    assert batch.select(["when", "raw"]).to_pylist() == table.select(["when", "raw"]).to_pylist()
