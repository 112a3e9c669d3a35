"""Tables of every type, written and read back. The strategies are those of the tests of sentiment-batch."""

from __future__ import annotations

import math
import re
import struct

import numpy as np
import pyarrow as pa
import pytest
from conftest import read, write
from hypothesis import HealthCheck, Phase, example, given, settings
from sentiment_batch_sql.conversions import decoded_type

from sentiment_batch import OutputError
from sentiment_batch.writing import is_bytes

FROM_ROOT = "run from the root of sentiment-batch's repository"
arrow_tables = pytest.importorskip("tests.arrow_tables", reason=FROM_ROOT)
forms = pytest.importorskip("tests.comparable_schemas", reason=FROM_ROOT)
value_parsers = pytest.importorskip("tests.value_parsers", reason=FROM_ROOT)

PACKED = [*arrow_tables.TEXT, pa.int64(), pa.float32(), pa.bool_(), pa.date32()]
KINDS = arrow_tables.types([*arrow_tables.PLAIN, *arrow_tables.BYTES, *arrow_tables.EXTENSIONS], PACKED)
EXAMPLES = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink a table that a server takes would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
BY_TYPE = r"cannot hold the column .* Leave it out with `columns`"
BY_VALUE = {
    "postgresql": r"0x00|would lose data|out of bounds|out of range|date outside the years|a repeated key",
    "sqlite": r"a repeated key|date outside the years",
    "duckdb": r"would lose data|out of bounds|out of range|duplicate key|a repeated key|date outside the years",
}
MOMENTS = pa.array([[0, -638, 41_593 * 10**9], None], pa.list_(pa.int64(), 3)).cast(
    pa.list_(pa.timestamp("ns", "UTC"), 3)
)
STRUCTS = pa.StructArray.from_arrays(
    [MOMENTS, pa.array([1, None]).cast(pa.timestamp("us", "UTC"))], ["ns", "us"], mask=pa.array([False, True])
)


@EXAMPLES
@example(table=pa.table({"x": MOMENTS, "y": STRUCTS}))
@example(table=pa.table({"x": [math.inf, -math.inf, math.nan, -0.0, None]}))
@given(table=arrow_tables.tables(KINDS, calendar=True))
def test_every_value_arrives_or_is_refused(db, table):
    table = table.rename_columns([f"{number}{name}"[:15] for number, name in enumerate(table.schema.names)])
    refusal = refused(db, table)
    if refusal is not None:
        assert re.fullmatch(f".*({BY_TYPE}|{BY_VALUE[db.kind]}).*", refusal), refusal
        return
    back = read(db.url("table=t"))
    assert back.schema.names == table.schema.names
    for kind, column, found in zip(table.schema.types, forms.contents(table), back.columns, strict=True):
        exact = is_bytes(decoded_type(kind)) or (db.kind != "sqlite" and not pa.types.is_string(found.type))
        if pa.types.is_floating(found.type) and not exact:
            values = [real(value, kind) for value in column]
        else:
            # Only exact columns hold NaN. In others it is null.
            values = column if exact else [value_parsers.storable(value, json=True) for value in column]
        assert [value_of(scalar, kind) for scalar in found] == values


INSTANTS = [pa.timestamp("us"), pa.timestamp("us", "UTC")]
INFINITE = {
    "duckdb": {
        **dict.fromkeys([*INSTANTS, pa.timestamp("ns")], (1 - 2**63, 2**63 - 1)),
        pa.date32(): (1 - 2**31, 2**31 - 1),
    },
    "postgresql": {
        **dict.fromkeys(INSTANTS, (-(2**63), 946_684_800 * 10**6 - 2**63)),
        pa.date32(): (10_957 - 2**31,),
    },
}
"""The dates and times, counted from 1970, that a database would take for infinity or cannot receive."""


@pytest.mark.parametrize("kind", INFINITE)
def test_no_moment_becomes_infinity(make_db, kind):
    db = make_db(kind)
    for type, numbers in INFINITE[kind].items():
        for number in numbers:
            column = moments(number, type)
            nested = [in_a_map(column), pa.StructArray.from_arrays([column], ["a"])] if kind == "duckdb" else []
            for values in (column, *nested):
                assert "out of range" in refused(db, pa.table({"x": values}))


def test_values_next_to_infinity_are_unchanged(make_db):
    db = make_db("duckdb")
    for type, (low, high) in INFINITE["duckdb"].items():
        for column in (moments(low + 1, type), moments(high - 1, type)):
            table = pa.table({"x": column, "y": in_a_map(column)})
            assert refused(db, table) is None
            assert forms.contents(read(db.url("table=t"))) == forms.contents(table)


def test_seconds_are_refused_that_duckdb_would_not_read_again(make_db):
    column = moments(2**62, pa.timestamp("s"))
    for values in (column, in_a_map(column)):
        assert "out of bounds" in refused(make_db("duckdb"), pa.table({"x": values}))


def moments(number, kind):
    return pa.array([number, None], pa.int32() if pa.types.is_date(kind) else pa.int64()).cast(kind)


def in_a_map(column):
    """A column whose second row has the values of `column`."""
    return pa.MapArray.from_arrays([0, 0, len(column)], pa.array(["a", "b"]), column)[: len(column)]


def refused(db, table):
    """The error of writing the table; None if it was written."""
    try:
        write(db.url("table=t"), table, overwrite=True)
    except OutputError as error:
        return str(error)
    return None


def real(value, kind):
    """A float as SQLite stores it, given and returned as its bits: NaN is null, and there is one zero.

    A number of single precision becomes the double of the same short digits.
    """
    number = math.nan if value is None else struct.unpack("<d", value)[0]
    if not pa.types.is_float64(value_parsers.unpacked(kind)):
        number = float(str(np.float32(number)))
    return None if math.isnan(number) else struct.pack("<d", number + 0.0)


def value_of(scalar, kind):
    """The value that was read, in the form that `exact` returns."""
    kind = value_parsers.unpacked(kind)
    text = scalar.as_py() if pa.types.is_string(scalar.type) else None
    if text is None or pa.types.is_string(kind):
        value = forms.exact(scalar)
        return bool(value) if pa.types.is_boolean(kind) and value is not None else value
    if pa.types.is_duration(kind):
        return duration(text)
    return value_parsers.in_csv(text, kind)


def duration(text):
    """The nanoseconds of a duration as PostgreSQL, DuckDB or sentiment-batch writes it."""
    found = re.fullmatch(r"(-?)PT(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d+))?S)?", text)
    if found is None:
        sign, hours, minutes, seconds, rest = re.fullmatch(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?", text).groups()
        less = ""
    else:
        sign, hours, minutes, less, seconds, rest = found.groups()
    tail = int(seconds or 0) * 10**9 + int((rest or "").ljust(9, "0"))
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 * 10**9 + (-tail if less else tail)
    return -whole if sign else whole
