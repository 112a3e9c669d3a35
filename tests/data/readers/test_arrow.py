import gzip
import io
import logging
import random
import warnings

import pyarrow as pa
import pyarrow.feather
import pytest

from sentiment_batch.data.readers.arrow import MAX_ROWS_PER_BATCH, ArrowReader
from sentiment_batch.errors import InputError
from sentiment_batch.records import ReadOptions
from tests.data.readers.helpers import read, read_or_refuse, read_splits

TABLE = pa.table(
    {
        "text": pa.array(["good", "bad", None, ""], pa.large_string()),
        "view": pa.array(["a", None, "c", "a string of more than twelve bytes"], pa.string_view()),
        "category": pa.array(["x", "y", "x", None]).dictionary_encode(),
        "list": [[1], [], None, [2, 3]],
    },
    metadata={"mine": "yes"},
)


def packed(table: pa.Table = TABLE, new=pa.ipc.new_file, rows: int = 3, **options) -> bytes:
    sink = io.BytesIO()
    with new(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, rows)
    return sink.getvalue()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.arrow"


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_a_file_comes_out_as_it_went_in(path, compression):
    path.write_bytes(packed(compression=compression))
    found = read(ArrowReader, path)
    assert found.equals(TABLE, check_metadata=True)


def test_each_batch_of_a_file_is_a_split_that_can_be_read_alone(path):
    path.write_bytes(packed())
    reader = ArrowReader(str(path), ReadOptions())
    assert [split.label for split in reader.splits()] == [f"{path}, batch 0", f"{path}, batch 1"]
    [last] = reader.batches(reader.splits()[1])
    assert last.column("text").to_pylist() == [""]
    assert reader.num_rows in (4, None)
    assert read_splits(reader) == read_splits(reader) == TABLE
    reader.close()
    reader.close()


def test_rows_outlive_the_reader(path):
    path.write_bytes(packed())
    found = read(ArrowReader, path)  # mapped into memory, and closed by now
    assert found.to_pydict() == TABLE.to_pydict()


def test_a_stream_is_one_split(path):
    path.write_bytes(packed(new=pa.ipc.new_stream))
    reader = ArrowReader(str(path), ReadOptions())
    assert [split.label for split in reader.splits()] == [str(path)]
    assert reader.num_rows is None
    first = read_splits(reader)
    assert first.equals(TABLE, check_metadata=True)
    assert read_splits(reader) == first
    reader.close()


@pytest.mark.parametrize("delta", [True, False])
def test_dictionaries_may_change_within_a_stream(path, delta):
    words = [["x", "y"], ["x", "y", "z"], ["z"]]
    batches = [
        pa.record_batch({"c": pa.DictionaryArray.from_arrays(pa.array([0, len(word) - 1], pa.int32()), word)})
        for word in words
    ]
    with pa.ipc.new_stream(
        str(path), batches[0].schema, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=delta)
    ) as writer:
        for batch in batches:
            writer.write_batch(batch)
    assert read(ArrowReader, path).column("c").to_pylist() == ["x", "y", "x", "z", "z", "z"]


def test_feather_is_read(tmp_path):
    for compression in ("uncompressed", "lz4", "zstd"):
        pyarrow.feather.write_feather(TABLE, str(tmp_path / "a.feather"), compression=compression)
        assert read(ArrowReader, tmp_path / "a.feather") == TABLE


