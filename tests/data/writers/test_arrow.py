"""Every batch reads back from Arrow IPC, with any dictionaries."""

from __future__ import annotations

import datetime
import functools
import io

import numpy
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.writers import register_writers
from sentiment_batch.data.writers.arrow import ArrowEncoder
from sentiment_batch.errors import OutputError
from sentiment_batch.plugins.registry import Registry
from sentiment_batch.records import WriteOptions
from tests.data.writers.helpers import SCALARS, TEXTS, encode, same, tables, values

STREAM = functools.partial(ArrowEncoder, streaming=True)
NUMBERS = st.none() | st.integers(-128, 127)
ALL = {
    **SCALARS,
    pa.binary(): st.binary(max_size=5),
    pa.dictionary(pa.int8(), pa.string()): TEXTS,
    pa.list_view(pa.int8()): st.lists(NUMBERS, max_size=3),
    pa.struct([]): st.just({}),
    pa.map_(pa.string(), pa.int8()): st.dictionaries(TEXTS, NUMBERS, max_size=3).map(lambda value: list(value.items())),
}


def read_file(data):
    return pa.ipc.open_file(io.BytesIO(data)).read_all()


def read_stream(data):
    return pa.ipc.open_stream(io.BytesIO(data)).read_all()


@given(tables(ALL))
def test_every_value_reads_back_from_the_file(table):
    back = read_file(encode(ArrowEncoder, table))
    assert back.schema.equals(table.schema, check_metadata=True)
    assert same(values(back), values(table))


@given(tables(ALL))
def test_every_value_reads_back_from_the_stream(table):
    back = read_stream(encode(STREAM, table))
    assert back.schema.equals(table.schema, check_metadata=True)
    assert same(values(back), values(table))


def dictionaries(*chunks, kind=None):
    """A table in which each batch has a dictionary of its own."""
    kind = kind or pa.dictionary(pa.int8(), pa.string())
    batches = [pa.record_batch({"d": pa.array(chunk, pa.string()).dictionary_encode().cast(kind)}) for chunk in chunks]
    return pa.Table.from_batches(batches)


@given(st.lists(st.lists(st.none() | TEXTS, max_size=5), min_size=1, max_size=5))
@pytest.mark.parametrize(("encoder", "read"), [(ArrowEncoder, read_file), (STREAM, read_stream)])
def test_dictionaries_may_differ_between_batches(encoder, read, chunks):
    table = dictionaries(*chunks)
    back = read(encode(encoder, table))
    back.validate(full=True)
    assert back.schema == table.schema
    assert back.column(0).to_pylist() == table.column(0).to_pylist()


def test_an_empty_batch_first_keeps_its_dictionary_for_the_rest():
    labels = pa.array(["neg", "neutral", "pos"])
    empty, full = (pa.DictionaryArray.from_arrays(pa.array(rows, pa.int8()), labels) for rows in ([], [2]))
    back = read_file(encode_batches(*(pa.record_batch({"sentiment": column}) for column in (empty, full))))
    assert back.column(0).to_pylist() == ["pos"]
    assert back.column(0).chunk(0).dictionary.equals(labels)


def test_dictionaries_inside_lists_and_structs_may_differ_too():
    kind = pa.list_(pa.struct([("d", pa.dictionary(pa.int8(), pa.string()))]))
    batches = [
        pa.record_batch({"n": pa.array(rows, kind)})
        for rows in ([[{"d": "a"}], None], [[{"d": "b"}, {"d": "a"}]], [[], [{"d": None}]])
    ]
    table = pa.Table.from_batches(batches)
    assert read_file(encode(ArrowEncoder, table)).column(0).to_pylist() == table.column(0).to_pylist()


