"""Workbooks are read with the right types, rows and sheet. Every error is one line."""

from __future__ import annotations

import datetime
import io
import sys
import warnings
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from sentiment_batch_excel import reader
from workbooks import read, save, write

from sentiment_batch import Dialect, InputError, ReadOptions, UsageError

MOMENT = datetime.datetime(2024, 2, 29, 13, 14, 15, 678000)


def test_columns_have_the_type_of_their_cells(tmp_path):
    path = save(
        tmp_path / "a.xlsx",
        ["text", "n", "x", "ok", "when", "mixed", "none"],
        ["good", 1, 1.5, True, MOMENT, "a", None],
        [None, 2, 2, None, None, 1, None],
        ["bad", None, None, False, MOMENT, MOMENT, None],
    )
    table = read(path)
    assert table.schema == pa.schema(
        [
            ("text", pa.string()),
            ("n", pa.int64()),
            ("x", pa.float64()),
            ("ok", pa.bool_()),
            ("when", pa.timestamp("us")),
            ("mixed", pa.string()),
            ("none", pa.string()),
        ]
    )
    assert table.to_pydict() == {
        "text": ["good", None, "bad"],
        "n": [1, 2, None],
        "x": [1.5, 2.0, None],
        "ok": [True, None, False],
        "when": [MOMENT, None, MOMENT],
        "mixed": ["a", "1", "2024-02-29T13:14:15.678000"],
        "none": [None, None, None],
    }


def test_rows_come_in_batches_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "ROWS_PER_BATCH", 3)
    path = save(tmp_path / "a.xlsx", ["n"], *([number] for number in range(10)))
    found = reader.ExcelReader(path, ReadOptions())
    sizes = [batch.num_rows for batch in found.batches(found.splits()[0])]
    found.close()
    assert sizes == [3, 3, 3, 1]
    assert read(path).column(0).to_pylist() == list(range(10))


def test_empty_rows_stay_but_for_the_last(tmp_path):
    path = save(tmp_path / "a.xlsx", ["t"], ["a"], [None], ["b"], [None], [None])
    assert read(path).column(0).to_pylist() == ["a", None, "b"]


def test_a_column_without_a_name_is_not_lost(tmp_path):
    path = save(tmp_path / "a.xlsx", ["t", None, None], ["a", None, 1], ["b", None, None, "far"])
    assert read(path).to_pydict() == {"t": ["a", "b"], "column_3": [1, None], "column_4": [None, "far"]}


def test_a_header_alone_is_a_table_without_rows(tmp_path):
    table = read(save(tmp_path / "a.xlsx", ["a", 7]), header=True)
    assert (table.num_rows, table.schema.names) == (0, ["a", "7"])


def test_errors_in_cells_are_null_but_text_like_them_is_text(tmp_path):
    path = save(tmp_path / "a.xlsx", ["n"], [1], ["#N/A"])
    assert read(path).column(0).to_pylist() == [1, None]
    write(tmp_path / "b.xlsx", pa.table({"t": ["#N/A"]}))
    assert read(tmp_path / "b.xlsx").column(0).to_pylist() == ["#N/A"]


def test_a_wrong_size_in_the_file_loses_no_rows(tmp_path):
    path = save(tmp_path / "a.xlsx", ["a", "b"], [1, 2], [3, 4])
    changed = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1"'))
    assert read(changed).to_pydict() == {"a": [1, 3], "b": [2, 4]}


def test_the_first_visible_sheet_is_read_and_others_are_named(tmp_path, caplog):
    path = save(tmp_path / "a.xlsx", ["hidden"], sheets=("Notes", "Reviews", "More"))
    book = openpyxl.load_workbook(path)
    book["Notes"].sheet_state = "hidden"
    book["Reviews"].append(["text"])
    book.save(path)
    assert read(path).schema.names == ["text"]
    assert "reading the sheet 'Reviews' and not 'More'" in caplog.text


def test_standard_input_is_read(tmp_path, monkeypatch):
    data = io.BytesIO(Path(save(tmp_path / "a.xlsx", ["n"], [1])).read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    assert read("-").to_pydict() == {"n": [1]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read as a workbook"),
        (b"text,label\n", 'is text, such as CSV; give `input_format="csv"`'),
        (b"PAR1\x15\x04\x15\x10", 'is a Parquet file; give `input_format="parquet"`'),
        (b"PK\x03\x04text", r"save it again as \.xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", r"in the old \.xls format, or has a password\. Save it as"),
    ],
)
def test_a_file_that_is_no_workbook_is_reported(tmp_path, data, message):
    path = tmp_path / "a.xlsx"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"nowhere\.xlsx is not there"):
        read("nowhere.xlsx")


def test_an_empty_sheet_is_refused(tmp_path):
    with pytest.raises(InputError, match="sheet 'Sheet1': the sheet is empty"):
        read(save(tmp_path / "a.xlsx"))
    with pytest.raises(InputError, match="no row is left after the 9 that `skip_rows` skips"):
        read(save(tmp_path / "a.xlsx", ["text"], ["good"]), skip_rows=9)


def test_repeated_names_are_numbered(tmp_path, caplog):
    assert read(save(tmp_path / "a.xlsx", ["a", "b", "a"], [1, 2, 3])).schema.names == ["a", "b", "a_2"]
    assert "names of columns are changed: 'a' to 'a_2'" in caplog.text


def test_a_missing_header_is_a_question_with_two_answers(tmp_path):
    path = save(tmp_path / "a.xlsx", [5, "A sturdy chair, easy to build."], [1, "The lamp broke, sadly."])
    with pytest.raises(InputError, match=r"the first row looks like data.*`header=False`.*`header=True`"):
        read(path)
    assert read(path, header=False).to_pydict() == {
        "column_1": [5, 1],
        "column_2": ["A sturdy chair, easy to build.", "The lamp broke, sadly."],
    }
    assert read(path, header=True).schema.names == ["5", "A sturdy chair, easy to build."]


