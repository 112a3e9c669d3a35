"""Folders with more files than a process may hold open."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os

import pyarrow as pa
import pytest

from sentiment_batch.data.formats import open_reader
from sentiment_batch.errors import InputError
from sentiment_batch.files.filesystems import make_unreachable_error

FILES = 40


@pytest.fixture
def few_files():
    """This process may open only half as many further files as a folder of the tests has."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = sorted(set(range(4096)) - set(map(int, os.listdir("/dev/fd"))))
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[FILES // 2], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def pack_file(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    return sink.getvalue().to_pybytes()


def pack_stream(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("ending", ["arrow", "arrow.gz"])
@pytest.mark.parametrize("pack", [pack_file, pack_stream])
def test_a_folder_may_hold_more_files_than_can_be_open(tmp_path, few_files, pack, ending):
    data = pack(pa.table({"text": ["good", "bad"]}))
    for number in range(FILES):
        (tmp_path / f"{number}.{ending}").write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    with contextlib.closing(open_reader(str(tmp_path))) as reader:
        held = [list(reader.batches(split)) for split in reader.splits()]
    assert [row["text"] for batches in held for batch in batches for row in batch.to_pylist()] == [
        "good",
        "bad",
    ] * FILES


def test_the_splits_of_an_arrow_file_are_read_in_any_order(tmp_path):
    (tmp_path / "a.arrow").write_bytes(pack_file(pa.table({"text": ["good", "bad", "fine"]})))
    with contextlib.closing(open_reader(str(tmp_path / "a.arrow"))) as reader:
        iterators = [reader.batches(split) for split in reader.splits()]
        found = [next(iterator).to_pylist() for iterator in reversed(iterators)]
    assert found == [[{"text": "fine"}], [{"text": "bad"}], [{"text": "good"}]]


def test_an_arrow_file_that_is_replaced_meanwhile_is_an_error(tmp_path):
    path = tmp_path / "a.arrow"
    path.write_bytes(pack_file(pa.table({"text": ["good", "bad"]})))
    with contextlib.closing(open_reader(str(path))) as reader:
        (tmp_path / "new").write_bytes(pack_file(pa.table({"text": [1, 2]})))
        (tmp_path / "new").rename(path)
        with pytest.raises(InputError, match=r"a\.arrow: the file changed while it was read\. Run again"):
            list(reader.batches(reader.splits()[0]))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_are_not_blamed_on_the_path(number):
    error = make_unreachable_error("a.csv", OSError(number, os.strerror(number)))
    assert "Raise the limit of open files (ulimit -n)" in str(error)
    assert "Check the path" not in str(error)
