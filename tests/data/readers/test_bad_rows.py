import csv
import io
import json

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment_batch.data.readers import csv_rows, text
from sentiment_batch.data.readers.csv import CsvReader
from sentiment_batch.data.readers.jsonl import JSON_METADATA, JsonLinesReader
from sentiment_batch.errors import InputError
from sentiment_batch.records import Problem, ReadOptions
from tests.data.readers.helpers import read, read_or_refuse, read_splits


def read_with_bad_rows(reader_class, location, **options) -> tuple[list[dict], list[Problem]]:
    """All rows of `location`, and the reported problems; each is reported before the batch that holds its row."""
    reported: list[Problem] = []
    reader = reader_class(str(location), ReadOptions(on_bad_row=reported.append, **options))
    assert reported == [], "finding the columns reports nothing"
    rows: list[dict] = []
    for batch in reader.batches(reader.splits()[0]):
        late = [problem for problem in reported if problem.row >= len(rows) + batch.num_rows]
        assert late == [], "reported before its batch was near"
        seen = len(reported)
        rows += batch.to_pylist()
        assert seen == len(reported)
    reader.close()
    numbers = [problem.row for problem in reported]
    assert numbers == sorted(set(numbers)), "once for each row, in order"
    assert all("\n" not in problem.reason and "\n" not in problem.where for problem in reported)
    return rows, reported


def read_with_bad_rows_or_refuse(reader_class, location, **options):
    """The result of `read_with_bad_rows` and an empty text, or None and the one line of the error."""
    try:
        return read_with_bad_rows(reader_class, location, **options), ""
    except InputError as error:
        message = str(error)
    assert location.name in message
    assert "\n" not in message
    return None, message


@pytest.fixture
def load(tmp_path):
    """Reads bytes and keeps bad rows; returns the rows and the reported problems."""

    def load(data: bytes, name: str = "reviews.csv", **options):
        (tmp_path / name).write_bytes(data)
        return read_with_bad_rows(CsvReader if name.endswith("csv") else JsonLinesReader, tmp_path / name, **options)

    return load


def refused(load, data: bytes, name: str = "reviews.csv", **options) -> str:
    with pytest.raises(InputError) as caught:
        load(data, name, **options)
    message = str(caught.value)
    assert name in message
    assert "\n" not in message
    return message


# CSV


def test_a_row_of_too_few_fields_is_filled_up_with_empty_text(load):
    rows, reported = load(b"a,b,c\n1,2,3\n4\n5,6,7\n")
    assert rows[1] == {"a": "4", "b": "", "c": ""}
    assert reported == [
        Problem(row=1, where=reported[0].where, reason="1 field where the header has 3", original=b"4"),
    ]
    assert reported[0].where.endswith("reviews.csv, line 3")


def test_a_row_of_too_many_fields_loses_those_beyond_the_header(load):
    rows, [problem] = load(b"a,b\r\n1,2,x\xff\r\n3,4\r\n")
    assert rows == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert problem.reason == "3 fields where the header has 2"
    assert problem.original == b"1,2,x\xff"


def test_the_lines_of_a_record_with_line_breaks_are_told(load):
    _, [problem] = load(b'a,b\n1,2\n"x\r\ny"\n3,4\n')
    assert problem.where.endswith("line 3")
    assert problem.reason == "1 field where the header has 2, in a record that goes on to line 4"
    assert problem.original == b'"x\r\ny"'


def test_bytes_that_do_not_decode_become_replacement_characters(load):
    rows, [problem] = load("a,b\ncafé,1\n".encode() + b"caf\xe9 \xe2\x82,2\n" + "é\ufffd,3\n".encode())
    assert [row["a"] for row in rows] == ["café", "caf\ufffd \ufffd", "é\ufffd"]
    assert (problem.row, problem.reason) == (1, "byte 0xe9 in column 'a' is not utf-8")
    assert problem.original == b"caf\xe9 \xe2\x82,2"