@pytest.mark.parametrize("blank", [[], [None, None, None]])
def test_a_title_is_a_question_with_two_answers(tmp_path, blank):
    rows = [["id", "text", "stars"], [1, "good", 5], [2, "bad", 1]]
    path = save(tmp_path / "a.xlsx", ["Customer reviews"], blank, *rows)
    with pytest.raises(InputError, match=r"row 3 looks like the header .*`skip_rows=2`.*row 1 .*`header=True`"):
        read(path)
    assert read(path, skip_rows=2).to_pydict() == {"id": [1, 2], "text": ["good", "bad"], "stars": [5, 1]}
    assert read(path, header=True).schema.names[0] == "Customer reviews"
    assert read(save(tmp_path / "b.xlsx", blank, *rows)).schema.names == rows[0], "blank rows alone are no question"


def test_comments_are_left_out(tmp_path):
    path = save(tmp_path / "a.xlsx", ["# tool"], ["id", "text"], [None, "# note"], [1, "#fail"], ["#", 2], [3, "bad"])
    assert read(path, comment="#").to_pydict() == {"id": [1, 3], "text": ["#fail", "bad"]}
    with pytest.raises(UsageError, match="`comment` takes one character"):
        read(path, comment="##")


def test_a_header_that_repeats_is_never_a_row(tmp_path):
    path = save(tmp_path / "a.xlsx", ["id", "text"], [1, "good"], ["id", "text"], [2, "bad"])
    with pytest.raises(InputError, match="row 3: the row repeats the header"):
        read(path)
    reported = []
    assert read(path, on_bad_row=reported.append).to_pydict() == {"id": [1, None, 2], "text": ["good", None, "bad"]}
    assert [(problem.row, problem.where.rpartition(" ")[2], problem.original) for problem in reported] == [
        (1, "3", b"id\ttext")
    ]


@pytest.fixture
def cover(tmp_path):
    """A workbook with a cover, a hidden sheet and two tables."""
    book = openpyxl.Workbook()
    for title, rows in {
        "Cover": [["Customer reviews"], ["of November"]],
        "Hidden": [["text"], ["hidden"]],
        "Reviews": [["id", "text"], [1, "good"], [2, "bad"]],
        "2": [["text"], ["fine"]],
    }.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book["Hidden"].sheet_state = "hidden"
    book.remove(book.worksheets[0])
    book.save(tmp_path / "cover.xlsx")
    return str(tmp_path / "cover.xlsx")


@pytest.mark.parametrize(
    ("sheet", "texts"),
    [("Reviews", ["good", "bad"]), ("Hidden", ["hidden"]), ("2", ["fine"]), ("3", ["fine"])],
)
def test_a_sheet_is_named_or_numbered(cover, sheet, texts):
    assert read(cover, sheet=sheet).column("text").to_pylist() == texts


def test_a_cover_before_tables_is_a_question(cover):
    with pytest.raises(InputError, match=r"'Cover', looks like no table.*`sheet='Reviews'` or `sheet='Cover'`"):
        read(cover)
    assert read(cover, sheet="Cover").schema.names == ["Customer reviews"]


def test_several_tables_of_texts_are_a_question(tmp_path):
    book = openpyxl.Workbook()
    for title in ("2025", "2026"):
        sheet = book.create_sheet(title)
        sheet.append(["review"])
        sheet.append([f"the film of {title}"])
    book.remove(book.worksheets[0])
    book.create_sheet("Notes").append(["made by hand"])
    book.save(tmp_path / "years.xlsx")
    with pytest.raises(InputError, match=r"sheets '2025', '2026' all look .* such as `sheet='2025'` or `sheet='2026'`"):
        read(str(tmp_path / "years.xlsx"))
    assert read(str(tmp_path / "years.xlsx"), sheet="2026").column("review").to_pylist() == ["the film of 2026"]


@pytest.mark.parametrize("sheet", ["", "0", "4", "reviews"])
def test_a_sheet_that_is_not_there_is_named_with_those_that_are(cover, sheet):
    with pytest.raises(UsageError, match=r"has no sheet .*; .*The sheets are 'Cover', 'Reviews', '2'\."):
        read(cover, sheet=sheet)


def test_the_dialect_says_what_was_assumed(cover, tmp_path):
    for options, assumed in (({"header": True}, ()), ({}, ("header",))):
        found = reader.ExcelReader(cover, ReadOptions(sheet="Reviews", **options))
        found.close()
        assert found.dialect == Dialect(header=True, skip_rows=0, sheet="Reviews", assumed=assumed)
    found = reader.ExcelReader(save(tmp_path / "a.xlsx", ["text"], ["good"]), ReadOptions())
    found.close()
    assert found.dialect.assumed == ("header", "sheet")


def test_a_damaged_file_gives_the_table_or_an_error(tmp_path):
    whole = Path(save(tmp_path / "a.xlsx", ["text", "n"], *(["good" * 9, n] for n in range(50)))).read_bytes()
    table = read(tmp_path / "a.xlsx")
    damaged = [whole[:size] for size in range(0, len(whole), 97)]
    for place in range(0, len(whole), 61):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    outcomes = set()
    for data in damaged:
        (tmp_path / "b.xlsx").write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcomes.add(outcome(tmp_path / "b.xlsx", table))
    assert outcomes == {"refused", "same"}


def outcome(path, table):
    try:
        return "same" if read(path).equals(table) else "different"
    except InputError:
        return "refused"
