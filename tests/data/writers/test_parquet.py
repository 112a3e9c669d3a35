"""Values and schema read back from Parquet, in row groups of bounded size, with checksums."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.writers import parquet as our_parquet
from sentiment_batch.data.writers.parquet import ParquetEncoder
from sentiment_batch.errors import OutputError
from sentiment_batch.records import WriteOptions
from tests.data.writers.helpers import SCALARS, TEXTS, encode, same, tables, values

NUMBERS = st.none() | st.integers(-128, 127)
ALL = {
    **SCALARS,
    pa.binary(): st.binary(max_size=5),
    pa.dictionary(pa.int8(), pa.string()): TEXTS,
    pa.list_(pa.int8()): st.lists(NUMBERS, max_size=3),
    pa.list_(pa.int8(), 2): st.lists(NUMBERS, min_size=2, max_size=2),
    pa.struct([("a", pa.int8()), ("b", pa.list_(pa.string()))]): st.fixed_dictionaries(
        {"a": NUMBERS, "b": st.none() | st.lists(TEXTS, max_size=2)}
    ),
    pa.map_(pa.string(), pa.int8()): st.dictionaries(TEXTS, NUMBERS, max_size=3).map(lambda value: list(value.items())),
}


def read(data, **options):
    return pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True, **options)


@given(tables(ALL))
def test_every_value_reads_back(table):
    back = read(encode(ParquetEncoder, table)).read()
    assert back.schema.names == table.schema.names
    for ours, theirs in zip(table.schema.types, back.schema.types, strict=True):
        # Parquet has no seconds; a string_view may come back as a string.
        assert ours == theirs or ours == pa.timestamp("s")
    if pa.timestamp("s") not in table.schema.types:
        assert same(values(back), values(table))
    else:
        assert back.cast(table.schema).equals(table) or same(values(back.cast(table.schema)), values(table))


def test_schema_and_metadata_come_back():
    schema = pa.schema(
        [
            pa.field("text", pa.large_string(), metadata={b"sentiment_batch.json": b"1"}),
            pa.field("id", pa.int32(), nullable=False),
            pa.field("when", pa.timestamp("ns", "Europe/Paris")),
        ],
        metadata={b"pandas": b"{}", b"mine": b"1"},
    )
    back = read(encode(ParquetEncoder, pa.table([["a"], [1], [0]], schema=schema))).schema_arrow
    assert back.equals(schema, check_metadata=False)
    assert back.metadata == schema.metadata
    assert back.field("text").metadata[b"sentiment_batch.json"] == b"1"


def test_pages_are_compressed_with_zstd_and_carry_checksums():
    data = bytearray(encode(ParquetEncoder, pa.table({"n": [7] * 1000})))
    column = read(bytes(data)).metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    data[column.dictionary_page_offset + 30] ^= 1
    with pytest.raises(OSError, match="checksum"):
        read(bytes(data)).read()


def test_small_batches_are_gathered_into_row_groups(monkeypatch):
    monkeypatch.setattr(our_parquet, "MAX_ROWS_PER_GROUP", 100)
    table = pa.table({"n": range(250)})
    batches = pa.Table.from_batches(table.to_batches(max_chunksize=10))
    metadata = read(encode(ParquetEncoder, batches)).metadata
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [100, 100, 50]


@pytest.mark.parametrize("rows", [1, 7, 70, 99, 100, 101, 210])
def test_row_groups_end_where_they_end_whatever_the_batches(monkeypatch, rows):
    monkeypatch.setattr(our_parquet, "MAX_ROWS_PER_GROUP", 100)
    monkeypatch.setattr(our_parquet, "MAX_BYTES_PER_GROUP", 3000)
    texts = ["x" * (number % 50) for number in range(210)]
    table = pa.Table.from_batches(pa.table({"n": range(210), "t": texts}).to_batches(max_chunksize=rows))
    metadata = read(encode(ParquetEncoder, table)).metadata
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [80, 67, 63]


def test_a_large_batch_is_cut_into_row_groups(monkeypatch):
    monkeypatch.setattr(our_parquet, "MAX_ROWS_PER_GROUP", 100)
    metadata = read(encode(ParquetEncoder, pa.table({"n": range(250)}))).metadata
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [100, 100, 50]


def test_long_texts_close_a_row_group_early(monkeypatch):
    monkeypatch.setattr(our_parquet, "MAX_BYTES_PER_GROUP", 1000)
    table = pa.Table.from_batches(pa.table({"text": ["x" * 400] * 10}).to_batches(max_chunksize=1))
    assert read(encode(ParquetEncoder, table)).metadata.num_row_groups == 4


def test_a_dictionary_stays_one_with_the_order_of_its_values():
    column = pa.DictionaryArray.from_arrays(pa.array([1, 1], pa.int8()), ["neg", "neutral", "pos"])
    back = read(encode(ParquetEncoder, pa.table({"sentiment": column}))).read().column(0)
    assert back.type == column.type
    assert back.chunk(0).dictionary.to_pylist() == ["neg", "neutral", "pos"]


@pytest.mark.parametrize("values", [["a", None, "b"], [1.5, None, 2.5]])
def test_a_null_in_a_dictionary_is_a_null(values):
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2], pa.int8()), pa.array(values))
    back = read(encode(ParquetEncoder, pa.table({"odd": column}))).read().column(0)
    assert back.to_pylist() == [values[0], None, None, values[2]]


def test_dictionaries_that_differ_between_batches_are_merged():
    batches = [pa.record_batch({"d": pa.array(texts).dictionary_encode()}) for texts in (["a", "b"], ["b", None, "c"])]
    back = read(encode(ParquetEncoder, pa.Table.from_batches(batches))).read()
    assert back.column(0).to_pylist() == ["a", "b", "b", None, "c"]
    assert back.column(0).type == batches[0].column(0).type


def test_dictionaries_too_large_to_merge_keep_their_values():
    def batch(letter):
        words = [f"{letter}{number}" for number in range(100)]
        return pa.record_batch({"d": pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), words)})

    table = pa.Table.from_batches([batch("a"), batch("b")])
    back = read(encode(ParquetEncoder, table)).read()
    assert back.schema == table.schema
    assert back.column(0).to_pylist() == table.column(0).to_pylist()


def test_columns_of_nulls_and_tables_without_rows_are_fine():
    assert read(encode(ParquetEncoder, pa.table({"x": pa.nulls(3)}))).read().column(0).to_pylist() == [None] * 3
    empty = pa.schema([("x", pa.null()), ("s", pa.string())])
    assert read(encode(ParquetEncoder, empty.empty_table())).read().schema == empty


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.struct([]), "no child field"),
        (pa.list_(pa.struct([])), "no child field"),
        (pa.month_day_nano_interval(), "month_day_nano_interval"),
        (pa.dense_union([pa.field("a", pa.int8())]), "dense_union"),
        (pa.decimal128(5, -2), "Scale must be a non-negative integer"),
        (pa.run_end_encoded(pa.int32(), pa.string()), "run_end_encoded"),
    ],
)
def test_a_type_that_parquet_lacks_is_refused_first(kind, message):
    stream = io.BytesIO()
    with pytest.raises(
        OutputError, match=rf"Parquet cannot hold the column 'odd': .*{message}.*`columns`, or write Arrow"
    ):
        ParquetEncoder(stream, pa.schema([("text", pa.string()), ("odd", kind)]), WriteOptions())
    assert stream.getvalue() == b""


def test_fields_that_may_not_be_null_are_no_reason_to_refuse():
    kind = pa.struct([pa.field("x", pa.int8(), nullable=False)])
    schema = pa.schema([pa.field("s", kind, nullable=False)])
    assert read(encode(ParquetEncoder, pa.table([pa.array([{"x": 1}], kind)], schema=schema))).read().num_rows == 1


@pytest.mark.skipif(os.name == "nt", reason="pipes differ there")
def test_a_pipe_can_be_written():
    code = """