@pytest.mark.parametrize(
    ("encoding", "bad", "cell"),
    [
        ("utf-8", b"x\xf0\x9f\x98y", "x\ufffdy"),
        ("utf-8", b"x\xed\xa0\x80y", "x\ufffd\ufffd\ufffdy"),
        ("cp1252", b"x\x81y", "x\ufffdy"),
        ("utf-16-le", b"x\0\x00\xd8y\0", "x\ufffdy"),
        ("utf-16-be", b"\0x\xdc\x00\0y", "x\ufffdy"),
        ("utf-32-le", b"x\0\0\0\xff\xff\xff\xffy\0\0\0", "x\ufffdy"),
        ("gb18030", b"x\xffy", "x\ufffdy"),
        ("gb18030", b"x\x81", "x\ufffd"),
        ("shift_jis", b"x\x81", "x\ufffd"),
        ("euc_kr", b"x\xff\xffy", "x\ufffd\ufffdy"),
    ],
)
def test_every_encoding_marks_what_does_not_decode(load, encoding, bad, cell):
    assert bad.decode(encoding, "replace") == cell
    lines = [
        "text,n".encode(encoding),
        "fine,1".encode(encoding),
        bad + ",2".encode(encoding),
        "well,3".encode(encoding),
    ]
    rows, [problem] = load("\n".encode(encoding).join(lines), encoding=encoding)
    assert rows == [{"text": "fine", "n": "1"}, {"text": cell, "n": "2"}, {"text": "well", "n": "3"}]
    assert (problem.row, problem.original) == (1, lines[2])
    assert problem.reason.endswith(f"in column 'text' is not {encoding}")


def test_an_odd_byte_at_the_end_of_utf_16_is_a_bad_row(load):
    rows, [problem] = load("a,b\n1,2\n".encode("utf-16") + b"\n")
    assert rows == [{"a": "1", "b": "2"}, {"a": "\ufffd", "b": ""}]
    assert problem.original == b"\n"
    assert problem.reason == "1 field where the header has 2; byte 0x0a in column 'a' is not utf-16"


def test_text_after_a_closing_quote_is_kept_in_a_bad_row(load):
    rows, reported = load(b'a,b\n"Great" movie,1\nfine,2\n"x" y,3,4\n"p"q\n')
    assert [row["a"] for row in rows] == ["Great movie", "fine", "x y", "pq"]
    assert [problem.reason for problem in reported] == [
        "a cell goes on after its closing quote",
        "a cell goes on after its closing quote; 3 fields where the header has 2",
        "a cell goes on after its closing quote; 1 field where the header has 2",
    ]
    assert [problem.original for problem in reported] == [b'"Great" movie,1', b'"x" y,3,4', b'"p"q']


def test_a_quote_that_never_closes_is_an_error_all_the_same(load):
    assert "line 3: a quote opens in this record and never closes" in refused(load, b'a,b\n1,2\n3,"4\n5,6\n')
    assert "line 2: a quote opens in this record and never closes" in refused(load, b'a,b\n"x" y,"4\n5,6\n')


def test_a_quote_that_closes_lines_later_stays_an_error(load):
    message = refused(load, b'a,b\n1,"2\n3,"4"\n5,6\n')
    assert "line 2: a cell goes on after its closing quote in line 3" in message
    assert "on_bad_row" not in message


def test_a_header_is_never_a_bad_row(load):
    message = refused(load, b"a,caf\xe9\n1,2\n3,4\n")
    assert "line 1: byte 0xe9 at offset 5 is not utf-8" in message
    assert "cp1252" in message
    assert "on_bad_row" not in message
    assert "on_bad_row" not in refused(load, b'"a"b,c\n1,2\n')


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.jsonl"])
def test_a_file_that_mostly_does_not_decode_is_refused(load, name):
    lines = ["text", *["Фильм очень хороший"] * 5] if name.endswith("csv") else ['{"a": "Фильм очень хороший"}'] * 3
    message = refused(load, "\n".join(lines).encode("cp1251"), name)
    assert "is not utf-8: most characters of its beginning do not decode" in message
    assert "cp1251" in message
    message = refused(load, "\n".join(["text", *["Le café était très bon."] * 30]).encode("cp1252"))
    assert "most lines" in message
    assert "cp1252" in message


