"""Files that hold nothing are left out of a folder."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import lzma

import pytest

from sentiment_batch.data.formats import open_reader
from sentiment_batch.errors import InputError

EMPTY = {
    "no-bytes.csv": b"",
    "blank.csv": b"\n \r\n\n",
    "mark.csv": codecs.BOM_UTF8,
    "mark-16.csv": codecs.BOM_UTF16_LE + "\n".encode("utf-16-le"),
    "mark-32.csv": codecs.BOM_UTF32_LE + "\r\n".encode("utf-32-le"),
    "packed.csv.gz": gzip.compress(b""),
    "packed-blank.csv.gz": gzip.compress(b"\n" * 50_000),
    "blank.jsonl": b"\n\t\n",
    "array.json": b"[]",
    "array-blank.json": codecs.BOM_UTF8 + b" [\n ]\n",
    "packed.jsonl.gz": gzip.compress(b""),
    "packed.jsonl.bz2": bz2.compress(b""),
    "packed.jsonl.xz": lzma.compress(b""),
    "array.json.gz": gzip.compress(b"[]\n"),
}
ROWS = {"csv": b"text\nfine\n", "jsonl": b'{"text": "fine"}\n'}


def rows(location):
    reader = open_reader(str(location))
    try:
        return [row for split in reader.splits() for batch in reader.batches(split) for row in batch.to_pylist()]
    finally:
        reader.close()


def put(folder, name):
    format = "csv" if ".csv" in name else "jsonl"
    (folder / name).write_bytes(EMPTY[name])
    (folder / f"z.{format}").write_bytes(ROWS[format])


@pytest.mark.parametrize("name", EMPTY)
def test_a_file_that_holds_nothing_is_left_out(tmp_path, caplog, name):
    put(tmp_path, name)
    assert rows(tmp_path) == [{"text": "fine"}]
    assert "empty files are left out: 1 of 2" in caplog.text


@pytest.mark.parametrize("name", ["no-bytes.csv", "packed.jsonl.gz", "array.json"])
def test_a_file_behind_a_url_that_holds_nothing_is_left_out(memory, caplog, name):
    format = "csv" if ".csv" in name else "jsonl"
    memory.put(f"parts/{name}", EMPTY[name])
    memory.put(f"parts/z.{format}", ROWS[format])
    with contextlib.closing(open_reader(f"{memory.url}/parts/*", format=format)) as reader:
        assert [location.rpartition("/")[2] for location in reader.locations] == [f"z.{format}"]
    assert "empty files are left out: 1 of 2" in caplog.text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"[]\n"),  # a header
        ("a.tsv", b"text\n"),
        ("a.jsonl", b"{}\n{}\n"),
        ("a.json.gz", b"[]"),  # damaged
    ],
)
def test_other_small_files_are_not_taken_for_empty(tmp_path, caplog, name, data):
    (tmp_path / name).write_bytes(data)
    (tmp_path / f"z.{'csv' if 'sv' in name else 'jsonl'}").write_bytes(ROWS["csv" if "sv" in name else "jsonl"])
    with contextlib.suppress(InputError):
        rows(tmp_path)
    assert "left out" not in caplog.text


def test_files_that_all_hold_nothing_are_refused(tmp_path):
    for name in ("array.json", "blank.jsonl"):
        (tmp_path / name).write_bytes(EMPTY[name])
    with pytest.raises(InputError, match=r"array\.json holds no objects"):
        open_reader(str(tmp_path))
