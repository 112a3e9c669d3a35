import gzip
import io
import pickle
import random
import sqlite3
import struct
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.readers import sniff
from sentiment_batch.data.readers.csv import CsvReader
from sentiment_batch.data.readers.jsonl import JsonLinesReader
from sentiment_batch.data.readers.sniff import detect_kind, detect_text_kind, refuse_other_formats, refuse_text
from sentiment_batch.errors import InputError
from tests.data.readers.helpers import read

TABLE = pa.table({"text": ["good", "bad"]})


def make_parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    return sink.getvalue()


def make_arrow(new) -> bytes:
    sink = io.BytesIO()
    with new(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return sink.getvalue()


def make_zip(name: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr(name, "x")
    return sink.getvalue()


def make_sqlite() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (a)")
    data = connection.serialize()
    connection.close()
    return data


def make_tar() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("reviews.csv"))
    return sink.getvalue()


def make_orc() -> bytes:
    sink = io.BytesIO()
    pyarrow.orc.write_table(TABLE, sink)
    return sink.getvalue()


# Made inside the tests, because their bytes hold the time or depend on the installed versions.
MADE = {
    "Parquet": (make_parquet, "parquet"),
    "Arrow file": (lambda: make_arrow(pa.ipc.new_file), "arrow"),
    "Arrow stream": (lambda: make_arrow(pa.ipc.new_stream), "arrow"),
    "workbook": (lambda: make_zip("[Content_Types].xml"), "office"),
    "ZIP": (lambda: make_zip("reviews.csv"), "zip"),
    "SQLite": (make_sqlite, "sqlite"),
    "gzip": (lambda: gzip.compress(b"text", mtime=0), "gzip"),
    "pickle": (lambda: pickle.dumps(["text"]), "pickle"),
    "tar": (make_tar, "tar"),
    "ORC": (make_orc, "orc"),
}


@pytest.mark.parametrize(("make", "name"), MADE.values(), ids=MADE)
def test_files_of_other_programs_are_detected(make, name):
    kind = detect_kind(make())
    assert kind is not None
    assert kind.name == name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\n<!DOCTYPE html><html>", "html"),
        (b"<HTML><body>", "html"),
        (b"%PDF-1.7\n", "pdf"),
        (b"Rar!\x1a\x07\x01\x00", "rar"),
        (b"version https://git-lfs.github.com/spec/v1\n", "lfs"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "jpeg"),
        (b"GIF89a\x01\0", "gif"),
        (b"Obj\x01\x04\x14avro.codec", "avro"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<reviews>', "xml"),
        (b'<?xml version="1.0"?><!DOCTYPE html><html>', "html"),
        (b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>', "office"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code>', "xml"),
        ("\ufeff<!DOCTYPE html><html>".encode("utf-16-le"), "html"),
        (b"-- MySQL dump 10.13  Distrib 8.0.32\n", "sql"),
        (b"--\n-- PostgreSQL database dump\n--\n", "sql"),
        (b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n", "sql"),
        (b"CREATE TABLE reviews (id int, text varchar(200));\n", "sql"),
        (b"[InternetShortcut]\r\nURL=https://example.org/reviews.csv\r\n", "url"),
        (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0", "lnk"),
        (b"\0\x05\x16\x07\0\x02\0\0", "appledouble"),
        (b"{\\rtf1\\ansi", "rtf"),
        (b"\0" * 4096, "zeros"),
    ],
)
def test_files_are_detected_by_their_first_bytes(data, name):
    kind = detect_kind(data)
    assert kind is not None
    assert kind.name == name


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"text,label\n",
        b"PAR1,PAR2\n1,2\n",
        b"PAR1\n",
        b"PK,name\n",
        b"BZh9,a\n",
        b"version,https\n",
        "\ufefftext\n".encode("utf-16"),
        "\ufefftext\n".encode(),
        b'{"text": "<html>"}\n',
        b"ORC,name\n1,2\n",
        b"GIF,name\n",
        b"-- text,label\n",
        b"create,table\n",
        b"<text>,label\n",
        b"\0,b\n",
    ],
)
def test_text_is_not_detected_as_another_format(text):
    assert detect_kind(text) is None


def test_the_error_names_the_format_and_the_cure():
    with pytest.raises(InputError, match=r'^reviews\.csv is a Parquet file; give `input_format="parquet"`\.$'):
        refuse_other_formats("reviews.csv", make_parquet())


def test_every_error_is_one_sentence_with_a_cure():
    for signature, _ in sniff._SIGNATURES:
        with pytest.raises(InputError) as caught:
            refuse_other_formats("reviews.csv", signature + b"\1" * 300)
        message = str(caught.value)
        assert message.startswith("reviews.csv is ")
        assert "; " in message
        assert message.count(".") == message.count(".csv") + message.count(" .") + 1 or "._" in message


def test_a_format_does_not_refuse_its_own():
    refuse_other_formats("reviews.parquet", make_parquet(), own="parquet")