def test_blank_rows_stay_left_out_and_do_not_count(load):
    rows, [problem] = load(b"a,b\n\n1,2\n   \n\n3\n\n")
    assert len(rows) == 2
    assert (problem.row, problem.original) == (1, b"3")
    assert problem.where.endswith("line 6")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_problems_are_numbered_across_batches(load, end, monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_ROWS_PER_BATCH", 7)
    data = end.join([b"a,b", *[b"%d,x" % n if n % 5 else b"%d" % n for n in range(50)]])
    rows, reported = load(data)
    assert [row["a"] for row in rows] == [str(n) for n in range(50)]
    assert [problem.row for problem in reported] == list(range(0, 50, 5))
    assert [problem.original for problem in reported] == [b"%d" % n for n in range(0, 50, 5)]
    assert [problem.where.rpartition(" ")[2] for problem in reported] == [str(n + 2) for n in range(0, 50, 5)]


def test_bad_quotes_in_a_row_do_not_make_a_batch_too_large(load, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_ROWS_PER_BATCH", 7)
    (tmp_path / "a.csv").write_bytes(b"a,b\n" + b'"x"y,1\n' * 50)
    reader = CsvReader(str(tmp_path / "a.csv"), ReadOptions(on_bad_row=lambda problem: None))
    sizes = [batch.num_rows for batch in reader.batches(reader.splits()[0])]
    reader.close()
    assert (max(sizes), sum(sizes)) == (7, 50)


def test_a_record_of_very_many_lines_is_kept_whole(load, monkeypatch):
    for module in (text, csv_rows):
        monkeypatch.setattr(module, "MAX_BATCH_CHARACTERS", 40)
    monkeypatch.setattr(text, "_MAX_SEPARATE_LINES", 3)
    record = b'"' + b"x\r\n" * 50 + b'"'
    rows, reported = load(b"a,b\n1,2\n3\n" + record + b"\n5,6\n" + record + b",1,2\n")
    assert len(rows) == 5
    assert [problem.original for problem in reported] == [b"3", record, record + b",1,2"]


def test_very_many_blank_lines_make_no_empty_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_BATCH_CHARACTERS", 10)
    (tmp_path / "a.csv").write_bytes(b"a,b\n" + b"\n" * 100 + b"1,2\n" + b"\n" * 100 + b"3\n")
    rows, [problem] = read_with_bad_rows(CsvReader, tmp_path / "a.csv")
    assert len(rows) == 2
    assert problem.where.endswith("line 203")


def test_rows_of_very_many_columns_come_in_small_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_CELLS_PER_BATCH", 35)
    (tmp_path / "a.csv").write_bytes(b",".join([b"x"] * 10) + b"\n" + b"1,2\n" * 20)
    reader = CsvReader(str(tmp_path / "a.csv"), ReadOptions(on_bad_row=lambda problem: None))
    assert {batch.num_rows for batch in reader.batches(reader.splits()[0])} == {3, 2}
    reader.close()


def test_each_pass_tells_anew(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,b\n1\n")
    reported: list[Problem] = []
    reader = CsvReader(str(tmp_path / "a.csv"), ReadOptions(on_bad_row=reported.append))
    assert read_splits(reader) == read_splits(reader)
    reader.close()
    assert len(reported) == 2
    assert reported[0] == reported[1]


def test_the_errors_name_the_option_that_keeps_bad_rows(tmp_path):
    for name, data in (
        ("a.csv", b"a,b\n1\n"),
        ("b.csv", b'a,b\n"x"y,1\n'),
        ("c.csv", b"a,b\n1,\xff\n"),
        ("d.jsonl", b'{"a": 1}\nx\n'),
        ("e.jsonl", b'{"a": "\xff"}\n'),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=r'keep such rows with `on_bad_row="mark"`\.$'):
            read(CsvReader if name.endswith("csv") else JsonLinesReader, tmp_path / name)


CSV_BYTES = st.lists(
    st.sampled_from([b"a", b"1,2", b",", b",", b'"', b"\n", b"\r\n", b"\r", b" ", b"\xff", b"\xe2\x82", b"\0"])
    | st.sampled_from([s.encode() for s in ("é", "😀", "\x85", "\u2028", "\ufeff", '""', '"x"')]),
    max_size=25,
).map(b"".join)


@given(CSV_BYTES, st.sampled_from([3, 8192]))
@example(b"1\xff,2\n\xe2\x82,\xff", 8192)
def test_a_csv_with_bad_rows_equals_its_text_with_replacements(tmp_path_factory, data, size):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    data = b"p,q\n" + data
    path.write_bytes(data)
    whole = data.decode("utf-8", "replace")
    try:
        expected = list(csv.reader(io.StringIO(whole, newline=""), strict=True))[1:]
    except csv.Error:
        expected = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows, "MAX_ROWS_PER_BATCH", size)
        found, message = read_with_bad_rows_or_refuse(CsvReader, path, delimiter=",", header=True)
    if found is None:
        assert expected is None or "of its beginning do not decode" in message
        return
    rows, reported = found
    assert all(problem.original in data for problem in reported)
    if expected is None:
        assert any("closing quote" in problem.reason for problem in reported)
        return
    records = [row for row in expected if len(row) > 1 or any(map(str.strip, row))]
    assert rows == [dict(zip("pq", [*row, ""][:2], strict=True)) for row in records]
    bad = [at for at, row in enumerate(records) if len(row) != 2 or "\ufffd" in "".join(row)]
    assert [problem.row for problem in reported] == bad
    for problem in reported:
        record = problem.original.decode("utf-8", "replace")
        assert list(csv.reader(io.StringIO(record, newline=""), strict=True)) == [records[problem.row]]


@given(CSV_BYTES)
def test_marking_changes_nothing_in_a_file_without_bad_rows(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "good.csv"
    path.write_bytes(b"p,q\n" + data)
    plain = read_or_refuse(CsvReader, path)
    if plain is not None:
        assert read_with_bad_rows(CsvReader, path) == (plain.to_pylist(), [])


@given(st.text("ab,é日😀\n", min_size=1, max_size=30), st.integers(0, 70), st.sampled_from([1, 0x80, 0xD8, 0xFF]))
def test_a_flipped_byte_of_utf_16_loses_no_row_before_it(tmp_path_factory, body, at, flip):
    path = tmp_path_factory.getbasetemp() / "flipped.csv"
    data = bytearray(("p,q\n1,2\n" + body).encode("utf-16"))
    at = min(18 + at, len(data) - 1)
    data[at] ^= flip
    path.write_bytes(data)
    found, message = read_with_bad_rows_or_refuse(CsvReader, path, delimiter=",")
    if found is None:
        assert "of its beginning do not decode" in message
        return
    rows, reported = found
    assert rows[0] == {"p": "1", "q": "2"}
    lines = bytes(data).decode("utf-16", "replace").split("\n")[1:]
    assert len(rows) == sum(1 for line in lines if "," in line or line.strip())
    assert all(problem.original in bytes(data) for problem in reported)


# JSON lines


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "column 8: not JSON: Expecting ',' delimiter"),
        (b"[1]", "a list where an object is needed"),
        (b"null", "null where an object is needed"),
        (b'{"a": ' + b"[" * 100_000, "lists or objects are nested too deeply"),
        (b'{"a": "x\xff', "byte 0xff is not utf-8; column 7: not JSON: Unterminated string starting at"),
        (b'{"a\xff": "x"}', "byte 0xff is not utf-8 in the name of a value"),
        (b'{"a": {"b\xff" : 1}}', "byte 0xff is not utf-8 in the name of a value"),
    ],
)
def test_a_line_that_is_no_object_is_a_row_of_nulls(load, line, reason):
    rows, [problem] = load(b'\n{"a": "x", "b": 1}\r\n' + line + b'\r\n\n{"a": "y", "b": 2}', "reviews.jsonl")
    assert rows == [{"a": "x", "b": 1}, {"a": None, "b": None}, {"a": "y", "b": 2}]
    assert (problem.row, problem.reason, problem.original) == (1, reason, line)
    assert problem.where.endswith("reviews.jsonl, line 3")


