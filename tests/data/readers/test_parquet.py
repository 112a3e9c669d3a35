import datetime
import decimal
import gzip
import io
import json
import logging
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.formats import open_writer
from sentiment_batch.data.readers import parquet
from sentiment_batch.data.readers.arrow import ArrowReader
from sentiment_batch.data.readers.parquet import ParquetReader
from sentiment_batch.errors import InputError, OutputError
from sentiment_batch.records import ReadOptions
from tests.data.readers.helpers import read, read_or_refuse, read_splits, real_data

TABLE = pa.table({"text": ["good", "bad", None, ""], "n": pa.array([1, None, 3, 4], pa.int32())})


def packed(table: pa.Table = TABLE, **options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.fixture
def write(tmp_path):
    """Writes a table below the temporary folder; gives the path."""

    def write(name: str, table: pa.Table = TABLE, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(table, **options))
        return path

    return write


def numbers(*values: int | None) -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64())})


def values(location) -> list[int | None]:
    return read(ParquetReader, location).column("n").to_pylist()


def test_a_file_comes_out_as_it_went_in(write):
    table = pa.table(
        {
            "text": pa.array(["a", None], pa.large_string()),
            "view": pa.array(["a", "b"], pa.string_view()),
            "category": pa.array(["x", "y"]).dictionary_encode(),
            "amount": pa.array([decimal.Decimal("1.50"), None]),
            "time": pa.array([0, 1], pa.timestamp("us", "Europe/Zurich")),
            "list": [[{"k": 1}], []],
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())),
            "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, None], pa.binary(16))),
            "none": pa.nulls(2),
        }
    ).replace_schema_metadata({"pandas": "{}", "mine": "yes"})
    found = read(ParquetReader, write("a.parquet", table))
    assert found == table
    assert found.schema.metadata == {b"pandas": b"{}", b"mine": b"yes"}


def test_each_row_group_is_a_split_that_can_be_read_alone(write):
    path = write("a.parquet", row_group_size=3)
    reader = ParquetReader(str(path), ReadOptions())
    assert [split.label for split in reader.splits()] == [f"{path}, row group 0", f"{path}, row group 1"]
    assert [split.num_rows for split in reader.splits()] == [3, 1]
    assert reader.num_rows == 4
    [last] = reader.batches(reader.splits()[1])
    assert last.to_pydict() == {"text": [""], "n": [4]}
    assert read_splits(reader) == read_splits(reader) == TABLE
    reader.close()
    reader.close()


def test_batches_are_bounded_in_rows(write):
    reader = ParquetReader(str(write("a.parquet", numbers(*range(10_000)))), ReadOptions())
    sizes = [batch.num_rows for batch in reader.batches(reader.splits()[0])]
    reader.close()
    assert sum(sizes) == 10_000
    assert max(sizes) <= parquet.MAX_ROWS_PER_PARQUET_BATCH


