"""JSON lines hold exactly the values of the table."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.json
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.writers.jsonl import JsonLinesEncoder
from sentiment_batch.errors import OutputError
from sentiment_batch.records import WriteOptions
from tests.data.writers.helpers import SCALARS, TEXTS, encode, same, tables

NUMBERS = st.none() | st.integers(-128, 127)
JSON_LIKE = {
    **{kind: values for kind, values in SCALARS.items() if not pa.types.is_temporal(kind)},
    pa.dictionary(pa.int16(), pa.string()): TEXTS,
    pa.list_(pa.int8()): st.lists(NUMBERS, max_size=3),
    pa.large_list(pa.string()): st.lists(st.none() | TEXTS, max_size=3),
    pa.list_(pa.int8(), 2): st.lists(NUMBERS, min_size=2, max_size=2),
    pa.list_view(pa.int8()): st.lists(NUMBERS, max_size=3),
    pa.list_(pa.list_(pa.float32())): st.lists(st.lists(st.floats(width=32), max_size=2), max_size=2),
    pa.struct([("a", pa.int8()), ('"b\n', pa.list_(pa.string()))]): st.fixed_dictionaries(
        {"a": NUMBERS, '"b\n': st.none() | st.lists(TEXTS, max_size=2)}
    ),
    pa.map_(pa.string(), pa.int8()): st.dictionaries(TEXTS, NUMBERS, max_size=3).map(lambda value: list(value.items())),
    pa.map_(pa.int8(), pa.string()): st.dictionaries(st.integers(0, 9), TEXTS, max_size=3).map(
        lambda value: list(value.items())
    ),
}


def expected(value, kind):
    """A value of a type, as it is in JSON."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if kind == pa.float32():
        return float(str(np.float32(value)))
    if pa.types.is_map(kind):
        pairs = [[expected(key, kind.key_type), expected(item, kind.item_type)] for key, item in value]
        return dict(pairs) if kind.key_type == pa.string() else pairs
    if pa.types.is_struct(kind):
        return {field.name: expected(value[field.name], field.type) for field in kind}
    if isinstance(value, list):
        return [expected(element, kind.value_type) for element in value]
    return value


def records(data):
    """The lines as Python values, with all digits of decimals."""
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line, parse_float=Number) for line in data.decode().split("\n")[:-1]]


class Number(float):
    """A float that stores its text."""

    def __new__(cls, text):
        made = super().__new__(cls, text)
        made.text = text
        return made


def restored(value, kind):
    if isinstance(value, Number):
        return decimal.Decimal(value.text) if pa.types.is_decimal(kind) else float(value)
    if isinstance(value, list) and not pa.types.is_map(kind):
        return [restored(element, kind.value_type) for element in value]
    return value


def lines(column, field=None):
    table = pa.table([column], schema=pa.schema([field or pa.field("a", column.type)]))
    return encode(JsonLinesEncoder, table).decode()


@given(tables(JSON_LIKE))
def test_every_value_reads_back(table):
    found = records(encode(JsonLinesEncoder, table))
    assert len(found) == table.num_rows
    for record, row in zip(found, table.to_pylist(), strict=True):
        assert list(record) == table.schema.names
        for field in table.schema:
            assert same(restored(record[field.name], field.type), expected(row[field.name], field.type))


@given(tables({kind: SCALARS[kind] for kind in (pa.string(), pa.int64(), pa.bool_())}))
def test_pyarrow_reads_the_same_table(table):
    table = table.rename_columns([f"c{index}" for index in range(table.num_columns)])
    if not table.num_rows:
        return
    read = pyarrow.json.read_json(
        io.BytesIO(encode(JsonLinesEncoder, table)),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=table.schema, newlines_in_values=False),
    )
    assert read.equals(table)


@given(tables({pa.timestamp("us"): SCALARS[pa.timestamp("us")], pa.date32(): SCALARS[pa.date32()]}))
def test_dates_and_times_are_iso_8601(table):
    for record, row in zip(records(encode(JsonLinesEncoder, table)), table.to_pylist(), strict=True):
        for name, value in row.items():
            assert record[name] is None if value is None else type(value).fromisoformat(record[name]) == value


@given(st.lists(st.integers(-(10**10), 10**11)), st.sampled_from(["Europe/Paris", "America/St_Johns", "+05:30", "UTC"]))
def test_an_instant_keeps_its_place_in_time(seconds, zone):
    written = records(lines(pa.array(seconds, pa.int64()).cast(pa.timestamp("s", zone))).encode())
    assert [datetime.datetime.fromisoformat(record["a"]).timestamp() for record in written] == seconds


def test_nanoseconds_and_zones_are_unchanged():
    ticks = pa.array([1_700_000_000_123_456_789], pa.int64())
    assert lines(ticks.cast(pa.timestamp("ns"))) == '{"a": "2023-11-14T22:13:20.123456789"}\n'
    assert lines(ticks.cast(pa.timestamp("ns", "Asia/Kolkata"))) == '{"a": "2023-11-15T03:43:20.123456789+05:30"}\n'


def test_text_stays_as_it_is_but_for_what_json_must_escape():
    assert lines(pa.array(['é😀\u2028\x85\x7f "\\\n\x01\x00/'])) == (
        '{"a": "é😀\u2028\x85\x7f \\"\\\\\\n\\u0001\\u0000/"}\n'
    )


def test_numbers_that_json_does_not_know_are_null():
    column = pa.array([1.0, float("nan"), float("inf"), None])
    assert lines(column) == '{"a": 1.0}\n{"a": null}\n{"a": null}\n{"a": null}\n'


