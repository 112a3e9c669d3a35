import gzip
import io
import pickle
import sqlite3
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.readers import file_signatures
from sentiment_batch.data.readers.file_signatures import detect_kind, refuse_other_formats
from sentiment_batch.errors import InputError

TABLE = pa.table({"text": ["good", "bad"]})


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    return sink.getvalue()


def arrow(new) -> bytes:
    sink = io.BytesIO()
    with new(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return sink.getvalue()


def archive(name: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr(name, "x")
    return sink.getvalue()


def sqlite() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (a)")
    data = connection.serialize()
    connection.close()
    return data


def tar() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("reviews.csv"))
    return sink.getvalue()


def orc() -> bytes:
    sink = io.BytesIO()
    pyarrow.orc.write_table(TABLE, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (parquet(), "parquet"),
        (arrow(pa.ipc.new_file), "arrow"),
        (arrow(pa.ipc.new_stream), "arrow"),
        (archive("[Content_Types].xml"), "office"),
        (archive("reviews.csv"), "zip"),
        (sqlite(), "sqlite"),
        (gzip.compress(b"text"), "gzip"),
        (pickle.dumps(["text"]), "pickle"),
        (b"\n<!DOCTYPE html><html>", "html"),
        (b"<HTML><body>", "html"),
        (b"%PDF-1.7\n", "pdf"),
        (b"Rar!\x1a\x07\x01\x00", "rar"),
        (b"version https://git-lfs.github.com/spec/v1\n", "lfs"),
        (tar(), "tar"),
        (orc(), "orc"),
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
def test_files_are_known_by_their_first_bytes(data, name):
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
def test_text_is_not_taken_for_anything_else(text):
    assert detect_kind(text) is None


def test_the_message_says_what_the_file_is_and_what_to_do():
    with pytest.raises(InputError, match=r"^reviews\.csv is a Parquet file; give --input-format parquet\.$"):
        refuse_other_formats("reviews.csv", parquet())


def test_every_message_is_one_sentence_with_what_to_do():
    for kind in file_signatures._BY_START:
        with pytest.raises(InputError) as caught:
            refuse_other_formats("reviews.csv", kind[0] + b"\1" * 300)
        message = str(caught.value)
        assert message.startswith("reviews.csv is ")
        assert "; " in message
        assert message.count(".") == message.count(".csv") + message.count(" .") + 1 or "._" in message


def test_a_format_does_not_refuse_its_own():
    refuse_other_formats("reviews.parquet", parquet(), own="parquet")