WORDS = pa.dictionary(pa.int8(), pa.string())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (WORDS, "a"),
        (pa.list_(WORDS), ["a", None]),
        (pa.large_list(WORDS), ["a"]),
        (pa.list_(WORDS, 2), ["a", "b"]),
        (pa.struct([("n", pa.int8()), ("d", WORDS)]), {"n": 1, "d": "a"}),
        (pa.map_(pa.string(), WORDS), [("k", "a")]),
        (pa.list_(pa.struct([("d", pa.dictionary(pa.int32(), pa.large_string()))])), [{"d": "a"}]),
        (pa.list_(pa.dictionary(pa.int8(), pa.int64())), [7]),
    ],
)
def test_a_dictionary_that_begins_empty_grows_wherever_it_is(kind, value):
    batches = [pa.record_batch({"n": pa.array(rows, kind)}) for rows in ([None], [], [value, None], [value])]
    table = pa.Table.from_batches(batches)
    back = read_file(encode(ArrowEncoder, table))
    assert back.schema == table.schema
    assert back.column(0).to_pylist() == [None, value, None, value]


def test_an_equal_dictionary_is_written_once_for_polars():
    table = dictionaries(["a", "b"], ["a", "b"], ["a", "b"])
    data = encode(ArrowEncoder, table)
    assert pa.ipc.open_file(io.BytesIO(data)).stats.num_dictionary_deltas == 0
    assert pl.read_ipc(io.BytesIO(data))["d"].to_list() == ["a", "b"] * 3


def test_a_dictionary_keeps_its_values_even_without_rows():
    column = pa.DictionaryArray.from_arrays(pa.array([], pa.int8()), ["neg", "neutral", "pos"])
    batch = pa.record_batch({"sentiment": column})
    back = read_file(encode_batches(batch))
    assert back.column(0).chunk(0).dictionary.to_pylist() == ["neg", "neutral", "pos"]


def encode_batches(*batches):
    stream = io.BytesIO()
    encoder = ArrowEncoder(stream, batches[0].schema, WriteOptions())
    for batch in batches:
        encoder.write(batch)
    encoder.close()
    return stream.getvalue()


def test_a_dictionary_that_outgrows_its_index_is_refused():
    table = dictionaries([f"a{number}" for number in range(100)], [f"b{number}" for number in range(100)])
    with pytest.raises(
        OutputError, match=r"of column 'd' has more values than its index type can count\. Write Parquet"
    ):
        encode(ArrowEncoder, table)
    assert read_stream(encode(STREAM, table)).num_rows == 200


FLOATS = [numpy.float16(1.5), numpy.float16(2.5)]
ENTRIES = {
    "null": (pa.string(), ["a", None]),
    "null first": (pa.string_view(), [None, "a"]),
    "equal": (pa.string(), ["a", "a"]),
    "float16": (pa.float16(), FLOATS),
    "time": (pa.timestamp("s"), [datetime.datetime(2026, 1, 1), None]),
    "one": (pa.binary(1), [b"a", b"b"]),
}


def in_list(column):
    return pa.ListArray.from_arrays([0, 1, 3], column)


def in_struct(column):
    return pa.StructArray.from_arrays(
        [column.slice(1), pa.array([1, 2])], names=["d", "n"], mask=pa.array([False, True])
    )


def in_map(column):
    return pa.MapArray.from_arrays([0, 1, 3], pa.array(["j", "k", "l"]), column).slice(1)


def in_union(column):
    return pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [column, pa.array([1, 2, 3])])


def entries(kind, values, place):
    """A batch of a dictionary with the given entries, to each of which one row points."""
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(values, kind))
    return pa.record_batch({"d": place(column)})


@pytest.mark.parametrize("place", [pa.array, in_list, in_struct, in_map, in_union])
@pytest.mark.parametrize(("kind", "known"), ENTRIES.values(), ids=ENTRIES)
def test_a_dictionary_that_never_changes_may_hold_anything(kind, known, place):
    batches = [entries(kind, known, place) for _ in range(3)]
    data = encode_batches(*batches)
    assert pa.ipc.open_file(io.BytesIO(data)).stats.num_dictionary_deltas == 0
    assert read_file(data).column(0).to_pylist() == pa.Table.from_batches(batches).column(0).to_pylist()