def test_bytes_in_values_become_replacement_characters(load):
    rows, [problem] = load(b'{"a": "caf\xe9: \\ud800", "b": 1}\n{"a": "\xc3\xa9", "b": 2}\n', "reviews.jsonl")
    assert rows == [{"a": "caf\ufffd: \ufffd", "b": 1}, {"a": "é", "b": 2}]
    assert problem.reason == "byte 0xe9 is not utf-8"


def test_bad_lines_do_not_change_the_types_of_the_columns(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1, "b": [1, "x"]}\n7\n{"a": 2, "b": "\xff"}\n')
    reported: list[Problem] = []
    reader = JsonLinesReader(str(tmp_path / "a.jsonl"), ReadOptions(on_bad_row=reported.append))
    assert (reader.num_rows, reported) == (3, [])
    assert reader.schema.field("a").type == pa.int64()
    assert reader.schema.field("b").metadata == JSON_METADATA
    assert read_splits(reader).to_pydict() == {"a": [1, None, 2], "b": ['[1, "x"]', None, '"\ufffd"']}
    assert [problem.row for problem in reported] == [1, 2]
    reader.close()


def test_lines_are_numbered_across_blocks(load):
    data = b"".join(b'{"a": %d}\n' % n if n % 1000 else b"oops\n\n" for n in range(20_001))
    rows, reported = load(data, "reviews.jsonl")
    assert len(rows) == 20_001
    assert [problem.row for problem in reported] == list(range(0, 20_001, 1000))
    assert reported[1].where.endswith("line 1,002")


