import gzip
import io
import pickle
import sqlite3
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.errors import InputError
from sentiment_batch.readers.signatures import kind_of, refuse_foreign

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
    ],
)
def test_files_are_known_by_their_first_bytes(data, name):
    kind = kind_of(data)
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
    ],
)
def test_text_is_not_taken_for_anything_else(text):
    assert kind_of(text) is None


def test_the_message_says_what_the_file_is_and_what_to_do():
    with pytest.raises(InputError, match=r"^reviews\.csv is a Parquet file; give --input-format parquet\.$"):
        refuse_foreign("reviews.csv", parquet())


def test_a_format_does_not_refuse_its_own():
    refuse_foreign("reviews.parquet", parquet(), own="parquet")
