"""Values that a cell can hold read back. Others are refused."""

from __future__ import annotations

import datetime
import decimal
import gc
import io
import json
import math
import os
import time
import zipfile

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentiment_batch_excel import cells, writer
from workbooks import read, save, values_in, write

from sentiment_batch import OutputError, WriteOptions

MOMENT = datetime.datetime(2024, 2, 29, 13, 14, 15, 678000)

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
TEXTS |= st.sampled_from(["=1+1", "#N/A", " lead", "trail ", "a\nb", "a\r\nb", "\r", "\t", "\x00\x01\x1f", "_x0041_"])
TEXTS |= st.sampled_from(
    ["_x005F_", "_x000D_", "<b>&amp;", "007", "1e5", "TRUE", "\ufffe\uffff", "_x005F_x0041_", "😀"]
)
WHOLE = st.integers(-(10**15) + 1, 10**15 - 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXTS | st.none(), WHOLE | st.none(), st.floats(allow_nan=False, allow_infinity=False))))
def test_text_and_numbers_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("excel") / "a.xlsx"
    texts, numbers, floats = ([row[index] for row in rows] for index in range(3))
    schema = pa.schema([("t", pa.string()), ("n", pa.int64()), ("x", pa.float64())])
    write(path, pa.table([texts, numbers, floats], schema=schema))
    back = read(path)
    while rows and not any(value is not None for value in rows[-1]):
        rows.pop()
    assert back.column("t").to_pylist() == texts
    assert [value if value is None else int(value) for value in back.column("n").to_pylist()] == numbers
    assert [None if value is None else float(value) for value in back.column("x").to_pylist()] == floats


@given(st.text(max_size=20) | TEXTS)
def test_escapes_are_undone(text):
    escaped = cells.escape(text)
    assert cells.unescape(escaped) == text
    assert not set(escaped) & {chr(code) for code in range(32) if chr(code) not in "\t\n"}


@given(st.datetimes(datetime.datetime(1900, 3, 1), datetime.datetime(9999, 12, 31)))
@settings(max_examples=60, deadline=None)
def test_timestamps_read_back_to_the_microsecond(tmp_path_factory, moment):
    path = tmp_path_factory.mktemp("excel") / "a.xlsx"
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    write(path, pa.table({"a": pa.array([moment], pa.timestamp("us")), "b": pa.array([whole], pa.timestamp("us"))}))
    row = read(path).to_pylist()[0]
    assert row["b"] == whole
    assert (row["a"] if moment == whole else datetime.datetime.fromisoformat(row["a"])) == moment


def test_text_is_never_a_formula(tmp_path):
    texts = ["=1+1", "+1", "@x", "\tx", "\uff1d1", "\uff20x"]
    write(tmp_path / "a.xlsx", pa.table({"=name": texts}))
    cells = [row[0] for row in openpyxl.load_workbook(tmp_path / "a.xlsx").active.iter_rows()]
    assert [(cell.value, cell.data_type) for cell in cells] == [(text, "s") for text in ("=name", *texts)]


def test_every_type_has_its_cell(tmp_path):
    table = pa.table(
        {
            "bool": [True],
            "f32": pa.array([0.9876], pa.float32()),
            "nan": [math.nan],
            "dec": pa.array([decimal.Decimal("12.10")]),
            "long": pa.array([decimal.Decimal("1234567890123456.10")]),
            "big": [2**53 + 1],
            "date": [MOMENT.date()],
            "old": [datetime.date(1900, 1, 1)],
            "zone": pa.array([MOMENT], pa.timestamp("ms", "Asia/Kolkata")),
            "lmt": pa.array([-(2**31)], pa.int64()).cast(pa.timestamp("s", "Europe/Paris")),
            "ns": pa.array([1], pa.timestamp("ns")),
            "time": [datetime.time(1, 2, 3)],
            "dur": pa.array([-90250], pa.duration("ms")),
            "dict": pa.array(["pos"]).dictionary_encode(),
            "list": [[{"a": 1.5, "b": math.nan, "c": MOMENT}]],
            "empty": [""],
        }
    )
    write(tmp_path / "a.xlsx", table)
    names, row = values_in(tmp_path / "a.xlsx")
    found = dict(zip(names, row, strict=True))
    assert json.loads(found.pop("list")) == [{"a": 1.5, "b": None, "c": MOMENT.isoformat()}]
    assert found == {
        "bool": True,
        "f32": 0.9876,
        "nan": None,
        "dec": 12.1,
        "long": "1234567890123456.10",
        "big": "9007199254740993",
        "date": datetime.datetime(2024, 2, 29),
        "old": "1900-01-01",
        "zone": "2024-02-29T18:44:15.678+05:30",
        "lmt": "1901-12-13T20:45:52Z",
        "ns": "1970-01-01T00:00:00.000000001",
        "time": "01:02:03.000000",
        "dur": "-PT90.250S",
        "dict": "pos",
        "empty": None,
    }