def test_batches_of_large_rows_have_fewer_of_them(write, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_BATCH_BYTES", 50_000)
    table = pa.table({"text": [str(number) * 1000 for number in range(100, 200)]})
    reader = ParquetReader(str(write("a.parquet", table, use_dictionary=False)), ReadOptions())
    sizes = [batch.num_rows for batch in reader.batches(reader.splits()[0])]
    reader.close()
    assert sum(sizes) == 100
    assert max(sizes) < 20


def test_batches_of_large_values_that_repeat_have_fewer_rows(write):
    table = pa.table({"text": ["x" * 1_000_000] * 500})
    path = write("a.parquet", table, dictionary_pagesize_limit=1 << 22)
    assert path.stat().st_size < 1_000_000
    reader = ParquetReader(str(path), ReadOptions())
    batches = reader.batches(reader.splits()[0])
    sizes = [next(batches).nbytes for _ in range(3)]
    reader.close()
    assert max(sizes) <= parquet.MAX_BATCH_BYTES * 1.1


def test_rows_that_cannot_fit_are_refused_before_decoding(write, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_MEAN_ROW_BYTES", 50_000)
    with pytest.raises(InputError, match="too large to be read"):
        read(ParquetReader, write("a.parquet", pa.table({"text": ["x" * 100_000]}), use_dictionary=False))


@pytest.mark.parametrize("groups", [0, 1])
def test_a_file_without_rows_has_columns(tmp_path, groups):
    with pq.ParquetWriter(tmp_path / "a.parquet", TABLE.schema) as writer:
        if groups:
            writer.write_table(TABLE.slice(0, 0))
    assert read(ParquetReader, tmp_path / "a.parquet") == TABLE.slice(0, 0)


def test_a_folder_is_read_in_natural_order_without_hidden_files(write, tmp_path):
    for number in (10, 2, 1):
        write(f"data/part-{number}.parquet", numbers(number))
    write("data/deep/er/part-0.pq", numbers(0))
    write("data/_temporary/part-9.parquet", numbers(9))
    write("data/.hidden.parquet", numbers(8))
    (tmp_path / "data" / "_SUCCESS").touch()
    assert values(tmp_path / "data") == values(f"{tmp_path}/data/") == [0, 1, 2, 10]


def test_other_files_in_a_folder_are_left_out_with_a_warning(write, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "sentiment_batch")
    write("data/a.parquet", numbers(1))
    (tmp_path / "data" / "README.md").write_text("read me")
    assert values(tmp_path / "data") == [1]
    [message] = [record.getMessage() for record in caplog.records]
    assert "files that do not end in .parquet or .pq are left out: 1" in message


def test_files_without_an_ending_are_read_if_none_has_one(write, tmp_path):
    write("data/000000_0", numbers(1))
    assert values(tmp_path / "data") == [1]


def test_an_empty_folder_is_refused(tmp_path):
    for location in (f"{tmp_path}", f"{tmp_path}/*.parquet"):
        with pytest.raises(InputError, match=r"holds no \.parquet files\. Check the path"):
            read(ParquetReader, location)


def test_a_missing_file_is_refused(tmp_path, memory):
    for location in (f"{tmp_path}/none.parquet", f"{memory.url}/none.parquet"):
        with pytest.raises(InputError, match=r"none\.parquet is not there"):
            read(ParquetReader, location)


def test_a_glob_names_files_and_folders(write, tmp_path):
    write("x1/b.parquet", numbers(3))
    write("x1/a.parquet", numbers(2))
    write("x0.parquet", numbers(1))
    write("y.parquet", numbers(9))
    (tmp_path / "x_").mkdir()
    assert values(f"{tmp_path}/x*") == [1, 2, 3]
    assert values(f"{tmp_path}/**/[ab].parquet") == [2, 3]


def test_what_exists_under_the_name_wins_over_the_glob(write, tmp_path):
    assert values(write("a[1].parquet", numbers(1))) == [1]
    write("a1.parquet", numbers(2))
    assert values(f"{tmp_path}/a[1].parquet") == [1]


def test_names_of_folders_become_columns(write, tmp_path):
    write("data/year=2023/lang=de/a.parquet", numbers(1))
    write("data/year=2024/lang=en%2Fus/a.parquet", numbers(2, 3))
    write("data/year=2024/lang=__HIVE_DEFAULT_PARTITION__/a.parquet", numbers(4))
    found = read(ParquetReader, tmp_path / "data")
    assert found.schema == pa.schema({"n": pa.int64(), "year": pa.int64(), "lang": pa.string()})
    assert found.to_pydict() == {
        "n": [1, 4, 2, 3],
        "year": [2023, 2024, 2024, 2024],
        "lang": ["de", None, "en/us", "en/us"],
    }
    assert read(ParquetReader, f"{tmp_path}/data/year=*").column_names == ["n", "year", "lang"]
    assert read(ParquetReader, f"{tmp_path}/data/year=2024").column_names == ["n", "lang"]


def test_leading_zeros_in_names_of_folders_survive(write, tmp_path):
    write("data/id=007/a.parquet", numbers(1))
    write("data/id=8/a.parquet", numbers(2))
    assert read(ParquetReader, tmp_path / "data").column("id").to_pylist() == ["007", "8"]


def test_a_column_of_the_files_wins_over_the_name_of_a_folder(write, tmp_path):
    write("data/n=5/a.parquet", numbers(1))
    assert values(tmp_path / "data") == [1]


def test_files_with_other_columns_are_filled_with_nulls(write, tmp_path):
    write("data/1.parquet", pa.table({"a": [1], "b": pa.nulls(1)}).replace_schema_metadata({"first": "1"}))
    write("data/2.parquet", pa.table({"c": ["x"], "b": ["y"]}))
    found = read(ParquetReader, tmp_path / "data")
    assert found.to_pydict() == {"a": [1, None], "b": [None, "y"], "c": [None, "x"]}
    assert found.schema.metadata == {b"first": b"1"}


def test_a_column_that_some_files_lack_may_be_null(write, tmp_path, caplog):
    write("data/1.parquet", pa.table({"a": [1]}, pa.schema([pa.field("a", pa.int64(), nullable=False)])))
    write("data/2.parquet", pa.table({"b": [1]}))
    assert read(ParquetReader, tmp_path / "data").schema.field("a").nullable
    assert "only some of the 2 files hold 'a', 'b'; the rows of the others are null there" in caplog.text


def test_types_are_widened_where_nothing_is_lost(write, tmp_path):
    write("data/1.parquet", pa.table({"a": pa.array([1], pa.int8()), "b": pa.array([1], pa.int64())}))
    write("data/2.parquet", pa.table({"a": pa.array([300], pa.int32()), "b": [0.5]}))
    found = read(ParquetReader, tmp_path / "data")
    assert found.to_pydict() == {"a": [1, 300], "b": [1.0, 0.5]}
    write("data/3.parquet", pa.table({"b": [2**53 + 1]}))
    with pytest.raises(InputError, match=r"3\.parquet, row group 0, column 'b': .*Write all files with double"):
        read(ParquetReader, tmp_path / "data")


def test_columns_that_do_not_go_together_are_named(write, tmp_path):
    write("data/1.parquet", pa.table({"a": [1], "b": [1]}))
    write("data/2.parquet", pa.table({"a": [1], "b": ["x"]}))
    with pytest.raises(InputError, match=r"2\.parquet does not .* column 'b' is string where they have int64"):
        read(ParquetReader, tmp_path / "data")


def test_repeated_columns_are_read_only_from_a_single_file(write, tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    assert read(ParquetReader, write("data/1.parquet", table)) == table
    write("data/2.parquet", table)
    with pytest.raises(InputError, match=r"1\.parquet has several columns 'a'"):
        read(ParquetReader, tmp_path / "data")


def test_remote_files_folders_and_globs_are_read(memory):
    for number in (10, 9):
        memory.put(f"data/year={number}/a.parquet", packed(numbers(number)))
    memory.put("data/_SUCCESS", b"")
    assert values(f"{memory.url}/data/year=9/a.parquet") == [9]
    found = read(ParquetReader, f"{memory.url}/data")
    assert found.to_pydict() == {"n": [9, 10], "year": [9, 10]}
    assert values(f"{memory.url}/data/*/a.parquet") == [9, 10]
    reader = ParquetReader(f"{memory.url}/data/", ReadOptions())
    assert reader.splits()[0].label.startswith("memory://")
    assert reader.splits()[0].label.endswith("/data/year=9/a.parquet, row group 0")
    reader.close()


def test_standard_input_and_compressed_files_are_read(stdin, tmp_path):
    stdin(packed())
    assert read(ParquetReader, "-") == TABLE
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(packed()))
    assert read(ParquetReader, tmp_path / "a.parquet.gz") == TABLE


@pytest.mark.parametrize("data", [b"", b"PAR1", b"text\n", b"PAR1\x15PAR1", b"%PDF-1.7"])
def test_what_is_no_parquet_is_refused(tmp_path, data):
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet (is|cannot be read)"):
        read(ParquetReader, tmp_path / "a.parquet")


def test_a_damaged_page_is_named_with_its_row_group(write):
    path = write("a.parquet", pa.table({"n": list(range(10_000))}), row_group_size=5000, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet, row group 1 cannot be read: .*damaged"):
        read(ParquetReader, path)


def test_text_that_is_no_utf_8_is_refused(write):
    binary = pa.table({"text": pa.array([b"caf\xe9"])})
    lying = pa.table({"text": pa.array([b"caf\xe9"]).view(pa.string())})
    assert read(ParquetReader, write("binary.parquet", binary)) == binary
    with pytest.raises(InputError, match=r"lying\.parquet, row group 0, column 'text', row 0 .*UTF-8"):
        read(ParquetReader, write("lying.parquet", lying))


@pytest.mark.parametrize("reader", [ParquetReader, ArrowReader])
def test_damage_in_a_column_that_is_not_selected_does_no_harm(tmp_path, reader):
    table = pa.table({"id": [1, 2], "part": [{"x": 1}, None], "text": ["good", "bad"], "other": ["a" * 50, "b" * 50]})
    if reader is ParquetReader:
        pq.write_table(table, tmp_path / "a", write_page_checksum=True, compression="none", use_dictionary=False)
    else:
        write_arrow(table, tmp_path / "a")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes().replace(b"a" * 50, b"\xff" * 50))
    with pytest.raises(InputError):
        read(reader, tmp_path / "a")
    opened = reader(str(tmp_path / "a"), ReadOptions())
    opened.select_columns(["id", "text"])
    assert read_splits(opened).to_pylist() == [
        {"id": 1, "part": None, "text": "good", "other": None},
        {"id": 2, "part": None, "text": "bad", "other": None},
    ]
    opened.close()


def test_repeated_names_and_names_with_dots_can_be_selected(tmp_path):
    table = pa.table([["a"], ["b"], [{"c": "d"}]], names=["x", "x.c", "x.c.d"])
    for names, expected in ((["x", "x.c", "y"], [{"x": "a", "x.c": None, "y": {"c": "d"}}]), (["x", "x", "y"], None)):
        pq.write_table(table.rename_columns(names), tmp_path / "a.parquet")
        opened = ParquetReader(str(tmp_path / "a.parquet"), ReadOptions())
        opened.select_columns(["x", "y"])
        found = read_splits(opened)
        assert found == table.rename_columns(names) if expected is None else found.to_pylist() == expected
        opened.close()


def write_arrow(table: pa.Table, path) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


LARGE = 10**10
ODD = {
    "decimal": pa.Array.from_buffers(pa.decimal128(3, 1), 1, [None, pa.py_buffer(LARGE.to_bytes(16, "little"))]),
    "time": pa.array([-13_899_000], pa.int32()).view(pa.time32("ms")),
    "date": pa.array([12_345], pa.int64()).view(pa.date64()),
}


@pytest.mark.parametrize(
    ("name", "reader", "write"),
    [
        ("decimal", ArrowReader, write_arrow),
        ("date", ArrowReader, write_arrow),
        ("time", ArrowReader, write_arrow),
        ("time", ParquetReader, pq.write_table),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_values_out_of_the_range_of_their_type_are_read(tmp_path, name, reader, write, inside):
    odd = pa.StructArray.from_arrays([ODD[name]], ["x"]) if inside else ODD[name]
    write(pa.table({"text": ["good"], "odd": odd}), tmp_path / "a")
    found = read(reader, tmp_path / "a")
    assert found["text"].to_pylist() == ["good"]
    assert found["odd"].combine_chunks().equals(odd)


@pytest.mark.parametrize(
    ("name", "ending", "expected"),
    [
        ("decimal", ".parquet", "Parquet cannot hold the column 'odd': .*does not fit"),
        ("time", ".csv", "text cannot hold the column 'odd': .*not within the acceptable range"),
        ("time", ".jsonl", "text cannot hold the column 'odd': .*not within the acceptable range"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_only_a_written_column_of_such_values_is_refused(tmp_path, name, ending, expected, inside):
    odd = pa.StructArray.from_arrays([ODD[name]], ["x"]) if inside else ODD[name]
    batch = pa.record_batch({"text": ["good"], "odd": odd})
    writer = open_writer(str(tmp_path / f"out{ending}"), batch.schema)
    with pytest.raises(OutputError, match=expected if not inside else expected.replace("'odd'", "'(odd|x)'")):
        writer.write(batch)
    writer.abort()


def test_decimals_beyond_their_precision_keep_their_digits(tmp_path):
    batch = pa.record_batch({"odd": ODD["decimal"]})
    for ending in (".csv", ".jsonl"):
        writer = open_writer(str(tmp_path / f"out{ending}"), batch.schema)
        writer.write(batch)
        writer.commit()
        assert "1000000000.0" in (tmp_path / f"out{ending}").read_text()


def test_any_damage_is_read_or_refused_in_one_line(tmp_path):
    dice = random.Random(7)
    table = pa.table({"text": [str(number) * 5 for number in range(50)], "list": [[number] for number in range(50)]})
    whole = packed(table, row_group_size=20)
    path = tmp_path / "a.parquet"
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data[: dice.randrange(len(data))] if dice.random() < 0.2 else data)
        refused += read_or_refuse(ParquetReader, path) is None
    assert refused > 30


def test_naughty_strings_survive(write):
    strings = json.loads(real_data("suites", "blns", "blns.json").read_text(encoding="utf-8"))
    assert read(ParquetReader, write("blns.parquet", pa.table({"text": strings}))).column("text").to_pylist() == strings


def test_the_parquet_test_files_are_read_or_refused_in_one_line():
    outcomes = {}
    for path in sorted(real_data("suites", "parquet-testing").rglob("*.parquet")):
        table = read_or_refuse(ParquetReader, path)
        if table is not None:
            outcomes[path.name] = table.num_rows
    assert len(outcomes) > 200
    assert outcomes["alltypes_plain.parquet"] == 8
    assert "ARROW-GH-41321.parquet" not in outcomes
    assert "large_string_map.brotli.parquet" not in outcomes


@pytest.mark.parametrize(
    ("year", "unit", "words"), [(2024, "ns", None), (9999, "us", "are read in microseconds"), (1, "us", "microseconds")]
)
def test_old_timestamps_keep_dates_that_nanoseconds_do_not_hold(tmp_path, caplog, year, unit, words):
    times = [datetime.datetime(2024, 1, 1, 12, 30, 15, 123456), None, datetime.datetime(year, 12, 31)]
    nested = [[times[2], None], None, []]
    table = pa.table(
        {
            "text": ["a", "b", "c"],
            "seen": pa.array(times, pa.timestamp("us")),
            "all": pa.array(nested, pa.list_(pa.timestamp("us"))),
        }
    )
    for name, some in (("a", table.slice(0, 2)), ("b", table)):
        pq.write_table(some, tmp_path / f"{name}.parquet", use_deprecated_int96_timestamps=True, store_schema=False)
    with caplog.at_level(logging.INFO, "sentiment_batch"):
        logging.getLogger("sentiment_batch").propagate = True
        reader = ParquetReader(str(tmp_path), ReadOptions())
    read = pa.concat_tables([pa.Table.from_batches(reader.batches(split)) for split in reader.splits()])
    reader.close()
    assert reader.schema.field("seen").type == pa.timestamp(unit)
    assert read["seen"].cast(pa.timestamp("us")).to_pylist() == [*times[:2], *times]
    assert [one for row in read["all"].to_pylist() for one in row or []] == [times[2], None] * 2
    assert (words or "") in caplog.text
    assert bool(caplog.records) == bool(words)
