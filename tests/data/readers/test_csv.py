import csv
import gzip
import io
import json
import logging
import os
import sys
import threading
import time

import fsspec
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment_batch.data.formats import open_reader
from sentiment_batch.data.readers import text
from sentiment_batch.data.readers.base import MAX_ROWS_PER_BATCH
from sentiment_batch.data.readers.csv import CsvReader
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.records import ReadOptions
from tests.data.readers.helpers import read, read_or_refuse, read_splits, real_data

CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8) | st.sampled_from(
    ["", " ", '"', '""', "a,b", "\r", "\n", "\r\n", "007", "\x85", "\u2028", "\ufeff", "é😀", "NA", "1e5"]
)


@pytest.fixture
def load(tmp_path):
    """Reads bytes or text as a CSV file; gives a dictionary of columns."""

    def load(data: str | bytes, name: str = "reviews.csv", **options) -> dict[str, list[str]]:
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return read(CsvReader, tmp_path / name, **options).to_pydict()

    return load


@pytest.fixture
def logged(caplog):
    """The messages of the project's logger from now on."""
    caplog.set_level(logging.INFO, "sentiment_batch")
    return lambda: [record.getMessage() for record in caplog.records]


def refused(load, data, **options) -> str:
    with pytest.raises(InputError) as caught:
        load(data, **options)
    message = str(caught.value)
    assert "reviews.csv" in message
    assert "\n" not in message
    return message


def test_values_stay_the_text_that_they_are(load):
    table = load("id,text\n007,  two blanks  \n1.50,NA\n1e5,null\n")
    assert table == {"id": ["007", "1.50", "1e5"], "text": ["  two blanks  ", "NA", "null"]}


def test_empty_cells_are_empty_text_and_not_null(load):
    assert load('a,b\n,\n"",x\n') == {"a": ["", ""], "b": ["", "x"]}