def test_floats_are_as_short_as_exact_also_in_lists():
    assert lines(pa.array([[0.9876]], pa.list_(pa.float32()))) == '{"a": [0.9876]}\n'


def test_decimals_are_numbers_with_all_their_digits():
    digits = decimal.Decimal("12345678901234567890.10")
    assert lines(pa.array([digits])) == '{"a": 12345678901234567890.10}\n'


def test_large_integers_keep_all_their_digits():
    assert lines(pa.array([2**64 - 1], pa.uint64())) == '{"a": 18446744073709551615}\n'


def test_durations_are_iso_8601():
    assert lines(pa.array([-1, 90_250_000_001], pa.duration("ns"))) == (
        '{"a": "-PT0.000000001S"}\n{"a": "PT90.250000001S"}\n'
    )


def test_text_marked_as_json_is_written_raw_on_one_line():
    field = pa.field("a", pa.string(), metadata={b"sentiment_batch.json": b"1"})
    assert lines(pa.array(['{"b":\r\n[1.50]}', None]), field) == '{"a": {"b":  [1.50]}}\n{"a": null}\n'


def test_text_not_marked_as_json_is_a_string():
    assert lines(pa.array(["[1]"])) == '{"a": "[1]"}\n'


def test_bytes_that_are_not_utf_8_become_replacement_characters():
    offsets = pa.array([0, 3], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"a\xffb")])
    assert lines(broken) == '{"a": "a\ufffdb"}\n'


def test_sliced_nested_columns_give_their_own_rows():
    column = pa.array([[{"k": ["x"]}], None, [{"k": None}, {"k": ["y", "z"]}]]).slice(1)
    assert records(lines(column).encode()) == [{"a": None}, {"a": [{"k": None}, {"k": ["y", "z"]}]}]


def test_a_struct_without_fields_is_an_empty_object():
    assert lines(pa.array([{}, None], pa.struct([]))) == '{"a": {}}\n{"a": null}\n'


def test_a_table_without_columns_has_its_rows():
    stream = io.BytesIO()
    encoder = JsonLinesEncoder(stream, pa.schema([]), WriteOptions())
    encoder.write(pa.record_batch({"x": [1, 2]}).select([]))
    assert stream.getvalue() == b"{}\n{}\n"


def test_a_table_without_rows_is_an_empty_file():
    assert lines(pa.array([], pa.string())) == ""


def test_repeated_names_are_refused_before_anything_is_written():
    stream = io.BytesIO()
    with pytest.raises(OutputError, match=r"two columns named 'a'\. Rename one"):
        JsonLinesEncoder(stream, pa.schema([("a", pa.int8()), ("a", pa.int8())]), WriteOptions())
    assert stream.getvalue() == b""


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.binary(), "binary has no exact form"),
        (pa.map_(pa.string(), pa.binary()), "binary within map"),
        (pa.list_(pa.struct([("x", pa.int8()), ("x", pa.int8())])), "two fields of .* are named 'x'"),
    ],
)
def test_a_type_without_json_is_refused(kind, message):
    with pytest.raises(OutputError, match=rf"JSON lines cannot hold the column 'raw': {message}.*`columns`"):
        JsonLinesEncoder(io.BytesIO(), pa.schema([("raw", kind)]), WriteOptions())


def test_a_map_with_a_repeated_key_is_refused():
    kind = pa.map_(pa.string(), pa.int8())
    assert lines(pa.array([[("a", 1)], None, [("a", 2), ("b", 3)]], kind)) == (
        '{"a": {"a": 1}}\n{"a": null}\n{"a": {"a": 2, "b": 3}}\n'
    )
    with pytest.raises(OutputError, match=r"column 'a' holds a map with a repeated key.*`columns`, or write"):
        lines(pa.array([[("b", 1)], [("a", 1), ("b", 2), ("a", 3)]], kind))


def test_maps_of_lists_of_nulls_are_whole_also_in_a_slice():
    kind = pa.map_(pa.string(), pa.list_(pa.null()))
    rows = [[("a", [None])], None, [("b", [None] * 3), ("c", None)], [], [("d", [None] * 2)]]
    for start in range(5):
        found = [record["a"] for record in records(lines(pa.array(rows, kind).slice(start)).encode())]
        assert found == [row if row is None else dict(row) for row in rows[start:]]


@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.string_view()])
def test_dictionaries_and_run_ends_of_every_text_are_text(text):
    words = pa.array(["x", "y" * 20], text)
    dictionary = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.uint32()), words)
    assert records(lines(dictionary).encode()) == [{"a": "y" * 20}, {"a": None}, {"a": "x"}]
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 5], pa.int16()), pa.array(["x", None, "y"], text))
    assert records(lines(runs.slice(1, 3)).encode()) == [{"a": "x"}, {"a": None}, {"a": "y"}]


def test_run_ends_within_a_struct_are_refused():
    kind = pa.struct([("r", pa.run_end_encoded(pa.int32(), pa.int8()))])
    with pytest.raises(OutputError, match=r"column 'raw': pyarrow cannot decode the run-ends within struct<"):
        JsonLinesEncoder(io.BytesIO(), pa.schema([("raw", kind)]), WriteOptions())


def test_the_last_nanoseconds_that_can_be_counted_are_in_utc():
    day = 86_400 * 10**9
    last = pa.array([2**63 - 1, 2**63 - day, 2**63 - 1 - day], pa.int64()).cast(pa.timestamp("ns", "Asia/Kolkata"))
    assert [record["a"] for record in records(lines(last).encode())] == [
        "2262-04-11T23:47:16.854775807Z",
        "2262-04-10T23:47:16.854775808Z",
        "2262-04-11T05:17:16.854775807+05:30",
    ]