import pyarrow as pa
from sentiment_batch.records import WriteOptions
from sentiment_batch.data.writers.publish import FileWriter
from sentiment_batch.data.writers.parquet import ParquetEncoder
batch = pa.record_batch({"n": list(range(1000))})
writer = FileWriter("-", batch.schema, WriteOptions(), ParquetEncoder)
writer.write(batch)
writer.commit()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert read(done.stdout).read().column(0).to_pylist() == list(range(1000))
    assert done.stderr == b""


def test_text_in_views_within_nested_types_comes_back():
    kind = pa.struct([("a", pa.string_view()), ("b", pa.list_(pa.binary_view()))])
    rows = 3000  # pyarrow fails on views in structs when there are more rows than it writes at once
    texts = pa.array(["pos", None, "neg"] * (rows // 3), pa.string_view())
    labels = pa.array(["pos", "neg"], pa.string_view())
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0, None, 1] * (rows // 3), pa.uint32()), labels)
    schema = pa.schema([("s", kind), ("d", dictionary.type), ("t", pa.string_view())], metadata={b"k": b"v"})
    values = [{"a": "x" * 20, "b": [b"1", None]}, None, {"a": None, "b": None}] * (rows // 3)
    table = pa.table([pa.array(values, kind), dictionary, texts], schema=schema)
    back = read(encode(ParquetEncoder, table)).read()
    assert back.to_pydict() == table.to_pydict()
    assert (back.schema.metadata, back.schema.field("t").type) == ({b"k": b"v"}, pa.string_view())
    assert back.schema.field("d").type == pa.dictionary(pa.uint32(), pa.string())
    assert back.schema.field("s").type == pa.struct([("a", pa.string_view()), ("b", pa.list_(pa.binary_view()))])


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("lists", [pa.list_, pa.list_view, pa.large_list])
def test_lists_of_nulls_come_back_beside_a_column_that_is_cast(lists, rows):
    structs = pa.array([{"v": "x"}] * 5, pa.struct([("v", pa.string_view())]))
    nulls = pa.array([[None], [None] * 3, None, [], [None] * 2], lists(pa.null()))
    table = pa.table({"s": structs, "n": nulls})
    in_parts = pa.Table.from_batches(table.to_batches(max_chunksize=rows))
    assert read(encode(ParquetEncoder, in_parts)).read().to_pydict() == table.to_pydict()


def test_lists_of_nulls_beside_views_in_one_column_are_refused():
    kind = pa.struct([("v", pa.string_view()), ("n", pa.list_(pa.struct([("a", pa.null())])))])
    with pytest.raises(OutputError, match=r"the column 'odd': pyarrow cannot cast the lists of nulls"):
        ParquetEncoder(io.BytesIO(), pa.schema([("odd", kind)]), WriteOptions())
    fine = pa.struct([("v", pa.string_view()), ("n", pa.null())])
    table = pa.table({"odd": pa.array([{"v": "x", "n": None}, None], fine)})
    assert read(encode(ParquetEncoder, table)).read().to_pydict() == table.to_pydict()


def test_a_null_struct_with_a_list_of_a_fixed_size_reads_back():
    inner = pa.array([[1], [2]], pa.list_(pa.int8(), 1))
    fields = [pa.field("a", inner.type, nullable=False)]
    column = pa.StructArray.from_arrays([inner], fields=fields, mask=pa.array([False, True]))
    back = read(encode(ParquetEncoder, pa.table({"s": column}))).read()
    assert back.column(0).to_pylist() == [{"a": [1]}, None]


def test_a_reason_is_one_line_whatever_the_names_of_fields():
    kind = pa.struct([("a\nb", pa.month_day_nano_interval())])
    with pytest.raises(OutputError) as caught:
        ParquetEncoder(io.BytesIO(), pa.schema([("odd", kind)]), WriteOptions())
    assert "\n" not in str(caught.value)