def test_the_first_feather_is_read_or_refused_clearly(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pyarrow.feather.write_feather(pa.table({"a": ["x", None]}), str(tmp_path / "a.feather"), version=1)
        except Exception:
            pytest.skip("this pyarrow no longer writes it")
    assert read(ArrowReader, tmp_path / "a.feather").to_pydict() == {"a": ["x", None]}


def test_the_first_feather_is_refused_if_pyarrow_lacks_it(path, monkeypatch):
    def refuse(source):
        raise pa.ArrowNotImplementedError("Feather V1 is gone")

    path.write_bytes(b"FEA1\0\0\0\0")
    monkeypatch.setattr("pyarrow.feather.read_table", refuse)
    with pytest.raises(InputError, match=r"a\.arrow cannot be read: Feather V1 is gone"):
        read(ArrowReader, path)


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_large_batches_are_cut(path, new):
    table = pa.table({"n": list(range(2 * MAX_ROWS_PER_BATCH + 5))})
    path.write_bytes(packed(table, new, rows=1 << 20))
    reader = ArrowReader(str(path), ReadOptions())
    assert [batch.num_rows for batch in reader.batches(reader.splits()[0])] == [
        MAX_ROWS_PER_BATCH,
        MAX_ROWS_PER_BATCH,
        5,
    ]
    assert read_splits(reader) == table
    reader.close()


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_a_table_without_rows_has_columns(path, new):
    path.write_bytes(packed(TABLE.slice(0, 0), new))
    assert read(ArrowReader, path).equals(TABLE.slice(0, 0), check_metadata=True)


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_standard_input_remote_and_compressed_files_are_read(tmp_path, stdin, memory, new):
    stdin(packed(new=new))
    assert read(ArrowReader, "-") == TABLE
    assert read(ArrowReader, memory.put("a.arrow", packed(new=new))) == TABLE
    (tmp_path / "a.arrow.gz").write_bytes(gzip.compress(packed(new=new)))
    assert read(ArrowReader, tmp_path / "a.arrow.gz") == TABLE


def test_streams_from_before_the_continuation_mark_are_read(path):
    path.write_bytes(packed(TABLE.select(["text"]), pa.ipc.new_stream, use_legacy_format=True))
    assert read(ArrowReader, path) == TABLE.select(["text"])


@pytest.mark.parametrize(
    "data", [b"", b"text\n", b"ARROW1", b"ARROW1\0\0" + b"x" * 99, b"\xff\xff\xff\xff", b"\x1f\x8b\x08\0"]
)
def test_what_is_no_arrow_is_refused(path, data):
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.arrow (is|cannot be read)"):
        read(ArrowReader, path)


def test_a_parquet_file_is_named_for_what_it_is(path):
    path.write_bytes(b"PAR1\x15\x04\x15")
    with pytest.raises(InputError, match='is a Parquet file; give `input_format="parquet"`'):
        read(ArrowReader, path)


def test_a_missing_file_is_named(path):
    with pytest.raises(InputError, match=r"a\.arrow is not there"):
        read(ArrowReader, path)


def test_text_that_is_no_utf_8_is_refused(path):
    path.write_bytes(packed(pa.table({"text": pa.array([b"caf\xe9"]).view(pa.string())})))
    with pytest.raises(InputError, match=r"a\.arrow, batch 0, column 'text', row 0 .*UTF-8"):
        read(ArrowReader, path)


def test_a_truncated_stream_is_refused(path):
    path.write_bytes(packed(new=pa.ipc.new_stream)[:-200])
    with pytest.raises(InputError, match=r"a\.arrow cannot be read"):
        read(ArrowReader, path)


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_any_damage_is_read_or_refused_in_one_line(path, new):
    dice = random.Random(7)
    refused = 0
    for _ in range(150):
        data = bytearray(packed(new=new, compression=dice.choice([None, "zstd"])))
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data[: dice.randrange(len(data))] if dice.random() < 0.2 else data)
        table = read_or_refuse(ArrowReader, path)
        refused += table is None
        if table is not None:
            table.to_pylist()  # would crash on offsets that nobody checked
    assert refused > 30


def test_a_stream_without_its_last_mark_is_read_with_a_warning(path, caplog):
    caplog.set_level(logging.WARNING, "sentiment_batch")
    for legacy in (True, False):
        whole = packed(TABLE, pa.ipc.new_stream, use_legacy_format=legacy)
        path.write_bytes(whole)
        assert read(ArrowReader, path) == TABLE
        assert caplog.records == []
    path.write_bytes(whole[:-8])
    assert read(ArrowReader, path) == TABLE
    [message] = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"{path} ends without the end mark")