def test_a_file_without_one_object_is_an_error_all_the_same(load):
    message = refused(load, b"x\ny\n", "reviews.jsonl")
    assert "line 1: column 1: not JSON" in message
    assert "on_bad_row" not in message


def test_a_list_in_the_first_line_is_a_bad_row_before_objects(load):
    rows, [problem] = load(b'[1]\n{"a": 1}\n', "reviews.jsonl")
    assert (rows, problem.row) == ([{"a": None}, {"a": 1}], 0)
    assert load(b'[{"a": 1}]\n', "reviews.jsonl") == ([{"a": 1}], [])


JSON_BYTES = st.lists(
    st.sampled_from([b'{"a": 1}', b'{"a": "x"}', b'{"b": [1]}', b"\n", b"\n", b"\r\n", b" ", b"{", b'"', b"}", b":"])
    | st.sampled_from([b"\xff", b"\xe2\x82", b"\0", b"7", b"null", b"[]", b"\\", b"\\ud800", "é\u2028\x85".encode()]),
    max_size=25,
).map(b"".join)


@given(JSON_BYTES)
def test_a_marked_json_lines_file_has_a_row_for_each_line(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    data = b'{"a": "first"}\n' + data
    path.write_bytes(data)
    found, message = read_with_bad_rows_or_refuse(JsonLinesReader, path)
    if found is None:
        assert "of its beginning do not decode" in message
        return
    rows, reported = found
    lines = [line for line in data.split(b"\n") if line.strip(b" \t\r")]
    assert len(rows) == len(lines)
    good = {at for at, line in enumerate(lines) if isinstance(_json(line), dict)}
    assert [problem.row for problem in reported] == sorted(set(range(len(lines))) - good)
    assert [problem.original for problem in reported] == [
        lines[problem.row].removesuffix(b"\r") for problem in reported
    ]


def _json(line: bytes):
    try:
        return json.loads(line.decode().strip(" \t\r"))
    except ValueError:
        return None