@pytest.mark.parametrize("place", [pa.array, in_list, in_struct, in_map])
@pytest.mark.parametrize(("kind", "known"), ENTRIES.values(), ids=ENTRIES)
def test_other_entries_are_appended_without_null_and_equal_ones(kind, known, place):
    other = [known[1], known[0]] if known[0] != known[1] else [None, "b"]
    batches = [entries(kind, values, place) for values in (known, other, [None, known[0]], [], known) if values]
    back = read_file(encode_batches(*batches))
    back.validate(full=True)
    assert back.column(0).to_pylist() == pa.Table.from_batches(batches).column(0).to_pylist()


def test_a_number_that_is_none_is_one_entry_of_a_dictionary():
    batches = [entries(pa.float64(), values, pa.array) for values in ([float("nan"), 1], [2, float("nan")])]
    back = read_file(encode_batches(*batches)).column(0)
    assert repr(back.to_pylist()) == "[nan, 1.0, None, 2.0, nan, None]"
    assert len(back.chunk(1).dictionary) == 3


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.binary(1), pa.decimal128(3), pa.null()])
def test_an_empty_dictionary_of_any_values_grows(kind):
    value = {pa.timestamp("s"): datetime.datetime(2026, 1, 1), pa.binary(1): b"a", pa.null(): None}.get(kind, 7)
    empty = pa.DictionaryArray.from_arrays(pa.array([None], pa.int8()), pa.array([], kind))
    full = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array([value], kind))
    back = read_file(encode_batches(*(pa.record_batch({"d": column}) for column in (empty, full, full))))
    assert back.column(0).to_pylist() == [None, value, value]


def test_the_dictionary_of_a_union_may_grow():
    batches = [entries(pa.string(), values, in_union) for values in (["a", "b"], ["c", "a"])]
    back = read_file(encode_batches(*batches))
    assert back.column(0).to_pylist() == ["a", 2, None, "c", 2, None]


@pytest.mark.parametrize(
    ("kind", "values", "place"),
    [
        (pa.struct([("x", pa.int8())]), ([{"x": 1}, {"x": 2}], [{"x": 3}, {"x": 1}]), pa.array),
        (pa.float16(), (FLOATS, FLOATS[::-1]), in_union),
    ],
)
def test_a_dictionary_that_cannot_grow_is_refused_by_name(kind, values, place):
    with pytest.raises(OutputError, match=r"the dictionary of column 'd' has other values .*\. Write Parquet, or the"):
        encode_batches(*(entries(kind, one, place) for one in values))


def test_metadata_come_back():
    schema = pa.schema([pa.field("a", pa.int8(), metadata={b"k": b"v"})], metadata={b"mine": b"1"})
    back = read_file(encode(ArrowEncoder, pa.table([[1]], schema=schema)))
    assert back.schema.equals(schema, check_metadata=True)


@pytest.mark.parametrize(
    ("name", "read"),
    [("o.arrow", read_file), ("o.feather", read_file), ("o.ipc", read_file), ("o.arrows", read_stream)],
)
def test_the_suffix_chooses_file_or_stream(tmp_path, name, read):
    write(str(tmp_path / name), name)
    assert read((tmp_path / name).read_bytes()).column(0).to_pylist() == [1, 2]


def test_standard_output_gets_the_stream(capfdbinary):
    write("-", "x.arrow")
    assert read_stream(capfdbinary.readouterr().out).column(0).to_pylist() == [1, 2]


def write(location, name):
    registry = Registry()
    register_writers(registry)
    batch = pa.record_batch({"n": [1, 2]})
    writer = registry.claiming(name).open(location, batch.schema, WriteOptions())
    writer.write(batch)
    writer.commit()