def test_quotes_delimiters_and_line_breaks_stay_inside_quotes(load):
    assert load('a,b\n"x, ""y""","1\r\n2\n3\r4"\n') == {"a": ['x, "y"'], "b": ["1\r\n2\n3\r4"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_any_line_end_ends_a_record(load, end, last):
    assert load(f"a,b{end}1,2{end}3,4{end if last else ''}") == {"a": ["1", "3"], "b": ["2", "4"]}


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1e", "\0"])
def test_no_other_character_ends_a_record(load, character):
    assert load(f"a,b\nx{character}y,1\n") == {"a": [f"x{character}y"], "b": ["1"]}


def test_blank_lines_are_rows_only_where_there_is_one_column(load):
    assert load("text\n\ngood\n\n") == {"text": ["", "good", ""]}
    assert load('text\n""\ngood\n') == {"text": ["", "good"]}
    assert load("\n\na,b\n\n1,2\n   \n\n") == {"a": ["1"], "b": ["2"]}


def test_a_header_without_rows_is_a_table_without_rows(load):
    assert load("a,b\n") == {"a": [], "b": []}
    assert load("a,b") == {"a": [], "b": []}


@pytest.mark.parametrize("data", ["", "\n", "\r\n\r\n", "\ufeff"])
def test_a_file_without_a_header_is_refused(load, data):
    assert "is empty, not even a header" in refused(load, data)


def test_columns_get_names_of_their_own(load, logged):
    assert list(load("text,,text,text_2,\n1,2,3,4,5\n")) == ["text", "column_2", "text_3", "text_2", "column_5"]
    [message] = logged()
    assert "'text' to 'text_3', '' to 'column_5'" in message


def test_thousands_of_equal_names_become_distinct(load, logged):
    names = list(load(",".join(["text"] * 5_000) + "\n"))
    assert names == ["text", *(f"text_{number}" for number in range(2, 5_001))]
    assert any(message.endswith("'text' to 'text_13' and 4,987 more") for message in logged())


def test_distinct_names_are_not_mentioned(load, logged):
    assert list(load("Text,text,TEXT\n1,2,3\n")) == ["Text", "text", "TEXT"]
    assert logged() == []


@pytest.mark.parametrize(("record", "found"), [("3", "1 field "), ("3,4,5", "3 fields")])
def test_a_record_of_another_width_is_named(load, record, found):
    message = refused(load, f'a,b\n1,"x\ny"\n{record}\n')
    assert f"line 4: {found}" in message
    assert "where the header has 2" in message


def test_the_error_for_an_open_quote_names_its_first_line(load):
    assert "line 3: a quote opens in this record and never closes" in refused(load, 'a,b\n1,2\n3,"4\n5,6\n7,8\n')
    assert "line 1: a quote opens" in refused(load, 'a,"b\n1,2\n')


def test_text_after_a_closing_quote_is_refused(load):
    assert "line 2: a cell goes on after its closing quote" in refused(load, 'a,b\n"Great" movie,1\n')


def test_a_quote_inside_a_cell_is_only_a_character(load):
    assert load('a,b\n5\'10",x "y" z\n') == {"a": ["5'10\""], "b": ['x "y" z']}


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", ""), ("utf-8", "\ufeff"), ("utf-16-le", "\ufeff"), ("utf-16-be", "\ufeff"), ("utf-32-le", "\ufeff")],
)
def test_the_encoding_goes_by_the_byte_order_mark(load, encoding, mark):
    assert load((mark + "text,n\ncafé 😀,1\n").encode(encoding)) == {"text": ["café 😀"], "n": ["1"]}


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16-le", "shift_jis", "UTF8", "utf-16"])
def test_an_encoding_that_is_named_is_used(load, encoding):
    word = "日本" if encoding == "shift_jis" else "café"
    assert load(f"text\n{word}\n".encode(encoding), encoding=encoding) == {"text": [word]}


@pytest.mark.parametrize(("named", "real"), [("utf-8", "utf-8-sig"), ("utf-16-le", "utf-16"), ("UTF_8", "utf-8-sig")])
def test_a_byte_order_mark_is_no_part_of_the_first_name(load, named, real):
    assert load("text\nx\n".encode(real), encoding=named) == {"text": ["x"]}


def test_an_unknown_encoding_is_wrong_usage(load):
    for encoding in ("utf-9", "base64", "a\0b"):
        with pytest.raises(UsageError, match="`encoding`: "):
            load("a\n1\n", encoding=encoding)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("rows", [1, 200_000])
def test_a_byte_that_does_not_decode_is_located(load, mark, rows):
    before = mark + b"text\r\n" + b"fine\r\n" * rows + b"ca"
    message = refused(load, before + b"f\xe9 noir\n")
    assert f"line {rows + 2:,}: byte 0xe9 at offset {len(before) + 1:,} is not utf-8" in message
    assert "`encoding`" in message
    assert "cp1252" in message


def test_a_character_cut_off_at_the_end_is_located(load):
    assert "line 2: byte 0xc3 at offset 8 is not utf-8" in refused(load, b"text\ncaf\xc3")


def test_utf_16_without_a_mark_is_recognized(load):
    assert 'give `encoding="utf-16-le"`' in refused(load, "text,label\nx,y\n".encode("utf-16-le"))
    assert 'give `encoding="utf-16-be"`' in refused(load, "text,label\nx,y\n".encode("utf-16-be"))
    assert "is not utf-16" in refused(load, "text,label\nx,y\n".encode("utf-16-be"), encoding="utf-16")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~"])
def test_the_delimiter_is_found_in_the_header(load, logged, delimiter):
    rows = f'id{delimiter}text\n1{delimiter}"a,b;c\td|e"\n2{delimiter}Well, I; said | so'.replace(f" {delimiter}", " ")
    data = rows.replace(f"Well{delimiter}", "Well").replace(f"I{delimiter}", "I")
    assert load(data)["text"][0] == "a,b;c\td|e"
    assert logged() == []


def test_prose_in_one_column_is_not_cut_at_its_commas(load):
    assert load("text\nGood, cheap\nBad, dear\n") == {"text": ["Good, cheap", "Bad, dear"]}
    assert load("text\nGood, cheap; fast | nice\t!\n") == {"text": ["Good, cheap; fast | nice\t!"]}


def test_a_comma_in_the_title_of_a_single_column_does_not_cut(load):
    title = "Comments, if any"
    assert load(f"{title}\nGood\nBad, dear\nNo\n") == {title: ["Good", "Bad, dear", "No"]}


def test_the_records_decide_between_two_delimiters(load):
    assert load("id;text, raw\n1;good, bad, ugly\n2;fine\n") == {
        "id": ["1", "2"],
        "text, raw": ["good, bad, ugly", "fine"],
    }


def test_a_bad_record_in_the_sample_does_not_hide_the_delimiter(load):
    assert "line 2: 3 fields where the header has 2" in refused(load, "text,label\nGreat, really,1\nbad,0\n")


def test_the_ending_tsv_means_tabs(load, logged):
    assert load("text, long\tn\na,b\t1\n", "reviews.tsv") == {"text, long": ["a,b"], "n": ["1"]}
    assert load(gzip.compress(b"a,b\n1,2\t\n"), "reviews.TSV.gz", on_bad_row=print) == {"a,b": ["1,2"]}
    assert load("text;n\na,b;1\n", "reviews.tsv") == {"text": ["a,b"], "n": ["1"]}  # no tab anywhere
    assert logged() == []


@pytest.mark.parametrize(
    ("delimiter", "data"), [("\\t", "a\tb\n1,\t2\n"), ("\t", "a\tb\n1,\t2\n"), ("§", "a§b\n1,§2\n")]
)
def test_a_delimiter_that_is_named_is_used(load, delimiter, data):
    assert load(data, delimiter=delimiter) == {"a": ["1,"], "b": ["2"]}


def test_a_named_delimiter_that_the_first_row_lacks_is_warned_of(load, logged):
    said = "the first row does not hold the delimiter ';', so the file is read as one column"
    assert load("a,b\n1,2\n", delimiter=";") == {"a,b": ["1,2"]}
    assert load("a\n1\n", delimiter=";") == {"a": ["1"]}
    assert load("a;b\n1;2\n", delimiter=";") == {"a": ["1"], "b": ["2"]}
    assert load("#\na;b\n1;2\n", delimiter=";", comment="#") == {"a": ["1"], "b": ["2"]}
    assert load('"a\n";b\n1;2\n', delimiter=";", header=True) == {"a\n": ["1"], "b": ["2"]}
    first, second = logged()
    assert first.endswith(f"{said}. Its delimiter may be ','")
    assert second.endswith(said)


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\\n"])
def test_a_delimiter_is_one_character(load, delimiter):
    with pytest.raises(UsageError, match="`delimiter` takes one character"):
        load("a\n1\n", delimiter=delimiter)


def test_a_sample_cut_inside_a_cell_still_shows_the_delimiter(load):
    prose = "Well, I said; " * 50_000
    assert load(f'id;text\n1;"{prose}"\n') == {"id": ["1"], "text": [prose]}
    assert load(f"id;text\n1;{prose.replace(';', '')}\n") == {"id": ["1"], "text": [prose.replace(";", "")]}


def test_a_cell_may_be_longer_than_the_csv_rows_likes(load):
    cell = "x,\n" * 100_000
    assert load(f'id,text\n1,"{cell}"\n2,y\n') == {"id": ["1", "2"], "text": [cell, "y"]}


def test_a_line_without_end_is_refused(load, monkeypatch):
    monkeypatch.setattr(text, "MAX_ROW_CHARACTERS", 1000)
    assert "a line of over 1,000 characters" in refused(load, "id,text\n1," + "x" * 2000)


def test_batches_are_bounded_in_rows(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 20_000)
    reader = CsvReader(str(tmp_path / "a.csv"), ReadOptions())
    sizes = [batch.num_rows for batch in reader.batches(reader.splits()[0])]
    reader.close()
    assert sum(sizes) == 20_000
    assert max(sizes) <= MAX_ROWS_PER_BATCH


def test_batches_are_bounded_in_characters(tmp_path, monkeypatch):
    monkeypatch.setattr("sentiment_batch.data.readers.csv_rows.MAX_BATCH_CHARACTERS", 10_000)
    (tmp_path / "a.csv").write_text("a,b\n" + f"1,{'x' * 998}\n" * 100)
    reader = CsvReader(str(tmp_path / "a.csv"), ReadOptions())
    sizes = [batch.num_rows for batch in reader.batches(reader.splits()[0])]
    reader.close()
    assert sum(sizes) == 100
    assert max(sizes) == 10


def test_rows_come_before_the_end_is_read(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 50_000 + "broken\n")
    reader = CsvReader(str(tmp_path / "a.csv"), ReadOptions())
    batches = reader.batches(reader.splits()[0])
    assert next(batches).num_rows > 0
    with pytest.raises(InputError, match="line 50,002"):
        list(batches)
    reader.close()


def test_reading_twice_gives_the_same(tmp_path, stdin):
    data = b'a;b\n1;"x\ny"\n2;z\n'
    (tmp_path / "a.csv").write_bytes(data)
    stdin(data)
    for location in (f"{tmp_path}/a.csv", "-"):
        reader = CsvReader(location, ReadOptions())
        assert read_splits(reader) == read_splits(reader) == pa.table({"a": ["1", "2"], "b": ["x\ny", "z"]})
        reader.close()
        reader.close()


def test_standard_input_is_called_by_its_name(stdin):
    stdin(b"a,b\n1\n")
    with pytest.raises(InputError, match=r"^standard input, line 2: "):
        read(CsvReader, "-")


def test_a_remote_file_is_read(memory):
    assert read(CsvReader, memory.put("a.csv", b"a\n1\n")).to_pydict() == {"a": ["1"]}


def test_another_format_is_named_for_what_it_is(load):
    assert "is a ZIP archive; " in refused(load, b"PK\x03\x04" + b"\0" * 40)


def test_abandoned_batches_leave_no_file_open(tmp_path):
    (tmp_path / "a.csv").write_text("a\n" + "1\n" * 50_000)
    reader = CsvReader(str(tmp_path / "a.csv"), ReadOptions())
    batches = reader.batches(reader.splits()[0])
    next(batches)
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        list(batches)


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=20)),
    # With "\n" alone the csv module of Python 3.11 would leave a "\r" in a cell without quotes.
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL), ("\r", csv.QUOTE_ALL)]),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@example([["\x85"], [""], ["\0"]], ("\r\n", csv.QUOTE_MINIMAL), ",", "utf-8")
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, rows, dialect, delimiter, encoding):
    end, quoting = dialect
    names = [f"column {index}" for index in range(len(rows[0]) if rows else 1)]
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([names, *rows])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(sink.getvalue().encode(encoding))
    found = read(CsvReader, path, header=True).to_pydict()
    assert list(zip(*found.values(), strict=True)) == [tuple(row) for row in rows]


