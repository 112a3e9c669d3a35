"""Values of every type of each database are read."""

from __future__ import annotations

import datetime
import decimal

import pyarrow as pa
import pytest
from conftest import read

from sentiment_batch import InputError, Problem, ReadOptions
from sentiment_batch.data.formats import open_reader

UTC = datetime.UTC
NULLS = "WITH s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 3000) SELECT NULL FROM s"
POSTGRESQL = {
    "true": True,
    "1::int2": 1,
    "2::int4": 2,
    "3::int8": 3,
    "1.5::float4": 1.5,
    "'NaN'::float8 = 'NaN'": True,
    "'x'::text": "x",
    "'v'::varchar(9)": "v",
    "'c'::char(3)": "c  ",
    "12345678901234567890.1230::numeric(40,4)": "12345678901234567890.1230",
    "'NaN'::numeric": "NaN",
    "'2020-01-02 03:04:05.678901+02'::timestamptz": datetime.datetime(2020, 1, 2, 1, 4, 5, 678901, UTC),
    "'2020-01-02 03:04:05.678901'::timestamp": datetime.datetime(2020, 1, 2, 3, 4, 5, 678901),
    "'0001-01-01'::date": datetime.date(1, 1, 1),
    "'23:59:59.999999'::time": datetime.time(23, 59, 59, 999999),
    "'24:00:00'::time": "24:00:00",
    "'10:00+02'::timetz": "10:00:00+02",
    "'1 mon -2 days 3.5 s'::interval": "P1M-2DT3.5S",
    r"'\x00ff'::bytea": b"\x00\xff",
    "'0e7a0861-aeac-4b63-921e-94f71ec7360d'::uuid": "0e7a0861-aeac-4b63-921e-94f71ec7360d",
    """'{"b": 1.0,  "a": "é"}'::json""": '{"b": 1.0,  "a": "é"}',
    """'{"b": 1.0,  "a": "é"}'::jsonb""": '{"a": "é", "b": 1.0}',
    "'{1,NULL}'::int4[]": [1, None],
    "'{a,NULL,\"\"}'::text[]": ["a", None, ""],
    "'{1.50}'::numeric[]": ["1.50"],
    "'{2020-01-01,infinity}'::date[]": ["2020-01-01", "infinity"],
    "'{{1,2},{3,4}}'::int4[]": "{{1,2},{3,4}}",
    "'[0:1]={1,2}'::int4[]": "[0:1]={1,2}",
    "'1.2.3.4/8'::inet": "1.2.3.4/8",
    "'infinity'::timestamp": "infinity",
    "'-infinity'::timestamptz": "-infinity",
    "'infinity'::date": "infinity",
    "'101'::bit(3)": "101",
    "'a'::\"char\"": "a",
    "'x'::name": "x",
    "4294967295::oid": "4294967295",
    "3.5::money": "$3.50",
    "point(1,2)": "(1,2)",
    "int4range(1,4)": "[1,4)",
    "'sad'::mood": "sad",
    "7::positive": 7,
    "'a fat cat'::tsvector": "'a' 'cat' 'fat'",
    "ROW(1, 'a b')": '(1,"a b")',
    "NULL": None,
    "'literal'": "literal",
}
DUCKDB = {
    "true": True,
    "(-128)::tinyint": -128,
    "18446744073709551615::ubigint": 2**64 - 1,
    "1.50::decimal(38,2)": decimal.Decimal("1.50"),
    "sum(1)": decimal.Decimal(1),
    "'-170141183460469231731687303715884105728'::hugeint": "-170141183460469231731687303715884105728",
    "'340282366920938463463374607431768211455'::uhugeint": "340282366920938463463374607431768211455",
    "1.5::float": 1.5,
    "'x'": "x",
    "'x'::enum('x', 'it''s')": "x",
    r"'\x00\xFF'::blob": b"\x00\xff",
    "date '2020-01-02'": datetime.date(2020, 1, 2),
    "'infinity'::date": "infinity",
    "time '10:11:12.5'": datetime.time(10, 11, 12, 500000),
    "timestamp '2020-01-02 03:04:05.678901'": datetime.datetime(2020, 1, 2, 3, 4, 5, 678901),
    "timestamptz '2020-01-02 03:04:05.678901+02'": datetime.datetime(2020, 1, 2, 1, 4, 5, 678901, UTC),
    "'infinity'::timestamp": "infinity",
    "interval '1 month 2 days 3.5 seconds'": "1 month 2 days 00:00:03.5",
    "'0e7a0861-aeac-4b63-921e-94f71ec7360d'::uuid": "0e7a0861-aeac-4b63-921e-94f71ec7360d",
    """'{"a": [1.0]}'::json""": '{"a": [1.0]}',
    "'10110'::bit": "10110",
    "[1, NULL]": [1, None],
    "[1, 2]::int[2]": [1, 2],
    "{'a': 1, 'b': [date '2020-01-02']}": {"a": 1, "b": [datetime.date(2020, 1, 2)]},
    "map {'k': 1}": [("k", 1)],
    "[interval '1 day']": '["1 day"]',
    "{'u': uuid '0e7a0861-aeac-4b63-921e-94f71ec7360d'}": '{"u":"0e7a0861-aeac-4b63-921e-94f71ec7360d"}',
    "union_value(n := 1)": "1",
    "NULL": None,
}