@pytest.fixture
def refusal(tmp_path):
    """The error for bytes under a wrong name, which is the same whether bad rows are kept or not."""

    def refusal(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        reader_class = CsvReader if name.endswith("csv") else JsonLinesReader
        messages = set()
        for on_bad_row in (None, lambda problem: None):
            with pytest.raises(InputError) as caught:
                read(reader_class, tmp_path / name, on_bad_row=on_bad_row)
            messages.add(str(caught.value))
        [message] = messages
        assert "\n" not in message
        return message.removeprefix(f"{tmp_path}/")

    return refusal


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_lines_under_the_name_csv_are_detected(refusal, encoding):
    data = ' {"text" : "Good, cheap", "label": 1}\n{"text": "Bad"}\n'.encode(encoding)
    assert refusal("a.csv", data) == 'a.csv is JSON lines, not CSV; give `input_format="jsonl"`.'


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'[\n  {"text": "Good, cheap"}\n]\n', "a JSON array"),
        (b'{\n  "text": "Good, cheap"\n}\n', "JSON with an object over several lines"),
    ],
)
def test_other_json_named_csv_is_refused_with_a_cure(refusal, data, what):
    assert refusal("a.csv", data) == f'a.csv is {what}, not CSV; give `input_format="jsonl"`.'


@pytest.mark.parametrize(
    "data", [b"text,label\nGood,1\nBad,0\n", b"\xef\xbb\xbfid;text\n1;good\n", b'text\tn\n"a\tb"\t1\n', b"a,b\n"]
)
def test_csv_under_the_name_jsonl_is_detected(refusal, data):
    assert refusal("a.jsonl", data) == 'a.jsonl is CSV, not JSON lines; give `input_format="csv"`.'


def test_a_bad_first_line_does_not_make_json_lines_a_csv(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'oops, a, b\n{"a": 1}\n')
    reported = []
    assert read(JsonLinesReader, tmp_path / "a.jsonl", on_bad_row=reported.append).to_pydict() == {"a": [None, 1]}
    assert [problem.row for problem in reported] == [0]


@pytest.mark.parametrize("header", ["[id],[text]", "{id},{text}", '"{",b', "{,b", '["x"],b'])
def test_brackets_in_a_header_are_not_json(tmp_path, header):
    (tmp_path / "a.csv").write_text(f"{header}\n1,2\n", encoding="utf-8")
    assert read(CsvReader, tmp_path / "a.csv").num_rows == 1


def test_zero_bytes_are_detected(refusal):
    for name in ("a.csv", "a.jsonl"):
        assert "is nothing but zero bytes, as an interrupted copy leaves them" in refusal(name, b"\0" * 5000)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"text,label\nGood,1\n", "csv"),
        (b"\xef\xbb\xbfid;text\n", "csv"),
        ("text\ncafé\n".encode("cp1252"), "csv"),
        ("текст\nхорошо\n".encode("utf-16"), "csv"),
        ("id,text\n1,good\n".encode("utf-16-le"), "csv"),
        ("id,text\n1,good\n".encode("utf-32-be"), "csv"),
        ('{"text": "Good"}\n'.encode("utf-16"), "jsonl"),
        (b'{"text": "Good"}\n', "jsonl"),
        (b'[{"text": "Good"}]\n', "json array"),
    ],
)
def test_text_under_the_name_of_a_binary_format_is_detected(head, name):
    kind = detect_text_kind(head)
    assert kind is not None
    assert kind.name == name
    with pytest.raises(InputError, match=r'^a\.parquet is .*; .*`input_format="(csv|jsonl)"`\.$'):
        refuse_text("a.parquet", head)


BINARY = {
    "dBASE": b"\x03\x7c\x0b\x1c\x03\0\0\0\x41\0\x29\0".ljust(32, b"\0")
    + b"TEXT\0\0\0\0\0\0\0C".ljust(33, b"\0")
    + b"\r Great",
    "counters": struct.pack("<200I", *range(200)),
    "noise": random.Random(1).randbytes(4096),
    "texts with lengths": b"".join(struct.pack("<I", 10) + b"Great film" for _ in range(20)),
}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("options", [{}, {"encoding": "cp1252"}, {"on_bad_row": print}])
@pytest.mark.parametrize("reader", [CsvReader, JsonLinesReader])
def test_binary_data_is_never_read_as_text(tmp_path, name, options, reader):
    (tmp_path / "a.csv").write_bytes(BINARY[name])
    with pytest.raises(InputError, match=r"a\.csv is (a dBASE table|binary data, not text)[.;]"):
        read(reader, tmp_path / "a.csv", **options)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("iso2022_kr", "id,text\n1,이 영화는 정말 재미있었어요\n"),
        ("iso2022_jp", "id,text\n1,この映画はとても面白かった\n"),
        ("hz", "id,text\n1,这部电影非常好看\n"),
        ("utf-32-le", "id,text\n1,Great film\n"),
        ("utf-32-be", "id,text\n1,이 영화는\n"),
        ("utf-16-le", "id,text\n1,Great film\n"),
    ],
)
def test_encodings_that_look_like_ascii_or_binary_are_named(tmp_path, refusal, encoding, text):
    assert refusal("a.csv", text.encode(encoding)) == f'a.csv looks like {encoding}; give `encoding="{encoding}"`.'
    assert read(CsvReader, tmp_path / "a.csv", encoding=encoding).num_rows == 1


def test_colours_of_a_terminal_are_no_encoding(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,\x1b[31mred\x1b[0m and $5 ~{x}\n2,\x01\x02\n")
    assert read(CsvReader, tmp_path / "a.csv").num_rows == 2


def test_binary_data_is_not_detected_as_text():
    for head in (make_parquet(), b"", b"\xfd\xfc" * 20, b"\x01\x02", b"a\0b"):
        assert detect_text_kind(head) is None
        refuse_text("a.parquet", head)