@given(st.binary(max_size=60) | st.text('ab,;\t"\r\n\0é', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes(data)
    read_or_refuse(CsvReader, path)


def test_the_csv_spectrum_is_read_exactly(tmp_path):
    folder = real_data("suites", "csv-spectrum")
    files = sorted((folder / "csvs").glob("*.csv"))
    assert len(files) == 12
    for path in files:
        raw = path.read_bytes()
        if "crlf" in path.stem and b"\r" not in raw:
            raw = raw.replace(b"\n", b"\r\n")  # some copies of the suite went through a tool that took them away
        (tmp_path / path.name).write_bytes(raw)
        encoding = None if _is_utf_8(raw) else "latin-1"
        expected = json.loads((folder / "json" / f"{path.stem}.json").read_bytes().decode(encoding or "utf-8"))
        expected = expected if isinstance(expected, list) else [expected]
        rows = read(CsvReader, tmp_path / path.name, encoding=encoding).to_pylist()
        if path.stem == "location_coordinates":  # the suite contradicts itself here: the two have different numbers
            assert rows[0].pop("Contact Phone Number") == "2095257564"
            del expected[0]["Contact Phone Number"]
        assert rows == expected, path.name


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_naughty_strings_survive(tmp_path, quoting):
    strings = json.loads(real_data("suites", "blns", "blns.json").read_text(encoding="utf-8"))
    with open(tmp_path / "blns.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=quoting).writerows([["text", "n"], *([string, "1"] for string in strings)])
    assert read(CsvReader, tmp_path / "blns.csv").column("text").to_pylist() == strings


def test_quotes_are_text_where_the_user_says_so(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('sentence\tlabel\n"Great" movie\t1\n"never closed\t0\n', encoding="utf-8")
    with pytest.raises(InputError, match="`quotes=False`"):
        read(CsvReader, path)
    found = read(CsvReader, path, quotes=False)
    assert found.to_pylist() == [
        {"sentence": '"Great" movie', "label": "1"},
        {"sentence": '"never closed', "label": "0"},
    ]


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "sep=,", "sep=\t", "sep="])
def test_a_line_for_excel_names_the_delimiter(tmp_path, line):
    path = tmp_path / "export.csv"
    path.write_text(f"{line}\r\nid;review\r\n1;good, really\r\n", encoding="utf-8")
    assert read(CsvReader, path).to_pydict() == {"id": ["1"], "review": ["good, really"]}


@pytest.mark.parametrize("header", [None, True, False])
def test_more_columns_than_a_table_has_are_refused(load, header):
    message = refused(load, b" " * 100_000 + b"\nmore words\n", delimiter=" ", header=header)
    assert "has 100,001 columns, more than 100,000. Name the right `delimiter`" in message


def test_a_header_of_a_million_quotes_is_read_in_seconds(load):
    started = time.process_time()
    refused(load, b"s" + b'"' * 1_000_000 + b",b;c\n1\n", quotes=False)
    assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["many.csv", "many.csv.gz", "many.csv.bz2", "memory://many.csv"])
def test_the_number_of_rows_is_estimated_while_they_are_read(tmp_path, name):
    location = name if "://" in name else str(tmp_path / name)
    with fsspec.open(location, "wt", compression="infer") as file:
        file.write("id,review\n")
        file.writelines(f"{n},film {n * n % 9_973} was {'very ' * (n % 7)}good\n" for n in range(100_000))
    reader = open_reader(location)
    assert reader.num_rows is reader.estimate_rows() is None
    estimates = []
    (split,) = reader.splits()
    for _ in reader.batches(split):
        estimates.append(reader.estimate_rows())
    reader.close()
    assert estimates[-1] == 100_000
    assert all(50_000 < one < 110_000 for one in estimates[len(estimates) // 2 :])


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of Unix")
def test_a_stream_has_no_estimate(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("id,review\n1,good\n",))
    writer.start()
    reader = open_reader(str(path), format="csv")
    assert sum(batch.num_rows for batch in reader.batches(reader.splits()[0])) == 1
    assert reader.estimate_rows() is None
    reader.close()
    writer.join()