def test_every_type_of_postgresql_has_its_value(pg):
    pg.run("CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    query = "SELECT " + ", ".join(f"{sql} AS c{place}" for place, sql in enumerate(POSTGRESQL))
    table = read(pg.url(), query=query)
    assert dict(zip(POSTGRESQL, [column.to_pylist()[0] for column in table.columns], strict=True)) == POSTGRESQL


def test_every_type_of_duckdb_has_its_value(duck):
    duck.run("CREATE TABLE t (a int)")
    query = "SELECT " + ", ".join(f"{sql} AS c{place}" for place, sql in enumerate(DUCKDB))
    table = read(duck.url(), query=query)
    assert dict(zip(DUCKDB, [column.to_pylist()[0] for column in table.columns], strict=True)) == DUCKDB


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("1, NULL, -9223372036854775808", [1, None, -(2**63)]),
        ("1.5, 2, NULL", [1.5, 2.0, None]),
        ("1.5, 9007199254740993", ["1.5", "9007199254740993"]),
        ("1, 'a'", ["1", "a"]),
        ("0.1, 1e300, 0.30000000000000004, 'a'", ["0.1", "1.0e+300", "0.30000000000000004", "a"]),
        ("'é', ''", ["é", ""]),
        ("'a' || char(0) || 'b', 'c'", ["a\0b", "c"]),
        ("x'00ff', NULL", [b"\0\xff", None]),
        ("x'00ff', 1", ["00FF", "1"]),
        ("x'636166c3a9', 'a', 7", ["café", "a", "7"]),
        ("NULL", [None]),
    ],
)
@pytest.mark.parametrize("declared", ["", "BLOB"])
def test_late_values_of_sqlite_decide_the_type_too(lite, values, expected, declared):
    lite.run(f"CREATE TABLE t (a {declared})", "INSERT INTO t " + NULLS)
    lite.run(*[f"INSERT INTO t VALUES ({value})" for value in values.split(", ")])
    found = read(lite.url("table=t"))["a"].to_pylist()
    assert found[:3000] == [None] * 3000
    assert found[3000:] == expected


def test_sqlites_declared_types_decide_where_there_are_no_values(lite):
    lite.run("CREATE TABLE t (a BIGINT, b VARCHAR(9), c DOUBLE, d BLOB, e, f DECIMAL(3, 1))")
    table = read(lite.url("table=t"))
    assert table.schema.types == [pa.int64(), pa.string(), pa.float64(), pa.binary(), pa.string(), pa.string()]
    assert table.num_rows == 0


def test_bytes_among_texts_of_sqlite_are_texts_or_bad_rows(lite):
    lite.run("CREATE TABLE t (a, b)", "INSERT INTO t VALUES ('good', 1), (x'636166c3a9', 'x'), ('c', x'636166e9')")
    bad: list[Problem] = []
    reader = open_reader(lite.url("table=t"), options=ReadOptions(on_bad_row=bad.append))
    [batch] = reader.batches(reader.splits()[0])
    assert batch.to_pydict() == {"a": ["good", "café", "c"], "b": ["1", "x", "caf\ufffd"]}
    assert [(problem.row, problem.original) for problem in bad] == [(2, b"caf\xe9")]
    with pytest.raises(InputError, match=r"column 'b', row 2 .* is not UTF-8\. Repair that value"):
        list(open_reader(lite.url("table=t")).batches(reader.splits()[0]))
