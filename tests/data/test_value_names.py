"""Values of any type that Arrow has get names that tell them apart."""

from __future__ import annotations

import decimal
import uuid

import pyarrow as pa
import pytest

from sentiment_batch.data.value_names import concatenate_dictionaries, format_values
from sentiment_batch.records import JSON_MARK

FAR = 2**62


def named(column, field=None):
    field = field or pa.field("a", column.type)
    return format_values(pa.record_batch([column], pa.schema([field])), "a").to_pylist()


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (pa.array(["x", None, "y", "x"]), ["x", None, "y", "x"]),
        (pa.array(["", " \t", "a b"]), ["", "", "a b"]),
        (pa.array(["x", None], pa.string_view()), ["x", None]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
        (pa.array([b"x", b"\xff", b"\xfe"]), ["x", "\\xff", "\\xfe"]),
        (pa.array([b"ab", None], pa.binary(2)), ["ab", None]),
        (pa.array([1, None, -3]), ["1", None, "-3"]),
        (pa.array([1.5, float("nan"), None, float("inf")]), ["1.5", None, None, "inf"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([decimal.Decimal("1.10")]), ["1.10"]),
        (pa.nulls(2), [None, None]),
        (pa.array([1], pa.date32()), ["1970-01-02"]),
        (pa.array([5_000_000_001], pa.timestamp("ns")), ["1970-01-01 00:00:05.000000001"]),
        (pa.array([1], pa.timestamp("us", "Mars/Base")), ["1970-01-01 00:00:00.000001Z"]),
        (pa.array([7], pa.duration("s")), ["7 s"]),
        (pa.array([[1, 2], None, []]), ["[1, 2]", None, "[]"]),
        (pa.array([{"a": 1}, None]), ["{'a': 1}", None]),
        (
            pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=1).bytes], pa.binary(16))),
            ["00000000-0000-0000-0000-000000000001"],
        ),
        (pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["r"])), ["r", "r"]),
    ],
)
def test_values_of_every_type_have_readable_names(column, names):
    assert named(column) == names


@pytest.mark.parametrize(
    "column",
    [
        pa.array([FAR, -FAR], pa.timestamp("s")),
        pa.array([2**31 - 1, -(2**31)], pa.date32()),
        pa.array([FAR, -FAR], pa.duration("s")),
        pa.array([[2**31 - 1], [5]], pa.list_(pa.date32())),
        pa.array([2**31 - 1, 5], pa.date32()).dictionary_encode(),
    ],
)
def test_dates_outside_the_calendar_have_different_names(column):
    first, second = named(column)
    assert first
    assert second
    assert first != second


def test_strings_that_are_not_utf_8_have_names():
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"a"]).buffers())
    assert named(broken) == ["\\xff", "a"]


def test_json_strings_are_named_without_quotes():
    field = pa.field("a", pa.string(), metadata={JSON_MARK: b""})
    assert named(pa.array(['"x"', "3", '["y"]', None]), field) == ["x", "3", '["y"]', None]


def test_batches_of_different_dictionaries_share_one_afterwards():
    parts = [pa.array(values).dictionary_encode() for values in (["a", "b"], [None, "b", "c"], [])]
    batches = [pa.record_batch([part.cast(pa.dictionary(pa.int8(), pa.string()))], ["a"]) for part in parts]
    whole = concatenate_dictionaries([format_values(batch, "a") for batch in batches])
    assert whole.to_pylist() == ["a", "b", None, "b", "c"]
    assert whole.dictionary.to_pylist() == ["a", "b", "c"]
    assert len(concatenate_dictionaries([])) == 0


def test_unused_entries_of_a_large_dictionary_are_dropped():
    large = pa.DictionaryArray.from_arrays(pa.array([7], pa.int32()), pa.array([str(n) for n in range(1_000)]))
    assert format_values(pa.record_batch([large], ["a"]), "a").dictionary.to_pylist() == ["7"]