@pytest.mark.parametrize(
    "text", ["x" * 32_768, "😀" * 16_384, "\x01" * 5_000], ids=["characters", "utf-16 units", "escapes"]
)
def test_a_text_too_long_for_a_cell_is_refused_and_nothing_left(tmp_path, text):
    with pytest.raises(
        OutputError, match=r"the column 't' holds a text of .* Excel can hold 32,767\. Write CSV or Parquet"
    ):
        write(tmp_path / "a.xlsx", pa.table({"t": ["fine", text]}))
    assert os.listdir(tmp_path) == []


def test_the_longest_text_fits(tmp_path):
    write(tmp_path / "a.xlsx", pa.table({"t": ["x" * 32_767]}))
    assert read(tmp_path / "a.xlsx").column(0).to_pylist() == ["x" * 32_767]


def test_too_many_rows_are_refused_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "MAX_ROWS", 10)
    write(tmp_path / "nine.xlsx", pa.table({"n": range(9)}))
    with pytest.raises(OutputError, match=r"there are too many rows: Excel allows 10 with the header\. Write Parquet"):
        write(tmp_path / "ten.xlsx", pa.table({"n": range(10)}))
    assert os.listdir(tmp_path) == ["nine.xlsx"]


def test_too_many_columns_are_refused(tmp_path):
    schema = pa.schema([(f"c{number}", pa.int8()) for number in range(16_385)])
    with pytest.raises(OutputError, match="Excel allows 16,384"):
        write(tmp_path / "a.xlsx", schema.empty_table())


@pytest.mark.parametrize("kind", [pa.binary(), pa.list_(pa.binary(3)), pa.month_day_nano_interval()])
def test_a_type_without_a_cell_is_refused_before_any_writing(tmp_path, kind):
    with pytest.raises(OutputError, match=r"Excel cannot hold the column 'raw': .*`columns`"):
        write(tmp_path / "a.xlsx", pa.schema([("raw", kind)]).empty_table())
    assert os.listdir(tmp_path) == []


def test_an_existing_workbook_stays_without_overwrite(tmp_path):
    path = save(tmp_path / "a.xlsx", ["old"])
    with pytest.raises(OutputError, match="exists already"):
        write(path, pa.table({"new": [1]}))
    write(path, pa.table({"new": [1]}), overwrite=True)
    assert values_in(path) == [["new"], [1]]


def test_each_timestamp_is_a_date_if_excel_can_store_it(tmp_path):
    ticks = pa.array([1_700_000_000_123_000_000, 1_700_000_000_123_000_001], pa.int64())
    write(tmp_path / "a.xlsx", pa.table({"t": ticks.cast(pa.timestamp("ns"))}))
    assert values_in(tmp_path / "a.xlsx")[1:] == [
        [datetime.datetime(2023, 11, 14, 22, 13, 20, 123000)],
        ["2023-11-14T22:13:20.123000001"],
    ]


def test_writing_later_in_other_batches_gives_the_same_bytes(tmp_path, monkeypatch):
    moments = pa.array([1_700_000_000_123_000_000 + row % 2 for row in range(50)], pa.int64()).cast(pa.timestamp("ns"))
    table = pa.table({"t": ["good", None] * 25, "m": moments, "d": pa.array(["a", "b"] * 25).dictionary_encode()})
    write(tmp_path / "a.xlsx", table)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10**7)
    monkeypatch.setattr(time, "localtime", lambda *when: time.gmtime(now + 10**7))
    write(tmp_path / "b.xlsx", pa.Table.from_batches(table.to_batches(max_chunksize=7)))
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.xlsx") as archive:
        assert archive.testzip() is None
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_aborted_output_leaves_no_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    encoder = writer.ExcelEncoder(io.BytesIO(), pa.schema([("n", pa.int8())]), WriteOptions())
    encoder.write(pa.record_batch({"n": pa.array([1], pa.int8())}))
    assert len(os.listdir(tmp_path)) == 1
    del encoder
    gc.collect()
    assert os.listdir(tmp_path) == []


def test_bytes_that_are_not_utf_8_become_replacement_characters(tmp_path):
    offsets = pa.array([0, 3], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"a\xffb")])
    write(tmp_path / "a.xlsx", pa.table({"t": broken}))
    assert read(tmp_path / "a.xlsx").column(0).to_pylist() == ["a\ufffdb"]
