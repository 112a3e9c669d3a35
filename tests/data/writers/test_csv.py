"""Every CSV reader reads the values of the table from our CSV."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.writers import csv as our_csv
from sentiment_batch.data.writers import register_writers
from sentiment_batch.data.writers.csv import CsvEncoder
from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.plugins.registry import Registry
from sentiment_batch.records import WriteOptions
from tests.data.writers.helpers import DECIMALS, SCALARS, TEXTS, array, encode, same, tables, values

TEXT_COLUMNS = {
    pa.string(): TEXTS,
    pa.large_string(): TEXTS,
    pa.string_view(): TEXTS,
    pa.dictionary(pa.int8(), pa.string()): TEXTS,
}


def lines(*columns, names=None, **options):
    arrays = [column if isinstance(column, pa.Array) else pa.array(column) for column in columns]
    names = names or [f"c{index}" for index in range(len(arrays))]
    return encode(CsvEncoder, pa.table(arrays, names=names), **options).decode().split("\n", 1)[1]


def rows_of(data, delimiter=","):
    return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, strict=True))


def expected_rows(table):
    return [table.schema.names] + [
        ["" if value is None else value for value in row.values()] for row in table.to_pylist()
    ]


@given(tables(TEXT_COLUMNS), st.sampled_from(",;\t|^]-\\a€"))
def test_text_reads_back_with_the_standard_library(table, delimiter):
    assert rows_of(encode(CsvEncoder, table, delimiter=delimiter), delimiter) == expected_rows(table)


@given(tables(TEXT_COLUMNS))
def test_text_reads_back_with_pyarrow(table):
    table = table.rename_columns([f"c{index}" for index in range(table.num_columns)])
    read = pyarrow.csv.read_csv(
        io.BytesIO(encode(CsvEncoder, table)),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(table.schema.names, pa.string())),
    )
    assert [list(row.values()) for row in read.to_pylist()] == expected_rows(table)[1:]


@given(tables({pa.string(): TEXTS}, most_rows=6))
def test_text_reads_back_with_polars(table):
    table = table.rename_columns([f"c{index}" for index in range(table.num_columns)])
    read = pl.read_csv(encode(CsvEncoder, table), infer_schema=False).fill_null("")
    assert [list(row) for row in read.rows()] == expected_rows(table)[1:]


NUMBERS_AND_DATES = {
    kind: made
    for kind, made in SCALARS.items()
    if kind not in {*TEXT_COLUMNS, pa.duration("ms"), pa.decimal256(60, 4)}  # which pyarrow's CSV reader does not know
}


@given(tables(NUMBERS_AND_DATES, least_columns=2))
def test_numbers_and_dates_read_back_as_the_same_type(table):
    table = table.rename_columns([f"c{index}" for index in range(table.num_columns)])
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    convert = pyarrow.csv.ConvertOptions(column_types=types, null_values=[""])
    read = pyarrow.csv.read_csv(io.BytesIO(encode(CsvEncoder, table)), convert_options=convert)
    assert read.schema.types == table.schema.types
    assert same(values(read), values(table))


def test_quotes_stand_only_where_a_reader_needs_them():
    assert lines(["plain", " lead", 'q"q', "a,b", "a\nb", "a\rb", ""], range(7)) == (
        'plain,0\n lead,1\n"q""q",2\n"a,b",3\n"a\nb",4\n"a\rb",5\n,6\n'
    )


def test_null_and_empty_text_are_both_an_empty_field():
    assert lines(["", None], ["x", "y"]) == ",x\n,y\n"


@pytest.mark.parametrize("blank", ["", None, " ", "\t "])
def test_a_table_of_one_column_has_no_blank_line(blank):
    data = encode(CsvEncoder, pa.table({"text": pa.array(["a", blank, "b"], pa.string())}))
    assert data.decode() == f'text\na\n"{blank or ""}"\nb\n'
    assert pl.read_csv(data, infer_schema=False).height == 3


def test_names_are_quoted_and_may_repeat():
    data = encode(CsvEncoder, pa.table([[1], [2], [3]], names=["a,b", "x", "x"]))
    assert data == b'"a,b",x,x\n1,2,3\n'


def test_a_name_may_begin_like_a_byte_order_mark():
    data = encode(CsvEncoder, pa.table([[1], [2]], names=["\ufeffa", "b"]))
    assert data.decode("utf-8-sig") == '"\ufeffa",b\n1,2\n'


def test_there_is_no_byte_order_mark_and_no_carriage_return():
    assert encode(CsvEncoder, pa.table({"é": ["ü"]})) == "é\nü\n".encode()


def test_a_table_without_rows_has_its_header():
    assert encode(CsvEncoder, pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.int8())})) == b"a,b\n"


def test_floats_are_as_short_as_exact_and_stay_floats():
    assert lines(pa.array([0.9876, 1, 1e20, float("nan"), float("-inf"), -0.0], pa.float32())) == (
        "0.9876\n1.0\n1e+20\nnan\n-inf\n-0.0\n"
    )
    assert lines(pa.array([0.1, 0.1 + 0.2])) == "0.1\n0.30000000000000004\n"


def test_numbers_are_quoted_where_the_delimiter_is_in_them():
    assert lines([1.5], [2], delimiter=".") == '"1.5".2\n'


def test_booleans_decimals_and_dates_have_their_plain_text():
    moment = datetime.datetime(2024, 2, 29, 1, 2, 3, 4)
    assert (
        lines(
            [True],
            [decimal.Decimal("1.10")],
            [moment.date()],
            [moment],
            pa.array([moment], pa.timestamp("us", "UTC")),
            pa.array([moment], pa.timestamp("us", "Asia/Kolkata")),
            pa.array([moment.time()]),
            pa.array([-90250], pa.duration("ms")),
        )
        == "true,1.10,2024-02-29,2024-02-29T01:02:03.000004,2024-02-29T01:02:03.000004Z,"
        "2024-02-29T06:32:03.000004+05:30,01:02:03.000004,-PT90.250S\n"
    )


def test_an_instant_before_whole_minute_offsets_is_exact():
    text = lines(pa.array([-(2**31)], pa.int64()).cast(pa.timestamp("s", "Europe/Paris"))).strip()
    assert datetime.datetime.fromisoformat(text).timestamp() == -(2**31)


def test_a_zone_unknown_to_this_machine_is_written_in_utc():
    assert lines(pa.array([0], pa.int64()).cast(pa.timestamp("s", "No/Where"))) == "1970-01-01T00:00:00Z\n"


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("us", "Europe/Paris"), pa.date32()])
def test_a_date_that_has_no_text_is_refused(kind):
    number = pa.array([2**31 - 1 if kind == pa.date32() else 2**62]).cast(
        pa.int32() if kind == pa.date32() else pa.int64()
    )
    with pytest.raises(OutputError, match=r"'when' holds a date outside the years 1 to 9999.*`columns`"):
        encode(CsvEncoder, pa.table({"when": number.cast(kind)}))


def test_a_name_with_another_delimiter_is_quoted():
    assert encode(CsvEncoder, pa.table({"a;b": ["c;d"]})) == b'"a;b"\nc;d\n'


def test_a_struct_whose_names_repeat_is_refused():
    kind = pa.struct([("x", pa.int8()), ("x", pa.int8())])
    with pytest.raises(OutputError, match=r"CSV cannot hold the column 'a': two fields of .* are named 'x'"):
        CsvEncoder(io.BytesIO(), pa.schema([("a", kind)]), WriteOptions())


FORMULAS = [
    *("=1+1", "+1+1", "-1-1", "@x", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x"),
    *("-", "-5x", "+5 ", "-.", "-5\n", "--5", "-1,5", "+e5", "-٣", "-5\n=1"),
]
PLAIN_TEXTS = ["'=1", " =1", "a=1", "1-1", "", None, "é=1", "a\n=1"]
NUMBER_TEXTS = ["-5", "+3.5e2", "-1.50", "+491234", "-.5", "-5.", "-1E-7"]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()), pa.json_()]
)
def test_formulas_in_text_get_an_apostrophe_if_asked(kind):
    plain = [*PLAIN_TEXTS, *NUMBER_TEXTS]
    texts = [*FORMULAS, *plain]
    column = pa.ExtensionArray.from_storage(kind, pa.array(texts)) if kind == pa.json_() else array(kind, texts)
    table = pa.table({"=t": column, "n": range(len(texts))})
    escaped = [row[0] for row in rows_of(encode(CsvEncoder, table, escape_formulas=True))]
    assert escaped == ["'=t", *(f"'{text}" for text in FORMULAS), *(text or "" for text in plain)]
    as_it_is = [row[0] for row in rows_of(encode(CsvEncoder, table))]
    assert as_it_is == ["=t", *FORMULAS, *(text or "" for text in plain)]


def test_numbers_are_never_escaped():
    columns = [[-1], [-1.5], [decimal.Decimal("-1.50")], pa.array([-1], pa.duration("s")), [[-1]]]
    assert lines(*columns, escape_formulas=True) == lines(*columns) == "-1,-1.5,-1.50,-PT1S,[-1]\n"
    field = pa.field("meta", pa.string(), metadata={b"sentiment_batch.json": b"1"})
    table = pa.table([["-5", '"=1"'], [1, 2]], schema=pa.schema([field, ("i", pa.int64())]))
    assert [row[0] for row in rows_of(encode(CsvEncoder, table, escape_formulas=True))] == ["meta", "-5", '"=1"']


def test_an_escaped_text_that_is_not_utf_8_keeps_its_bytes():
    offsets = pa.array([0, 3], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"=\xff\xc3")])
    assert encode(CsvEncoder, pa.table({"a": broken}), escape_formulas=True) == b"a\n'=\xff\xc3\n"


def test_nested_values_are_json_text():
    nested = pa.array([{"a": [1, None], "b": 'x,"y'}, None])
    (first, number), second = rows_of(encode(CsvEncoder, pa.table({"n": nested, "i": [1, 2]})))[1:]
    assert json.loads(first) == {"a": [1, None], "b": 'x,"y'}
    assert (number, second) == ("1", ["", "2"])


def test_text_that_is_json_already_is_written_as_it_is():
    field = pa.field("meta", pa.string(), metadata={b"sentiment_batch.json": b"1"})
    data = encode(CsvEncoder, pa.table([['{"a": 1}'], [1]], schema=pa.schema([field, ("i", pa.int64())])))
    assert rows_of(data)[1] == ['{"a": 1}', "1"]


def test_bytes_that_are_not_utf_8_come_out_as_they_went_in():
    offsets = pa.array([0, 3], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b'\xff"\xc3')])
    assert encode(CsvEncoder, pa.table({"a": broken})) == b'a\n"\xff""\xc3"\n'


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.binary(), "binary"),
        (pa.binary(4), "fixed_size_binary"),
        (pa.list_(pa.struct([("x", pa.large_binary())])), "large_binary within list"),
        (pa.dictionary(pa.int8(), pa.binary()), "binary"),
        (pa.list_(pa.uuid()), "fixed_size_binary"),
        (pa.month_day_nano_interval(), "month_day_nano_interval"),
        (pa.sparse_union([pa.field("a", pa.int8())]), "sparse_union"),
    ],
)
def test_a_type_without_text_is_refused_before_any_writing(kind, message):
    stream = io.BytesIO()
    with pytest.raises(OutputError, match=rf"CSV cannot hold the column 'raw': {message}.*`columns`, or write Parquet"):
        CsvEncoder(stream, pa.schema([("text", pa.string()), ("raw", kind)]), WriteOptions())
    assert stream.getvalue() == b""


def test_a_table_without_columns_is_refused():
    with pytest.raises(OutputError, match="without columns"):
        CsvEncoder(io.BytesIO(), pa.schema([]), WriteOptions())


@pytest.mark.parametrize("delimiter", ["ab", '"', "\n"])
def test_a_delimiter_that_cannot_delimit_is_refused(delimiter):
    with pytest.raises(UsageError, match=r"`delimiter` is .*; it must be one character"):
        CsvEncoder(io.BytesIO(), pa.schema([("a", pa.int8())]), WriteOptions(delimiter=delimiter))


@pytest.mark.parametrize(
    ("name", "delimiter", "line"),
    [("o.csv", None, "a,b"), ("o.tsv", None, "a\tb"), ("o.TAB", None, "a\tb"), ("o.tsv", ";", "a;b")],
)
def test_the_suffix_gives_the_delimiter_unless_one_is_set(tmp_path, name, delimiter, line):
    registry = Registry()
    register_writers(registry)
    opened = registry.claiming(name).open
    writer = opened(
        str(tmp_path / name), pa.schema([("a", pa.int8()), ("b", pa.int8())]), WriteOptions(delimiter=delimiter)
    )
    writer.commit()
    assert (tmp_path / name).read_text() == line + "\n"


def test_many_rows_are_written_in_portions(monkeypatch):
    monkeypatch.setattr(our_csv, "MAX_ROWS_AT_ONCE", 3)
    assert lines(range(10)) == "".join(f"{number}\n" for number in range(10))


@given(st.lists(DECIMALS))
def test_decimals_keep_their_digits(numbers):
    written = lines(pa.array(numbers, pa.decimal128(18, 4))).split("\n")[:-1]
    assert [decimal.Decimal(text) for text in written] == numbers
